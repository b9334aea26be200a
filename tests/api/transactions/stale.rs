//! `412 stale-resource`: every false condition, all from one state (contract §5, "Stale").

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::Server;

fn changes() -> Value {
    json!([
        {"method": "PUT", "target": "/resources/a/0", "if_match": "x1", "body": 1},
        {"method": "PUT", "target": "/resources/a/fine", "if_none_match": "*", "body": 1},
        {"method": "PATCH", "target": "/resources/a/absent", "if_match": "*", "body": {}},
        {"method": "DELETE", "target": "/resources/a/3", "if_match": "W/\"x\", \"y\""},
        {"method": "PUT", "target": "/resources/a/4", "if_none_match": "*", "body": 1},
        {"method": "GET", "target": "/resources/a/5", "if_none_match": "*"},
        {"method": "GET", "target": "/resources/a/deleted", "if_match": "*"},
        {"method": "PUT", "target": "/resources/a/never", "if_match": "*", "body": 1},
    ])
}

/// Which resource is at which tag, written by which transaction.
fn prepared(client: &mut Client) -> Vec<(String, String)> {
    let mut written = Vec::new();
    for key in ["0", "3", "4", "5", "deleted"] {
        let body = format!("{{ \"k\": \"{key}\" }}");
        let put = client.send(
            "PUT",
            &format!("/resources/a/{key}"),
            &[("if-none-match", "*")],
            Some(&body),
        );
        written.push((put.etag(), via(&put.header("link").unwrap())));
    }
    let deleted = client
        .send("DELETE", "/resources/a/deleted", &[("if-match", "*")], None)
        .expect(204);
    written[4].1 = via(&deleted.header("link").unwrap());
    written
}

fn via(link: &str) -> String {
    link.trim_start_matches('<')
        .trim_end_matches(">; rel=\"via\"")
        .to_owned()
}

#[test]
fn every_false_condition_is_listed_with_what_is_there_and_who_wrote_it() {
    let server = Server::start();
    let mut client = server.client();
    let written = prepared(&mut client);
    let (transaction, tag) = client.open_transaction();
    let stale = client
        .apply(&transaction, &tag, &changes().to_string())
        .expect_problem(412, "stale-resource");
    let expected = json!([
        {"change": 0, "target": "/resources/a/0", "if_match": "\"x1\"", "current": written[0].0, "transaction": written[0].1},
        {"change": 2, "target": "/resources/a/absent", "if_match": "*", "current": null},
        {"change": 3, "target": "/resources/a/3", "if_match": "W/\"x\", \"y\"", "current": written[1].0, "transaction": written[1].1},
        {"change": 4, "target": "/resources/a/4", "if_none_match": "*", "current": written[2].0, "transaction": written[2].1},
        {"change": 5, "target": "/resources/a/5", "if_none_match": "*", "current": written[3].0, "transaction": written[3].1},
        {"change": 6, "target": "/resources/a/deleted", "if_match": "*", "current": null, "transaction": written[4].1},
        {"change": 7, "target": "/resources/a/never", "if_match": "*", "current": null},
    ]);
    assert_eq!(stale.json()["conflicts"].to_string(), expected.to_string());
    assert_eq!(
        stale.json().get("current"),
        None,
        "the header's tag is not stale"
    );
    assert_eq!(stale.header("preference-applied"), None);
    let read = client.get(&transaction).expect(200);
    assert_eq!(
        (read.etag(), read.json()["state"].clone()),
        (tag, json!("open"))
    );
    client
        .get("/resources/a/fine")
        .expect_problem(404, "not-found");
}

#[test]
fn the_current_bodies_come_along_where_they_are_preferred() {
    let server = Server::start();
    let mut client = server.client();
    prepared(&mut client);
    let (transaction, tag) = client.open_transaction();
    let content = json!({"changes": changes()}).to_string();
    let headers = [("if-match", &*tag), ("prefer", "return=representation")];
    let stale = client
        .send("PUT", &transaction, &headers, Some(&content))
        .expect_problem(412, "stale-resource");
    assert_eq!(
        stale.header("preference-applied").as_deref(),
        Some("return=representation")
    );
    let document = stale.json();
    let bodies: Vec<(u64, Option<&Value>)> = document["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|conflict| (conflict["change"].as_u64().unwrap(), conflict.get("body")))
        .collect();
    let body = |key: &str| json!({ "k": key });
    let (zero, three, four, five) = (body("0"), body("3"), body("4"), body("5"));
    let expected = [
        (0, Some(&zero)),
        (2, None),
        (3, Some(&three)),
        (4, Some(&four)),
        (5, Some(&five)),
        (6, None),
        (7, None),
    ];
    assert_eq!(bodies, expected);
    assert!(
        stale.text().contains("\"body\": { \"k\": \"0\" }\n"),
        "in their own spelling"
    );
}

#[test]
fn the_next_attempt_needs_nothing_but_the_conflicts() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", r#"{"balance":100}"#);
    let (transaction, tag) = client.open_transaction();
    let attempt = |client: &mut Client, if_match: &str, balance: i64| {
        let content = json!({"changes": [{"method": "PUT", "target": "/resources/a/b", "if_match": if_match, "body": {"balance": balance}}]});
        let headers = [("if-match", &*tag), ("prefer", "return=representation")];
        client.send("PUT", &transaction, &headers, Some(&content.to_string()))
    };
    let stale = attempt(&mut client, "\"guess\"", 0)
        .expect_problem(412, "stale-resource")
        .json();
    let conflict = &stale["conflicts"][0];
    let balance = conflict["body"]["balance"].as_i64().unwrap() - 10;
    let applied = attempt(&mut client, conflict["current"].as_str().unwrap(), balance).expect(200);
    assert_eq!(
        client.get("/resources/a/b").expect(200).json(),
        json!({"balance": 90})
    );
    assert_eq!(
        applied.json()["outcome"]["changes"][0]["etag"],
        *client.get("/resources/a/b").etag()
    );
}
