//! Copies of one request with one key, many at a time: one is applied, all get its answer.

use serde_json::json;
use uuid::Uuid;

use super::{ROUNDS, at_once, clients, create, is_success, operation, pair};
use crate::matrix::rows::writer;
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const WRITERS: usize = 4;
const HOT: &str = "/resources/accounts/hot";
const INCREMENT: (&str, &str) = ("content-type", "application/vnd.ifmatch.increment+json");

fn key() -> String {
    Uuid::new_v4().to_string()
}

fn put(client: &mut Client, path: &str, key: &str, body: &str) -> Response {
    let fields = [("if-match", "*"), ("idempotency-key", key)];
    client.send("PUT", path, &fields, Some(body))
}

/// How many of these answers were not repetitions.
fn firsts(answers: &[Response]) -> usize {
    let first = |answer: &&Response| answer.header("idempotent-replayed").is_none();
    answers.iter().filter(first).count()
}

fn version(tag: &str) -> u64 {
    tag[1..].split('.').next().unwrap().parse().unwrap()
}

#[test]
fn copies_of_a_direct_write_are_one_write() {
    copies(&[Server::start()]);
}

#[test]
fn copies_of_a_direct_write_to_two_servers_are_one_write() {
    copies(&pair());
}

fn copies(servers: &[Server]) {
    let mut clients = clients(servers, WRITERS);
    let mut known = version(&create(&mut clients[0], HOT, "0"));
    for round in 0..ROUNDS {
        let (key, body) = (key(), round.to_string());
        let answers = at_once(&mut clients, |_, client| put(client, HOT, &key, &body));
        for answer in &answers {
            let answer = answer.clone().expect(204);
            assert_eq!(answer.etag(), answers[0].etag());
            assert_eq!(writer(&answer), writer(&answers[0]));
        }
        assert_eq!(firsts(&answers), 1, "{answers:#?}");
        known += 1;
        assert_eq!(version(&answers[0].etag()), known);
    }
    assert_eq!(clients[0].get(HOT).expect(200).text(), "199");
}

#[test]
fn copies_of_a_creation_are_one_creation() {
    let servers = pair();
    let mut clients = clients(&servers, WRITERS);
    for round in 0..ROUNDS {
        let path = format!("/resources/created/{round}");
        let key = key();
        let answers = at_once(&mut clients, |_, client| {
            let fields = [("if-none-match", "*"), ("idempotency-key", &*key)];
            client.send("PUT", &path, &fields, Some("1"))
        });
        for answer in &answers {
            let answer = answer.clone().expect(201);
            assert_eq!(answer.etag(), answers[0].etag());
        }
        assert_eq!(firsts(&answers), 1);
    }
}

#[test]
fn no_copy_meets_the_condition_that_the_first_has_made_false() {
    let servers = pair();
    let mut clients = clients(&servers, WRITERS);
    let mut tag = create(&mut clients[0], HOT, "0");
    for _ in 0..ROUNDS {
        let key = key();
        let answers = at_once(&mut clients, |_, client| {
            let fields = [("if-match", &*tag), ("idempotency-key", &*key)];
            client.send("PUT", HOT, &fields, Some("1"))
        });
        for answer in &answers {
            assert_eq!(answer.clone().expect(204).etag(), answers[0].etag());
        }
        assert_eq!(firsts(&answers), 1);
        tag = answers[0].etag();
    }
    assert_eq!(version(&tag), 201);
}

#[test]
fn every_increment_counts_once_however_often_it_is_sent() {
    sum(&[Server::start()]);
}

#[test]
fn every_increment_counts_once_whichever_server_it_is_sent_to() {
    sum(&pair());
}

fn sum(servers: &[Server]) {
    let mut clients = clients(servers, WRITERS);
    create(&mut clients[0], HOT, "{\"n\": 0}");
    at_once(&mut clients, |who, client| {
        // What was sent to one server is sent again to the other.
        let mut second = servers[(who + 1) % servers.len()].client();
        for _ in 0..ROUNDS {
            let key = key();
            let fields = [("if-match", "*"), ("idempotency-key", &*key), INCREMENT];
            let first = client
                .send("PATCH", HOT, &fields, Some("{\"n\": 1}"))
                .expect(204);
            let again = second
                .send("PATCH", HOT, &fields, Some("{\"n\": 1}"))
                .expect(204);
            assert_eq!(
                (first.etag(), firsts(&[first, again.clone()])),
                (again.etag(), 1)
            );
        }
    });
    let seen = clients[0].get(HOT).expect(200);
    assert_eq!(seen.json()["n"], json!(WRITERS * ROUNDS));
}

