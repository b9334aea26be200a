//! Commits: everything is judged again, applied together, and repeated under the tag that it started from only.

use serde_json::json;

use super::{COMMIT, INCREMENT, changes, commit, save};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::server::Server;

const ALICE: &str = "/resources/accounts/alice";
const BOB: &str = "/resources/accounts/bob";

/// Two accounts, and a transaction whose draft moves 10; its path and tag.
fn drafted(client: &mut Client) -> (String, String) {
    let alice = client.put_new(ALICE, "{\"balance\": 100}");
    client.put_new(BOB, "{\"balance\": 0}");
    let (transaction, _) = client.open_transaction();
    let put = [("if-match", &*alice)];
    client
        .send(
            "PUT",
            &format!("{transaction}{ALICE}"),
            &put,
            Some("{\"balance\": 90}"),
        )
        .expect(204);
    let bob = client
        .get(&format!("{transaction}{BOB}"))
        .expect(200)
        .etag();
    let add = [("if-match", &*bob), ("content-type", INCREMENT)];
    client
        .send(
            "PATCH",
            &format!("{transaction}{BOB}"),
            &add,
            Some("{\"balance\": 10}"),
        )
        .expect(204);
    let tag = client.get(&transaction).expect(200).etag();
    (transaction, tag)
}

fn balances(client: &mut Client) -> [i64; 2] {
    [ALICE, BOB].map(|path| {
        client.get(path).expect(200).json()["balance"]
            .as_i64()
            .unwrap()
    })
}

#[test]
fn a_draft_is_seen_by_nobody_before_it_is_committed_and_then_whole() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = drafted(&mut client);
    assert_eq!(balances(&mut client), [100, 0]);
    let done = commit(&mut client, &transaction, &tag).expect(200);
    assert_eq!(done.header("content-location"), Some(transaction.clone()));
    assert_eq!(
        done.header("etag"),
        None,
        "it would name the request's content"
    );
    assert_eq!(balances(&mut client), [90, 10]);
    let document = done.json();
    assert_eq!(document["state"], "committed");
    assert_eq!(
        document["outcome"]["changes"][1]["etag"],
        client.get(BOB).etag()
    );
    assert_eq!(document["changes"][0]["body"], json!({"balance": 90}));
    assert_eq!(client.get(&transaction).expect(200).text(), done.text());
}

#[test]
fn a_repeated_commit_is_answered_for_the_tag_that_it_started_from_and_no_other() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = drafted(&mut client);
    let done = commit(&mut client, &transaction, &tag).expect(200);
    assert_eq!(done.header("idempotent-replayed"), None);
    let list = format!("\"x\",{tag}");
    for condition in [&*tag, &list] {
        let again = commit(&mut client, &transaction, condition).expect(200);
        assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
        assert_eq!(again.text(), done.text());
    }
    let now = client.get(&transaction).etag();
    for (fields, status, slug) in [
        (vec![("if-match", "*")], 409, "transaction-finished"),
        (vec![("if-match", &*now)], 409, "transaction-finished"),
        (vec![("if-match", "\"x\"")], 412, "stale-transaction"),
        (vec![("if-match", &*format!("W/{tag}"))], 412, "weak-etag"),
        (
            vec![("if-match", &*tag), ("if-none-match", "*")],
            412,
            "stale-transaction",
        ),
        (vec![("if-none-match", "*")], 412, "stale-transaction"),
        (
            vec![("if-match", &*tag), ("prefer", "handling=strict")],
            412,
            "already-applied",
        ),
        (vec![], 428, "precondition-required"),
        (vec![("if-match", "x")], 400, "malformed-request"),
    ] {
        let refused = client.send("PATCH", &transaction, &fields, COMMIT);
        let refused = refused.expect_problem(status, slug);
        if [409, 412].contains(&status) {
            assert_eq!(refused.json()["current"], done.json(), "{fields:?}");
        }
    }
    // It asks for something else.
    let renew = Some("{\"expires_in\": 60}");
    client
        .send("PATCH", &transaction, &[("if-match", &tag)], renew)
        .expect_problem(412, "stale-transaction");
    assert_eq!(balances(&mut client), [90, 10]);
}

