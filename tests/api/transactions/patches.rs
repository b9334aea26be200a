//! Patches among the changes: applied to what is there, and refused with pointers.

use serde_json::{Value, json};

use super::pointers;
use crate::support::server::Server;

fn json_patch(key: &str, patch: Value) -> Value {
    json!({"method": "PATCH", "target": format!("/resources/a/{key}"), "if_match": "*", "content_type": "application/json-patch+json", "body": patch})
}

#[test]
fn merge_and_json_patches_apply_together() {
    let server = Server::start();
    let mut client = server.client();
    let typed = [
        ("if-none-match", "*"),
        ("content-type", "application/vnd.x+json"),
    ];
    client
        .send(
            "PUT",
            "/resources/a/merged",
            &typed,
            Some(r#"{"keep": 1.00, "drop": 2, "deep": {"a": 1}}"#),
        )
        .expect(201);
    client.put_new("/resources/a/patched", r#"{"list": [1, 2], "n": 1.0}"#);
    client.put_new("/resources/a/plain", "[1]");
    let changes = json!([
        {"method": "PATCH", "target": "/resources/a/merged", "if_match": "*", "body": {"drop": null, "deep": {"b": 2}, "new": [null]}},
        json_patch("patched", json!([
            {"op": "test", "path": "/n", "value": 1},
            {"op": "add", "path": "/list/-", "value": {"x": null}},
            {"op": "move", "from": "/n", "path": "/m"},
            {"op": "copy", "from": "/list/0", "path": "/first"},
            {"op": "replace", "path": "/list/0", "value": "one"},
            {"op": "remove", "path": "/list/1"},
        ])),
        {"method": "PATCH", "target": "/resources/a/plain", "if_match": "*", "content_type": "application/json", "body": "replaced"},
    ]);
    let (transaction, tag) = client.open_transaction();
    let applied = client
        .apply(&transaction, &tag, &changes.to_string())
        .expect(200);
    let statuses: Vec<Value> = applied.json()["outcome"]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|outcome| outcome["status"].clone())
        .collect();
    assert_eq!(statuses, [204, 204, 204]);
    let merged = client.get("/resources/a/merged").expect(200);
    let expected = r#"{"keep":1.00,"deep":{"a":1,"b":2},"new":[null]}"#;
    assert_eq!(
        merged.json().to_string(),
        expected,
        "numbers keep their spelling"
    );
    assert_eq!(
        merged.header("content-type").as_deref(),
        Some("application/vnd.x+json")
    );
    let patched = client.get("/resources/a/patched").expect(200).json();
    assert_eq!(
        patched,
        json!({"list": ["one", {"x": null}], "m": 1.0, "first": 1})
    );
    assert_eq!(
        client.get("/resources/a/plain").expect(200).text(),
        "\"replaced\""
    );
}

#[test]
fn every_patch_that_does_not_fit_is_pointed_to_and_nothing_is_applied() {
    let server = Server::start();
    let mut client = server.client();
    for key in ["0", "1", "2", "3"] {
        client.put_new(&format!("/resources/a/{key}"), r#"{"n": 1}"#);
    }
    let before = client.get("/resources/a").expect(200).text();
    let changes = json!([
        json_patch("0", json!([{"op": "replace", "path": "/n", "value": 2}])),
        json_patch("1", json!([{"op": "add", "path": "/m", "value": 2}, {"op": "test", "path": "/n", "value": 2}])),
        {"method": "PUT", "target": "/resources/a/new", "if_none_match": "*", "body": 1},
        json_patch("2", json!([{"op": "remove", "path": "/none"}])),
        json_patch("3", json!([{"op": "add", "path": "/n/x", "value": 1}])),
    ]);
    let (transaction, tag) = client.open_transaction();
    let refused = client
        .apply(&transaction, &tag, &changes.to_string())
        .expect_problem(409, "patch-conflict");
    let expected = [
        "#/changes/1/body/1",
        "#/changes/3/body/0",
        "#/changes/4/body/0",
    ];
    assert_eq!(pointers(&refused), expected);
    assert_eq!(client.get("/resources/a").expect(200).text(), before);
    assert_eq!(
        client.get(&transaction).expect(200).etag(),
        tag,
        "still open"
    );
}

#[test]
fn a_direct_json_patch_that_does_not_fit_is_409_with_a_pointer() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", r#"{"n": 1}"#);
    let headers = [
        ("if-match", &*tag),
        ("content-type", "application/json-patch+json"),
    ];
    let patch = r#"[{"op":"add","path":"/m","value":1},{"op":"test","path":"/n","value":2}]"#;
    let refused = client
        .send("PATCH", "/resources/a/b", &headers, Some(patch))
        .expect_problem(409, "patch-conflict");
    assert_eq!(pointers(&refused), ["#/1"]);
    let shapeless = client
        .send(
            "PATCH",
            "/resources/a/b",
            &headers,
            Some(r#"[{"op":"add","path":"m"}]"#),
        )
        .expect_problem(422, "invalid-operation");
    assert!(
        pointers(&shapeless)
            .iter()
            .all(|pointer| pointer.starts_with("#/0"))
    );
    let star = [("if-match", "*"), headers[1]];
    client
        .send("PATCH", "/resources/a/b", &star, Some("[]"))
        .expect_problem(428, "precondition-required");
    assert_eq!(client.get("/resources/a/b").expect(200).etag(), tag);
    client
        .send("PATCH", "/resources/a/b", &headers, Some("[]"))
        .expect(204);
}

#[test]
fn a_patch_may_not_make_what_could_not_be_put() {
    let server = Server::start();
    let mut client = server.client();
    // Each by itself nests within the limit; one put into the other does not.
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let tag = client.put_new("/resources/a/b", &deep);
    let patch = |path: &str| format!(r#"[{{"op":"add","path":"{path}/-","value":{deep}}}]"#);
    let headers = [
        ("if-match", &*tag),
        ("content-type", "application/json-patch+json"),
    ];
    client
        .send(
            "PATCH",
            "/resources/a/b",
            &headers,
            Some(&patch(&"/0".repeat(59))),
        )
        .expect_problem(409, "patch-conflict");
    assert_eq!(client.get("/resources/a/b").expect(200).etag(), tag);
    client
        .send("PATCH", "/resources/a/b", &headers, Some(&patch("")))
        .expect(204);
}
