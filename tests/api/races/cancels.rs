//! To give up for certain, against a PUT that is still under way: one of the two happens, and both are told which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::{ROUNDS, Request, all_at_once, clients, open, operation, pair, unused_path};
use crate::support::client::Client;
use crate::support::server::Server;

const CANCEL: &str = "{\"state\": \"cancelled\"}";

#[test]
fn a_transaction_is_applied_or_cancelled() {
    cancel(&[Server::start()]);
    cancel(&pair());
}

#[test]
fn an_id_of_the_clients_own_is_applied_or_cancelled() {
    cancel_named(&[Server::start()]);
    cancel_named(&pair());
}

fn creation(target: &str) -> String {
    operation(&[json!({"method": "PUT", "target": target, "if_none_match": "*", "body": 1})])
}

fn cancel(servers: &[Server]) {
    let mut clients = clients(servers, 4);
    for round in 0..ROUNDS / 2 {
        let target = format!("/resources/cancels/{round}");
        let content = creation(&target);
        let (path, tag) = open(&mut clients[0]);
        let apply = || Request::new("PUT", &path, ("if-match", &tag), &content);
        let cancel = |condition: &str| Request::new("DELETE", &path, ("if-match", condition), "");
        let mut requests = [apply(), cancel("*"), apply(), cancel(&tag)];
        if round % 2 == 1 {
            requests.reverse();
        }
        let answers = all_at_once(&mut clients, &requests);
        let happened = is_applied(&mut clients[0], &path, &target);
        let (mut first, mut cancelled) = (0, 0);
        for (request, answer) in requests.iter().zip(&answers) {
            let answer = answer.clone();
            match (happened, request.method) {
                (true, "PUT") => {
                    let answer = answer.expect(200);
                    first += usize::from(answer.header("idempotent-replayed").is_none());
                    assert_eq!(answer.json()["state"], "committed");
                }
                (true, _) => {
                    let problem = answer.expect_problem(409, "transaction-finished").json();
                    assert_eq!(problem["current"]["state"], "committed");
                }
                (false, "DELETE") if answer.status == 204 => cancelled += 1,
                (false, _) => {
                    answer.expect_problem(410, "transaction-cancelled");
                }
            }
        }
        let told = (first, cancelled);
        assert_eq!(told, if happened { (1, 0) } else { (0, 1) }, "{answers:#?}");
    }
}

fn cancel_named(servers: &[Server]) {
    let mut clients = clients(servers, 2);
    for round in 0..ROUNDS / 2 {
        let target = format!("/resources/cancels/{round}");
        let path = unused_path();
        let named = |content: &str| Request::new("PUT", &path, ("if-none-match", "*"), content);
        let mut requests = vec![named(&creation(&target)), named(CANCEL)];
        if round % 2 == 1 {
            requests.reverse();
        }
        let mut answers = all_at_once(&mut clients, &requests);
        if round % 2 == 1 {
            answers.reverse();
        }
        let happened = is_applied(&mut clients[0], &path, &target);
        let [apply, cancel] = [answers[0].clone(), answers[1].clone()];
        if happened {
            let document = apply.expect(201).json();
            assert_eq!(document["state"], "committed");
            let problem = cancel.expect_problem(412, "stale-transaction").json();
            assert_eq!(problem["current"], document);
        } else {
            assert_eq!(cancel.expect(201).json()["state"], "cancelled");
            apply.expect_problem(410, "transaction-cancelled");
        }
    }
}

/// Whether it is applied, as its own URI and its target must agree; no copy that comes late changes that.
fn is_applied(client: &mut Client, path: &str, target: &str) -> bool {
    let seen = client.get(path);
    let applied = seen.status == 200;
    if applied {
        assert_eq!(seen.json()["state"], "committed");
    } else {
        seen.expect_problem(410, "transaction-cancelled");
    }
    let late = client.send("PUT", path, &[("if-match", "*")], Some(&creation(target)));
    late.expect(if applied { 200 } else { 410 });
    client.get(target).expect(if applied { 200 } else { 404 });
    applied
}
