//! What changes under the feet of a commit that has judged already: it judges again, or it does nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, SystemTime};

use diesel::connection::SimpleConnection;
use serde_json::json;
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::client::{Client, Response};
use crate::support::server::Server;
use crate::support::{cluster, eventually};

/// What a purge does first: ids up to a moment ago are gone.
const MOVE_HORIZON: &str = "BEGIN; UPDATE tenants SET purge_horizon = clock_timestamp() - interval '1 minute'; \
                            UPDATE buckets SET epoch = epoch + 1; COMMIT";

/// The path of a transaction whose id is two minutes old, and of which nothing is known.
fn old_path() -> String {
    let then = SystemTime::now() - Duration::from_secs(120);
    let since = then.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let time = Timestamp::from_unix(NoContext, since.as_secs(), since.subsec_nanos());
    format!("/transactions/{}", Uuid::new_v7(time))
}

fn create(client: &mut Client, path: &str) -> String {
    let answer = client.send("PUT", path, &[("if-none-match", "*")], Some("0"));
    answer.expect(201).etag()
}

/// Sends an operation under an old id while its resources are locked, moves the horizon, and lets it go on.
fn judged_before_the_horizon_moved(changes: &[serde_json::Value]) -> Response {
    let server = Server::start();
    let mut client = server.client();
    let mut store = cluster::connect(&server.database_url);
    let mut holder = cluster::connect(&server.database_url);
    let tags = ["/resources/a/one", "/resources/a/two"].map(|path| create(&mut client, path));
    let mut changes = changes.to_vec();
    for (change, tag) in changes.iter_mut().zip(&tags) {
        if change["if_match"] == "" {
            change["if_match"] = tag.as_str().into();
        }
    }
    let content = json!({ "changes": changes }).to_string();
    let path = old_path();
    holder
        .batch_execute("BEGIN; SELECT FROM resources FOR UPDATE")
        .unwrap();
    let answer = std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let mut client = server.client();
            client.send("PUT", &path, &[("if-none-match", "*")], Some(&content))
        });
        eventually("it waits for the resource", || {
            cluster::blocked(&mut store) == 1
        });
        store.batch_execute(MOVE_HORIZON).unwrap();
        holder.batch_execute("COMMIT").unwrap();
        sent.join().unwrap()
    });
    for (path, tag) in ["/resources/a/one", "/resources/a/two"].iter().zip(&tags) {
        assert_eq!(
            &client.get(path).expect(200).etag(),
            tag,
            "nothing is changed"
        );
    }
    let written = "SELECT count(*) AS number FROM versions WHERE version > 1";
    assert_eq!(cluster::number(&mut store, written), 0);
    answer
}

fn put(target: &str, if_match: &str) -> serde_json::Value {
    json!({"method": "PUT", "target": target, "if_match": if_match, "body": 1})
}

#[test]
fn an_id_that_falls_behind_the_horizon_while_its_operation_waits_is_gone() {
    let change = put("/resources/a/one", "*");
    judged_before_the_horizon_moved(&[change]).expect_problem(410, "gone");
}

#[test]
fn so_is_one_whose_single_change_is_written_as_believed() {
    let change = put("/resources/a/one", "");
    judged_before_the_horizon_moved(&[change]).expect_problem(410, "gone");
}

#[test]
fn so_is_one_whose_changes_are_written_as_believed() {
    let changes = [put("/resources/a/one", ""), put("/resources/a/two", "")];
    judged_before_the_horizon_moved(&changes).expect_problem(410, "gone");
}

#[test]
fn an_id_that_is_to_be_cancelled_is_gone_too() {
    let server = Server::start();
    let mut store = cluster::connect(&server.database_url);
    let mut holder = cluster::connect(&server.database_url);
    holder
        .batch_execute("BEGIN; SELECT FROM buckets FOR UPDATE")
        .unwrap();
    let path = old_path();
    let answer = std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let content = Some(r#"{"state": "cancelled"}"#);
            let mut client = server.client();
            client.send("PUT", &path, &[("if-none-match", "*")], content)
        });
        eventually("it waits for the bucket", || {
            cluster::blocked(&mut store) == 1
        });
        holder
            .batch_execute(MOVE_HORIZON.strip_prefix("BEGIN; ").unwrap())
            .unwrap();
        sent.join().unwrap()
    });
    answer.expect_problem(410, "gone");
    let rows = "SELECT count(*) AS number FROM transactions";
    assert_eq!(cluster::number(&mut store, rows), 0);
}

#[test]
fn commits_go_on_while_the_epoch_changes_all_the_time() {
    let server = Server::start();
    let mut store = cluster::connect(&server.database_url);
    let mut client = server.client();
    let mut tag = create(&mut client, "/resources/a/one");
    for round in 0..100 {
        store
            .batch_execute("UPDATE buckets SET epoch = epoch + 1")
            .unwrap();
        let condition = [("if-match", tag.as_str())];
        let answer = client.send(
            "PUT",
            "/resources/a/one",
            &condition,
            Some(&round.to_string()),
        );
        tag = answer.expect(204).etag();
    }
    let written = "SELECT count(*) AS number FROM versions";
    assert_eq!(cluster::number(&mut store, written), 101);
}

#[test]
fn a_name_without_a_row_begins_above_all_versions_that_were_purged() {
    let server = Server::start();
    let mut client = server.client();
    cluster::connect(&server.database_url)
        .batch_execute(
            "UPDATE tenants SET version_floor = 41; UPDATE buckets SET epoch = epoch + 1",
        )
        .unwrap();
    let tag = create(&mut client, "/resources/a/one");
    assert!(tag.starts_with("\"42."), "{tag}");
}