#[test]
fn the_same_operation_put_after_a_commit_is_a_repetition() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = drafted(&mut client);
    let draft = client.get(&transaction).json()["changes"].to_string();
    commit(&mut client, &transaction, &tag).expect(200);
    let again = client.apply(&transaction, "\"x\"", &draft).expect(200);
    assert!(again.header("idempotent-replayed").is_some());
    let saved = save(&mut client, &transaction, "*", &draft);
    saved.expect_problem(409, "transaction-finished");
    save(&mut client, &transaction, "\"x\"", &draft).expect_problem(412, "stale-transaction");
}

#[test]
fn a_stale_commit_names_every_false_condition_and_leaves_the_draft_under_its_tag() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = drafted(&mut client);
    let new = format!("{transaction}/resources/accounts/carol");
    client
        .send("PUT", &new, &[("if-none-match", "*")], Some("{}"))
        .expect(204);
    let tag = match client.get(&transaction).etag() {
        new if new != tag => new,
        _ => panic!("the tag is the same"),
    };
    let before = client.get(&transaction).text();
    let star = [("if-match", "*")];
    client
        .send("PUT", ALICE, &star, Some("{\"balance\": 1}"))
        .expect(204);
    client.send("DELETE", BOB, &star, None).expect(204);
    client.put_new("/resources/accounts/carol", "{}");
    for condition in [&*tag, "*"] {
        let fields = [("if-match", condition), ("prefer", "return=representation")];
        let stale = client.send("PATCH", &transaction, &fields, COMMIT);
        let stale = stale.expect_problem(412, "stale-resource").json();
        let conflicts = stale["conflicts"].as_array().unwrap();
        let targets: Vec<_> = conflicts
            .iter()
            .map(|c| c["target"].as_str().unwrap())
            .collect();
        assert_eq!(targets, [ALICE, BOB, "/resources/accounts/carol"]);
        assert_eq!(conflicts[0]["body"], json!({"balance": 1}));
        assert_eq!(conflicts[1]["current"], json!(null));
        assert_eq!(client.get(&transaction).text(), before);
    }
    // Where they are true again by new conditions, it goes on.
    let put = format!(r#"[{{"method":"PUT","target":"{ALICE}","if_match":"*","body":5}}]"#);
    let saved = save(&mut client, &transaction, &tag, &put)
        .expect(200)
        .json();
    commit(&mut client, &transaction, saved["etag"].as_str().unwrap()).expect(200);
    assert_eq!(client.get(ALICE).text(), "5");
    client.get(BOB).expect(404);
}

#[test]
fn a_patch_is_applied_to_what_is_there_at_the_commit() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(ALICE, "{\"balance\": 100}");
    let (transaction, _) = client.open_transaction();
    let add = format!(
        r#"[{{"method":"PATCH","target":"{ALICE}","if_match":"*","content_type":"{INCREMENT}","body":{{"balance":-10}}}}]"#
    );
    save(&mut client, &transaction, "*", &add).expect(200);
    let star = [("if-match", "*")];
    client
        .send("PUT", ALICE, &star, Some("{\"balance\": \"\"}"))
        .expect(204);
    let refused = commit(&mut client, &transaction, "*").expect_problem(422, "invalid-operation");
    assert_eq!(
        refused.json()["errors"][0]["pointer"],
        "#/changes/0/body/balance"
    );
    client
        .send("PUT", ALICE, &star, Some("{\"balance\": 50}"))
        .expect(204);
    commit(&mut client, &transaction, "*").expect(200);
    assert_eq!(client.get(ALICE).json()["balance"], 40);
}

