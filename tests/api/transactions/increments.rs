//! Increments: numbers added to numbers, directly and in transactions, exactly (contract §4).

use serde_json::{Value, json};

use super::{client_id, pointers};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const TYPE: &str = "application/vnd.ifmatch.increment+json";
const TARGET: &str = "/resources/a/b";

/// A change under `*`, its increment as it stands here.
fn add(key: &str, increment: &str) -> String {
    format!(
        r#"{{"method":"PATCH","target":"/resources/a/{key}","if_match":"*","content_type":"{TYPE}","body":{increment}}}"#
    )
}

/// Applies changes in a transaction that the client names.
fn apply(client: &mut Client, changes: &[String]) -> Response {
    let content = format!("{{\"changes\":[{}]}}", changes.join(","));
    client.send(
        "PUT",
        &client_id(),
        &[("if-none-match", "*")],
        Some(&content),
    )
}

/// A direct increment under the current tag.
fn direct(client: &mut Client, increment: &str) -> Response {
    let tag = client.get(TARGET).expect(200).etag();
    let headers = [("if-match", &*tag), ("content-type", TYPE)];
    client.send("PATCH", TARGET, &headers, Some(increment))
}

#[test]
fn sums_are_exact_and_what_is_not_named_keeps_its_spelling() {
    let server = Server::start();
    let mut client = server.client();
    let typed = [
        ("if-none-match", "*"),
        ("content-type", "application/vnd.x+json"),
    ];
    let first = r#"{ "z": 1.50, "balance": 0.1, "n": {"m": 1e2, "kept": 1E+2}, "s": "\u00e9", "l": [ -0, {"x": 1.0} ], "nil": null }"#;
    client.send("PUT", TARGET, &typed, Some(first)).expect(201);
    for (increment, after) in [
        (
            r#"{"balance": 0.2, "n": {"m": 1}}"#,
            r#"{"z":1.50,"balance":0.3,"n":{"m":101,"kept":1E+2},"s":"\u00e9","l":[-0,{"x":1.0}],"nil":null}"#,
        ),
        (
            r#"{"z": -0.25, "balance": -12345678901234567890.7, "new": -0, "n": {"deep": {"er": 5e-3}}}"#,
            r#"{"z":1.25,"balance":-12345678901234567890.4,"n":{"m":101,"kept":1E+2,"deep":{"er":0.005}},"s":"\u00e9","l":[-0,{"x":1.0}],"nil":null,"new":0}"#,
        ),
        (
            r#"{"balance": 12345678901234567890.4, "z": 1e400, "n": {"deep": {"er": 1e-401}}}"#,
            &format!(
                r#"{{"z":1{}1.25,"balance":0.0,"n":{{"m":101,"kept":1E+2,"deep":{{"er":0.005{}1}}}},"s":"\u00e9","l":[-0,{{"x":1.0}}],"nil":null,"new":0}}"#,
                "0".repeat(399),
                "0".repeat(397)
            ),
        ),
    ] {
        let done = direct(&mut client, increment).expect(204);
        let seen = client.get(TARGET).expect(200);
        assert_eq!(seen.text(), after);
        assert_eq!(seen.etag(), done.etag());
        assert_eq!(
            seen.header("content-type").as_deref(),
            Some("application/vnd.x+json")
        );
    }
}

