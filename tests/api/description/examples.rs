//! The examples of the file: they have the form of their schemas, and the server takes them.

use serde_json::Value;

use super::METHODS;
use super::checker::{description, faults, resolved};
use crate::support::server::Server;

/// The examples of one media type: name and value.
fn examples_of(media: &Value) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = media
        .get("example")
        .map(|value| ("example".to_owned(), value.clone()))
        .into_iter()
        .collect();
    for (name, example) in media["examples"].as_object().into_iter().flatten() {
        found.push((name.clone(), example["value"].clone()));
    }
    found
}

#[test]
fn every_example_has_the_form_of_its_schema() {
    let document = description();
    let mut count = 0;
    for item in document["paths"].as_object().unwrap().values() {
        for operation in METHODS.iter().filter_map(|method| item.get(*method)) {
            let mut holders = vec![&operation["requestBody"]];
            holders.extend(operation["responses"].as_object().unwrap().values());
            for holder in holders {
                for media in resolved(&document, holder)["content"]
                    .as_object()
                    .into_iter()
                    .flat_map(|content| content.values())
                {
                    for (name, value) in examples_of(media) {
                        let faults = faults(&document, &media["schema"], &value);
                        assert!(
                            faults.is_empty(),
                            "{} {name}: {faults:?}",
                            operation["operationId"]
                        );
                        count += 1;
                    }
                }
            }
        }
    }
    assert!(count > 20, "{count}");
}

#[test]
fn the_server_takes_every_example_of_a_request() {
    let document = description();
    let server = Server::start();
    let mut client = server.client();
    let (open, _) = client.open_transaction();
    let id = format!("/transactions/{}", uuid::Uuid::now_v7());
    // The tags in `apply` are nobody's: what is taken is its form, and 412 says so.
    let rows = [
        (
            "putResource",
            "example",
            "PUT",
            "/resources/accounts/alice",
            "if-none-match",
            201,
        ),
        (
            "patchResource",
            "example",
            "PATCH",
            "/resources/accounts/alice",
            "if-match",
            204,
        ),
        (
            "createTransaction",
            "example",
            "POST",
            "/transactions",
            "x-none",
            201,
        ),
        (
            "patchTransaction",
            "example",
            "PATCH",
            &*open,
            "if-match",
            200,
        ),
        ("putTransaction", "apply", "PUT", &*open, "if-match", 412),
        (
            "putTransaction",
            "cancel",
            "PUT",
            &*id,
            "if-none-match",
            201,
        ),
    ];
    let mut found = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in METHODS.iter().filter_map(|method| item.get(*method)) {
            let media = &operation["requestBody"]["content"]["application/json"];
            for (name, value) in examples_of(media) {
                found.push((
                    operation["operationId"].as_str().unwrap().to_owned(),
                    name,
                    value,
                ));
            }
        }
    }
    assert_eq!(found.len(), rows.len());
    for (operation, name, method, path, condition, status) in rows {
        let example = found
            .iter()
            .find(|(id, other, _)| id == operation && other == name);
        let (_, _, value) = example.unwrap_or_else(|| panic!("{operation} has no example {name}"));
        let response = client.send(method, path, &[(condition, "*")], Some(&value.to_string()));
        assert_eq!(
            response.status,
            status,
            "{operation} {name}: {}",
            response.text()
        );
        if status == 412 {
            assert_eq!(response.slug(), "stale-resource");
        }
    }
}