#[test]
fn copies_of_a_command_are_one_transaction() {
    let servers = pair();
    let mut clients = clients(&servers, WRITERS);
    for target in ["/resources/moved/a", "/resources/moved/b"] {
        create(&mut clients[0], target, "{\"n\": 0}");
    }
    for _ in 0..ROUNDS {
        let key = key();
        let add = |target: &str, n: i64| {
            json!({"method": "PATCH", "target": target, "if_match": "*",
                "content_type": "application/vnd.ifmatch.increment+json", "body": {"n": n}})
        };
        let content = operation(&[add("/resources/moved/a", -1), add("/resources/moved/b", 1)]);
        let answers = at_once(&mut clients, |_, client| {
            client.send(
                "POST",
                "/transactions",
                &[("idempotency-key", &key)],
                Some(&content),
            )
        });
        for answer in &answers {
            let answer = answer.clone().expect(201);
            assert_eq!(
                (answer.location(), answer.text()),
                (answers[0].location(), answers[0].text())
            );
        }
        assert_eq!(firsts(&answers), 1);
    }
    let page = clients[0].get("/resources/moved").expect(200).json();
    let sums = [0, 1].map(|index| page["items"][index]["body"]["n"].as_i64().unwrap());
    assert_eq!(sums, [-200, 200]);
}

#[test]
fn copies_of_a_context_are_one_context() {
    let servers = pair();
    let mut clients = clients(&servers, WRITERS);
    for _ in 0..ROUNDS {
        let key = key();
        let answers = at_once(&mut clients, |_, client| {
            client.send("POST", "/transactions", &[("idempotency-key", &key)], None)
        });
        for answer in &answers {
            assert_eq!(answer.clone().expect(201).location(), answers[0].location());
        }
        assert_eq!(firsts(&answers), 1);
    }
}

#[test]
fn of_different_requests_with_one_key_one_is_applied() {
    different(&[Server::start()]);
}

#[test]
fn of_different_requests_with_one_key_to_two_servers_one_is_applied() {
    different(&pair());
}

/// Each to a resource of its own, so that nothing but the key is common to them.
fn different(servers: &[Server]) {
    let mut clients = clients(servers, WRITERS);
    for round in 0..ROUNDS {
        let key = key();
        let path = |who: usize| format!("/resources/apart/{round}-{who}");
        let answers = at_once(&mut clients, |who, client| {
            let fields = [("if-none-match", "*"), ("idempotency-key", &*key)];
            client.send("PUT", &path(who), &fields, Some("1"))
        });
        let winners: Vec<usize> = (0..WRITERS)
            .filter(|who| is_success(&answers[*who]))
            .collect();
        assert_eq!(winners.len(), 1, "{answers:#?}");
        let written = writer(&answers[winners[0]]).unwrap();
        for (who, answer) in answers.iter().enumerate() {
            let there = clients[0].get(&path(who)).status;
            assert_eq!(there, if who == winners[0] { 200 } else { 404 });
            if who != winners[0] {
                let problem = answer.clone().expect_problem(422, "key-reused").json();
                assert!(problem["detail"].as_str().unwrap().contains(&written));
            }
        }
    }
}

#[test]
fn a_lost_answer_is_told_by_the_same_request() {
    let server = Server::start();
    let mut client = server.client();
    create(&mut client, HOT, "{\"n\": 0}");
    let host = server.address;
    for round in 1..=50 {
        let key = key();
        let request = format!(
            "PATCH {HOT} HTTP/1.1\r\nhost: {host}\r\nif-match: *\r\nidempotency-key: \"{key}\"\r\n\
             content-type: {}\r\ncontent-length: 8\r\n\r\n{{\"n\": 1}}",
            INCREMENT.1
        );
        client.send_and_hang_up(request.as_bytes());
        let fields = [("if-match", "*"), ("idempotency-key", &*key), INCREMENT];
        let told = client
            .send("PATCH", HOT, &fields, Some("{\"n\": 1}"))
            .expect(204);
        // The first may come yet; it changes nothing then.
        client
            .send("PATCH", HOT, &fields, Some("{\"n\": 1}"))
            .expect(204);
        assert_eq!(version(&told.etag()), round + 1);
    }
    assert_eq!(client.get(HOT).expect(200).json()["n"], json!(50));
}
