//! A client's own name for a transaction: one at a time (contract §5, "Reference").

use serde_json::json;

use super::{client_id, ending};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const NAMED: &str = r#"{"reference": "order-42"}"#;
const CREATE: [(&str, &str); 1] = [("if-none-match", "*")];

fn post(client: &mut Client) -> Response {
    client.send("POST", "/transactions", &[], Some(NAMED))
}

fn operation(key: &str) -> String {
    json!({
        "reference": "order-42",
        "changes": [{"method": "PUT", "target": format!("/resources/a/{key}"), "if_none_match": "*", "body": 1}],
    })
    .to_string()
}

/// Checks a refusal because of the reference.
#[track_caller]
fn check_taken(client: &mut Client, response: Response, holder: &str) {
    let refused = response.expect_problem(409, "duplicate-reference");
    assert_eq!(refused.location(), holder);
    assert_eq!(
        refused.json()["current"],
        client.get(holder).expect(200).json()
    );
}

#[test]
fn while_the_first_is_open_a_second_post_shares_it() {
    let server = Server::start();
    let mut client = server.client();
    let first = post(&mut client).expect(201);
    let content = r#"{"reference": "order-42", "metadata": {"other": 1}, "expires_in": 5}"#;
    for content in [NAMED, content] {
        let second = client
            .send("POST", "/transactions", &[], Some(content))
            .expect(200);
        assert_eq!((second.text(), second.etag()), (first.text(), first.etag()));
        assert_eq!(second.header("content-location"), Some(first.location()));
    }
    assert_eq!(
        client.get("/transactions").json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let other = client.send(
        "POST",
        "/transactions",
        &[],
        Some(r#"{"reference": "Order-42"}"#),
    );
    assert_ne!(other.expect(201).location(), first.location());
}

#[test]
fn a_naming_with_a_taken_reference_is_refused_open_or_not() {
    let server = Server::start();
    let mut client = server.client();
    let first = post(&mut client).expect(201);
    let path = client_id();
    let refused = client.send("PUT", &path, &CREATE, Some(&operation("b")));
    check_taken(&mut client, refused, &first.location());
    client.get(&path).expect_problem(404, "not-found");
    client
        .get("/resources/a/b")
        .expect_problem(404, "not-found");
}

#[test]
fn once_decided_it_is_409_with_location_and_current() {
    let server = Server::start();
    let mut client = server.client();
    let first = client_id();
    client
        .send("PUT", &first, &CREATE, Some(&operation("b")))
        .expect(201);
    let again = post(&mut client);
    check_taken(&mut client, again, &first);
    let named = client.send("PUT", &client_id(), &CREATE, Some(&operation("c")));
    check_taken(&mut client, named, &first);
    client
        .get("/resources/a/c")
        .expect_problem(404, "not-found");
}

#[test]
fn cancellation_frees_a_reference() {
    let server = Server::start();
    let mut client = server.client();
    let first = post(&mut client).expect(201);
    client
        .send("DELETE", &first.location(), &[("if-match", "*")], None)
        .expect(204);
    let second = post(&mut client).expect(201);
    assert_ne!(second.location(), first.location());
    client
        .send("DELETE", &second.location(), &[("if-match", "*")], None)
        .expect(204);
    client
        .send("PUT", &client_id(), &CREATE, Some(&operation("b")))
        .expect(201);
}

#[test]
fn expiry_frees_a_reference() {
    let server = Server::start();
    let mut client = server.client();
    let first = post(&mut client).expect(201).location();
    ending::expire(&server, &first);
    let second = post(&mut client).expect(201).location();
    assert_ne!(second, first);
    client
        .get(&first)
        .expect_problem(410, "transaction-expired");
    ending::expire(&server, &second);
    let third = client_id();
    client
        .send("PUT", &third, &CREATE, Some(&operation("b")))
        .expect(201);
    client
        .get(&second)
        .expect_problem(410, "transaction-expired");
    let taken = post(&mut client);
    check_taken(&mut client, taken, &third);
}

#[test]
fn an_id_given_up_does_not_keep_its_reference() {
    let server = Server::start();
    let mut client = server.client();
    let content = r#"{"state": "cancelled", "reference": "order-42"}"#;
    client
        .send("PUT", &client_id(), &CREATE, Some(content))
        .expect(201);
    post(&mut client).expect(201);
}
