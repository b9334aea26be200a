//! The first answer again, whatever has become of the resource and of the transaction since.

use serde_json::json;

use super::{check_again, versions};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const PATH: &str = "/resources/keys/k";
const STAR: (&str, &str) = ("if-match", "*");
const CREATE: (&str, &str) = ("if-none-match", "*");
const SHOWN: (&str, &str) = ("prefer", "return=representation");

fn key(text: &str) -> (&'static str, &str) {
    ("idempotency-key", text)
}

fn post(client: &mut Client, text: &str, content: &str) -> Response {
    client.send("POST", "/transactions", &[key(text)], Some(content))
}

#[test]
fn the_first_answer_comes_again_after_the_resource_has_gone_on() {
    let server = Server::start();
    let mut client = server.client();
    let create = [CREATE, key("create")];
    let created = client
        .send("PUT", PATH, &create, Some("{\"n\": 1}"))
        .expect(201);
    let patch = [STAR, key("patch"), SHOWN];
    let patched = client
        .send("PATCH", PATH, &patch, Some("{\"n\": 2}"))
        .expect(200);
    let delete = [STAR, key("delete")];
    let deleted = client.send("DELETE", PATH, &delete, None).expect(204);
    client.put_new(PATH, "{\"n\": 4}");
    let again = client.send("PUT", PATH, &create, Some("{\"n\": 1}"));
    check_again(&created, &again);
    let again = client.send("PATCH", PATH, &patch, Some("{\"n\": 2}"));
    check_again(&patched, &again);
    assert_eq!(again.text(), "{\"n\":2}", "the state that it made");
    check_again(&deleted, &client.send("DELETE", PATH, &delete, None));
    // Whoever prefers the representation of what was written without it, gets that.
    let shown = [CREATE, key("create"), SHOWN];
    let shown = client
        .send("PUT", PATH, &shown, Some("{\"n\": 1}"))
        .expect(201);
    assert_eq!(shown.text(), "{\"n\": 1}");
    assert_eq!(
        (shown.etag(), shown.header("preference-applied")),
        (created.etag(), Some("return=representation".into()))
    );
    assert_eq!(versions(&mut client, PATH), 4);
    let now = client.get(PATH).expect(200);
    assert_eq!(now.text(), "{\"n\": 4}");
}

#[test]
fn a_refused_request_leaves_the_key_to_be_used() {
    let server = Server::start();
    let mut client = server.client();
    let replace = [STAR, key("k")];
    for _ in 0..2 {
        let refused = client.send("PUT", PATH, &replace, Some("1"));
        refused.expect_problem(412, "stale-resource");
    }
    client.put_new(PATH, "0");
    let done = client.send("PUT", PATH, &replace, Some("1")).expect(204);
    assert_eq!(done.header("idempotent-replayed"), None, "this one did it");
    check_again(&done, &client.send("PUT", PATH, &replace, Some("1")));
}

#[test]
fn one_command_creates_and_applies_once() {
    let server = Server::start();
    let mut client = server.client();
    let content = |body: u32| {
        let change = json!({"method": "PUT", "target": PATH, "if_none_match": "*", "body": body});
        json!({"reference": "order-1", "metadata": {"a": 1.0}, "changes": [change]}).to_string()
    };
    let without = client.send("POST", "/transactions", &[], Some(&content(1)));
    let problem = without.expect_problem(428, "precondition-required").json();
    assert_eq!(problem["errors"][0]["pointer"], "#/changes");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("Idempotency-Key: ")
    );

    let first = post(&mut client, "k", &content(1)).expect(201);
    let made = first.json();
    assert_eq!(
        (&made["state"], &made["reference"]),
        (&json!("committed"), &json!("order-1"))
    );
    assert_eq!(made["outcome"]["changes"][0]["status"], 201);
    assert_eq!(first.header("content-location"), Some(first.location()));
    assert_eq!(made["etag"], first.etag());
    let seen = client.get(&first.location()).expect(200);
    assert_eq!((seen.text(), seen.etag()), (first.text(), first.etag()));
    let reordered = r#"{"changes":[{"body":1.0,"if_none_match":"*","target":"/resources/keys/k","method":"PUT"}],"metadata":{"a":1},"reference":"order-1"}"#;
    check_again(&first, &post(&mut client, "k", &content(1)));
    check_again(&first, &post(&mut client, "k", reordered));
    post(&mut client, "k", &content(2)).expect_problem(422, "key-reused");
    post(&mut client, "k", "{}").expect_problem(422, "key-reused");
    // The reference is another's now.
    let taken = post(&mut client, "l", &content(1));
    let problem = taken
        .clone()
        .expect_problem(409, "duplicate-reference")
        .json();
    assert_eq!(problem["current"]["id"], made["id"]);
    assert_eq!(taken.location(), first.location());
    // It is over, as any transaction that has been applied.
    client
        .send("DELETE", &first.location(), &[STAR], None)
        .expect_problem(409, "transaction-finished");
    assert_eq!(versions(&mut client, PATH), 1);
}

