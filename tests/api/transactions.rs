//! The life of a transaction (contract §5), from `POST` to what can still be said of it later.

mod assertions;
mod ending;
mod increments;
mod listing;
mod naming;
mod operations;
mod patches;
mod references;
mod repetition;
mod stale;

use serde_json::{Value, json};

use crate::matrix::rows::writer;
use crate::support::client::Response;
use crate::support::server::Server;

/// The members of a transaction's document, in order.
fn members(response: &Response) -> Vec<String> {
    let document = response.json();
    document.as_object().unwrap().keys().cloned().collect()
}

/// The pointers of a problem.
fn pointers(response: &Response) -> Vec<String> {
    let document = response.json();
    let errors = document["errors"].as_array().cloned().unwrap_or_default();
    let pointer = |error: &Value| error["pointer"].as_str().unwrap().to_owned();
    errors.iter().map(pointer).collect()
}

/// A fresh id of a client's own.
fn client_id() -> String {
    format!("/transactions/{}", uuid::Uuid::now_v7())
}

#[test]
fn a_post_without_content_null_and_an_empty_object_are_the_same() {
    let server = Server::start();
    let mut client = server.client();
    for content in [
        None,
        Some(""),
        Some("null"),
        Some("{}"),
        Some(" null\n"),
        Some("{ }"),
    ] {
        let opened = client
            .send("POST", "/transactions", &[], content)
            .expect(201);
        assert_eq!(
            members(&opened),
            ["id", "state", "etag", "created_at", "expires_at", "links"]
        );
        let document = opened.json();
        assert_eq!(document["state"], "open");
        assert_eq!(document["etag"], *opened.etag());
        assert_eq!(
            opened.location(),
            format!("/transactions/{}", document["id"].as_str().unwrap())
        );
        let read = client.get(&opened.location()).expect(200);
        assert_eq!((read.text(), read.etag()), (opened.text(), opened.etag()));
    }
    // Without content a type says nothing.
    let typed = [("content-type", "text/plain"), ("content-length", "0")];
    client
        .send("POST", "/transactions", &typed, None)
        .expect(201);
    assert_eq!(
        client.get("/transactions").json()["items"]
            .as_array()
            .unwrap()
            .len(),
        7
    );
}

#[test]
fn a_post_takes_expires_in_reference_and_metadata() {
    let server = Server::start();
    let mut client = server.client();
    let content =
        r#"{"metadata": {"z": 1.0, "a": [ ]}, "reference": "order-42 ☃", "expires_in": 604800}"#;
    let opened = client
        .send("POST", "/transactions", &[], Some(content))
        .expect(201);
    let expected = [
        "id",
        "state",
        "etag",
        "created_at",
        "expires_at",
        "reference",
        "metadata",
        "links",
    ];
    assert_eq!(members(&opened), expected);
    let document = opened.json();
    assert_eq!(document["reference"], "order-42 ☃");
    assert!(
        opened
            .text()
            .contains("\"metadata\": {\"z\": 1.0, \"a\": [ ]},\n")
    );
    assert_eq!(seconds_open(&document), 604_800);
    let plain = client.send("POST", "/transactions", &[], None).json();
    assert_eq!(seconds_open(&plain), 86_400);
}

/// Seconds from creation to expiry; both on the same day of a month or not.
fn seconds_open(document: &Value) -> i64 {
    let at = |member: &str| {
        let text = document[member].as_str().unwrap();
        let format = &time::format_description::well_known::Rfc3339;
        time::OffsetDateTime::parse(text, format).unwrap()
    };
    (at("expires_at") - at("created_at")).whole_seconds()
}

