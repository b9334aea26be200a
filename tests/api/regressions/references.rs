//! Whoever takes the reference of an expired transaction writes that one too; what proves the commit is the new one.

use diesel::connection::SimpleConnection;
use serde_json::json;

use super::proxy::Fault;
use super::scene::{Scene, named, number};
use crate::support::client::Response;

const FAULTS: [Fault; 3] = [
    Fault::CutBeforeCommit,
    Fault::CutAfterCommit,
    Fault::CutWithCommit,
];
const CREATE: [(&str, &str); 1] = [("if-none-match", "*")];

/// A scene with an expired transaction that still has the reference `r` in the store; its path.
fn expired() -> (Scene, String) {
    let mut scene = Scene::with(&[]);
    let content = r#"{"expires_in": 1, "reference": "r"}"#;
    let opened = scene
        .client
        .send("POST", "/transactions", &[], Some(content))
        .expect(201);
    let sql = "UPDATE transactions SET expires_at = now() - interval '1 second'";
    scene.store.batch_execute(sql).unwrap();
    (scene, opened.location())
}

/// Checks that exactly one transaction has the reference, and that it is this one.
#[track_caller]
fn check_holder(scene: &mut Scene, fault: Fault, made: &Response, expired: &str, state: &str) {
    let path = made.location();
    let read = scene.client.get(&path).expect(200).json();
    assert_eq!(read, made.json(), "{fault:?}");
    assert_eq!(
        (&read["state"], &read["reference"]),
        (&json!(state), &json!("r")),
        "{fault:?}"
    );
    let holders = "SELECT count(*) AS number FROM transactions WHERE reference = 'r' AND state IN ('open', 'committed')";
    assert_eq!(number(&mut scene.store, holders), 1, "{fault:?}");
    scene
        .client
        .get(expired)
        .expect_problem(410, "transaction-expired");
    let listed = scene
        .client
        .get("/transactions?reference=r")
        .expect(200)
        .json();
    let items = listed["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{fault:?}: {listed:#}");
    assert_eq!(items[0]["id"], read["id"], "{fault:?}");
}

#[test]
fn an_operation_that_takes_an_expired_reference_is_applied_once_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let (mut scene, old) = expired();
        let path = named();
        let content = json!({"reference": "r", "changes": [
            {"method": "PUT", "target": "/resources/accounts/new", "if_none_match": "*", "body": 1},
        ]})
        .to_string();
        scene.proxy.arm(fault);
        let created = scene.client.send("PUT", &path, &CREATE, Some(&content));
        assert_eq!(scene.proxy.struck(), 1, "{fault:?}");
        let created = created.expect(201);
        assert_eq!(created.location(), path);
        check_holder(&mut scene, fault, &created, &old, "committed");
        assert_eq!(scene.version("new"), 1, "{fault:?}");
        assert_eq!(
            scene
                .client
                .get("/resources/accounts/new")
                .expect(200)
                .text(),
            "1"
        );
        scene
            .client
            .send("PUT", &path, &CREATE, Some(&content))
            .expect_problem(412, "already-applied");
        assert_eq!(scene.version("new"), 1, "{fault:?}");
    }
}

#[test]
fn a_context_that_takes_an_expired_reference_is_created_once_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let (mut scene, old) = expired();
        scene.proxy.arm(fault);
        let content = r#"{"reference": "r"}"#;
        let created = scene
            .client
            .send("POST", "/transactions", &[], Some(content));
        assert_eq!(scene.proxy.struck(), 1, "{fault:?}");
        let created = created.expect(201);
        assert_ne!(created.location(), old);
        check_holder(&mut scene, fault, &created, &old, "open");
        let shared = scene
            .client
            .send("POST", "/transactions", &[], Some(content))
            .expect(200);
        assert_eq!(shared.json(), created.json(), "{fault:?}");
    }
}

#[test]
fn a_cancelled_name_that_frees_an_expired_reference_is_cancelled_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let (mut scene, old) = expired();
        let path = named();
        scene.proxy.arm(fault);
        let content = r#"{"state": "cancelled", "reference": "r"}"#;
        let cancelled = scene.client.send("PUT", &path, &CREATE, Some(content));
        assert_eq!(scene.proxy.struck(), 1, "{fault:?}");
        assert_eq!(cancelled.expect(201).json()["state"], "cancelled");
        scene
            .client
            .get(&path)
            .expect_problem(410, "transaction-cancelled");
        scene
            .client
            .get(&old)
            .expect_problem(410, "transaction-expired");
    }
}
