//! Copies of one request, many at a time: one is applied, and they do not get into each other's way.

use serde_json::json;

use super::{ROUNDS, at_once, clients, create, operation, pair, unused_path};
use crate::support::server::Server;
use crate::support::{cluster, eventually};

const COPIES: usize = 6;

/// What Postgres has counted.
fn deadlocks(database_url: &str) -> i64 {
    let mut store = cluster::connect(database_url);
    eventually("sessions have ended", || cluster::others(&mut store) == 0);
    let sql = "SELECT deadlocks AS number FROM pg_stat_database WHERE datname = current_database()";
    cluster::number(&mut store, sql)
}

#[test]
fn copies_of_a_naming_put_never_wait_for_each_other_in_a_circle() {
    copies(vec![Server::start()]);
}

#[test]
fn nor_do_those_sent_to_two_servers() {
    copies(pair().into());
}

fn copies(servers: Vec<Server>) {
    let mut clients = clients(&servers, COPIES);
    let targets = ["/resources/copied/one", "/resources/copied/two"];
    for target in targets {
        create(&mut clients[0], target, "0");
    }
    for round in 0..ROUNDS {
        let path = unused_path();
        let changes = targets.map(
            |target| json!({"method": "PUT", "target": target, "if_match": "*", "body": round}),
        );
        let content = operation(&changes);
        let answers = at_once(&mut clients, |_, client| {
            client.send("PUT", &path, &[("if-none-match", "*")], Some(&content))
        });
        let applied = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(applied, 1, "{answers:#?}");
        for answer in answers.into_iter().filter(|answer| answer.status != 201) {
            answer.expect_problem(412, "already-applied");
        }
    }
    let database_url = servers[0].database_url.clone();
    drop((clients, servers));
    assert_eq!(deadlocks(&database_url), 0);
}
