//! Cancellation, expiry and renewal: what is over never happened and never will.

use diesel::connection::SimpleConnection;
use serde_json::json;

use super::pointers;
use crate::support::client::Client;
use crate::support::cluster;
use crate::support::server::Server;

const CHANGES: &str = r#"{"changes": [{"method": "PUT", "target": "/resources/a/b", "if_none_match": "*", "body": 1}]}"#;

/// Checks that every method answers `410`, whatever the condition and content.
#[track_caller]
fn check_over(client: &mut Client, path: &str, slug: &str) {
    let conditions: &[&[(&str, &str)]] = &[
        &[("if-match", "*")],
        &[("if-match", "\"x\"")],
        &[("if-match", "W/\"x\"")],
        &[("if-none-match", "*")],
        &[],
    ];
    for headers in conditions {
        client
            .send("GET", path, headers, None)
            .expect_problem(410, slug);
        assert_eq!(client.send("HEAD", path, headers, None).status, 410);
        for content in [CHANGES, "{}", "{\"state\": \"cancelled\"}"] {
            client
                .send("PUT", path, headers, Some(content))
                .expect_problem(410, slug);
        }
        client
            .send("PATCH", path, headers, Some("{\"expires_in\": 60}"))
            .expect_problem(410, slug);
        client
            .send("DELETE", path, headers, None)
            .expect_problem(410, slug);
    }
    let typed = [("if-match", "*"), ("content-type", "text/plain")];
    client
        .send("PUT", path, &typed, Some("x"))
        .expect_problem(410, slug);
    client
        .get("/resources/a/b")
        .expect_problem(404, "not-found");
    client
        .send("GET", path, &[("accept", "image/png")], None)
        .expect_problem(410, slug);
}

#[test]
fn a_cancelled_transaction_is_410_for_every_method() {
    let server = Server::start();
    let mut client = server.client();
    let (path, tag) = client.open_transaction();
    client
        .send("DELETE", &path, &[("if-match", &tag)], None)
        .expect(204);
    check_over(&mut client, &path, "transaction-cancelled");
}

