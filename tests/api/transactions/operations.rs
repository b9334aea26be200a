//! The shape of an operation: every fault with its pointer, and which failure wins.

use serde_json::{Value, json};

use super::pointers;
use crate::support::client::Client;
use crate::support::server::Server;

const TARGET: &str = "/resources/a/b";

/// Checks the pointers of the faults of these changes, and that nothing came of it.
#[track_caller]
fn check(client: &mut Client, content: &Value, status: u16, expected: &[&str]) {
    let (transaction, tag) = client.open_transaction();
    let slug = if status == 428 {
        "precondition-required"
    } else {
        "invalid-operation"
    };
    let refused = client
        .send(
            "PUT",
            &transaction,
            &[("if-match", &tag)],
            Some(&content.to_string()),
        )
        .expect_problem(status, slug);
    assert_eq!(pointers(&refused), expected, "{content}");
    assert_eq!(client.get(&transaction).expect(200).etag(), tag);
    client.get(TARGET).expect_problem(404, "not-found");
}

#[test]
fn every_fault_of_shape_is_pointed_to() {
    let server = Server::start();
    let mut client = server.client();
    let one = |change: Value| json!({"changes": [change]});
    let put = |more: Value| {
        let mut change =
            json!({"method": "PUT", "target": TARGET, "if_none_match": "*", "body": 1});
        for (name, value) in more.as_object().unwrap() {
            change[name] = value.clone();
        }
        one(change)
    };
    let rows: &[(Value, &[&str])] = &[
        (json!([]), &["#"]),
        (json!(null), &["#"]),
        (json!({}), &["#/changes"]),
        (json!({"changes": []}), &["#/changes"]),
        (json!({"changes": {}}), &["#/changes"]),
        (
            json!({"changes": [1, null]}),
            &["#/changes/0", "#/changes/1"],
        ),
        (
            json!({"state": "pending", "changes": [1]}),
            &["#/state", "#/changes/0"],
        ),
        (json!({"state": 1}), &["#/state", "#/changes"]),
        (json!({"x/y~": 1}), &["#/x~1y~0", "#/changes"]),
        (
            put(json!({"x": 1, "If_Match": 2})),
            &["#/changes/0/x", "#/changes/0/If_Match"],
        ),
        (put(json!({"method": "get"})), &["#/changes/0/method"]),
        (put(json!({"method": "POST"})), &["#/changes/0/method"]),
        (put(json!({"method": null})), &["#/changes/0/method"]),
        (
            put(json!({"target": "/resources/A/b"})),
            &["#/changes/0/target"],
        ),
        (
            put(json!({"target": "/transactions/x"})),
            &["#/changes/0/target"],
        ),
        (
            put(json!({"target": "/resources/a/b?x=1"})),
            &["#/changes/0/target"],
        ),
        (
            put(json!({"target": "http://localhost/resources/a/b"})),
            &["#/changes/0/target"],
        ),
        (
            put(json!({"target": "/resources/a/%2562"})),
            &["#/changes/0/target"],
        ),
        (
            put(json!({"target": 1, "method": "BREW"})),
            &["#/changes/0/target", "#/changes/0/method"],
        ),
        (
            put(json!({"if_none_match": "\"x\""})),
            &["#/changes/0/if_none_match"],
        ),
        (
            put(json!({"if_none_match": null})),
            &["#/changes/0/if_none_match"],
        ),
        (
            put(json!({"if_match": "*"})),
            &["#/changes/0/if_none_match"],
        ),
        (
            put(json!({"content_type": "text/plain"})),
            &["#/changes/0/content_type"],
        ),
        (
            put(json!({"content_type": 1})),
            &["#/changes/0/content_type"],
        ),
        (
            one(json!({"method": "PUT", "target": TARGET, "if_match": "*"})),
            &["#/changes/0/body"],
        ),
        (
            one(json!({"method": "PATCH", "target": TARGET, "if_match": "*"})),
            &["#/changes/0/body"],
        ),
        (
            one(json!({"method": "PATCH", "target": TARGET, "if_none_match": "*", "body": {}})),
            &["#/changes/0/if_none_match"],
        ),
        (
            one(json!({"method": "DELETE", "target": TARGET, "if_none_match": "*"})),
            &["#/changes/0/if_none_match"],
        ),
        (
            one(json!({"method": "DELETE", "target": TARGET, "if_match": "*", "body": null})),
            &["#/changes/0/body"],
        ),
        (
            one(
                json!({"method": "GET", "target": TARGET, "if_match": "*", "body": 1, "content_type": "x"}),
            ),
            &["#/changes/0/body", "#/changes/0/content_type"],
        ),
        (
            one(json!({"method": "GET", "target": TARGET, "if_match": ""})),
            &["#/changes/0/if_match"],
        ),
        (
            one(json!({"method": "GET", "target": TARGET, "if_match": "a b"})),
            &["#/changes/0/if_match"],
        ),
        (
            one(json!({"method": "GET", "target": TARGET, "if_match": "\"a"})),
            &["#/changes/0/if_match"],
        ),
        (
            one(json!({"method": "GET", "target": TARGET, "if_match": ["\"a\""]})),
            &["#/changes/0/if_match"],
        ),
        (
            one(
                json!({"method": "PATCH", "target": TARGET, "if_match": "*", "content_type": "application/json-patch+json", "body": {}}),
            ),
            &["#/changes/0/body"],
        ),
        (
            one(
                json!({"method": "PATCH", "target": TARGET, "if_match": "*", "content_type": "application/x+json", "body": {}}),
            ),
            &["#/changes/0/content_type"],
        ),
        (
            one(
                json!({"method": "PATCH", "target": TARGET, "if_match": "*", "content_type": "application/json-patch+json", "body": [{"op": "add", "path": "/a", "value": 1}, {"op": "x", "path": "/a"}]}),
            ),
            &["#/changes/0/body/1/op"],
        ),
        (
            json!({"expires_in": 60, "changes": [{"method": "GET", "target": TARGET, "if_match": "*"}]}),
            &["#/expires_in"],
        ),
    ];
    for (content, expected) in rows {
        check(&mut client, content, 422, expected);
    }
    let bare = json!({"changes": [
        {"method": "PUT", "target": TARGET, "body": 1},
        {"method": "GET", "target": "/resources/a/c", "if_none_match": "*"},
        {"method": "DELETE", "target": "/resources/a/d"},
    ]});
    check(
        &mut client,
        &bare,
        428,
        &["#/changes/0/if_match", "#/changes/2/if_match"],
    );
}

