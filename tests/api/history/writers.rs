//! Four writers at once, by every way to write: the history holds what each was told, exactly once, in order.

use std::collections::BTreeMap;
use std::sync::Barrier;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{items, numbers};
use crate::matrix::rows::writer;
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const WRITERS: usize = 4;
const ROUNDS: usize = 50;
const PATH: &str = "/resources/shared/one";

/// A write that was acknowledged.
#[derive(Debug)]
struct Told {
    who: usize,
    /// Counts the writes of one writer.
    round: usize,
    transaction: String,
    /// `None`: a deletion.
    state: Option<(String, Value)>,
}

fn body(who: usize, round: usize) -> Value {
    json!({"who": who, "round": round})
}

/// A write by a transaction: the path of the transaction and what became of its first change.
fn by_transaction(client: &mut Client, change: &Value, other: &str) -> Option<(String, Value)> {
    let path = format!("/transactions/{}", Uuid::now_v7());
    let beside = json!({"method": "PUT", "target": other, "if_none_match": "*", "body": 0});
    let content = json!({"changes": [change, beside]}).to_string();
    let answer = client.send("PUT", &path, &[("if-none-match", "*")], Some(&content));
    let applied = answer.status == 201;
    assert!(applied || answer.slug() == "stale-resource", "{answer:#?}");
    applied.then(|| (path, answer.json()["outcome"]["changes"][0].clone()))
}

/// The transaction and tag of a direct write, where it succeeded.
fn direct(answer: &Response) -> Option<(String, String)> {
    let written = (200..300).contains(&answer.status);
    assert!(
        written || [404, 412].contains(&answer.status),
        "{answer:#?}"
    );
    written.then(|| {
        (
            writer(answer).unwrap(),
            answer.header("etag").unwrap_or_default(),
        )
    })
}

/// Writes in one of several ways until one succeeds.
fn write(client: &mut Client, who: usize, round: usize) -> Told {
    let state = body(who, round);
    let text = state.to_string();
    let mut attempt = 0;
    loop {
        attempt += 1;
        let exact = client
            .get(PATH)
            .header("etag")
            .unwrap_or("\"0.0\"".to_owned());
        let any = [("if-match", "*")];
        let put =
            |tag: &str| json!({"method": "PUT", "target": PATH, "if_match": tag, "body": state});
        let other = format!("/resources/others/{who}-{round}-{attempt}");
        let deletes = (who + round) % 10 == 9;
        let told = match (who + round) % 5 {
            _ if deletes => direct(&client.send("DELETE", PATH, &any, None))
                .map(|(transaction, _)| (transaction, None)),
            0 => direct(&client.send("PUT", PATH, &any, Some(&text))).map(tagged),
            1 => {
                direct(&client.send("PUT", PATH, &[("if-match", &exact)], Some(&text))).map(tagged)
            }
            2 => direct(&client.send("PATCH", PATH, &any, Some(&text))).map(tagged),
            3 => by_transaction(client, &put(&exact), &other).map(changed),
            _ => by_transaction(client, &put("*"), &other).map(changed),
        };
        if let Some((transaction, tag)) = told {
            let state = tag.map(|tag| (tag, state));
            return Told {
                who,
                round,
                transaction,
                state,
            };
        }
        // Somebody has deleted it, or has been faster.
        let again = client.send("PUT", PATH, &[("if-none-match", "*")], Some(&text));
        if let Some((transaction, tag)) = direct(&again) {
            let state = Some((tag, body(who, round)));
            return Told {
                who,
                round,
                transaction,
                state,
            };
        }
    }
}

fn tagged((transaction, tag): (String, String)) -> (String, Option<String>) {
    (transaction, Some(tag))
}

fn changed((transaction, outcome): (String, Value)) -> (String, Option<String>) {
    (
        transaction,
        Some(outcome["etag"].as_str().unwrap().to_owned()),
    )
}

/// All of them at once; what they were told.
fn contend(servers: &[Server]) -> Vec<Told> {
    let barrier = Barrier::new(WRITERS);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..WRITERS)
            .map(|who| {
                let (barrier, server) = (&barrier, &servers[who % servers.len()]);
                scope.spawn(move || {
                    let mut client = server.client();
                    barrier.wait();
                    let rounds = 0..ROUNDS;
                    rounds
                        .map(|round| write(&mut client, who, round))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn the_history_holds_every_acknowledged_write_once_in_order() {
    check(&[Server::start()]);
    let first = Server::start();
    let second = Server::over(&first.database_url, |_| {}, |_| {});
    check(&[first, second]);
}

fn check(servers: &[Server]) {
    let told = contend(servers);
    let mut client = servers[0].client();
    let found = items(&mut client, PATH, 37);
    let all = WRITERS * ROUNDS;
    let expected: Vec<i64> = (1..=i64::try_from(all).unwrap()).rev().collect();
    assert_eq!(numbers(&found), expected, "as many as were acknowledged");
    let mut by_writer: BTreeMap<&str, &Told> = BTreeMap::new();
    for told in &told {
        assert!(
            by_writer.insert(&told.transaction, told).is_none(),
            "{told:?}"
        );
    }
    let (mut last, mut time) = (vec![None; WRITERS], String::new());
    for item in found.iter().rev() {
        let told = by_writer.remove(item["transaction"].as_str().unwrap());
        let told = told.unwrap_or_else(|| panic!("nobody was told of {item:#}"));
        let tag = told.state.as_ref().map(|(tag, _)| json!(tag));
        assert_eq!(item.get("etag"), tag.as_ref(), "{told:?}");
        assert_eq!(item["deleted"], told.state.is_none(), "{told:?}");
        let read = client.get(item["href"].as_str().unwrap());
        match &told.state {
            Some((tag, body)) => {
                let read = read.expect(200);
                assert_eq!((&read.etag(), &read.json()), (tag, body));
                assert_eq!(writer(&read).as_ref(), Some(&told.transaction));
            }
            None => drop(read.expect_problem(404, "not-found")),
        }
        // Each writer waited for an answer before the next write.
        assert!(last[told.who] < Some(told.round), "{told:?} after {last:?}");
        last[told.who] = Some(told.round);
        let updated = item["updated_at"].as_str().unwrap();
        assert!(*updated >= *time, "{updated} after {time}");
        updated.clone_into(&mut time);
    }
    assert!(by_writer.is_empty(), "not in the history: {by_writer:#?}");
    let deletions = told.iter().filter(|told| told.state.is_none()).count();
    assert!(deletions > 0 && deletions < all, "{deletions}");
}
