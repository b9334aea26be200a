//! Transactions: which go, which stay, and what is said of those that went.

use diesel::connection::SimpleConnection;

use super::{
    ASSERTS, CREATE, DAY, HOUR, STAR, age, id_of, path_from, purge_with, purged, scene, writes,
};
use crate::support::client::Client;
use crate::support::cluster::number;
use crate::support::eventually;
use crate::support::server::Server;

fn rows(store: &mut diesel::pg::PgConnection) -> i64 {
    number(store, "SELECT count(*) AS number FROM transactions")
}

fn horizon(client: &mut Client) -> String {
    let service = client.get("/").expect(200).json();
    service["purge_horizon"].as_str().unwrap().to_owned()
}

/// Checks that an id is gone for every method, whatever the condition and content.
#[track_caller]
fn check_gone(client: &mut Client, path: &str) {
    for headers in [
        &CREATE[..],
        &STAR[..],
        &[("if-match", "\"1.0\"")][..],
        &[][..],
    ] {
        for method in ["GET", "DELETE"] {
            client
                .send(method, path, headers, None)
                .expect_problem(410, "gone");
        }
        assert_eq!(client.send("HEAD", path, headers, None).status, 410);
        for content in [&*writes("b"), "{}", r#"{"state": "cancelled"}"#, "["] {
            client
                .send("PUT", path, headers, Some(content))
                .expect_problem(410, "gone");
        }
        let content = Some(r#"{"expires_in": 60}"#);
        client
            .send("PATCH", path, headers, content)
            .expect_problem(410, "gone");
    }
}

#[test]
fn what_ended_a_retention_ago_under_an_id_as_old_goes_and_never_runs_again() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "0");
    let committed = path_from(3 * HOUR);
    client
        .send("PUT", &committed, &CREATE, Some(&writes("b")))
        .expect(201);
    let cancelled = path_from(3 * HOUR);
    let content = Some(r#"{"state": "cancelled"}"#);
    client.send("PUT", &cancelled, &CREATE, content).expect(201);
    let never = path_from(3 * HOUR);
    client.get(&never).expect_problem(404, "not-found");
    assert_eq!(
        purged(&server.database_url).transactions,
        0,
        "they ended just now"
    );
    client.get(&committed).expect(200);
    client
        .get(&cancelled)
        .expect_problem(410, "transaction-cancelled");
    age(&mut store);
    assert_eq!(purged(&server.database_url).transactions, 2);
    assert_eq!(rows(&mut store), 1, "the direct write has a new id");
    for path in [committed, cancelled, never] {
        check_gone(&mut client, &path);
    }
    let read = client.get("/resources/a/b").expect(200);
    assert_eq!(read.text(), "1", "what it did stays");
    assert_ne!(read.etag(), tag);
    assert_eq!(
        purged(&server.database_url),
        Default::default(),
        "once is enough"
    );
}

#[test]
fn a_new_id_whose_end_is_old_stays() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let path = path_from(0);
    client
        .send("PUT", &path, &CREATE, Some(ASSERTS))
        .expect(201);
    age(&mut store);
    assert_eq!(purged(&server.database_url).transactions, 0);
    client.get(&path).expect(200);
}

#[test]
fn an_old_id_that_ended_lately_answers_beyond_the_horizon_too() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let mut paths = Vec::new();
    for _ in 0..3 {
        let path = path_from(2 * DAY);
        let done = client
            .send("PUT", &path, &CREATE, Some(ASSERTS))
            .expect(201);
        paths.push((path, done.json()));
    }
    let open = "UPDATE transactions SET state = 'open', finished_at = NULL, commit_number = NULL";
    store
        .batch_execute(&format!("{open} WHERE id = '{}'", id_of(&paths[2].0)))
        .unwrap();
    let old = format!(
        "UPDATE transactions SET finished_at = now() - interval '2 days' WHERE id = '{}'",
        id_of(&paths[0].0)
    );
    store.batch_execute(&old).unwrap();
    assert_eq!(purged(&server.database_url).transactions, 1);
    check_gone(&mut client, &paths[0].0);
    let (path, document) = &paths[1];
    assert_eq!(&client.get(path).expect(200).json(), document);
    let again = client.send("PUT", path, &STAR, Some(ASSERTS)).expect(200);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    client
        .send("PUT", path, &CREATE, Some(ASSERTS))
        .expect_problem(412, "already-applied");
    let open = &paths[2].0;
    client.send("PUT", open, &STAR, Some(ASSERTS)).expect(200);
    assert_eq!(
        purged(&server.database_url).transactions,
        0,
        "they ended just now"
    );
}

#[test]
fn an_id_stamped_five_minutes_ahead_goes_after_its_own_time() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let path = path_from(-290);
    client
        .send("PUT", &path, &CREATE, Some(ASSERTS))
        .expect(201);
    let ended = "UPDATE transactions SET finished_at = now() - interval '1 hour'";
    store.batch_execute(ended).unwrap();
    let zero = |database: &str| purge_with(database, |limits| limits.retention_seconds = 0);
    assert_eq!(zero(&server.database_url).transactions, 0);
    client.get(&path).expect(200);
    client
        .send("PUT", &path, &CREATE, Some(ASSERTS))
        .expect_problem(412, "already-applied");
    // Five minutes later, by a retention that is less than none.
    let later = |limits: &mut ifmatch::engine::Limits| limits.retention_seconds = -300;
    assert_eq!(purge_with(&server.database_url, later).transactions, 1);
    check_gone(&mut client, &path);
}

