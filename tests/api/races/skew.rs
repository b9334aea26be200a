//! Write skew: two operations of which each asserts what the other changes. Never both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::{ROUNDS, Request, all_at_once, clients, create, operation, pair, unused_path};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

#[test]
fn operations_that_assert_each_others_targets_never_both_apply() {
    skew(&[Server::start()], present);
    skew(&pair(), present);
}

#[test]
fn operations_that_assert_each_others_absence_never_both_apply() {
    skew(&[Server::start()], absent);
    skew(&pair(), absent);
}

/// Makes two resources and the two operations on them: of `a` and `b`, each asserts one and writes the other.
type Making = fn(&mut Client, &str, &str) -> [String; 2];

fn present(client: &mut Client, a: &str, b: &str) -> [String; 2] {
    let tags = [create(client, a, "0"), create(client, b, "0")];
    let pair = |reads: (&str, &str), writes: (&str, &str)| {
        operation(&[
            json!({"method": "GET", "target": reads.0, "if_match": reads.1}),
            json!({"method": "PUT", "target": writes.0, "if_match": writes.1, "body": 1}),
        ])
    };
    [
        pair((b, &tags[1]), (a, &tags[0])),
        pair((a, &tags[0]), (b, &tags[1])),
    ]
}

fn absent(_: &mut Client, a: &str, b: &str) -> [String; 2] {
    let pair = |reads: &str, writes: &str| {
        operation(&[
            json!({"method": "GET", "target": reads, "if_none_match": "*"}),
            json!({"method": "PUT", "target": writes, "if_none_match": "*", "body": 1}),
        ])
    };
    [pair(b, a), pair(a, b)]
}

fn skew(servers: &[Server], making: Making) {
    let mut clients = clients(servers, 2);
    for round in 0..ROUNDS / 2 {
        let names = ["a", "b"].map(|name| format!("/resources/skew/{name}{round}"));
        let contents = making(&mut clients[0], &names[0], &names[1]);
        let requests = contents
            .map(|content| Request::new("PUT", &unused_path(), ("if-none-match", "*"), &content));
        let answers = all_at_once(&mut clients, &requests);
        let won = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(won, 1, "{answers:#?}");
        let winner = usize::from(answers[1].status == 201);
        blamed(&answers[1 - winner], &answers[winner], &names[winner]);
        let bodies = names.map(|name| clients[1].get(&name).text());
        assert_eq!(bodies[winner], "1");
        assert_ne!(bodies[1 - winner], "1");
    }
}

/// The loser's assertion, its first change, is what was false, because of the winner.
fn blamed(loser: &Response, winner: &Response, written: &str) {
    let problem = loser.clone().expect_problem(412, "stale-resource").json();
    let won = winner.json();
    assert_eq!(problem["conflicts"].as_array().unwrap().len(), 1);
    let conflict = &problem["conflicts"][0];
    assert_eq!(
        (&conflict["change"], &conflict["target"]),
        (&json!(0), &json!(written))
    );
    assert_eq!(conflict["transaction"], won["links"]["self"]);
    assert_eq!(conflict["current"], won["outcome"]["changes"][1]["etag"]);
}

#[test]
fn of_three_operations_that_assert_in_a_ring_two_apply() {
    let servers = pair();
    let mut clients = clients(&servers, 3);
    for round in 0..ROUNDS / 4 {
        let names = [0, 1, 2].map(|at| format!("/resources/ring/{round}-{at}"));
        let tags: Vec<String> = names
            .iter()
            .map(|name| create(&mut clients[0], name, "0"))
            .collect();
        // Each writes its own and asserts the next.
        let requests: Vec<Request> = (0..3)
            .map(|at| {
                let next = (at + 1) % 3;
                let content = operation(&[
                    json!({"method": "PUT", "target": names[at], "if_match": tags[at], "body": 1}),
                    json!({"method": "GET", "target": names[next], "if_match": tags[next]}),
                ]);
                Request::new("PUT", &unused_path(), ("if-none-match", "*"), &content)
            })
            .collect();
        let answers = all_at_once(&mut clients, &requests);
        let applied: Vec<bool> = answers.iter().map(|answer| answer.status == 201).collect();
        // Whoever comes first applies; who asserts it cannot, and so the third can, in any order.
        let count = applied.iter().filter(|applied| **applied).count();
        assert_eq!(count, 2, "{answers:#?}");
        for at in 0..3 {
            let next = (at + 1) % 3;
            let body: Value = clients[0].get(&names[at]).expect(200).json();
            assert_eq!(body, json!(i32::from(applied[at])));
            if !applied[at] {
                assert!(applied[next], "refused without a reason: {answers:#?}");
                let problem = answers[at].clone().expect_problem(412, "stale-resource");
                let conflict = &problem.json()["conflicts"][0];
                assert_eq!(conflict["transaction"], requests[next].path);
            }
        }
    }
}
