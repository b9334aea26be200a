//! What counts as the same operation when a PUT is repeated (contract §5, "Retry of what already happened").

use serde_json::json;

use super::client_id;
use crate::support::client::Client;
use crate::support::server::Server;

/// `@C@` and `@D@` stand for the tags of two resources, without quotes.
const OPERATION: &str = r#"[{"method": "PUT", "target": "/resources/a/b", "if_none_match": "*", "body": {"n": 1, "list": [1, 2], "s": "é"}},
    {"method": "GET", "target": "/resources/a/d", "if_match": "\"@D@\", W/\"u\""},
    {"method": "PATCH", "target": "/resources/a/c", "if_match": "@C@", "body": {"x": 100}}]"#;

/// Spellings of the same operation.
const SAME: &[&str] = &[
    OPERATION,
    // Member order, white space, numbers and escapes.
    r#"[{"body":{"s":"\u00e9","list":[1.0,2e0],"n":10E-1},"if_none_match":"*","target":"/resources/a/b","method":"PUT"},{"if_match":"\"@D@\",W/\"u\"","method":"GET","target":"/resources/a/d"},{"method":"PATCH","target":"/resources/a/c","if_match":"\"@C@\"","body":{"x":1e2}}]"#,
    // Defaults written out, a target encoded, lists spaced otherwise.
    r#"[{"method": "PUT", "target": "/resources/%61/%62", "content_type": "application/json", "if_none_match": " * ", "body": {"n": 1, "list": [1, 2], "s": "é"}},
    {"method": "GET", "target": "/resources/a/d", "if_match": " \"@D@\" , , W/\"u\""},
    {"method": "PATCH", "target": "/resources/a/c", "content_type": "application/merge-patch+json", "if_match": "@C@", "body": {"x": 100.00}}]"#,
    // Plain JSON is taken as a merge patch.
    r#"[{"method": "PUT", "target": "/resources/a/b", "if_none_match": "*", "body": {"n": 1, "list": [1, 2], "s": "é"}},
    {"method": "GET", "target": "/resources/a/d", "if_match": "\"@D@\", W/\"u\""},
    {"method": "PATCH", "target": "/resources/a/c", "content_type": "application/json", "if_match": "@C@", "body": {"x": 100}}]"#,
];