#[test]
fn the_horizon_never_moves_back() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let first = horizon(&mut client);
    let path = path_from(3 * HOUR);
    client
        .send("PUT", &path, &CREATE, Some(ASSERTS))
        .expect(201);
    age(&mut store);
    assert_eq!(purged(&server.database_url).transactions, 1);
    let moved = horizon(&mut client);
    assert!(moved > first);
    // A longer retention, by a purge and by a server that was started with it.
    let between = path_from(2 * HOUR);
    let kept = path_from(HOUR / 2);
    client
        .send("PUT", &kept, &CREATE, Some(ASSERTS))
        .expect(201);
    age(&mut store);
    let removed = purge_with(&server.database_url, |limits| {
        limits.retention_seconds = 30 * DAY
    });
    assert_eq!(removed, Default::default());
    let longer = Server::over(
        &server.database_url,
        |settings| settings.limits.retention_seconds = 365 * DAY,
        |_| {},
    );
    for server in [&server, &longer] {
        let mut client = server.client();
        assert_eq!(horizon(&mut client), moved);
        check_gone(&mut client, &path);
        check_gone(&mut client, &between);
        client.get(&kept).expect(200);
    }
}

#[test]
fn an_idle_tenants_horizon_follows_too() {
    let (server, _) = scene();
    let mut client = server.client();
    let first = horizon(&mut client);
    assert_eq!(purged(&server.database_url), Default::default());
    assert!(horizon(&mut client) > first);
    let moved = horizon(&mut client);
    assert_eq!(purged(&server.database_url), Default::default());
    assert_eq!(horizon(&mut client), moved, "not for less than an hour");
}

#[test]
fn states_that_a_later_release_may_know_are_not_purged() {
    let (server, mut store) = scene();
    let mut client = server.client();
    for _ in 0..2 {
        client
            .send("PUT", &path_from(3 * HOUR), &CREATE, Some(ASSERTS))
            .expect(201);
    }
    age(&mut store);
    // One is pending, by a schema that allows it.
    store
        .batch_execute(
            "ALTER TABLE transactions DROP CONSTRAINT transactions_state_check, DROP CONSTRAINT transactions_check; \
             UPDATE transactions SET state = 'pending' WHERE id = (SELECT id FROM transactions LIMIT 1)",
        )
        .unwrap();
    assert_eq!(purged(&server.database_url).transactions, 1);
    assert_eq!(rows(&mut store), 1);
}

#[test]
fn an_expired_one_is_told_of_for_the_retention_and_then_goes() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let content = Some(r#"{"reference": "r", "expires_in": 5}"#);
    let path = client
        .send("POST", "/transactions", &[], content)
        .expect(201)
        .location();
    store
        .batch_execute("UPDATE transactions SET expires_at = now() - interval '1 second'")
        .unwrap();
    let removed = purged(&server.database_url);
    assert_eq!((removed.expired, removed.transactions), (1, 0));
    client.get(&path).expect_problem(410, "transaction-expired");
    client
        .send("PUT", &path, &STAR, Some(ASSERTS))
        .expect_problem(410, "transaction-expired");
    assert_eq!(
        client.get("/transactions").json()["items"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let second = client
        .send("POST", "/transactions", &[], content)
        .expect(201)
        .location();
    assert_ne!(second, path, "its reference is free");
    age(&mut store);
    let later = |limits: &mut ifmatch::engine::Limits| limits.retention_seconds = -1;
    assert_eq!(purge_with(&server.database_url, later).transactions, 2);
    client.get(&path).expect_problem(410, "gone");
}

#[test]
fn a_purged_one_frees_its_reference() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let content = ASSERTS.replacen('{', r#"{"reference": "order-42", "#, 1);
    let path = path_from(3 * HOUR);
    client
        .send("PUT", &path, &CREATE, Some(&content))
        .expect(201);
    let again = |client: &mut Client| client.send("PUT", &path_from(0), &CREATE, Some(&content));
    again(&mut client).expect_problem(409, "duplicate-reference");
    age(&mut store);
    assert_eq!(purged(&server.database_url).transactions, 1);
    let none = client
        .get("/transactions?reference=order-42")
        .expect(200)
        .json();
    assert_eq!(none["items"].as_array().unwrap().len(), 0);
    again(&mut client).expect(201);
}

#[test]
fn a_server_purges_by_itself_and_stops_at_once() {
    let (first, mut store) = scene();
    let mut client = first.client();
    let path = path_from(3 * HOUR);
    client
        .send("PUT", &path, &CREATE, Some(ASSERTS))
        .expect(201);
    age(&mut store);
    let purging = |interval| {
        let settings = move |settings: &mut ifmatch::engine::Settings| {
            settings.purge_interval = Some(interval);
            settings.limits.retention_seconds = HOUR;
        };
        Server::over(&first.database_url, settings, |_| {})
    };
    // Stopped while it rests for a day: this test would not end.
    drop(purging(std::time::Duration::from_secs(86_400)));
    let _server = purging(std::time::Duration::from_millis(20));
    eventually("it is gone", || client.get(&path).status == 410);
    client.get(&path).expect_problem(410, "gone");
}
