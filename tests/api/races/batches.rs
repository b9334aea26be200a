//! Good and bad operations that arrive together, and so are committed together: each is answered for itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::{Request, all_at_once, clients, create, open, operation, pair, unused_path};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

/// Of each round, one group of these for every index: what is sent, and what is answered.
const KINDS: usize = 10;
const GROUPS: usize = 4;

#[test]
fn each_operation_of_a_batch_is_answered_for_itself() {
    mix(&[Server::start()]);
}

#[test]
fn each_operation_of_batches_of_two_servers_is_answered_for_itself() {
    mix(&pair());
}

fn mix(servers: &[Server]) {
    let mut clients = clients(servers, KINDS * GROUPS);
    for round in 0..10 {
        let mut requests = Vec::new();
        for group in 0..GROUPS {
            requests.extend(kinds(&mut clients[0], &format!("{round}-{group}")));
        }
        let answers = all_at_once(&mut clients, &requests);
        for (group, answers) in answers.chunks(KINDS).enumerate() {
            check(&mut clients[0], &format!("{round}-{group}"), answers);
        }
    }
}

fn target(name: &str, kind: &str) -> String {
    format!("/resources/mix/{name}-{kind}")
}

fn kinds(client: &mut Client, name: &str) -> Vec<Request> {
    let creation = |kind: &str| json!({"method": "PUT", "target": target(name, kind), "if_none_match": "*", "body": kind});
    let stored = target(name, "stored");
    create(client, &stored, "{\"n\": 1}");
    let stale = json!({"method": "PUT", "target": stored, "if_match": "never.issued", "body": 2});
    let broken = json!({"method": "PATCH", "target": stored, "if_match": "*", "content_type": "application/json-patch+json",
        "body": [{"op": "remove", "path": "/nowhere"}]});
    let unknown = json!({"method": "PUT", "target": target(name, "bad"), "if_none_match": "*", "body": 1, "extra": 1});
    let bare = json!({"method": "PUT", "target": target(name, "bad"), "body": 1});
    let named =
        |content: &str| Request::new("PUT", &unused_path(), ("if-none-match", "*"), content);
    let (path, tag) = open(client);
    let twice = operation(&[creation("twice")]);
    let twin = || Request::new("PUT", &path, ("if-match", &tag), &twice);
    let good = target(name, "direct");
    let requests = vec![
        named(&operation(&[creation("good")])),
        named(&operation(&[creation("bad"), stale])),
        named("{\"changes\": [{\"method\":"),
        twin(),
        twin(),
        named(&operation(&[creation("bad"), broken])),
        named(&operation(&[creation("good2"), unknown])),
        named(&operation(&[creation("good2"), bare])),
        Request::new("PUT", &good, ("if-none-match", "*"), "\"direct\""),
        Request::new("PUT", &stored, ("if-match", "\"never.issued\""), "3"),
    ];
    assert_eq!(requests.len(), KINDS);
    requests
}

fn check(client: &mut Client, name: &str, answers: &[Response]) {
    let problem = |index: usize, status: u16, slug: &str| {
        answers[index].clone().expect_problem(status, slug).json()
    };
    let first = answers[0].clone().expect(201).json();
    assert_eq!(
        first["outcome"]["changes"][0]["target"],
        target(name, "good")
    );
    let conflicts = problem(1, 412, "stale-resource")["conflicts"].clone();
    assert_eq!(conflicts.as_array().unwrap().len(), 1);
    assert_eq!(
        (&conflicts[0]["change"], &conflicts[0]["target"]),
        (&json!(1), &json!(target(name, "stored")))
    );
    problem(2, 400, "malformed-request");
    let twins = [
        answers[3].clone().expect(200),
        answers[4].clone().expect(200),
    ];
    let replayed = twins
        .iter()
        .filter(|twin| twin.header("idempotent-replayed").is_some());
    assert_eq!(replayed.count(), 1);
    assert_eq!(twins[0].text(), twins[1].text());
    assert_eq!(
        twins[0].json()["outcome"]["changes"][0]["target"],
        target(name, "twice")
    );
    problem(5, 409, "patch-conflict");
    problem(6, 422, "invalid-operation");
    problem(7, 428, "precondition-required");
    answers[8].clone().expect(201);
    let direct = problem(9, 412, "stale-resource");
    assert_eq!(direct["conflicts"][0]["target"], target(name, "stored"));

    for kind in ["good", "twice", "direct"] {
        let seen = client.get(&target(name, kind)).expect(200);
        assert_eq!(seen.json(), kind);
    }
    for kind in ["bad", "good2"] {
        client
            .get(&target(name, kind))
            .expect_problem(404, "not-found");
    }
    assert_eq!(client.get(&target(name, "stored")).text(), "{\"n\": 1}");
}
