//! The examples of the file are true: each is sent or produced, and the answer is what the file shows.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::checker::{check, description, faults, resolved};
use super::likeness::letters;
use super::rows::{ANSWERS, PROBLEMS, Row};
use super::scenes::{Scene, body_of, digest, examples_of, operation};
use super::{METHODS, filled};
use crate::support::client::Response;
use crate::support::server::Server;

/// The media types that an operation takes and gives: where, status (empty for a request), media type.
fn media_of(operation: &Value, document: &Value) -> Vec<(String, Value)> {
    let mut holders = vec![(String::new(), &operation["requestBody"])];
    let responses = operation["responses"].as_object().unwrap();
    holders.extend(
        responses
            .iter()
            .map(|(status, response)| (status.clone(), response)),
    );
    let mut found = Vec::new();
    for (status, holder) in holders {
        let content = resolved(document, holder)["content"].as_object();
        found.extend(
            content
                .into_iter()
                .flat_map(|content| content.values())
                .map(|media| (status.clone(), media.clone())),
        );
    }
    found
}

pub(super) fn operations(document: &Value) -> Vec<(String, &'static str, Value)> {
    let items = document["paths"].as_object().unwrap().iter();
    let all = items.flat_map(|(template, item)| {
        METHODS
            .into_iter()
            .filter_map(|method| Some((template.clone(), method, item.get(method)?.clone())))
    });
    all.collect()
}

fn problem_examples(document: &Value) -> Vec<(String, Value)> {
    examples_of(
        &document["components"]["responses"]["Error"]["content"]["application/problem+json"],
    )
}