#[test]
fn the_same_target_twice_is_one_too_many_however_it_is_spelled() {
    let server = Server::start();
    let mut client = server.client();
    for second in [TARGET, "/resources/a/%62", "/resources/%61/b"] {
        let content = json!({"changes": [
            {"method": "GET", "target": TARGET, "if_none_match": "*"},
            {"method": "GET", "target": "/resources/a/B", "if_none_match": "*"},
            {"method": "PUT", "target": second, "if_none_match": "*", "body": 1},
        ]});
        check(&mut client, &content, 422, &["#/changes/2/target"]);
    }
}

#[test]
fn a_thousand_changes_are_taken_and_one_more_is_not() {
    let server = Server::start();
    let mut client = server.client();
    let changes = |count: usize| -> Value {
        let change = |index: usize| json!({"method": "PUT", "target": format!("/resources/many/k{index}"), "if_none_match": "*", "body": index});
        (0..count).map(change).collect()
    };
    check(
        &mut client,
        &json!({"changes": changes(1001)}),
        422,
        &["#/changes"],
    );
    let (transaction, tag) = client.open_transaction();
    let applied = client
        .apply(&transaction, &tag, &changes(1000).to_string())
        .expect(200)
        .json();
    assert_eq!(
        applied["outcome"]["changes"].as_array().unwrap().len(),
        1000
    );
    assert_eq!(
        client.get("/resources/many?limit=1000").json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1000
    );
    assert_eq!(client.get("/resources/many/k999").expect(200).text(), "999");
}

#[test]
fn the_first_failure_in_the_order_of_the_contract_wins() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/there", "{}");
    let broken =
        json!({"method": "PUT", "target": "/resources/a/1", "if_match": "*", "body": 1, "x": 1});
    let bare = json!({"method": "PUT", "target": "/resources/a/2", "body": 1});
    let stale =
        json!({"method": "PUT", "target": "/resources/a/there", "if_match": "\"x\"", "body": 1});
    let unfit = json!({"method": "PATCH", "target": "/resources/a/there", "if_match": "*", "content_type": "application/json-patch+json", "body": [{"op": "remove", "path": "/none"}]});
    let unfit_elsewhere = {
        client.put_new("/resources/a/other", "{}");
        let mut change = unfit.clone();
        change["target"] = json!("/resources/a/other");
        change
    };
    for (changes, status, slug) in [
        (json!([stale, bare, broken]), 422, "invalid-operation"),
        (json!([unfit, bare, broken]), 422, "invalid-operation"),
        (json!([unfit, bare]), 428, "precondition-required"),
        (json!([bare, stale]), 428, "precondition-required"),
        (json!([unfit_elsewhere, stale]), 412, "stale-resource"),
        (json!([unfit]), 409, "patch-conflict"),
    ] {
        let (transaction, tag) = client.open_transaction();
        client
            .apply(&transaction, &tag, &changes.to_string())
            .expect_problem(status, slug);
        // The header's own condition goes before all of the content.
        client
            .apply(&transaction, "\"x\"", &changes.to_string())
            .expect_problem(412, "stale-transaction");
        client
            .apply(&transaction, "W/\"x\"", &changes.to_string())
            .expect_problem(412, "weak-etag");
        client
            .apply(&transaction, "x", &changes.to_string())
            .expect_problem(400, "malformed-request");
        let content = format!("{{\"changes\": {changes}}}");
        client
            .send("PUT", &transaction, &[], Some(&content))
            .expect_problem(428, "precondition-required");
        let typed = [("content-type", "text/plain")];
        client
            .send("PUT", &transaction, &typed, Some(&content))
            .expect_problem(415, "unsupported-media-type");
        assert_eq!(client.get(&transaction).etag(), tag);
    }
    assert_eq!(
        client.get("/resources/a").json()["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn after_a_failure_the_same_context_takes_another_operation() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    client
        .apply(&transaction, &tag, "[]")
        .expect_problem(422, "invalid-operation");
    let stale = r#"[{"method": "GET", "target": "/resources/a/b", "if_match": "*"}]"#;
    client
        .apply(&transaction, &tag, stale)
        .expect_problem(412, "stale-resource");
    let right =
        r#"[{"method": "PUT", "target": "/resources/a/b", "if_none_match": "*", "body": 1}]"#;
    client.apply(&transaction, &tag, right).expect(200);
    assert_eq!(client.get("/resources/a/b").expect(200).text(), "1");
}
