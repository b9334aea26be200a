//! openapi.yaml against the server, both ways (contract §2, §8).

mod checker;
mod examples;
mod likeness;
mod links;
mod rows;
mod scenes;
mod sent;
mod story;
mod walk;

use std::collections::BTreeSet;

use ifmatch::protocol::problem::Slug;
use serde_json::Value;

use crate::support::server::Server;
pub(crate) use checker::observe;
use checker::{description, faults, resolved};

/// The methods that a description can name.
const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

/// A path of the file, with the examples of its parameters put in.
fn filled(document: &Value, template: &str) -> String {
    let mut path = template.to_owned();
    for parameter in document["paths"][template]["parameters"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let parameter = resolved(document, parameter);
        let name = format!("{{{}}}", parameter["name"].as_str().unwrap());
        let example = &parameter["example"];
        let text = example.as_str().map_or(example.to_string(), str::to_owned);
        path = path.replace(&name, &text);
    }
    assert!(
        !path.contains('{'),
        "{template} has a parameter without an example"
    );
    path
}

#[test]
fn the_file_has_the_methods_that_the_server_has() {
    let document = description();
    let server = Server::start();
    let mut client = server.client();
    for (template, item) in document["paths"].as_object().unwrap() {
        let path = filled(&document, template);
        let allow = client
            .send("OPTIONS", &path, &[], None)
            .expect(204)
            .header("allow")
            .unwrap();
        let served: BTreeSet<String> = allow
            .split(", ")
            .map(str::to_lowercase)
            .filter(|method| method != "options")
            .collect();
        let described = METHODS.iter().filter(|method| item.get(**method).is_some());
        let described: BTreeSet<String> = described.map(|method| (*method).to_owned()).collect();
        assert_eq!(served, described, "{template}");
    }
}

#[test]
fn what_the_server_has_is_in_the_file() {
    let document = description();
    let server = Server::start();
    let mut client = server.client();
    let id = "01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11";
    // Every URI of the contract: what this release does not serve must not be described either.
    let candidates = [
        ("/", "/"),
        ("/resources", "/resources"),
        ("/resources/accounts", "/resources/{collection}"),
        ("/resources/accounts/alice", "/resources/{collection}/{key}"),
        (
            "/resources/accounts/alice/versions",
            "/resources/{collection}/{key}/versions",
        ),
        (
            "/resources/accounts/alice/versions/1",
            "/resources/{collection}/{key}/versions/{version}",
        ),
        ("/schemas/accounts", "/schemas/{collection}"),
        ("/transactions", "/transactions"),
        (&*format!("/transactions/{id}"), "/transactions/{id}"),
        (
            &*format!("/transactions/{id}/resources/a/b"),
            "/transactions/{id}/resources/{collection}/{key}",
        ),
        ("/events", "/events"),
        ("/subscriptions", "/subscriptions"),
        ("/subscriptions/1", "/subscriptions/{id}"),
        ("/problems/gone", "/problems/{slug}"),
        ("/openapi.yaml", "/openapi.yaml"),
        ("/openapi.json", "/openapi.json"),
        ("/docs", "/docs"),
        ("/health/live", "/health/live"),
        ("/health/ready", "/health/ready"),
        ("/metrics", "/metrics"),
    ];
    for (path, template) in candidates {
        let served = client.send("OPTIONS", path, &[], None).status == 204;
        let described = document["paths"].get(template).is_some();
        assert_eq!(served, described, "{template}");
    }
    let known: BTreeSet<&str> = candidates.iter().map(|(_, template)| *template).collect();
    let paths = document["paths"].as_object().unwrap();
    assert!(
        paths
            .keys()
            .all(|template| known.contains(template.as_str()))
    );
}

#[test]
fn the_page_of_problems_has_every_slug() {
    let page = include_str!("../../docs/problems.md");
    let headings: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let slugs: Vec<&str> = Slug::ALL.iter().map(|slug| slug.as_str()).collect();
    assert_eq!(headings, slugs);
    for slug in Slug::ALL {
        let row = format!("| {} | [`{1}`](#{1}) |", slug.status(), slug.as_str());
        assert!(page.contains(&row), "{row}");
    }
}

#[test]
fn every_slug_in_the_file_exists_and_has_its_status() {
    let mut seen = BTreeSet::new();
    for line in ifmatch::http::openapi_yaml().lines() {
        let cells: Vec<&str> = line.trim().split(" | ").collect();
        let [first, second, _] = cells.as_slice() else {
            continue;
        };
        let Ok(status) = first.trim_start_matches("| ").parse::<u16>() else {
            continue;
        };
        let slug = Slug::parse(second.trim_matches('`')).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(slug.status(), status, "{line}");
        seen.insert(slug.as_str());
    }
    // 405 is told of once, for all.
    let expected: BTreeSet<&str> = Slug::ALL
        .iter()
        .map(|slug| slug.as_str())
        .filter(|slug| *slug != "method-not-allowed")
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn every_operation_has_an_id_of_its_own_and_one_tag() {
    let document = description();
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in METHODS.iter().filter_map(|method| item.get(*method)) {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()));
            assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1));
        }
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let document = description();
    let list = serde_json::json!({"$ref": "#/components/schemas/ResourceList"});
    for (instance, right) in [
        (serde_json::json!({"items": [], "next": null}), true),
        (
            serde_json::json!({"items": [], "next": "/resources/a"}),
            true,
        ),
        (serde_json::json!({"items": [], "next": 1}), false),
        (serde_json::json!({"items": []}), false),
        (
            serde_json::json!({"items": [{"href": "/resources/a/b"}], "next": null}),
            false,
        ),
    ] {
        assert_eq!(
            faults(&document, &list, &instance).is_empty(),
            right,
            "{instance}"
        );
    }
}
