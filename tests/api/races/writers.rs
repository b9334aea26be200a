//! Four writers hold one tag: on every path by which a state can change, exactly one of them wins, and every other
//! one is told who.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use super::{
    ROUNDS, Request, all_at_once, at_once, clients, create, is_success, one_winner, open,
    operation, pair, unused_path,
};
use crate::support::client::Client;
use crate::support::server::Server;

const WRITERS: usize = 4;
const TARGET: &str = "/resources/contested/one";

/// Makes the request of one writer, who decided on the state named by a tag.
type Writing = fn(&mut Client, &str, usize) -> Request;

#[test]
fn by_put() {
    contend(|_, tag, who| Request::new("PUT", TARGET, ("if-match", tag), &body(who).to_string()));
}

#[test]
fn by_delete() {
    contend(|_, tag, _| Request::new("DELETE", TARGET, ("if-match", tag), ""));
}

#[test]
fn by_merge_patch() {
    contend(|_, tag, who| {
        Request::new("PATCH", TARGET, ("if-match", tag), &body(who).to_string())
            .typed("application/merge-patch+json")
    });
}

#[test]
fn by_json_patch() {
    contend(|_, tag, who| {
        let patch = json!([{"op": "add", "path": "/who", "value": who}]).to_string();
        Request::new("PATCH", TARGET, ("if-match", tag), &patch)
            .typed("application/json-patch+json")
    });
}

#[test]
fn by_increment() {
    contend(|client, tag, who| {
        // What leads from the state that the tag names to the writer's own.
        let seen = client.get(TARGET).expect(200).json();
        let step = i64::try_from(who).unwrap() - seen["who"].as_i64().unwrap_or(0);
        let increment = json!({"who": step}).to_string();
        Request::new("PATCH", TARGET, ("if-match", tag), &increment)
            .typed("application/vnd.ifmatch.increment+json")
    });
}

#[test]
fn by_put_of_a_transaction() {
    contend(|client, tag, who| in_transaction(client, &[put(tag, who)]));
}

#[test]
fn by_merge_patch_in_a_transaction() {
    contend(|client, tag, who| {
        let change =
            json!({"method": "PATCH", "target": TARGET, "if_match": tag, "body": body(who)});
        in_transaction(client, &[change])
    });
}

#[test]
fn by_delete_in_a_transaction() {
    contend(|client, tag, _| {
        in_transaction(
            client,
            &[json!({"method": "DELETE", "target": TARGET, "if_match": tag})],
        )
    });
}

#[test]
fn by_a_transaction_that_the_client_names() {
    contend(|_, tag, who| {
        let content = operation(&[put(tag, who)]);
        Request::new("PUT", &unused_path(), ("if-none-match", "*"), &content)
    });
}

#[test]
fn by_different_paths() {
    contend(|client, tag, who| match who {
        0 => Request::new("PUT", TARGET, ("if-match", tag), &body(who).to_string()),
        1 => in_transaction(client, &[put(tag, who)]),
        2 => {
            let content = operation(&[put(tag, who)]);
            Request::new("PUT", &unused_path(), ("if-none-match", "*"), &content)
        }
        _ => Request::new("PATCH", TARGET, ("if-match", tag), &body(who).to_string())
            .typed("application/merge-patch+json"),
    });
}

#[test]
fn by_several_changes_of_which_a_loser_leaves_none() {
    let servers = [Server::start()];
    let mut clients = clients(&servers, WRITERS);
    let mut tag = create(&mut clients[0], TARGET, "{}");
    let limit = create(&mut clients[0], "/resources/limits/daily", "100");
    let mine = |round: usize, who: usize| format!("/resources/entries/{round}-{who}");
    for round in 0..ROUNDS {
        let requests = at_once(&mut clients, |who, client| {
            let entry = json!({"method": "PUT", "target": mine(round, who), "if_none_match": "*", "body": who});
            let bound =
                json!({"method": "GET", "target": "/resources/limits/daily", "if_match": limit});
            in_transaction(client, &[put(&tag, who), entry, bound])
        });
        let answers = all_at_once(&mut clients, &requests);
        let winner = one_winner(&answers, TARGET);
        for (who, answer) in answers.iter().enumerate() {
            let won = who == winner;
            clients[0]
                .get(&mine(round, who))
                .expect(if won { 200 } else { 404 });
            if !won {
                let conflicts = answer.json()["conflicts"].clone();
                assert_eq!(conflicts.as_array().unwrap().len(), 1, "{conflicts:#}");
                assert_eq!(conflicts[0]["change"], 0);
                // Still open, under the same tag.
                let seen = clients[0].get(&requests[who].path).expect(200);
                assert_eq!(
                    (seen.json()["state"].as_str(), seen.etag()),
                    (Some("open"), requests[who].headers[0].1.clone())
                );
            }
        }
        tag = clients[0].get(TARGET).expect(200).etag();
    }
}

#[test]
fn by_renewal() {
    let servers = [Server::start()];
    let mut clients = clients(&servers, WRITERS);
    let (path, mut tag) = open(&mut clients[0]);
    for _ in 0..ROUNDS {
        let requests: Vec<Request> = (0..WRITERS)
            .map(|who| {
                let content = json!({"expires_in": 1000 * (who + 1)}).to_string();
                Request::new("PATCH", &path, ("if-match", &tag), &content)
            })
            .collect();
        let answers = all_at_once(&mut clients, &requests);
        let winners: Vec<_> = answers.iter().filter(|answer| is_success(answer)).collect();
        assert_eq!(winners.len(), 1, "{answers:#?}");
        let document = winners[0].clone().expect(200).json();
        for loser in answers.iter().filter(|answer| !is_success(answer)) {
            let problem = loser.clone().expect_problem(412, "stale-transaction");
            assert_eq!(problem.json()["current"], document);
        }
        let seen = clients[0].get(&path).expect(200);
        assert_eq!(seen.json(), document);
        assert_ne!(seen.etag(), tag);
        tag = seen.etag();
    }
}

fn body(who: usize) -> Value {
    json!({"who": who})
}

fn put(tag: &str, who: usize) -> Value {
    json!({"method": "PUT", "target": TARGET, "if_match": tag, "body": body(who)})
}

fn in_transaction(client: &mut Client, changes: &[Value]) -> Request {
    let (path, tag) = open(client);
    Request::new("PUT", &path, ("if-match", &tag), &operation(changes))
}

/// Half of the rounds over one server, half over two.
fn contend(writing: Writing) {
    rounds(&[Server::start()], writing);
    rounds(&pair(), writing);
}

fn rounds(servers: &[Server], writing: Writing) {
    let mut clients = clients(servers, WRITERS);
    let mut tag = create(&mut clients[0], TARGET, "{}");
    for _ in 0..ROUNDS / 2 {
        let requests = at_once(&mut clients, |who, client| writing(client, &tag, who));
        let answers = all_at_once(&mut clients, &requests);
        let winner = one_winner(&answers, TARGET);
        let seen = clients[0].get(TARGET);
        let (_, written) = super::work_of(&answers[winner]);
        if written.is_null() {
            seen.expect_problem(404, "not-found");
            tag = create(&mut clients[0], TARGET, "{}");
            continue;
        }
        let seen = seen.expect(200);
        assert_eq!(seen.json(), body(winner));
        assert_eq!(written, seen.etag());
        assert_ne!(seen.etag(), tag);
        tag = seen.etag();
    }
}