#[test]
fn every_fault_of_a_post_is_pointed_to() {
    let server = Server::start();
    let mut client = server.client();
    let long = "x".repeat(256);
    let rows: &[(Value, &[&str])] = &[
        (json!([]), &["#"]),
        (json!("x"), &["#"]),
        (json!({"expires_in": 0}), &["#/expires_in"]),
        (json!({"expires_in": 604_801}), &["#/expires_in"]),
        (json!({"expires_in": "60"}), &["#/expires_in"]),
        (json!({"expires_in": 1.5}), &["#/expires_in"]),
        (json!({"expires_in": null}), &["#/expires_in"]),
        (json!({"reference": ""}), &["#/reference"]),
        (json!({"reference": long}), &["#/reference"]),
        (
            json!({"reference": 1, "metadata": []}),
            &["#/reference", "#/metadata"],
        ),
        (
            json!({"metadata": {"a": "x".repeat(16_384)}}),
            &["#/metadata"],
        ),
        (json!({"state": "open"}), &["#/state"]),
        (json!({"a/b~c": 1, "id": 2}), &["#/a~1b~0c", "#/id"]),
    ];
    for (content, expected) in rows {
        let refused = client
            .send("POST", "/transactions", &[], Some(&content.to_string()))
            .expect_problem(422, "invalid-operation");
        assert_eq!(pointers(&refused), *expected, "{content}");
    }
    let with_changes = client
        .send("POST", "/transactions", &[], Some(r#"{"changes": []}"#))
        .expect_problem(428, "precondition-required");
    assert_eq!(pointers(&with_changes), ["#/changes"]);
    client
        .send(
            "POST",
            "/transactions",
            &[("content-type", "text/plain")],
            Some("{}"),
        )
        .expect_problem(415, "unsupported-media-type");
    client
        .send("POST", "/transactions", &[], Some("{"))
        .expect_problem(400, "malformed-request");
    assert_eq!(client.get("/transactions").json()["items"], json!([]));
}

#[test]
fn applying_shows_what_was_done() {
    let server = Server::start();
    let mut client = server.client();
    let alice = client.put_new("/resources/accounts/alice", r#"{"balance":100}"#);
    client.put_new("/resources/accounts/bob", r#"{"balance":1}"#);
    let limits = client.put_new("/resources/limits/daily", "500");
    let old = client.put_new("/resources/accounts/old", "0");
    let content = r#"{"reference":"order-42","metadata":{"note":"rent"}}"#;
    let opened = client
        .send("POST", "/transactions", &[], Some(content))
        .expect(201);
    let body = json!({"changes": [
        {"method": "PUT", "target": "/resources/accounts/alice", "if_match": alice, "body": {"balance": 90}},
        {"method": "PATCH", "target": "/resources/accounts/bob", "if_match": "*", "body": {"balance": 11}},
        {"method": "PUT", "target": "/resources/accounts/new", "if_none_match": "*", "content_type": "application/vnd.x+json", "body": null},
        {"method": "DELETE", "target": "/resources/accounts/old", "if_match": old},
        {"method": "GET", "target": "/resources/limits/daily", "if_match": limits},
        {"method": "GET", "target": "/resources/limits/none", "if_none_match": "*"},
    ]});
    let applied = client
        .send(
            "PUT",
            &opened.location(),
            &[("if-match", &opened.etag())],
            Some(&body.to_string()),
        )
        .expect(200);
    let expected = [
        "id",
        "state",
        "etag",
        "created_at",
        "expires_at",
        "finished_at",
        "reference",
        "metadata",
        "changes",
        "outcome",
        "links",
    ];
    assert_eq!(members(&applied), expected);
    let document = applied.json();
    assert_eq!(document["state"], "committed");
    assert_eq!(document["changes"], body["changes"]);
    let tag = |client: &mut crate::support::client::Client, path: &str| {
        client.get(path).expect(200).etag()
    };
    let outcome = json!([
        {"target": "/resources/accounts/alice", "status": 204, "etag": tag(&mut client, "/resources/accounts/alice")},
        {"target": "/resources/accounts/bob", "status": 204, "etag": tag(&mut client, "/resources/accounts/bob")},
        {"target": "/resources/accounts/new", "status": 201, "etag": tag(&mut client, "/resources/accounts/new")},
        {"target": "/resources/accounts/old", "status": 204},
        {"target": "/resources/limits/daily", "status": 200, "etag": limits},
        {"target": "/resources/limits/none", "status": 404},
    ]);
    assert_eq!(document["outcome"]["changes"], outcome);
    assert_ne!(document["etag"], *opened.etag());
    let read = client.get(&opened.location()).expect(200);
    assert_eq!(
        (read.text(), read.etag()),
        (
            applied.text(),
            document["etag"].as_str().unwrap().to_owned()
        )
    );
    assert_eq!(
        client.get("/resources/accounts/bob").text(),
        r#"{"balance":11}"#
    );
    let new = client.get("/resources/accounts/new").expect(200);
    assert_eq!(
        new.header("content-type").as_deref(),
        Some("application/vnd.x+json")
    );
    assert_eq!(new.text(), "null");
    assert_eq!(writer(&new), Some(opened.location()));
    client
        .get("/resources/accounts/old")
        .expect_problem(404, "not-found");
    assert_eq!(
        tag(&mut client, "/resources/limits/daily"),
        limits,
        "an assertion writes nothing"
    );
}

#[test]
fn the_normal_form_of_an_operation_leaves_defaults_out_and_quotes_tags() {
    let server = Server::start();
    let mut client = server.client();
    let (first, second) = (
        client.put_new("/resources/a/b", "{}"),
        client.put_new("/resources/a/c", "{}"),
    );
    let (transaction, etag) = client.open_transaction();
    let changes = format!(
        r#"[{{"body": {{ "x":1.0 }}, "content_type": "application/merge-patch+json", "if_match": {}, "target": "/resources/%61/%62", "method": "PATCH"}},
            {{"if_match": {}, "method": "GET", "target": "/resources/a/c"}},
            {{"content_type": "application/json", "if_none_match": " * ", "method": "PUT", "target": "/resources/a/d", "body": [ ]}}]"#,
        json!(format!(" \"q\" ,{first} ")),
        json!(second.trim_matches('"')),
    );
    let applied = client.apply(&transaction, &etag, &changes).expect(200);
    let expected = json!([
        {"method": "PATCH", "target": "/resources/a/b", "if_match": format!("\"q\", {first}"), "body": {"x": 1}},
        {"method": "GET", "target": "/resources/a/c", "if_match": second},
        {"method": "PUT", "target": "/resources/a/d", "if_none_match": "*", "body": []},
    ]);
    let found = applied.json()["changes"].to_string();
    assert_eq!(
        found,
        expected.to_string().replace("{\"x\":1}", "{\"x\":1.0}")
    );
    assert!(
        applied.text().contains("\"body\": { \"x\":1.0 }\n"),
        "bodies keep their spelling"
    );
}

#[test]
fn a_transaction_sent_back_as_it_was_read_is_taken() {
    let server = Server::start();
    let mut client = server.client();
    let content = r#"{"reference":"r","metadata":{"a":1,"b":[2]}}"#;
    let opened = client
        .send("POST", "/transactions", &[], Some(content))
        .expect(201);
    let mut document = opened.json();
    document["changes"] =
        json!([{"method": "PUT", "target": "/resources/a/b", "if_none_match": "*", "body": 1}]);
    let headers = [("if-match", &*opened.etag())];
    for (member, value) in [
        ("reference", json!("other")),
        ("metadata", json!({"a": 1})),
        ("reference", json!("R")),
    ] {
        let mut changed = document.clone();
        changed["state"] = json!("committed");
        changed[member] = value;
        let refused = client
            .send(
                "PUT",
                &opened.location(),
                &headers,
                Some(&changed.to_string()),
            )
            .expect_problem(422, "invalid-operation");
        assert_eq!(pointers(&refused), [format!("#/{member}")]);
    }
    // The state that was read is not the one that is asked for.
    document["state"] = json!("committed");
    document["etag"] = json!("whatever");
    document["outcome"] = json!({"changes": "not looked at"});
    document["finished_at"] = json!(null);
    document["metadata"] = json!({"b": [2.0], "a": 1e0});
    client
        .send(
            "PUT",
            &opened.location(),
            &headers,
            Some(&document.to_string()),
        )
        .expect(200);
    // What was committed can be sent back as well: it is a repetition.
    let read = client.get(&opened.location()).expect(200);
    let again = client.send(
        "PUT",
        &opened.location(),
        &[("if-match", &read.etag())],
        Some(&read.text()),
    );
    assert_eq!(
        again.expect(200).header("idempotent-replayed").as_deref(),
        Some("true")
    );
}
