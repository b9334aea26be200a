//! Several clients at one draft: nobody's change gets lost, and what is committed is what was there.

use std::collections::BTreeSet;

use serde_json::json;

use super::{commit, save};
use crate::support::client::{Client, Response};
use crate::support::many::{at_once, clients, pair};
use crate::support::server::Server;

const ROUNDS: usize = 200;
const WRITERS: usize = 4;

fn successes(answers: &[Response]) -> Vec<usize> {
    (0..answers.len())
        .filter(|index| answers[*index].status < 300)
        .collect()
}

/// The keys that a transaction's draft, or operation, changes.
fn keys(client: &mut Client, transaction: &str) -> BTreeSet<String> {
    let document = client.get(transaction).expect(200).json();
    let items = document["changes"].as_array().cloned().unwrap_or_default();
    let key = |target: &str| target.trim_start_matches("/resources/a/").to_owned();
    items
        .iter()
        .map(|item| key(item["target"].as_str().unwrap()))
        .collect()
}

#[test]
fn changes_of_different_resources_are_all_kept() {
    different_resources(&[Server::start()], ROUNDS / 2);
    different_resources(&pair(), ROUNDS / 2);
}

/// Creations, replacements, patches and deletions go on in turns; each of the four has resources of its own.
fn different_resources(servers: &[Server], rounds: usize) {
    let mut clients = clients(servers, WRITERS);
    for who in 0..WRITERS {
        clients[0].put_new(&format!("/resources/a/patched-{who}"), "{}");
    }
    let (transaction, _) = clients[0].open_transaction();
    let mut tags = vec![String::new(); WRITERS];
    for round in 0..rounds {
        let path = |key: String| format!("{transaction}/resources/a/{key}");
        tags = at_once(&mut clients, |who, client| {
            if round == 0 {
                let patched = path(format!("patched-{who}"));
                client
                    .send("PATCH", &patched, &[("if-match", "*")], Some("{\"x\":1}"))
                    .expect(204);
            }
            if round % 20 == 0 {
                let new = path(format!("new-{who}-{round}"));
                client
                    .send("PUT", &new, &[("if-none-match", "*")], Some("0"))
                    .expect(204);
            }
            let own = path(format!("own-{who}"));
            let body = round.to_string();
            let field = match round {
                0 => ("if-none-match", "*"),
                _ => ("if-match", &*tags[who]),
            };
            client
                .send("PUT", &own, &[field], Some(&body))
                .expect(204)
                .etag()
        });
    }
    let mut expected = BTreeSet::new();
    for who in 0..WRITERS {
        expected.insert(format!("patched-{who}"));
        expected.insert(format!("own-{who}"));
        expected.extend(
            (0..rounds)
                .step_by(20)
                .map(|round| format!("new-{who}-{round}")),
        );
    }
    assert_eq!(keys(&mut clients[0], &transaction), expected);
    commit(&mut clients[0], &transaction, "*").expect(200);
    for who in 0..WRITERS {
        let own = clients[0]
            .get(&format!("/resources/a/own-{who}"))
            .expect(200);
        assert_eq!(own.text(), (rounds - 1).to_string());
    }
}

#[test]
fn one_resource_under_one_tag_is_changed_by_one_of_four() {
    one_resource(&[Server::start()], ROUNDS / 2);
    one_resource(&pair(), ROUNDS / 2);
}

fn one_resource(servers: &[Server], rounds: usize) {
    let mut clients = clients(servers, WRITERS);
    let (transaction, _) = clients[0].open_transaction();
    let view = format!("{transaction}/resources/a/k");
    let mut tag = String::new();
    for round in 0..rounds {
        let field = match round {
            0 => ("if-none-match", "*"),
            _ => ("if-match", &*tag),
        };
        let answers = at_once(&mut clients, |who, client| {
            client.send("PUT", &view, &[field], Some(&who.to_string()))
        });
        let winners = successes(&answers);
        assert_eq!(winners.len(), 1, "{answers:#?}");
        let seen = clients[0].get(&view).expect(200);
        assert_eq!(
            (seen.text(), seen.etag()),
            (winners[0].to_string(), answers[winners[0]].etag())
        );
        for (who, answer) in answers
            .iter()
            .enumerate()
            .filter(|(who, _)| *who != winners[0])
        {
            let stale = answer.clone().expect_problem(412, "stale-resource").json();
            assert_eq!(stale["conflicts"][0]["current"], seen.etag(), "{who}");
            assert_eq!(stale["conflicts"][0]["transaction"], transaction);
        }
        tag = seen.etag();
    }
}

#[test]
fn a_whole_draft_under_one_tag_is_saved_by_one_of_four() {
    whole_draft(&[Server::start()], ROUNDS / 2);
    whole_draft(&pair(), ROUNDS / 2);
}

