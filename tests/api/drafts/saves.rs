//! Whole drafts: saved by PUT, judged when saved, repeated, replaced.

use serde_json::json;

use super::{changes, commit, save};
use crate::support::client::Client;
use crate::support::server::Server;

const TARGET: &str = "/resources/a/k";

fn put(key: &str, condition: &str, body: &str) -> String {
    format!(r#"{{"method":"PUT","target":"/resources/a/{key}",{condition},"body":{body}}}"#)
}

const NEW: &str = r#""if_none_match":"*""#;

fn view_tag(client: &mut Client, transaction: &str, key: &str) -> String {
    client
        .get(&format!("{transaction}/resources/a/{key}"))
        .expect(200)
        .etag()
}

#[test]
fn a_save_applies_nothing_and_changes_the_tag() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    let content = format!("[{}, {}]", put("k", NEW, "1.0"), put("l", NEW, "null"));
    let saved = save(&mut client, &transaction, &tag, &content).expect(200);
    assert_eq!(saved.header("content-location"), Some(transaction.clone()));
    assert_eq!(
        (saved.header("etag"), saved.header("idempotent-replayed")),
        (None, None)
    );
    let document = saved.json();
    assert_eq!(document["state"], "open");
    assert_ne!(document["etag"], tag);
    let seen = client.get(&transaction).expect(200);
    assert_eq!(
        (seen.text(), json!(seen.etag())),
        (saved.text(), document["etag"].clone())
    );
    client.get(TARGET).expect(404);
    let listed = client.get("/transactions?state=open").json();
    assert_eq!(listed["items"][0]["etag"], document["etag"]);
    // The document can be sent back as it is, and is then the same draft.
    let again = client.send(
        "PUT",
        &transaction,
        &[("if-match", "*")],
        Some(&saved.text()),
    );
    assert!(again.expect(200).header("idempotent-replayed").is_some());
    client
        .get(&format!("{transaction}/resources/a/l"))
        .expect(200);
}

#[test]
fn a_repeated_save_that_the_draft_equals_is_answered_again_and_writes_nothing() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    let content = format!("[{}]", put("k", NEW, "{\"a\": 1, \"b\": 2.0}"));
    let saved = save(&mut client, &transaction, &tag, &content).expect(200);
    let now = client.get(&transaction).etag();
    let spelled = format!("[ {} ]", put("%6B", NEW, "{\"b\":2,\"a\":1e0}"));
    // Its condition would be false by now.
    client.put_new(TARGET, "7");
    for condition in [&*tag, &*now, "*", "\"x\""] {
        for content in [&content, &spelled] {
            let again = save(&mut client, &transaction, condition, content).expect(200);
            assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
            assert_eq!(again.text(), saved.text());
        }
    }
    let whole = format!(r#"{{"state": "open", "changes": {content}}}"#);
    for (fields, status, slug) in [
        (vec![("if-match", "W/\"x\"")], 412, "weak-etag"),
        (vec![("if-none-match", "*")], 412, "stale-transaction"),
        (
            vec![("if-match", "*"), ("if-none-match", "*")],
            412,
            "stale-transaction",
        ),
        (
            vec![("if-match", &*tag), ("prefer", "handling=strict")],
            412,
            "stale-transaction",
        ),
        (vec![], 428, "precondition-required"),
    ] {
        let refused = client.send("PUT", &transaction, &fields, Some(&whole));
        refused.expect_problem(status, slug);
    }
    let strict = [("if-match", &*now), ("prefer", "handling=strict")];
    client
        .send("PUT", &transaction, &strict, Some(&whole))
        .expect(200);
    let other = format!("[{}]", put("l", NEW, "1"));
    let refused = save(&mut client, &transaction, &tag, &other);
    let refused = refused.expect_problem(412, "stale-transaction").json();
    assert_eq!(refused["current"], saved.json());
    assert_eq!(client.get(&transaction).etag(), now);
}