#[test]
fn an_empty_increment_is_a_write_like_any_other() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new(TARGET, r#"{"n": 1.0}"#);
    let done = direct(&mut client, "{}").expect(204).etag();
    assert!(tag.starts_with("\"1.") && done.starts_with("\"2."));
    assert_eq!(client.get(TARGET).expect(200).json(), json!({"n": 1.0}));
    let headers = [
        ("if-match", &*done),
        (
            "content-type",
            "application/VND.ifmatch.increment+json; charset=\"UTF-8\"",
        ),
        ("prefer", "return=representation"),
    ];
    let shown = client
        .send("PATCH", TARGET, &headers, Some(r#"{"n":-3}"#))
        .expect(200);
    assert_eq!(shown.text(), r#"{"n":-2.0}"#);
    let latin = [
        ("if-match", "*"),
        (
            "content-type",
            "application/vnd.ifmatch.increment+json;charset=latin1",
        ),
    ];
    let refused = client.send("PATCH", TARGET, &latin, Some("{}"));
    let refused = refused.expect_problem(415, "unsupported-media-type");
    assert!(refused.header("accept-patch").unwrap().contains(TYPE));
    assert!(refused.json()["detail"].as_str().unwrap().contains(TYPE));
}

#[test]
fn what_is_no_increment_is_422_with_every_place() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new(TARGET, r#"{"n": 1}"#);
    for (increment, places) in [
        ("1", vec![""]),
        ("[]", vec![""]),
        ("null", vec![""]),
        ("\"1\"", vec![""]),
        (r#"{"n": "1"}"#, vec!["/n"]),
        (
            r#"{"n": 1, "a": null, "o": {"l": [1], "x": 1, "t": true}}"#,
            vec!["/a", "/o/l", "/o/t"],
        ),
    ] {
        let refused = direct(&mut client, increment).expect_problem(422, "invalid-operation");
        let expected: Vec<String> = places.iter().map(|place| format!("#{place}")).collect();
        assert_eq!(pointers(&refused), expected);
        // In a transaction this is shape, and refused before any condition is looked at.
        let elsewhere = "/resources/a/elsewhere";
        let stale = json!({"method": "GET", "target": elsewhere, "if_match": "\"x\""}).to_string();
        let refused = apply(&mut client, &[stale, add("b", increment)]);
        let refused = refused.expect_problem(422, "invalid-operation");
        let expected: Vec<String> = places
            .iter()
            .map(|place| format!("#/changes/1/body{place}"))
            .collect();
        assert_eq!(pointers(&refused), expected);
    }
    for (increment, pointer) in [
        (r#"{"n":1,"n":1}"#, "#/n"),
        (r#"{"n":1e131072}"#, "#/n"),
        ("{\"n\":01}", "#/n"),
    ] {
        let refused = direct(&mut client, increment).expect_problem(400, "malformed-request");
        assert_eq!(pointers(&refused), [pointer]);
        let refused = apply(&mut client, &[add("b", increment)]);
        let refused = refused.expect_problem(400, "malformed-request");
        assert_eq!(
            pointers(&refused),
            [format!("#/changes/0/body{}", &pointer[1..])]
        );
    }
    assert_eq!(client.get(TARGET).expect(200).etag(), tag);
}

#[test]
fn what_is_there_and_no_number_is_422_after_all_conditions() {
    let server = Server::start();
    let mut client = server.client();
    let before = r#"{"s": "1", "n": 1, "o": {"x": []}, "nil": null}"#;
    let tag = client.put_new(TARGET, before);
    client.put_new("/resources/a/list", "[1]");
    client.put_new("/resources/a/ok", "{}");
    let increment = r#"{"s": 1, "n": {"y": 1}, "o": {"x": 1, "z": 1}, "nil": 0, "new": 1}"#;
    let places = ["/s", "/n", "/o/x", "/nil"];
    let refused = direct(&mut client, increment).expect_problem(422, "invalid-operation");
    assert_eq!(pointers(&refused), places.map(|place| format!("#{place}")));
    let detail = &refused.json()["errors"][0]["detail"];
    assert!(detail.as_str().unwrap().contains("a string"), "{detail}");

    let changes = [
        add("ok", "{\"n\":1}"),
        add("b", increment),
        add("list", "{\"n\":1}"),
    ];
    let refused = apply(&mut client, &changes).expect_problem(422, "invalid-operation");
    let mut expected = places
        .map(|place| format!("#/changes/1/body{place}"))
        .to_vec();
    expected.push("#/changes/2/body".to_owned());
    assert_eq!(pointers(&refused), expected);

    let gone = json!({"method": "GET", "target": "/resources/a/gone", "if_match": "*"}).to_string();
    let stale = [("if-match", "\"x\""), ("content-type", TYPE)];
    client
        .send("PATCH", TARGET, &stale, Some(increment))
        .expect_problem(412, "stale-resource");
    let refused = apply(&mut client, &[add("b", increment), gone]);
    let refused = refused.expect_problem(412, "stale-resource").json();
    assert_eq!(refused["conflicts"].as_array().unwrap().len(), 1);
    let absent =
        apply(&mut client, &[add("gone", "{\"n\":1}")]).expect_problem(412, "stale-resource");
    assert_eq!(absent.json()["conflicts"][0]["current"], Value::Null);

    let seen = client.get(TARGET).expect(200);
    assert_eq!((seen.text(), seen.etag()), (before.to_owned(), tag));
    assert_eq!(client.get("/resources/a/ok").expect(200).text(), "{}");
}

#[test]
fn sums_that_cannot_be_stored_are_409() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(TARGET, r#"{"a": 9e131071, "b": -9e131071, "c": 1e-16383}"#);
    for member in ["a", "b"] {
        let sign = if member == "b" { "-" } else { "" };
        let increment = format!("{{\"c\":0,\"{member}\":{sign}1e131071}}");
        let refused = direct(&mut client, &increment).expect_problem(409, "patch-conflict");
        assert_eq!(pointers(&refused), [format!("#/{member}")]);
        let refused = apply(&mut client, &[add("b", &increment)]);
        let refused = refused.expect_problem(409, "patch-conflict");
        assert_eq!(pointers(&refused), [format!("#/changes/0/body/{member}")]);
    }
    // The widest sum there is, which the database must take too.
    direct(
        &mut client,
        r#"{"a": -8e131071, "b": 9e131071, "c": 1e131071}"#,
    )
    .expect(204);
    let text = client.get(TARGET).expect(200).text();
    assert_eq!(text.len(), r#"{"a":1e131071,"b":0,"c":}"#.len() + 147_456);
    let many = (0..8)
        .map(|n| format!("\"{n}\":1e131071"))
        .collect::<Vec<_>>()
        .join(",");
    client.put_new("/resources/a/many", &format!("{{{many}}}"));
    let refused = apply(
        &mut client,
        &[add(
            "many",
            &format!("{{{}}}", many.replace("1e131071", "1e-16383")),
        )],
    );
    let refused = refused.expect_problem(409, "patch-conflict");
    assert_eq!(pointers(&refused), ["#/changes/0/body/7"]);
}

#[test]
fn increments_go_with_assertions_and_are_told_apart_when_repeated() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/alice", r#"{"balance": 100}"#);
    client.put_new("/resources/a/bob", r#"{"balance": 0.00}"#);
    let limit = client.put_new("/resources/a/limit", "500");
    let operation = |amount: &str, limit: &str| {
        let bound = json!({"method": "GET", "target": "/resources/a/limit", "if_match": limit});
        let (from, to) = (
            format!("{{\"balance\":-{amount}}}"),
            format!("{{\"balance\":{amount}}}"),
        );
        format!(
            "{{\"changes\":[{bound},{},{}]}}",
            add("alice", &from),
            add("bob", &to)
        )
    };
    let (path, tag) = client.open_transaction();
    let headers = [("if-match", &*tag)];
    let stale = client.send("PUT", &path, &headers, Some(&operation("30", "\"x\"")));
    stale.expect_problem(412, "stale-resource");
    let done = client
        .send("PUT", &path, &headers, Some(&operation("30", &limit)))
        .expect(200);
    assert_eq!(done.json()["changes"][1]["content_type"], TYPE);
    for spelled in ["30", "30.0", "3e1", "300E-1"] {
        let again = client.send("PUT", &path, &headers, Some(&operation(spelled, &limit)));
        let again = again.expect(200);
        assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
        assert_eq!(again.text(), done.text());
    }
    let plain = operation("30", &limit).replace(&format!("\"content_type\":\"{TYPE}\","), "");
    for other in [operation("30.01", &limit), plain] {
        let refused = client.send("PUT", &path, &headers, Some(&other));
        refused.expect_problem(412, "stale-transaction");
    }
    let seen = client
        .get("/resources?key=a/alice&key=a/bob")
        .expect(200)
        .json();
    let balances = [0, 1].map(|index| seen["items"][index]["body"]["balance"].to_string());
    assert_eq!(balances, ["70", "30.00"], "applied once");
}

#[test]
fn a_direct_increment_under_the_star_is_refused_and_one_under_a_tag_tells_who_wrote() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new(TARGET, r#"{"n": 1}"#);
    for (kind, content) in [
        (TYPE, "{\"n\":1}"),
        (TYPE, "{"),
        ("application/json-patch+json", "[]"),
        ("application/json-patch+json", "{}"),
    ] {
        let headers = [("if-match", "*"), ("content-type", kind)];
        let refused = client.send("PATCH", TARGET, &headers, Some(content));
        let detail =
            refused.expect_problem(428, "precondition-required").json()["detail"].to_string();
        assert!(
            detail.contains("If-Match: <the ETag") && detail.contains("in a transaction"),
            "{detail}"
        );
    }
    let merge = [
        ("if-match", "*"),
        ("content-type", "application/merge-patch+json"),
    ];
    client
        .send("PATCH", TARGET, &merge, Some("{"))
        .expect_problem(400, "malformed-request");
    assert_eq!(client.get(TARGET).expect(200).etag(), tag);
    let headers = [("if-match", &*tag), ("content-type", TYPE)];
    let done = client
        .send("PATCH", TARGET, &headers, Some("{\"n\":1}"))
        .expect(204);
    // Repeated after a lost answer it meets its own new tag.
    let again = client.send("PATCH", TARGET, &headers, Some("{\"n\":1}"));
    let conflict = again.expect_problem(412, "stale-resource").json()["conflicts"][0].clone();
    assert_eq!(conflict["current"], done.etag());
    assert_eq!(
        done.header("link").unwrap(),
        format!(
            "<{}>; rel=\"via\"",
            conflict["transaction"].as_str().unwrap()
        )
    );
    assert_eq!(client.get(TARGET).expect(200).text(), "{\"n\":2}");
}