fn whole_draft(servers: &[Server], rounds: usize) {
    let mut clients = clients(servers, WRITERS);
    let (transaction, mut tag) = clients[0].open_transaction();
    for round in 0..rounds {
        let answers = at_once(&mut clients, |who, client| {
            let target = format!("/resources/a/{round}-{who}");
            let change =
                json!([{"method": "PUT", "target": target, "if_none_match": "*", "body": who}]);
            save(client, &transaction, &tag, &change.to_string())
        });
        let winners = successes(&answers);
        assert_eq!(winners.len(), 1, "{answers:#?}");
        let seen = clients[0].get(&transaction).expect(200);
        assert_eq!(seen.text(), answers[winners[0]].text());
        for (_, answer) in answers
            .iter()
            .enumerate()
            .filter(|(who, _)| *who != winners[0])
        {
            let stale = answer
                .clone()
                .expect_problem(412, "stale-transaction")
                .json();
            assert_eq!(stale["current"], seen.json());
        }
        assert_ne!(seen.etag(), tag);
        tag = seen.etag();
    }
}

/// Two commit the draft that they have read, two write in it. A commit applies exactly what it was reviewed as; what came
/// too late is told so.
#[test]
fn a_commit_takes_what_its_tag_names_and_later_writes_are_refused() {
    commits_and_writes(&[Server::start()], ROUNDS / 2);
    commits_and_writes(&pair(), ROUNDS / 2);
}

fn commits_and_writes(servers: &[Server], rounds: usize) {
    let mut clients = clients(servers, WRITERS);
    let mut won = [0; 2];
    for round in 0..rounds {
        let (transaction, _) = clients[0].open_transaction();
        let path = |who: usize| format!("/resources/a/{round}-{who}");
        let create = [("if-none-match", "*")];
        clients[0].put_new(&path(3), "0");
        clients[0]
            .send(
                "PUT",
                &format!("{transaction}{}", path(9)),
                &create,
                Some("9"),
            )
            .expect(204);
        let tag = clients[0].get(&transaction).etag();
        // In every other round any draft is taken.
        let condition = if round % 2 == 0 { &*tag } else { "*" };
        let answers = at_once(&mut clients, |who, client| match who {
            0 | 1 => commit(client, &transaction, condition),
            _ => client.send(
                "PUT",
                &format!("{transaction}{}", path(who)),
                if who == 2 {
                    &create
                } else {
                    &[("if-match", "*")]
                },
                Some("1"),
            ),
        });
        let committed = clients[0].get(&transaction).expect(200).json()["state"] == "committed";
        let commits = successes(&answers[..2]);
        assert_eq!(committed, !commits.is_empty(), "{answers:#?}");
        if condition == "*" {
            assert_eq!(commits.len(), 1, "{answers:#?}");
        }
        won[usize::from(committed)] += 1;
        let applied = keys(&mut clients[0], &transaction);
        for who in [2, 3] {
            let taken = answers[who].status == 204;
            if !taken {
                answers[who]
                    .clone()
                    .expect_problem(409, "transaction-finished");
            }
            assert_eq!(
                applied.contains(&format!("{round}-{who}")),
                taken,
                "{answers:#?}"
            );
            let written = clients[0].get(&path(who)).text() == "1";
            assert_eq!(written, taken && committed, "{answers:#?}");
        }
        if committed && condition != "*" {
            assert_eq!(applied.len(), 1, "only what was reviewed");
        }
    }
    assert!(won[1] > 0, "no commit was ever first");
}

#[test]
fn a_view_read_while_its_draft_is_committed_is_never_patched_twice() {
    let server = Server::start();
    let mut clients = clients(std::slice::from_ref(&server), WRITERS);
    for round in 0..ROUNDS / 4 {
        let target = format!("/resources/a/{round}");
        clients[0].put_new(&target, "{\"n\":0}");
        let (transaction, _) = clients[0].open_transaction();
        let add = json!([{"method": "PATCH", "target": target, "if_match": "*",
            "content_type": super::INCREMENT, "body": {"n": 1}}]);
        save(&mut clients[0], &transaction, "*", &add.to_string()).expect(200);
        at_once(&mut clients, |who, client| {
            if who == 0 {
                commit(client, &transaction, "*").expect(200);
                return;
            }
            loop {
                let seen = client.get(&format!("{transaction}{target}"));
                if seen.status != 200 {
                    seen.expect_problem(409, "transaction-finished");
                    return;
                }
                assert_eq!(seen.text(), "{\"n\":1}");
            }
        });
        assert_eq!(clients[0].get(&target).text(), "{\"n\":1}");
    }
}