#[test]
fn a_save_is_judged_and_a_refused_one_keeps_the_draft_of_before() {
    let server = Server::start();
    let mut client = server.client();
    let own = client.put_new(TARGET, "{\"n\": 1}");
    let (transaction, _) = client.open_transaction();
    save(
        &mut client,
        &transaction,
        "*",
        &format!("[{}]", put("l", NEW, "1")),
    )
    .expect(200);
    let before = client.get(&transaction).text();
    let patch = r#"{"method":"PATCH","target":"/resources/a/k","if_match":"*","content_type":"application/json-patch+json","body":[{"op":"remove","path":"/x"}]}"#;
    for (content, status, slug) in [
        (
            format!(
                "[{},{}]",
                put("k", NEW, "1"),
                put("m", r#""if_match":"*""#, "1")
            ),
            412,
            "stale-resource",
        ),
        (format!("[{patch}]"), 409, "patch-conflict"),
        ("[]".into(), 422, "invalid-operation"),
        (
            format!("[{0},{0}]", put("l", NEW, "1")),
            422,
            "invalid-operation",
        ),
        (
            format!(
                "[{}]",
                put("l", r#""content_type":"application/json""#, "1")
            ),
            428,
            "precondition-required",
        ),
    ] {
        let refused = save(&mut client, &transaction, "*", &content).expect_problem(status, slug);
        if status == 412 {
            assert_eq!(
                refused.json()["conflicts"].as_array().map(Vec::len),
                Some(2)
            );
            assert_eq!(refused.json()["conflicts"][0]["current"], own);
        }
        assert_eq!(client.get(&transaction).text(), before);
    }
    let wrong = r#"{"state": "open"}"#;
    client
        .send("PUT", &transaction, &[("if-match", "*")], Some(wrong))
        .expect_problem(422, "invalid-operation");
}

#[test]
fn changes_that_stay_the_same_keep_their_tags() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, _) = client.open_transaction();
    let [one, two, three] = ["1", "2", "3"].map(|body| put("k", NEW, body));
    let other = put("l", NEW, "1");
    save(&mut client, &transaction, "*", &format!("[{one},{other}]")).expect(200);
    let tags = ["k", "l"].map(|key| view_tag(&mut client, &transaction, key));
    save(&mut client, &transaction, "*", &format!("[{other},{two}]")).expect(200);
    assert_eq!(view_tag(&mut client, &transaction, "l"), tags[1]);
    let second = view_tag(&mut client, &transaction, "k");
    assert_ne!(second, tags[0]);
    save(&mut client, &transaction, "*", &format!("[{three}]")).expect(200);
    save(&mut client, &transaction, "*", &format!("[{one}]")).expect(200);
    let back = view_tag(&mut client, &transaction, "k");
    assert!(back != tags[0] && back != second, "no tag comes twice");
}

#[test]
fn an_id_of_ones_own_is_created_with_its_draft() {
    let server = Server::start();
    let mut client = server.client();
    let path = format!("/transactions/{}", uuid::Uuid::now_v7());
    let content = json!({"state": "open", "reference": "r", "expires_in": 60,
        "changes": [{"method": "PUT", "target": TARGET, "if_none_match": "*", "body": 1}]});
    let stale = content.to_string().replace("if_none_match", "if_match");
    let mut create =
        |content: &str| client.send("PUT", &path, &[("if-none-match", "*")], Some(content));
    create(&stale).expect_problem(412, "stale-resource");
    let made = create(&content.to_string()).expect(201);
    create(&content.to_string()).expect_problem(412, "stale-transaction");
    assert_eq!(made.location(), path);
    let document = made.json();
    assert_eq!(
        (document["state"].as_str(), document["reference"].as_str()),
        (Some("open"), Some("r"))
    );
    client.get(TARGET).expect(404);
    assert_eq!(changes(&mut client, &path), [format!("PUT {TARGET} - *")]);
    commit(&mut client, &path, document["etag"].as_str().unwrap()).expect(200);
    assert_eq!(client.get(TARGET).expect(200).text(), "1");
}

#[test]
fn a_plain_put_applies_what_it_holds_whatever_the_draft_was() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, _) = client.open_transaction();
    save(
        &mut client,
        &transaction,
        "*",
        &format!("[{}]", put("k", NEW, "1")),
    )
    .expect(200);
    let from = client.get(&transaction).etag();
    let applied = client.apply(&transaction, &from, &format!("[{}]", put("l", NEW, "2")));
    assert_eq!(
        applied.expect(200).json()["changes"][0]["target"],
        "/resources/a/l"
    );
    client.get(TARGET).expect(404);
    assert_eq!(client.get("/resources/a/l").expect(200).text(), "2");
    commit(&mut client, &transaction, &from).expect_problem(412, "stale-transaction");
}
