//! An operator ends the server's sessions, all at once, while clients write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use diesel::prelude::*;
use uuid::Uuid;

use super::proxy::eventually;
use super::scene::number;
use crate::support::cluster;
use crate::support::server::Server;

const CLIENTS: usize = 4;
const OPERATIONS: usize = 60;
const KILLS: usize = 8;

#[test]
fn no_acknowledged_write_is_lost_and_none_applied_twice_while_sessions_are_ended() {
    let server = Server::start();
    let mut store = cluster::connect(&server.database_url);
    for client in 0..CLIENTS {
        let path = format!("/resources/counters/c{client}");
        server
            .client()
            .send("PUT", &path, &[("if-none-match", "*")], Some("0"))
            .expect(201);
    }
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (server, acknowledged) = (&server, &acknowledged);
            scope.spawn(move || write(server, client, acknowledged));
        }
        for kill in 1..=KILLS {
            let enough = kill * CLIENTS * OPERATIONS / (KILLS + 1);
            eventually("clients write", || {
                acknowledged.load(Ordering::SeqCst) >= enough
            });
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            diesel::sql_query(sql).execute(&mut store).unwrap();
        }
    });
    for client in 0..CLIENTS {
        let read = server
            .client()
            .get(&format!("/resources/counters/c{client}"))
            .expect(200);
        assert_eq!(
            read.text(),
            OPERATIONS.to_string(),
            "the last one of client {client} is the newest"
        );
    }
    let versions = "SELECT count(*) AS number FROM versions WHERE collection = 'counters'";
    assert_eq!(
        number(&mut store, versions),
        i64::try_from(CLIENTS * (OPERATIONS + 1)).unwrap()
    );
    let logs = "SELECT count(*) AS number FROM resources WHERE collection = 'log' AND version = 1";
    assert_eq!(
        number(&mut store, logs),
        i64::try_from(CLIENTS * OPERATIONS).unwrap()
    );
    let torn = "SELECT count(*) AS number FROM transactions t WHERE operation IS NOT NULL AND \
                (SELECT count(*) FROM versions v WHERE v.transaction_id = t.id AND v.collection = 'log') <> \
                (SELECT count(*) FROM versions v WHERE v.transaction_id = t.id AND v.collection = 'counters' AND v.version > 1)";
    assert_eq!(
        number(&mut store, torn),
        0,
        "each is there wholly or not at all"
    );
}

/// Applies operation after operation, each under a name of its own, repeating what was not answered.
fn write(server: &Server, client: usize, acknowledged: &AtomicUsize) {
    let mut connection = server.client();
    for operation in 1..=OPERATIONS {
        let id = Uuid::now_v7();
        let content = format!(
            r#"{{"changes": [
                {{"method": "PUT", "target": "/resources/counters/c{client}", "if_match": "*", "body": {operation}}},
                {{"method": "PUT", "target": "/resources/log/{id}", "if_none_match": "*", "body": {operation}}}]}}"#
        );
        eventually("an operation is acknowledged", || {
            let answer = connection.send(
                "PUT",
                &format!("/transactions/{id}"),
                &[("if-none-match", "*")],
                Some(&content),
            );
            match (answer.status, answer.slug().as_str()) {
                (201, _) | (412, "already-applied") => true,
                (503, "unavailable") => false,
                _ => panic!("{answer:#?}\n{}", answer.text()),
            }
        });
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}
