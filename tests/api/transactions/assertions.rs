//! GET in an operation: it writes nothing and only says what must be true.

use serde_json::{Value, json};

use crate::support::client::{Client, Response};
use crate::support::server::Server;

/// Puts one assertion beside a write of `/resources/a/written`, and checks that both or none came to be.
#[track_caller]
fn check(client: &mut Client, assertion: Value, holds: bool) -> Response {
    let (transaction, tag) = client.open_transaction();
    let changes = json!([
        {"method": "PUT", "target": "/resources/a/written", "if_none_match": "*", "body": 1},
        assertion,
    ]);
    let response = client.apply(&transaction, &tag, &changes.to_string());
    if holds {
        let response = response.expect(200);
        let delete = client.send("DELETE", "/resources/a/written", &[("if-match", "*")], None);
        delete.expect(204);
        return response;
    }
    let response = response.expect_problem(412, "stale-resource");
    client
        .get("/resources/a/written")
        .expect_problem(404, "not-found");
    assert_eq!(response.json()["conflicts"].as_array().unwrap().len(), 1);
    assert_eq!(response.json()["conflicts"][0]["change"], 1);
    assert_eq!(
        client.get(&transaction).expect(200).etag(),
        tag,
        "still open"
    );
    response
}

#[test]
fn an_assertion_holds_or_nothing_is_applied() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/there", "{\"x\":1}");
    let bare = tag.trim_matches('"').to_owned();
    let there = |member: &str, value: &str| json!({"method": "GET", "target": "/resources/a/there", member: value});
    let absent = |member: &str, value: &str| json!({"method": "GET", "target": "/resources/a/absent", member: value});
    let long = format!("\"{}\"", "x".repeat(4096));
    for (assertion, holds) in [
        (there("if_match", &tag), true),
        (there("if_match", &bare), true),
        (there("if_match", "*"), true),
        (there("if_match", &format!("\"a\", {tag}, \"c\"")), true),
        (there("if_match", &format!("W/{tag}, {tag}")), true),
        (there("if_match", &format!("{long},{tag}")), true),
        (there("if_match", &format!("W/{tag}")), false),
        (there("if_match", "\"*\""), false),
        (there("if_match", "\"a\", \"b\""), false),
        (there("if_match", "a"), false),
        (there("if_match", &long), false),
        (there("if_match", "\"tüv\""), false),
        (there("if_none_match", "*"), false),
        (absent("if_none_match", "*"), true),
        (absent("if_match", "*"), false),
        (absent("if_match", &tag), false),
    ] {
        check(&mut client, assertion, holds);
    }
    assert_eq!(
        client.get("/resources/a/there").expect(200).etag(),
        tag,
        "assertions write nothing"
    );
}

#[test]
fn a_deleted_resource_is_absent_and_its_deleter_is_named() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/gone", "1");
    let deleted = client
        .send("DELETE", "/resources/a/gone", &[("if-match", &tag)], None)
        .expect(204);
    let via = deleted.header("link").unwrap();
    let response = check(
        &mut client,
        json!({"method": "GET", "target": "/resources/a/gone", "if_match": tag}),
        false,
    );
    let conflict = response.json()["conflicts"][0].clone();
    assert_eq!(conflict["current"], Value::Null);
    assert_eq!(conflict["if_match"], *tag);
    assert_eq!(
        via,
        format!(
            "<{}>; rel=\"via\"",
            conflict["transaction"].as_str().unwrap()
        )
    );
    check(
        &mut client,
        json!({"method": "GET", "target": "/resources/a/gone", "if_none_match": "*"}),
        true,
    );
}

#[test]
fn an_operation_of_assertions_alone_is_one() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    let changes = r#"[{"method": "GET", "target": "/resources/a/b", "if_none_match": "*"}]"#;
    let applied = client.apply(&transaction, &tag, changes).expect(200).json();
    assert_eq!(applied["state"], "committed");
    let expected = json!([{"target": "/resources/a/b", "status": 404}]);
    assert_eq!(applied["outcome"]["changes"], expected);
    client.put_new("/resources/a/b", "1");
    // What was true is not judged again: it is a repetition.
    let again = client.apply(&transaction, &tag, changes).expect(200);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
}
