//! Many who add to one account at once, each under `*`: every one of them is applied, once, on what the one before left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{at_once, clients, create, operation, pair, unused_path};
use crate::support::client::Client;
use crate::support::cluster;
use crate::support::server::Server;

const ACCOUNT: &str = "/resources/accounts/hot";
const CLIENTS: usize = 64;
const EACH: usize = 20;

fn add(target: &str, increment: &Value) -> Value {
    json!({"method": "PATCH", "target": target, "if_match": "*",
        "content_type": "application/vnd.ifmatch.increment+json", "body": increment})
}

#[test]
fn of_64_clients_who_add_20_times_each_none_is_lost() {
    let server = Server::start();
    let batches = |server: &Server| {
        let mut store = cluster::connect(&server.database_url);
        let sql = "SELECT count(DISTINCT xmin::text) AS number FROM transactions";
        cluster::number(&mut store, sql)
    };
    count(std::slice::from_ref(&server));
    let operations = i64::try_from(CLIENTS * EACH).unwrap();
    let batches = batches(&server);
    assert!(
        batches * 2 < operations,
        "{operations} operations on one resource took {batches} commits"
    );
}

#[test]
fn over_two_servers_neither() {
    count(&pair());
}

fn count(servers: &[Server]) {
    let mut clients = clients(servers, CLIENTS);
    create(&mut clients[0], ACCOUNT, "{\"n\": 0, \"owner\": \"x\"}");
    let tags = at_once(&mut clients, |_, client| {
        let one = operation(&[add(ACCOUNT, &json!({"n": 1, "sum": 0.01}))]);
        (0..EACH)
            .map(|_| {
                let (path, condition) = (unused_path(), [("if-none-match", "*")]);
                let done = client.send("PUT", &path, &condition, Some(&one));
                // Every one of them is sent a second time, as if its answer had been lost.
                let again = client.send("PUT", &path, &[("if-match", "*")], Some(&one));
                let (done, again) = (done.expect(201), again.expect(200));
                assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
                assert_eq!(done.text(), again.text());
                done.json()["outcome"]["changes"][0]["etag"].to_string()
            })
            .collect::<Vec<_>>()
    });
    let tags: BTreeSet<String> = tags.into_iter().flatten().collect();
    assert_eq!(tags.len(), CLIENTS * EACH, "each made a state of its own");
    let seen = clients[0].get(ACCOUNT).expect(200);
    assert_eq!(
        seen.text(),
        r#"{"n":1280,"owner":"x","sum":12.80}"#,
        "each applied once"
    );
    assert!(seen.etag().starts_with("\"1281."), "{}", seen.etag());
}

/// Both accounts, from one state of the database.
fn balances(client: &mut Client) -> [i64; 2] {
    let page = client
        .get("/resources?key=accounts/hot&key=accounts/other")
        .expect(200)
        .json();
    [0, 1].map(|index| page["items"][index]["body"]["balance"].as_i64().unwrap())
}

#[test]
fn transfers_that_nobody_reads_for_keep_the_total() {
    let servers = pair();
    let mut clients = clients(&servers, 17);
    for (path, balance) in [(ACCOUNT, "1000"), ("/resources/accounts/other", "0")] {
        create(
            &mut clients[0],
            path,
            &format!("{{\"balance\": {balance}}}"),
        );
    }
    at_once(&mut clients, |who, client| {
        for _ in 0..25 {
            if who == 16 {
                assert_eq!(balances(client).iter().sum::<i64>(), 1000);
                continue;
            }
            let both = operation(&[
                add(ACCOUNT, &json!({"balance": -1})),
                add("/resources/accounts/other", &json!({"balance": 1})),
            ]);
            client
                .send(
                    "PUT",
                    &unused_path(),
                    &[("if-none-match", "*")],
                    Some(&both),
                )
                .expect(201);
        }
    });
    assert_eq!(balances(&mut clients[0]), [600, 400]);
}