#[test]
fn a_refused_command_leaves_nothing() {
    let server = Server::start();
    let mut client = server.client();
    let change = |condition: &str| {
        format!(
            r#"{{"reference": "r", "changes": [{{"method": "PUT", "target": "{PATH}", "{condition}": "*", "body": 1}}]}}"#
        )
    };
    let refused = client.send(
        "POST",
        "/transactions",
        &[key("k"), SHOWN],
        Some(&change("if_match")),
    );
    let problem = refused.expect_problem(412, "stale-resource").json();
    assert_eq!(problem["conflicts"][0]["current"], json!(null));
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .ends_with("POST again; the same key may be used.")
    );
    for wrong in [
        r#"{"changes": []}"#,
        r#"{"changes": [{"method": "PUT", "target": "/", "if_match": "*", "body": 1}]}"#,
        r#"{"changes": [], "state": "committed"}"#,
    ] {
        post(&mut client, "k", wrong).expect_problem(422, "invalid-operation");
    }
    let bare = r#"{"changes": [{"method": "DELETE", "target": "/resources/keys/k"}]}"#;
    post(&mut client, "k", bare).expect_problem(428, "precondition-required");
    let list = client.get("/transactions?reference=r").expect(200).json();
    assert_eq!(list["items"], json!([]));
    let done = post(&mut client, "k", &change("if_none_match")).expect(201);
    assert_eq!(done.header("idempotent-replayed"), None);
}

#[test]
fn a_context_made_with_a_key_is_shown_as_it_is_now() {
    let server = Server::start();
    let mut client = server.client();
    let first = post(&mut client, "k", "{}").expect(201);
    check_again(&first, &post(&mut client, "k", "null"));
    let changes =
        format!(r#"[{{"method": "PUT", "target": "{PATH}", "if_none_match": "*", "body": 1}}]"#);
    client
        .apply(&first.location(), &first.etag(), &changes)
        .expect(200);
    let again = post(&mut client, "k", "{}").expect(201);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(again.json()["state"], "committed");
    assert_eq!(
        again.text(),
        client.get(&first.location()).expect(200).text()
    );

    let given_up = post(&mut client, "l", "{}").expect(201);
    client
        .send("DELETE", &given_up.location(), &[STAR], None)
        .expect(204);
    post(&mut client, "l", "{}").expect_problem(410, "transaction-cancelled");
}

#[test]
fn a_shared_context_is_the_answer_again_though_it_is_decided_by_now() {
    let server = Server::start();
    let mut client = server.client();
    let content = r#"{"reference": "r"}"#;
    let opened = client
        .send("POST", "/transactions", &[], Some(content))
        .expect(201);
    let first = post(&mut client, "k", content).expect(200);
    check_again(&first, &post(&mut client, "k", content));
    let changes =
        format!(r#"[{{"method": "PUT", "target": "{PATH}", "if_none_match": "*", "body": 1}}]"#);
    client
        .apply(&opened.location(), &opened.etag(), &changes)
        .expect(200);
    post(&mut client, "l", content).expect_problem(409, "duplicate-reference");
    let again = post(&mut client, "k", content).expect(200);
    assert_eq!(again.json()["state"], "committed");
}

#[test]
fn a_repetition_meets_no_condition_and_content_that_is_damaged_is_told_so() {
    let server = Server::start();
    let mut client = server.client();
    let fields = [CREATE, key("k")];
    let first = client.send("PUT", PATH, &fields, Some("1")).expect(201);
    check_again(&first, &client.send("PUT", PATH, &fields, Some("1")));
    for (field, body, status, slug) in [
        (
            ("content-type", "text/plain"),
            "1",
            415,
            "unsupported-media-type",
        ),
        (("a", "b"), "{", 400, "malformed-request"),
        (
            (
                "content-digest",
                "sha-256=:QMA9IV2s/vDlU8ostryvRehVnEiepW3/boeXND2Dt2g=:",
            ),
            "1",
            400,
            "malformed-request",
        ),
        (("if-match", "x"), "1", 400, "malformed-request"),
    ] {
        let fields: Vec<_> = fields.into_iter().chain([field]).collect();
        client
            .send("PUT", PATH, &fields, Some(body))
            .expect_problem(status, slug);
    }
    let large = format!("\"{}\"", "x".repeat(1024 * 1024));
    client
        .send("PUT", PATH, &fields, Some(&large))
        .expect_problem(413, "content-too-large");
    let bare = client.send("PUT", PATH, &[key("k")], Some("1"));
    bare.expect_problem(422, "key-reused");
    let elsewhere = client.send("PUT", "/resources/A/k", &fields, Some("1"));
    elsewhere.expect_problem(404, "not-found");
}

#[test]
fn another_server_tells_the_same_and_so_does_one_that_was_started_anew() {
    let first = Server::start();
    let fields = [CREATE, key("k")];
    let done = first
        .client()
        .send("PUT", PATH, &fields, Some("1"))
        .expect(201);
    let second = Server::over(&first.database_url, |_| {}, |_| {});
    check_again(
        &done,
        &second.client().send("PUT", PATH, &fields, Some("1")),
    );
    let url = first.database_url.clone();
    drop((first, second));
    let third = Server::over(&url, |_| {}, |_| {});
    check_again(&done, &third.client().send("PUT", PATH, &fields, Some("1")));
}
