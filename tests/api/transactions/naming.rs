//! Ids that clients make (contract §5, "Or the client names it").

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use diesel::connection::SimpleConnection;
use serde_json::json;
use uuid::{NoContext, Timestamp, Uuid};

use super::{client_id, pointers};
use crate::support::client::Client;
use crate::support::cluster;
use crate::support::server::Server;

const CREATE: [(&str, &str); 1] = [("if-none-match", "*")];

fn changes(key: &str) -> String {
    format!(
        r#"{{"changes": [{{"method": "PUT", "target": "/resources/a/{key}", "if_none_match": "*", "body": 1}}]}}"#
    )
}

/// An id whose time is so many seconds from now.
fn id_from(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let at = if seconds < 0 {
        now - offset
    } else {
        now + offset
    };
    let timestamp = Timestamp::from_unix(NoContext, at.as_secs(), at.subsec_nanos());
    format!("/transactions/{}", Uuid::new_v7(timestamp))
}

#[test]
fn one_round_trip_creates_and_applies() {
    let server = Server::start();
    let mut client = server.client();
    let path = client_id();
    let content = changes("b").replacen(
        '{',
        r#"{"expires_in": 60, "reference": "r", "metadata": {"m": 1}, "#,
        1,
    );
    let created = client
        .send("PUT", &path, &CREATE, Some(&content))
        .expect(201);
    let document = created.json();
    assert_eq!(created.location(), path);
    assert_eq!(created.header("content-location").as_deref(), Some(&*path));
    assert_eq!(
        created.header("etag"),
        None,
        "the content is not the request's"
    );
    assert_eq!(
        (&document["state"], &document["reference"]),
        (&json!("committed"), &json!("r"))
    );
    assert_eq!(document["metadata"], json!({"m": 1}));
    assert_eq!(client.get(&path).expect(200).text(), created.text());
    assert_eq!(client.get("/resources/a/b").expect(200).text(), "1");
}

#[test]
fn an_id_is_the_same_in_upper_case() {
    let server = Server::start();
    let mut client = server.client();
    let path = client_id();
    let upper = format!(
        "/transactions/{}",
        path.trim_start_matches("/transactions/").to_uppercase()
    );
    let created = client
        .send("PUT", &upper, &CREATE, Some(&changes("b")))
        .expect(201);
    assert_eq!(created.location(), path);
    assert_eq!(
        client
            .get(&upper)
            .expect(200)
            .header("content-location")
            .as_deref(),
        Some(&*path)
    );
    client
        .send("PUT", &path, &CREATE, Some(&changes("b")))
        .expect_problem(412, "already-applied");
}

#[test]
fn only_a_uuid_of_version_7_from_about_now_can_be_named() {
    let server = Server::start();
    let mut client = server.client();
    for path in [
        format!("/transactions/{}", Uuid::new_v4()),
        "/transactions/00000000-0000-0000-0000-000000000000".to_owned(),
        "/transactions/ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        "/transactions/01980f3e-7a10-6c5e-9d0b-6a3f5f0c2b11".to_owned(),
        id_from(360),
        id_from(86_400 * 365),
    ] {
        for content in [&*changes("b"), "{\"state\": \"cancelled\"}"] {
            client
                .send("PUT", &path, &CREATE, Some(content))
                .expect_problem(422, "invalid-operation");
            client.get(&path).expect_problem(404, "not-found");
        }
    }
    for (seconds, key) in [(240, "ahead"), (-86_400, "behind")] {
        client
            .send("PUT", &id_from(seconds), &CREATE, Some(&changes(key)))
            .expect(201);
    }
}

#[test]
fn an_id_from_before_the_horizon_is_gone_for_every_method() {
    let server = Server::start();
    let mut client = server.client();
    let horizon = 30 * 86_400;
    for path in [id_from(-horizon - 3600), id_from(-10 * horizon)] {
        check_gone(&mut client, &path);
    }
    // The horizon is stored: it decides, not the setting.
    let between = id_from(-horizon / 2);
    client.get(&between).expect_problem(404, "not-found");
    let mut connection = cluster::connect(&server.database_url);
    let sql = "UPDATE tenants SET purge_horizon = now() - interval '1 day'";
    connection.batch_execute(sql).unwrap();
    check_gone(&mut client, &between);
    // What has a row is told for as long as it has one.
    let (open, tag) = client.open_transaction();
    let sql = "UPDATE tenants SET purge_horizon = now() + interval '1 minute'";
    connection.batch_execute(sql).unwrap();
    assert_eq!(client.get(&open).expect(200).etag(), tag);
    check_gone(&mut client, &client_id());
}

