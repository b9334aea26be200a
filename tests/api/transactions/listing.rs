//! `GET /transactions`: newest first, without what is `410`.

use serde_json::Value;

use super::{client_id, ending};
use crate::support::client::Client;
use crate::support::server::Server;

const OPERATION: &str =
    r#"{"changes": [{"method": "GET", "target": "/resources/a/none", "if_none_match": "*"}]}"#;

fn hrefs(document: &Value) -> Vec<String> {
    let items = document["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["links"]["self"].as_str().unwrap().to_owned())
        .collect()
}

fn list(client: &mut Client, query: &str) -> Vec<String> {
    hrefs(
        &client
            .get(&format!("/transactions{query}"))
            .expect(200)
            .json(),
    )
}

#[test]
fn open_and_decided_ones_are_listed_newest_first() {
    let server = Server::start();
    let mut client = server.client();
    assert_eq!(
        client.get("/transactions").expect(200).text(),
        "{\n  \"items\": [],\n  \"next\": null\n}\n"
    );
    let content = r#"{"reference": "a b+c&d", "metadata": {}}"#;
    let first = client
        .send("POST", "/transactions", &[], Some(content))
        .expect(201)
        .location();
    let (cancelled, _) = client.open_transaction();
    client
        .send("DELETE", &cancelled, &[("if-match", "*")], None)
        .expect(204);
    let (expired, _) = client.open_transaction();
    ending::expire(&server, &expired);
    let committed = client_id();
    client
        .send(
            "PUT",
            &committed,
            &[("if-none-match", "*")],
            Some(OPERATION),
        )
        .expect(201);
    let (last, _) = client.open_transaction();

    assert_eq!(list(&mut client, ""), [&*last, &committed, &first]);
    assert_eq!(list(&mut client, "?state=open"), [&*last, &first]);
    assert_eq!(list(&mut client, "?state=committed"), [&*committed]);
    for state in ["cancelled", "expired", "pending", "failed", "unresolved"] {
        assert_eq!(list(&mut client, &format!("?state={state}")), [""; 0]);
    }
    assert_eq!(list(&mut client, "?reference=a+b%2Bc%26d"), [&*first]);
    assert_eq!(
        list(&mut client, "?reference=a%20b%2Bc%26d&state=open"),
        [&*first]
    );
    assert_eq!(
        list(&mut client, "?reference=a+b%2Bc%26d&state=committed"),
        [""; 0]
    );
    assert_eq!(list(&mut client, "?reference=a%2Bb%2Bc%26d"), [""; 0]);

    let item = client.get("/transactions?reference=a+b%2Bc%26d").json()["items"][0].clone();
    let mut whole = client.get(&first).json();
    whole.as_object_mut().unwrap().shift_remove("metadata");
    assert_eq!(item.to_string(), whole.to_string(), "in short");
    let item = client.get("/transactions?state=committed").json()["items"][0].clone();
    assert_eq!((item.get("changes"), item.get("outcome")), (None, None));
}

#[test]
fn a_direct_write_is_listed_as_the_transaction_that_it_is() {
    let server = Server::start();
    let mut client = server.client();
    let written = client
        .send(
            "PUT",
            "/resources/a/b",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201);
    let via = list(&mut client, "");
    assert_eq!(
        written.header("link"),
        Some(format!("<{}>; rel=\"via\"", via[0]))
    );
    assert_eq!(via.len(), 1);
}

#[test]
fn pages_hold_every_transaction_once() {
    let server = Server::start();
    let mut client = server.client();
    let mut expected: Vec<String> = (0..7).map(|_| client.open_transaction().0).collect();
    expected.sort();
    expected.reverse();
    for limit in [1, 2, 3, 7, 8] {
        let mut seen = Vec::new();
        let mut next = Some(format!("/transactions?state=open&limit={limit}"));
        while let Some(path) = next {
            let page = client.get(&path).expect(200);
            // What is created while somebody reads on is newer than every cursor.
            let (newer, _) = client.open_transaction();
            client
                .send("DELETE", &newer, &[("if-match", "*")], None)
                .expect(204);
            let document = page.json();
            seen.extend(hrefs(&document));
            next = document["next"].as_str().map(str::to_owned);
            let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
            assert_eq!(page.header("link"), link);
            assert!(next.as_ref().is_none_or(|next| next.contains("state=open")));
        }
        assert_eq!(seen, expected, "limit {limit}");
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    let long = format!("reference={}", "x".repeat(256));
    for query in [
        "state=",
        "state=Open",
        "state=open&state=open",
        "reference=",
        "reference=a&reference=b",
        "reference=%00",
        "reference=%ff",
        "limit=0",
        "limit=1001",
        "after=x",
        "after=",
        "key=a",
        "prefix=a",
        "x",
        &long,
    ] {
        client
            .get(&format!("/transactions?{query}"))
            .expect_problem(400, "malformed-request");
    }
}
