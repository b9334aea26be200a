//! The `links` of the file are followed: each leads to an operation that answers as it should.

use serde_json::Value;

use super::checker::description;
use super::examples::operations;
use super::scenes::{Act, Scene, body_of, examples_of, operation};
use crate::support::client::Response;

/// An answer with links, and a request that has it: operation, status, state, parameters, condition, example.
type Start = (
    &'static str,
    &'static str,
    Act,
    [(&'static str, &'static str); 2],
    (&'static str, &'static str),
    &'static str,
);

const ALICE: [(&str, &str); 2] = [("collection", "accounts"), ("key", "alice")];
const SCHEMA: [(&str, &str); 2] = [("collection", "accounts"), ("", "")];
const NEW: [(&str, &str); 2] = [("collection", "accounts"), ("key", "zoe")];
const OPENED: [(&str, &str); 2] = [("id", "01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11"), ("", "")];
const OWN: [(&str, &str); 2] = [("id", "01980f3f-02c4-7d19-b3e8-2c9d4a7f6b05"), ("", "")];
const NONE: [(&str, &str); 2] = [("", ""), ("", "")];
const STAR: (&str, &str) = ("If-Match", "*");
const CREATE: (&str, &str) = ("If-None-Match", "*");

const STARTS: &[Start] = &[
    ("putResource", "201", Act::Resources, NEW, CREATE, "example"),
    ("putResource", "204", Act::Resources, ALICE, STAR, "example"),
    (
        "patchResource",
        "204",
        Act::Resources,
        ALICE,
        STAR,
        "example",
    ),
    (
        "putSchema",
        "201",
        Act::Resources,
        SCHEMA,
        CREATE,
        "example",
    ),
    ("putSchema", "204", Act::Described, SCHEMA, STAR, "example"),
    (
        "createTransaction",
        "201",
        Act::Resources,
        NONE,
        ("X-Request-Id", "a"),
        "context",
    ),
    (
        "createTransaction",
        "200",
        Act::Open,
        NONE,
        ("X-Request-Id", "a"),
        "context",
    ),
    ("putTransaction", "200", Act::Open, OPENED, STAR, "apply"),
    (
        "putTransaction",
        "201",
        Act::Resources,
        OWN,
        CREATE,
        "create",
    ),
    ("patchTransaction", "200", Act::Open, OPENED, STAR, "renew"),
];

/// What following a link to the operation answers.
const LED_TO: [(&str, u16); 7] = [
    ("getSchema", 200),
    ("putSchema", 204),
    ("getResource", 200),
    ("putResource", 204),
    ("putTransaction", 200),
    ("getTransaction", 200),
    ("deleteTransaction", 204),
];

fn path(template: &str, values: &[(&str, &str)]) -> String {
    let fold =
        |path: String, (name, value): &(&str, &str)| path.replace(&format!("{{{name}}}"), value);
    values.iter().fold(template.to_owned(), fold)
}

/// A runtime expression (OpenAPI 3.0.3, "Runtime Expressions"), or a constant.
fn evaluated(
    scene: &Scene,
    expression: &str,
    start: &[(&str, &str)],
    response: &Response,
) -> String {
    if let Some(name) = expression.strip_prefix("$request.path.") {
        let found = start.iter().find(|(other, _)| *other == name);
        return scene.real(found.unwrap_or_else(|| panic!("no {name}")).1);
    }
    if let Some(name) = expression.strip_prefix("$response.header.") {
        return response.header(name).unwrap_or_else(|| panic!("no {name}"));
    }
    if let Some(pointer) = expression.strip_prefix("$response.body#") {
        return response
            .json()
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap()
            .to_owned();
    }
    assert!(!expression.starts_with('$'), "{expression}");
    expression.to_owned()
}

#[track_caller]
fn follow(document: &Value, start: &Start, link: &Value) {
    let (id, status, act, values, condition, body) = start;
    let (template, method, _) = operation(document, id);
    let mut scene = Scene::new(document, *act);
    let body = body_of(document, id, body).to_string();
    let headers = [(condition.0.to_owned(), condition.1.to_owned())];
    let response = scene.send(method, &path(template, values), &headers, Some(&body));
    assert_eq!(
        response.status.to_string(),
        *status,
        "{id}: {}",
        response.text()
    );

    let target = link["operationId"].as_str().unwrap();
    let (template, method, operation) = operation(document, target);
    let (mut to, mut headers) = (template.to_owned(), Vec::new());
    for (name, expression) in link["parameters"].as_object().unwrap() {
        let value = evaluated(&scene, expression.as_str().unwrap(), values, &response);
        let place = format!("{{{name}}}");
        match to.contains(&place) {
            true => to = to.replace(&place, &value),
            false => headers.push((name.clone(), value)),
        }
    }
    let content = examples_of(&operation["requestBody"]["content"]["application/json"]);
    let content = content.first().map(|(_, value)| value.to_string());
    let answer = scene.send(method, &to, &headers, content.as_deref());
    let expected = LED_TO.iter().find(|(name, _)| *name == target);
    let expected = expected.unwrap_or_else(|| panic!("{target} is new here")).1;
    assert_eq!(
        answer.status,
        expected,
        "{id} {status} → {target}: {}",
        answer.text()
    );
}

#[test]
fn every_link_leads_to_an_answer() {
    let document = description();
    let mut followed = 0;
    for (_, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        for (status, response) in operation["responses"].as_object().unwrap() {
            for link in response["links"]
                .as_object()
                .into_iter()
                .flat_map(|links| links.values())
            {
                let start = STARTS
                    .iter()
                    .find(|start| start.0 == id && start.1 == status);
                follow(
                    &document,
                    start.unwrap_or_else(|| panic!("{id} {status} has no start")),
                    link,
                );
                followed += 1;
            }
        }
    }
    assert!(followed >= STARTS.len(), "{followed}");
}

#[test]
fn links_lead_from_post_to_put_to_get() {
    let document = description();
    for (from, status, name, to) in [
        ("createTransaction", "201", "apply", "putTransaction"),
        ("putTransaction", "200", "read", "getTransaction"),
    ] {
        let (_, _, operation) = operation(&document, from);
        assert_eq!(
            operation["responses"][status]["links"][name]["operationId"],
            to
        );
    }
}