/// What is replaced in the operation to make another.
const OTHER: &[(&str, &str)] = &[
    ("[1, 2]", "[2, 1]"),
    ("\"n\": 1", "\"n\": 1.0000000000000000000000000001"),
    ("\"n\": 1", "\"n\": \"1\""),
    ("\"n\": 1", "\"n\": 1, \"m\": null"),
    ("\"é\"", "\"É\""),
    ("\"é\"", "\"e\\u0301\""),
    (r#"\"@D@\", W/\"u\""#, r#"W/\"u\", \"@D@\""#),
    (r#"\"@D@\", W/\"u\""#, r#"\"@D@\""#),
    ("\"@C@\"", "\"*\""),
    ("\"@C@\"", "\"@C@0\""),
    (
        "{\"method\": \"PUT\"",
        "{\"content_type\": \"application/vnd.x+json\", \"method\": \"PUT\"",
    ),
    ("/resources/a/b", "/resources/a/B"),
    ("{\"x\": 100}", "{\"x\": 100, \"y\": {}}"),
];

/// A committed transaction.
struct Committed {
    path: String,
    /// The tag that it started from.
    before: String,
    /// The tags of two resources, without quotes.
    tags: [String; 2],
}

impl Committed {
    fn new(client: &mut Client) -> Self {
        let tags = ["c", "d"].map(|key| {
            let tag = client.put_new(&format!("/resources/a/{key}"), "{}");
            tag.trim_matches('"').to_owned()
        });
        let (path, before) = client.open_transaction();
        let committed = Self { path, before, tags };
        let first = client.apply(
            &committed.path,
            &committed.before,
            &committed.spelled(OPERATION),
        );
        assert_eq!(first.expect(200).header("idempotent-replayed"), None);
        committed
    }

    fn spelled(&self, operation: &str) -> String {
        operation
            .replace("@C@", &self.tags[0])
            .replace("@D@", &self.tags[1])
    }

    fn put(
        &self,
        client: &mut Client,
        headers: &[(&str, &str)],
        operation: &str,
    ) -> crate::support::client::Response {
        let content = format!("{{\"changes\": {}}}", self.spelled(operation));
        client.send("PUT", &self.path, headers, Some(&content))
    }
}

#[test]
fn the_same_operation_in_another_spelling_is_answered_again() {
    let server = Server::start();
    let mut client = server.client();
    let committed = Committed::new(&mut client);
    let document = client.get(&committed.path).expect(200);
    let everything = client.get("/resources/a").expect(200).text();
    let after = document.etag();
    for operation in SAME {
        for tag in [
            &*committed.before,
            &*after,
            "*",
            "\"any\"",
            "W/\"u\", \"any\"",
        ] {
            let again = committed
                .put(&mut client, &[("if-match", tag)], operation)
                .expect(200);
            assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
            assert_eq!(again.text(), document.text());
        }
        for condition in [("if-none-match", "*"), ("if-none-match", " * ")] {
            let refused = committed.put(&mut client, &[condition], operation);
            let refused = refused.expect_problem(412, "already-applied");
            assert_eq!(refused.json()["current"], document.json());
        }
    }
    assert_eq!(
        client.get("/resources/a").expect(200).text(),
        everything,
        "applied once"
    );
}

#[test]
fn another_operation_is_none_however_little_it_differs() {
    let server = Server::start();
    let mut client = server.client();
    let committed = Committed::new(&mut client);
    let document = client.get(&committed.path).expect(200);
    let everything = client.get("/resources/a").expect(200).text();
    let mut others: Vec<String> = OTHER
        .iter()
        .map(|(from, to)| {
            assert!(OPERATION.contains(from), "{from}");
            OPERATION.replacen(from, to, 1)
        })
        .collect();
    let mut turned: serde_json::Value = serde_json::from_str(OPERATION).unwrap();
    turned.as_array_mut().unwrap().reverse();
    others.push(turned.to_string());
    others.push("[]".to_owned());
    others.push("{".to_owned());
    for operation in &others {
        for (condition, status, slug) in [
            (("if-match", &*committed.before), 412, "stale-transaction"),
            (("if-match", "*"), 409, "transaction-finished"),
            (("if-match", &*document.etag()), 409, "transaction-finished"),
            (("if-none-match", "*"), 412, "stale-transaction"),
        ] {
            let refused = committed.put(&mut client, &[condition], operation);
            let refused = refused.expect_problem(status, slug);
            assert_eq!(refused.json()["current"], document.json(), "{operation}");
        }
    }
    assert_eq!(client.get("/resources/a").expect(200).text(), everything);
    assert_eq!(client.get(&committed.path).text(), document.text());
}

#[test]
fn a_repetition_may_carry_the_members_that_are_no_part_of_the_operation() {
    let server = Server::start();
    let mut client = server.client();
    let path = client_id();
    let changes =
        json!([{"method": "PUT", "target": "/resources/a/b", "if_none_match": "*", "body": 1}]);
    let create = [("if-none-match", "*")];
    let content = json!({"changes": changes, "reference": "r"}).to_string();
    client
        .send("PUT", &path, &create, Some(&content))
        .expect(201);
    for content in [
        json!({"changes": changes}),
        json!({"changes": changes, "state": "committed"}),
        json!({"changes": changes, "reference": "r", "id": "x", "etag": 1, "links": null}),
    ] {
        let again = client.send(
            "PUT",
            &path,
            &[("if-match", "\"any\"")],
            Some(&content.to_string()),
        );
        assert_eq!(
            again.expect(200).header("idempotent-replayed").as_deref(),
            Some("true")
        );
    }
}

#[test]
fn a_strict_client_is_told_instead_of_answered() {
    let server = Server::start();
    let mut client = server.client();
    let committed = Committed::new(&mut client);
    let after = client.get(&committed.path).etag();
    let other = OPERATION.replacen("[1, 2]", "[]", 1);
    let strict = ("prefer", "handling=strict");
    for (tag, operation, status, slug) in [
        (&*committed.before, OPERATION, 412, "already-applied"),
        (&*after, OPERATION, 409, "transaction-finished"),
        ("*", OPERATION, 409, "transaction-finished"),
        (&*committed.before, &*other, 412, "stale-transaction"),
        (&*after, &*other, 409, "transaction-finished"),
    ] {
        let refused = committed.put(&mut client, &[("if-match", tag), strict], operation);
        let refused = refused.expect_problem(status, slug);
        assert_eq!(refused.json()["current"]["state"], "committed");
        let honoured = (slug == "already-applied").then(|| "handling=strict".to_owned());
        assert_eq!(refused.header("preference-applied"), honoured);
    }
}