#[track_caller]
fn check_gone(client: &mut Client, path: &str) {
    for headers in [
        CREATE.as_slice(),
        &[("if-match", "*")],
        &[("if-match", "\"x\"")],
        &[],
    ] {
        client
            .send("GET", path, headers, None)
            .expect_problem(410, "gone");
        assert_eq!(client.send("HEAD", path, headers, None).status, 410);
        client
            .send("PUT", path, headers, Some(&changes("b")))
            .expect_problem(410, "gone");
        client
            .send("PUT", path, headers, Some("{\"state\": \"cancelled\"}"))
            .expect_problem(410, "gone");
        client
            .send("PATCH", path, headers, Some("{\"expires_in\": 1}"))
            .expect_problem(410, "gone");
        client
            .send("DELETE", path, headers, None)
            .expect_problem(410, "gone");
    }
    client
        .get("/resources/a/b")
        .expect_problem(404, "not-found");
}

#[test]
fn a_refused_naming_leaves_the_id_unused() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "0");
    let path = client_id();
    let stale = client
        .send("PUT", &path, &CREATE, Some(&changes("b")))
        .expect_problem(412, "stale-resource");
    assert_eq!(stale.json()["conflicts"][0]["if_none_match"], "*");
    client
        .send("PUT", &path, &CREATE, Some("{}"))
        .expect_problem(422, "invalid-operation");
    client
        .send("PUT", &path, &CREATE, Some("{"))
        .expect_problem(400, "malformed-request");
    client.get(&path).expect_problem(404, "not-found");
    client
        .send("PUT", &path, &CREATE, Some(&changes("c")))
        .expect(201);
}

#[test]
fn without_if_none_match_nothing_is_named() {
    let server = Server::start();
    let mut client = server.client();
    let path = client_id();
    let content = changes("b");
    let put = |client: &mut Client, headers: &[(&str, &str)]| {
        client.send("PUT", &path, headers, Some(&content))
    };
    put(&mut client, &[]).expect_problem(428, "precondition-required");
    put(&mut client, &[("if-none-match", "\"x\"")]).expect_problem(428, "precondition-required");
    put(&mut client, &[("if-match", "*")]).expect_problem(412, "stale-transaction");
    put(&mut client, &[("if-match", "\"x\"")]).expect_problem(412, "stale-transaction");
    put(&mut client, &[("if-match", "W/\"x\"")]).expect_problem(412, "weak-etag");
    put(&mut client, &[("if-match", "*"), ("if-none-match", "*")])
        .expect_problem(412, "stale-transaction");
    client.get(&path).expect_problem(404, "not-found");
}

#[test]
fn cancelled_is_asked_for_in_the_naming_form_only_and_without_changes() {
    let server = Server::start();
    let mut client = server.client();
    let (open, tag) = client.open_transaction();
    let refused = client
        .send(
            "PUT",
            &open,
            &[("if-match", &tag)],
            Some("{\"state\": \"cancelled\"}"),
        )
        .expect_problem(422, "invalid-operation");
    assert!(pointers(&refused).contains(&"#/state".to_owned()));
    let content = changes("b").replacen('{', "{\"state\": \"cancelled\", ", 1);
    let refused = client
        .send("PUT", &client_id(), &CREATE, Some(&content))
        .expect_problem(422, "invalid-operation");
    assert_eq!(pointers(&refused), ["#/changes"]);
    client
        .send("PUT", &open, &CREATE, Some("{\"state\": \"cancelled\"}"))
        .expect_problem(412, "stale-transaction");
    assert_eq!(client.get(&open).expect(200).etag(), tag);
    // When the operation came first, the cancellation learns so.
    let path = client_id();
    client
        .send("PUT", &path, &CREATE, Some(&changes("b")))
        .expect(201);
    let late = client.send("PUT", &path, &CREATE, Some("{\"state\": \"cancelled\"}"));
    let late = late.expect_problem(412, "stale-transaction");
    assert_eq!(late.json()["current"]["state"], "committed");
}