#[test]
fn an_id_given_up_by_its_client_is_410_for_every_method() {
    let server = Server::start();
    let mut client = server.client();
    let path = super::client_id();
    let create = [("if-none-match", "*")];
    let created = client
        .send(
            "PUT",
            &path,
            &create,
            Some(r#"{"state": "cancelled", "metadata": {"why": 1}}"#),
        )
        .expect(201);
    assert_eq!(created.json()["state"], "cancelled");
    assert_eq!(created.json()["metadata"], json!({"why": 1}));
    assert!(created.json()["finished_at"].is_string());
    assert_eq!(created.location(), path);
    check_over(&mut client, &path, "transaction-cancelled");
}

#[test]
fn an_expired_transaction_is_410_for_every_method() {
    let server = Server::start();
    let mut client = server.client();
    let (path, _) = client.open_transaction();
    expire(&server, &path);
    check_over(&mut client, &path, "transaction-expired");
}

#[test]
fn a_transaction_expires_by_itself() {
    let server = Server::start();
    let mut client = server.client();
    let opened = client
        .send("POST", "/transactions", &[], Some("{\"expires_in\": 1}"))
        .expect(201);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while client.get(&opened.location()).status == 200 {
        assert!(std::time::Instant::now() < deadline, "it did not expire");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    check_over(&mut client, &opened.location(), "transaction-expired");
}

/// Sets a transaction's end to the past.
pub(super) fn expire(server: &Server, path: &str) {
    let id = path.trim_start_matches("/transactions/");
    let mut connection = cluster::connect(&server.database_url);
    let sql = format!(
        "UPDATE transactions SET expires_at = now() - interval '1 second' WHERE id = '{id}'"
    );
    connection.batch_execute(&sql).unwrap();
}

#[test]
fn a_renewed_transaction_stays_open_under_a_new_tag() {
    let server = Server::start();
    let mut client = server.client();
    let (path, tag) = client.open_transaction();
    for (index, media_type) in ["application/json", "application/merge-patch+json"]
        .iter()
        .enumerate()
    {
        let current = client.get(&path).etag();
        let headers = [("if-match", &*current), ("content-type", media_type)];
        let content = format!("{{\"expires_in\": {}}}", 100 + index);
        let renewed = client
            .send("PATCH", &path, &headers, Some(&content))
            .expect(200);
        let document = renewed.json();
        assert_eq!(document["state"], "open");
        assert_ne!(document["etag"], *current);
        let read = client.get(&path).expect(200);
        assert_eq!(
            (read.text(), &*read.etag()),
            (renewed.text(), document["etag"].as_str().unwrap())
        );
        let stale = client
            .send("PATCH", &path, &headers, Some(&content))
            .expect_problem(412, "stale-transaction");
        assert_eq!(stale.json()["current"], document);
    }
    let stale = client
        .send("PUT", &path, &[("if-match", &tag)], Some(CHANGES))
        .expect_problem(412, "stale-transaction");
    assert_eq!(stale.json()["current"]["state"], "open");
    let rows = [
        ("{}", "#/expires_in"),
        ("{\"expires_in\": 0}", "#/expires_in"),
        ("{\"expires_in\": 604801}", "#/expires_in"),
        ("{\"expires_in\": 1, \"reference\": \"x\"}", "#/reference"),
        ("[]", "#"),
    ];
    for (content, pointer) in rows {
        let refused = client
            .send("PATCH", &path, &[("if-match", "*")], Some(content))
            .expect_problem(422, "invalid-operation");
        assert_eq!(pointers(&refused), [pointer]);
    }
    client
        .send("PATCH", &path, &[], Some("{"))
        .expect_problem(428, "precondition-required");
    let typed = [("content-type", "application/json-patch+json")];
    let refused = client
        .send("PATCH", &path, &typed, Some("[]"))
        .expect_problem(415, "unsupported-media-type");
    assert!(refused.header("accept-patch").is_some());
}

#[test]
fn what_is_committed_can_be_neither_cancelled_nor_renewed() {
    let server = Server::start();
    let mut client = server.client();
    let (path, tag) = client.open_transaction();
    client
        .send("PUT", &path, &[("if-match", &tag)], Some(CHANGES))
        .expect(200);
    let current = client.get(&path).expect(200);
    let conditions: &[&[(&str, &str)]] = &[
        &[("if-match", "*")],
        &[("if-match", &current.etag())],
        &[("if-match", &tag)],
        &[("if-match", "W/\"x\"")],
        &[("if-none-match", "*")],
        &[],
    ];
    for headers in conditions {
        let refused = client.send("DELETE", &path, headers, None);
        let refused = refused.expect_problem(409, "transaction-finished");
        assert_eq!(refused.json()["current"], current.json());
    }
    let unread = client.send("DELETE", &path, &[("if-match", "nonsense")], None);
    unread.expect_problem(400, "malformed-request");
    for tag in ["*", &*current.etag()] {
        let refused = client.send(
            "PATCH",
            &path,
            &[("if-match", tag)],
            Some("{\"expires_in\": 60}"),
        );
        assert_eq!(
            refused.expect_problem(409, "transaction-finished").json()["current"],
            current.json()
        );
    }
    client
        .send(
            "PATCH",
            &path,
            &[("if-match", &tag)],
            Some("{\"expires_in\": 60}"),
        )
        .expect_problem(412, "stale-transaction");
    assert_eq!(client.get(&path).text(), current.text());
    assert_eq!(client.get("/resources/a/b").expect(200).text(), "1");
}

#[test]
fn a_cancellation_names_the_state_it_expects() {
    let server = Server::start();
    let mut client = server.client();
    let (path, tag) = client.open_transaction();
    client
        .send("DELETE", &path, &[], None)
        .expect_problem(428, "precondition-required");
    client
        .send("DELETE", &path, &[("if-match", "\"x\"")], None)
        .expect_problem(412, "stale-transaction");
    client
        .send("DELETE", &path, &[("if-match", "W/\"x\"")], None)
        .expect_problem(412, "weak-etag");
    client
        .send("DELETE", &path, &[("if-none-match", "*")], None)
        .expect_problem(412, "stale-transaction");
    assert_eq!(client.get(&path).etag(), tag);
    client
        .send("DELETE", &path, &[("if-match", "*")], None)
        .expect(204);
    let never = super::client_id();
    client
        .send("DELETE", &never, &[("if-match", "*")], None)
        .expect_problem(404, "not-found");
    client
        .send("PATCH", &never, &[("if-match", "*")], Some("{}"))
        .expect_problem(404, "not-found");
    client.get(&never).expect_problem(404, "not-found");
}
