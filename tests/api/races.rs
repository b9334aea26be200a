//! Concurrency through real HTTP: everybody starts at once, one happens, and all are told the truth.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};
use uuid::Uuid;

use super::matrix::rows::writer;
use crate::support::client::{Client, Response};
use crate::support::many::{at_once, clients, pair};
use crate::support::server::Server;

mod batches;
mod cancels;
mod copies;
mod increments;
mod keys;
mod skew;
mod totals;
mod writers;

/// How often what must happen once is tried.
const ROUNDS: usize = 200;

/// A request that is ready to be sent.
struct Request {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
}

impl Request {
    fn new(method: &'static str, path: &str, header: (&'static str, &str), body: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: vec![(header.0, header.1.to_owned())],
            body: (!body.is_empty()).then(|| body.to_owned()),
        }
    }

    fn typed(mut self, media_type: &str) -> Self {
        self.headers.push(("content-type", media_type.to_owned()));
        self
    }

    fn send(&self, client: &mut Client) -> Response {
        let headers: Vec<(&str, &str)> = self.headers.iter().map(|(n, v)| (*n, &**v)).collect();
        client.send(self.method, &self.path, &headers, self.body.as_deref())
    }
}

/// Sends every request at the same time.
fn all_at_once(clients: &mut [Client], requests: &[Request]) -> Vec<Response> {
    assert_eq!(clients.len(), requests.len());
    at_once(clients, |index, client| requests[index].send(client))
}

/// A path that no transaction has.
fn unused_path() -> String {
    format!("/transactions/{}", Uuid::now_v7())
}

fn operation(changes: &[Value]) -> String {
    json!({"changes": changes}).to_string()
}

/// Creates a resource; its tag.
fn create(client: &mut Client, path: &str, body: &str) -> String {
    let answer = client.send("PUT", path, &[("if-none-match", "*")], Some(body));
    answer.expect(201).etag()
}

/// Creates a transaction; its path and tag.
fn open(client: &mut Client) -> (String, String) {
    let made = client.send("POST", "/transactions", &[], None).expect(201);
    (made.location(), made.etag())
}

fn is_success(response: &Response) -> bool {
    (200..300).contains(&response.status)
}

/// The path of the transaction that a successful write was, and the tag that its first change made.
fn work_of(response: &Response) -> (String, Value) {
    if let Some(path) = writer(response) {
        return (path, json!(response.header("etag")));
    }
    let document = response.json();
    let path = document["links"]["self"].as_str().unwrap().to_owned();
    (path, document["outcome"]["changes"][0]["etag"].clone())
}

#[test]
fn one_transaction_put_by_32_clients_is_applied_once_and_all_are_told() {
    put_one_transaction(&[Server::start()]);
}

#[test]
fn one_transaction_put_to_two_servers_is_applied_once_and_all_are_told() {
    put_one_transaction(&pair());
}

fn put_one_transaction(servers: &[Server]) {
    let mut clients = clients(servers, 32);
    for round in 0..10 {
        let target = format!("/resources/once/{round}");
        let (path, tag) = open(&mut clients[0]);
        let body = operation(&[
            json!({"method": "PUT", "target": target, "if_none_match": "*", "body": round}),
        ]);
        let answers = at_once(&mut clients, |_, client| {
            client.send("PUT", &path, &[("if-match", &tag)], Some(&body))
        });
        let mut first = 0;
        for answer in &answers {
            let answer = answer.clone().expect(200);
            first += usize::from(answer.header("idempotent-replayed").is_none());
            assert_eq!(answer.text(), answers[0].text());
        }
        assert_eq!(first, 1, "how many were told that they came first");
        let (made, written) = work_of(&answers[0]);
        let seen = clients[1].get(&target).expect(200);
        assert_eq!((made, written), (path, json!(seen.etag())));
        assert_eq!(writer(&seen), Some(work_of(&answers[0]).0));
    }
}

#[test]
fn one_key_is_created_by_one_of_32_clients() {
    create_one_key(&[Server::start()]);
}

#[test]
fn one_key_is_created_by_one_client_of_two_servers() {
    create_one_key(&pair());
}

fn create_one_key(servers: &[Server]) {
    let mut clients = clients(servers, 32);
    for round in 0..10 {
        let target = format!("/resources/keys/{round}");
        let answers = at_once(&mut clients, |who, client| {
            let condition = [("if-none-match", "*")];
            client.send("PUT", &target, &condition, Some(&who.to_string()))
        });
        let winner = one_winner(&answers, &target);
        let seen = clients[0].get(&target).expect(200);
        assert_eq!(answers[winner].status, 201);
        assert_eq!(
            (seen.text(), seen.etag()),
            (winner.to_string(), answers[winner].etag())
        );
    }
}

/// Checks that one request succeeded and that all others name it; its index.
#[track_caller]
fn one_winner(answers: &[Response], target: &str) -> usize {
    let winners: Vec<usize> = (0..answers.len())
        .filter(|index| is_success(&answers[*index]))
        .collect();
    assert_eq!(winners.len(), 1, "winners among {answers:#?}");
    let (path, tag) = work_of(&answers[winners[0]]);
    for (index, answer) in answers.iter().enumerate() {
        if index == winners[0] {
            continue;
        }
        let gone = tag.is_null() && answer.status == 404;
        let expected = if gone {
            (404, "not-found")
        } else {
            (412, "stale-resource")
        };
        let problem = answer.clone().expect_problem(expected.0, expected.1).json();
        let conflict = &problem["conflicts"][0];
        assert_eq!(conflict["target"], target, "{problem:#}");
        assert_eq!(conflict["transaction"], path, "{problem:#}");
        assert_eq!(conflict["current"], tag, "{problem:#}");
    }
    winners[0]
}

#[test]
fn one_reference_posted_by_16_clients_is_one_context() {
    share_one_reference(&[Server::start()]);
}

#[test]
fn one_reference_posted_to_two_servers_is_one_context() {
    share_one_reference(&pair());
}

fn share_one_reference(servers: &[Server]) {
    let mut clients = clients(servers, 16);
    for round in 0..20 {
        let content = json!({"reference": format!("order-{round}")}).to_string();
        let answers = at_once(&mut clients, |_, client| {
            client.send("POST", "/transactions", &[], Some(&content))
        });
        let made = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1, "{answers:#?}");
        for answer in &answers {
            assert!(is_success(answer), "{answer:#?}");
            assert_eq!(answer.json()["id"], answers[0].json()["id"]);
            assert_eq!(answer.etag(), answers[0].etag());
            let place = answer.header("content-location");
            assert_eq!(place, answers[0].header("content-location"));
            if answer.status == 201 {
                assert_eq!(Some(answer.location()), place);
            }
        }
        let listed = clients[0].get(&format!("/transactions?reference=order-{round}"));
        assert_eq!(
            listed.expect(200).json()["items"].as_array().unwrap().len(),
            1
        );
    }
}
