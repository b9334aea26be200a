//! What many clients add up: nothing is lost, nothing counted twice, and no snapshot shows half of a transfer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::{at_once, clients, create, open, operation, pair, unused_path};
use crate::support::client::Client;
use crate::support::server::Server;

const CLIENTS: usize = 8;
const COUNTER: &str = "/resources/counters/one";
const EACH: i64 = 50;
const ACCOUNTS: usize = 10;
const TRANSFERS: usize = 25;

#[test]
fn no_increment_is_lost() {
    let servers = [Server::start()];
    let mut clients = clients(&servers, CLIENTS);
    create(&mut clients[0], COUNTER, "0");
    at_once(&mut clients, |who, client| {
        for _ in 0..EACH {
            if who % 2 == 0 {
                increment(client);
            } else {
                increment_in_transaction(client);
            }
        }
    });
    let seen = clients[0].get(COUNTER).expect(200).json();
    assert_eq!(seen, json!(EACH * i64::try_from(CLIENTS).unwrap()));
}

/// Read, decide, PUT; again where somebody else was faster.
fn increment(client: &mut Client) {
    loop {
        let seen = client.get(COUNTER).expect(200);
        let next = seen.json().as_i64().unwrap() + 1;
        let condition = [("if-match", &*seen.etag())];
        let answer = client.send("PUT", COUNTER, &condition, Some(&next.to_string()));
        if answer.status == 204 {
            return;
        }
        answer.expect_problem(412, "stale-resource");
    }
}

/// The recipe: one context, used again until it is applied.
fn increment_in_transaction(client: &mut Client) {
    let (path, tag) = open(client);
    let seen = client.get(COUNTER).expect(200);
    let (mut state, mut value) = (json!(seen.etag()), seen.json());
    loop {
        let next = value.as_i64().unwrap() + 1;
        let content = operation(&[
            json!({"method": "PUT", "target": COUNTER, "if_match": state, "body": next}),
        ]);
        let headers = [("if-match", &*tag), ("prefer", "return=representation")];
        let answer = client.send("PUT", &path, &headers, Some(&content));
        if answer.status == 200 {
            return;
        }
        // The refusal holds all that the next attempt needs.
        let problem = answer.expect_problem(412, "stale-resource").json();
        let conflict = &problem["conflicts"][0];
        (state, value) = (conflict["current"].clone(), conflict["body"].clone());
    }
}

#[test]
fn transfers_over_two_servers_keep_the_total_in_every_snapshot() {
    let servers = pair();
    let mut clients = clients(&servers, CLIENTS + 2);
    for account in 0..ACCOUNTS {
        create(
            &mut clients[0],
            &path(account),
            "{\"balance\": 100, \"moves\": 0}",
        );
    }
    let working = AtomicUsize::new(CLIENTS);
    let looked = at_once(&mut clients, |who, client| {
        if who >= CLIENTS {
            return watch(client, &working);
        }
        for step in 0..TRANSFERS {
            let from = (who + step) % ACCOUNTS;
            transfer(client, from, (from + 1 + step % 9) % ACCOUNTS);
        }
        working.fetch_sub(1, Ordering::SeqCst);
        0
    });
    assert!(
        looked[CLIENTS] > 1 && looked[CLIENTS + 1] > 1,
        "nobody looked"
    );
    let all: Vec<usize> = (0..ACCOUNTS).collect();
    let (_, accounts) = snapshot(&mut clients[0], &all);
    let sum = |member: &str| -> i64 { accounts.iter().map(|a| a[member].as_i64().unwrap()).sum() };
    assert_eq!(sum("balance"), 1000);
    assert_eq!(
        sum("moves"),
        i64::try_from(2 * CLIENTS * TRANSFERS).unwrap()
    );
}

fn path(account: usize) -> String {
    format!("/resources/accounts/a{account}")
}

/// The tags and bodies of accounts, all from one state.
fn snapshot(client: &mut Client, accounts: &[usize]) -> (Vec<Value>, Vec<Value>) {
    let keys: Vec<String> = accounts
        .iter()
        .map(|a| format!("key=accounts/a{a}"))
        .collect();
    let list = client
        .get(&format!("/resources?{}", keys.join("&")))
        .expect(200)
        .json();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), accounts.len());
    let of = |account: &usize, member: &str| {
        let item = items.iter().find(|item| item["href"] == path(*account));
        item.unwrap()[member].clone()
    };
    (
        accounts.iter().map(|account| of(account, "etag")).collect(),
        accounts.iter().map(|account| of(account, "body")).collect(),
    )
}

/// Looks at all accounts until all work is done, and once more; how often.
fn watch(client: &mut Client, working: &AtomicUsize) -> usize {
    let all: Vec<usize> = (0..ACCOUNTS).collect();
    let mut looked = 0;
    loop {
        let last = working.load(Ordering::SeqCst) == 0;
        let (_, accounts) = snapshot(client, &all);
        let total: i64 = accounts
            .iter()
            .map(|a| a["balance"].as_i64().unwrap())
            .sum();
        assert_eq!(total, 1000, "{accounts:?}");
        looked += 1;
        if last {
            return looked;
        }
    }
}

fn transfer(client: &mut Client, from: usize, to: usize) {
    let id = unused_path();
    loop {
        let (tags, bodies) = snapshot(client, &[from, to]);
        let moved = |body: &Value, amount: i64| json!({"balance": body["balance"].as_i64().unwrap() + amount, "moves": body["moves"].as_i64().unwrap() + 1});
        let content = operation(&[
            json!({"method": "PUT", "target": path(from), "if_match": tags[0], "body": moved(&bodies[0], -1)}),
            json!({"method": "PUT", "target": path(to), "if_match": tags[1], "body": moved(&bodies[1], 1)}),
        ]);
        let answer = client.send("PUT", &id, &[("if-none-match", "*")], Some(&content));
        if answer.status == 201 {
            return;
        }
        answer.expect_problem(412, "stale-resource");
    }
}