#[test]
fn what_cannot_be_committed_is_refused_with_its_place() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    commit(&mut client, &transaction, &tag).expect_problem(422, "invalid-operation");
    commit(&mut client, &transaction, "\"x\"").expect_problem(412, "stale-transaction");
    for (content, pointer) in [
        (
            r#"{"state": "committed", "expires_in": 60}"#,
            "#/expires_in",
        ),
        (
            r#"{"expires_in": 60, "state": "committed"}"#,
            "#/expires_in",
        ),
        (r#"{"state": "open"}"#, "#/state"),
        (r#"{"state": "cancelled"}"#, "#/state"),
        (r#"{"state": null}"#, "#/state"),
        (r#"{"state": "committed", "changes": []}"#, "#/changes"),
    ] {
        let refused = client.send("PATCH", &transaction, &[("if-match", "*")], Some(content));
        let refused = refused.expect_problem(422, "invalid-operation").json();
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{content}");
    }
    let merge = [
        ("if-match", "*"),
        ("content-type", "application/merge-patch+json"),
    ];
    client
        .send("PATCH", &transaction, &merge, COMMIT)
        .expect_problem(422, "invalid-operation");
    let unknown = format!("/transactions/{}", uuid::Uuid::now_v7());
    commit(&mut client, &unknown, "*").expect_problem(404, "not-found");
    assert_eq!(client.get(&transaction).etag(), tag);
    client
        .send("DELETE", &transaction, &[("if-match", "*")], None)
        .expect(204);
    commit(&mut client, &transaction, &tag).expect_problem(410, "transaction-cancelled");
}

#[test]
fn a_renewed_transaction_keeps_its_draft() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = drafted(&mut client);
    let before = changes(&mut client, &transaction);
    let view = client.get(&format!("{transaction}{ALICE}")).etag();
    let renew = Some("{\"expires_in\": 60}");
    let renewed = client.send("PATCH", &transaction, &[("if-match", &tag)], renew);
    let tag = renewed.expect(200).json()["etag"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(changes(&mut client, &transaction), before);
    assert_eq!(client.get(&format!("{transaction}{ALICE}")).etag(), view);
    commit(&mut client, &transaction, &tag).expect(200);
    assert_eq!(balances(&mut client), [90, 10]);
}

#[test]
fn a_commit_whose_answer_was_lost_is_repeated_and_applied_once() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = drafted(&mut client);
    let content = COMMIT.unwrap();
    let request = format!(
        "PATCH {transaction} HTTP/1.1\r\nhost: x\r\nif-match: {tag}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{content}",
        content.len()
    );
    client.send_and_hang_up(request.as_bytes());
    eventually("it is committed", || {
        client.get(&transaction).json()["state"] == "committed"
    });
    // Another server knows as much.
    let other = Server::over(&server.database_url, |_| {}, |_| {});
    let again = commit(&mut other.client(), &transaction, &tag).expect(200);
    assert!(again.header("idempotent-replayed").is_some());
    assert_eq!(balances(&mut client), [90, 10]);
}

#[test]
fn a_change_of_a_large_draft_counts_for_the_whole() {
    let server = Server::with(|engine| engine.limits.body_bytes_max = 4000, |_| {});
    let mut client = server.client();
    let (transaction, _) = client.open_transaction();
    let long = format!("\"{}\"", "x".repeat(1900));
    let mut put = |key: &str, body: &str| {
        let view = format!("{transaction}/resources/a/{key}");
        client.send("PUT", &view, &[("if-none-match", "*")], Some(body))
    };
    put("a", &long).expect(204);
    put("b", &long).expect(204);
    put("c", &long).expect_problem(413, "content-too-large");
    put("c", "1").expect_problem(413, "content-too-large");
    assert_eq!(changes(&mut client, &transaction).len(), 2);
    commit(&mut client, &transaction, "*").expect(200);
}
