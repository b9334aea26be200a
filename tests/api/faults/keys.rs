//! The connection breaks at the COMMIT of a request with a key.

use std::thread;

use super::proxy::Fault;
use super::scene::{Scene, number};
use crate::support::client::{Client, Response};

const FAULTS: [Fault; 3] = [
    Fault::CutBeforeCommit,
    Fault::CutAfterCommit,
    Fault::CutWithCommit,
];
const PATH: &str = "/resources/accounts/a";

fn add(client: &mut Client, key: &str) -> Response {
    let kind = "application/vnd.ifmatch.increment+json";
    let fields = [
        ("if-match", "*"),
        ("idempotency-key", key),
        ("content-type", kind),
    ];
    client.send("PATCH", PATH, &fields, Some("{\"n\": 1}"))
}

fn post(client: &mut Client, key: &str, content: &str) -> Response {
    client.send(
        "POST",
        "/transactions",
        &[("idempotency-key", key)],
        Some(content),
    )
}

/// A scene with a document that counts.
fn counting() -> Scene {
    let mut scene = Scene::with(&["a"]);
    scene
        .client
        .send("PUT", PATH, &[("if-match", "*")], Some("{\"n\": 0}"))
        .expect(204);
    scene
}

#[track_caller]
fn check_once(scene: &mut Scene, first: &Response, again: &Response) {
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!((first.status, first.text()), (again.status, again.text()));
    assert_eq!(scene.version("a"), 3);
    let keys = number(&mut scene.store, "SELECT count(*) AS number FROM keys");
    assert_eq!(keys, 1);
}

#[test]
fn a_direct_write_with_a_key_is_applied_once_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let mut scene = counting();
        scene.proxy.arm(fault);
        let first = add(&mut scene.client, "k").expect(204);
        assert_eq!(scene.proxy.struck(), 1, "{fault:?}");
        assert_eq!(
            first.header("idempotent-replayed"),
            None,
            "{fault:?}: this request did it"
        );
        let again = add(&mut scene.client, "k");
        assert_eq!(first.etag(), again.etag());
        check_once(&mut scene, &first, &again);
    }
}

#[test]
fn a_command_is_applied_once_wherever_its_commit_breaks() {
    let content = r#"{"changes": [{"method": "PUT", "target": "/resources/accounts/a", "if_match": "*", "body": 1}]}"#;
    for fault in FAULTS {
        let mut scene = counting();
        scene.proxy.arm(fault);
        let first = post(&mut scene.client, "k", content).expect(201);
        assert_eq!(scene.proxy.struck(), 1, "{fault:?}");
        let again = post(&mut scene.client, "k", content);
        check_once(&mut scene, &first, &again);
    }
}

#[test]
fn a_key_alone_is_remembered_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let mut scene = Scene::with(&[]);
        let content = r#"{"reference": "r"}"#;
        let opened = scene
            .client
            .send("POST", "/transactions", &[], Some(content));
        let opened = opened.expect(201);
        scene.proxy.arm(fault);
        // The context is shared: there is nothing to write but the key.
        let shared = post(&mut scene.client, "k", content).expect(200);
        assert_eq!(scene.proxy.struck(), 1, "{fault:?}");
        assert_eq!(shared.location(), opened.location());
        let again = post(&mut scene.client, "k", content).expect(200);
        assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
        let keys = number(&mut scene.store, "SELECT count(*) AS number FROM keys");
        assert_eq!(keys, 1, "{fault:?}");
    }
}

#[test]
fn a_commit_that_arrives_late_or_never_is_waited_for() {
    for fault in [Fault::HoldCommit, Fault::HoldAndDropCommit] {
        let mut scene = counting();
        scene.proxy.arm(fault);
        let mut client = scene.server.client();
        let request = thread::spawn(move || add(&mut client, "k"));
        scene.proxy.wait_struck(1);
        scene.wait_blocked();
        scene.proxy.release();
        let first = request.join().unwrap().expect(204);
        let again = add(&mut scene.client, "k");
        assert_eq!(first.etag(), again.etag(), "{fault:?}");
        check_once(&mut scene, &first, &again);
    }
}