#[test]
fn every_example_has_the_form_of_its_schema() {
    let document = description();
    let mut count = 0;
    for (_, _, operation) in operations(&document) {
        for (status, media) in media_of(&operation, &document) {
            for (name, value) in examples_of(&media) {
                let faults = faults(&document, &media["schema"], &value);
                assert!(
                    faults.is_empty(),
                    "{} {status} {name}: {faults:?}",
                    operation["operationId"]
                );
                count += 1;
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn all_that_is_sent_or_answered_has_an_example() {
    let document = description();
    for (template, method, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(
            operation["description"]
                .as_str()
                .is_some_and(|text| !text.starts_with('|')),
            "{id} begins with a table"
        );
        for (status, media) in media_of(&operation, &document) {
            assert!(
                status.ends_with("XX") || !examples_of(&media).is_empty(),
                "{id} {status}"
            );
        }
        let _ = filled(&document, &template);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            // A cursor is opaque: `next` of a page shows one.
            let parameter = resolved(&document, parameter);
            assert!(
                parameter.get("example").is_some() || parameter["name"] == "after",
                "{method} {template} {parameter}"
            );
        }
    }
    for name in document["components"]["headers"].as_object().unwrap() {
        assert!(name.1.get("example").is_some(), "{}", name.0);
    }
}

/// Content of a row: an example of the operation's request, or as it stands there.
fn content(document: &Value, template: &str, row: &Row) -> Option<String> {
    let request = &document["paths"][template][row.method.to_lowercase()]["requestBody"];
    let examples = examples_of(&request["content"]["application/json"]);
    match examples.into_iter().find(|(name, _)| name == row.body) {
        Some((_, value)) => Some(value.to_string()),
        None => (!row.body.is_empty()).then(|| row.body.to_owned()),
    }
}

fn produced(document: &Value, row: &Row) -> (Scene, Response) {
    let mut scene = Scene::new(document, row.act);
    if row.like.starts_with("listResources") {
        // So that there is a next page.
        scene.client.put_new("/resources/accounts/carol", "{}");
    }
    let path = row.path.split('?').next().unwrap();
    let template = super::checker::template(path).unwrap();
    let body = content(document, template, row);
    let headers: Vec<_> = row
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    // An id as old as the file's, of which nothing is known.
    if row.like == "gone" {
        scene.names.clear();
    }
    // The same key with other content before.
    if row.like == "keyReused" {
        let other = Some("{\"balance\": 1}");
        scene
            .send(row.method, row.path, &headers, other)
            .expect(204);
    }
    let response = scene.send(row.method, row.path, &headers, body.as_deref());
    let response = response.expect(row.status);
    if row.like.contains(' ') {
        check(document, template, row.method, &response);
    }
    (scene, response)
}

#[test]
fn every_example_of_an_answer_is_produced_to_the_letter() {
    let document = description();
    let mut expected = BTreeSet::new();
    for (_, _, operation) in operations(&document) {
        for (status, media) in media_of(&operation, &document) {
            let answers = !status.is_empty() && !status.ends_with("XX");
            for (name, _) in examples_of(&media).into_iter().filter(|_| answers) {
                expected.insert(format!(
                    "{} {status} {name}",
                    operation["operationId"].as_str().unwrap()
                ));
            }
        }
    }
    // These show how the description itself and its page begin: the next test.
    expected.retain(|like| !like.starts_with("getOpenapi") && !like.starts_with("getDocs"));
    let rows: BTreeSet<String> = ANSWERS.iter().map(|row| row.like.to_owned()).collect();
    assert_eq!(rows, expected);
    let mut wrong = Vec::new();
    for row in ANSWERS {
        let [id, status, name] = row.like.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{}", row.like)
        };
        let (_, _, operation) = operation(&document, id);
        let media = &operation["responses"][status]["content"]["application/json"];
        let example = examples_of(media)
            .into_iter()
            .find(|(other, _)| other == name)
            .unwrap()
            .1;
        let (scene, response) = produced(&document, row);
        wrong.extend(
            letters(&example, &response.json(), &scene.names)
                .err()
                .map(|fault| format!("{}:\n{fault}", row.like)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_of_a_problem_is_produced_to_the_letter() {
    let document = description();
    let examples = problem_examples(&document);
    let mut wrong = Vec::new();
    let mut names: BTreeSet<&str> = examples.iter().map(|(name, _)| name.as_str()).collect();
    for row in PROBLEMS {
        assert!(names.remove(row.like), "{}", row.like);
        let example = &examples
            .iter()
            .find(|(name, _)| name == row.like)
            .unwrap()
            .1;
        let (scene, response) = produced(&document, row);
        wrong.extend(
            letters(example, &response.json(), &scene.names)
                .err()
                .map(|fault| format!("{}:\n{fault}", row.like)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(names, BTreeSet::from(["unavailable"]));
    let short = |engine: &mut ifmatch::engine::Settings| {
        engine.connection_timeout = Duration::from_millis(50);
        engine.time_limit = Duration::from_secs(5);
    };
    let away = Server::over("postgres://nobody@127.0.0.1:1/nothing", short, |_| {});
    let answer = away.client().get("/resources/accounts/alice").expect(503);
    assert!(answer.header("retry-after").is_some());
    let example = &examples
        .iter()
        .find(|(name, _)| name == "unavailable")
        .unwrap()
        .1;
    letters(example, &answer.json(), &[]).unwrap();
}

#[test]
fn the_description_begins_as_its_example() {
    let document = description();
    let shown = |id: &str, media: &str| {
        let (_, _, operation) = operation(&document, id);
        operation["responses"]["200"]["content"][media]["example"].clone()
    };
    let yaml = shown("getOpenapiYaml", "application/yaml");
    assert!(ifmatch::http::openapi_yaml().starts_with(yaml.as_str().unwrap()));
    let page = Server::start().client().get("/docs").expect(200).text();
    assert!(page.starts_with(shown("getDocs", "text/html").as_str().unwrap()));
    let example = shown("getOpenapiJson", "application/json");
    for (name, value) in example.as_object().unwrap() {
        for (inner, value) in value.as_object().into_iter().flatten() {
            assert_eq!(&document[name][inner], value, "{name}.{inner}");
        }
        assert!(value.is_object() || &document[name] == value, "{name}");
    }
}

#[test]
fn the_example_of_a_digest_is_that_of_the_example_of_a_document() {
    let document = description();
    let body = body_of(&document, "putResource", "example");
    let example = &document["components"]["parameters"]["ContentDigest"]["example"];
    assert_eq!(example, &json!(digest(&body.to_string())));
}
