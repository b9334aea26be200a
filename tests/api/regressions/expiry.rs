//! Nobody is told that a transaction has expired while the commit that applies it is under way.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;

use super::proxy::{Fault, eventually};
use super::scene::{Context, Scene, blocked, number};
use crate::support::client::{Client, Response};
use crate::support::cluster;

/// Long enough for an operation to begin, on a busy machine too.
const SOON: &str =
    "UPDATE transactions SET expires_at = now() + interval '1 second' WHERE state = 'open'";

/// What is asked while the operation is under way.
type Question = fn(&mut Client, &Context) -> Response;

const QUESTIONS: [(&str, Question); 5] = [
    ("GET", |client, context| client.get(&context.path)),
    ("GET under If-None-Match", |client, context| {
        let headers = [("if-none-match", &*context.tag)];
        client.send("GET", &context.path, &headers, None)
    }),
    ("DELETE", |client, context| {
        client.send("DELETE", &context.path, &[("if-match", "*")], None)
    }),
    ("PATCH", |client, context| {
        let headers = [("if-match", &*context.tag)];
        client.send(
            "PATCH",
            &context.path,
            &headers,
            Some("{\"expires_in\": 60}"),
        )
    }),
    ("PUT of what does not parse", |client, context| {
        client.send("PUT", &context.path, &[("if-match", "*")], Some("{"))
    }),
];

#[test]
fn a_transaction_that_waits_for_a_row_past_its_expiry_is_not_called_expired_and_then_applied() {
    for (name, question) in QUESTIONS {
        let mut scene = Scene::with(&["a"]);
        let context = scene.context();
        let mut holder = cluster::connect(&scene.server.database_url);
        holder
            .batch_execute("BEGIN; SELECT 1 FROM resources WHERE key = 'a' FOR UPDATE")
            .unwrap();
        scene.store.batch_execute(SOON).unwrap();
        let put = begin(&scene, &context);
        scene.wait_blocked();
        let asked = ask_past_expiry(&mut scene, &context, question);
        holder.batch_execute("ROLLBACK").unwrap();
        check_agree(name, &mut scene, &context, put, &asked);
    }
}

#[test]
fn a_transaction_whose_commit_arrives_past_its_expiry_is_not_called_expired_and_then_applied() {
    for fault in [Fault::HoldCommit, Fault::HoldAndDropCommit] {
        for (name, question) in QUESTIONS {
            let mut scene = Scene::with(&["a"]);
            let context = scene.context();
            scene.store.batch_execute(SOON).unwrap();
            scene.proxy.arm(fault);
            let put = begin(&scene, &context);
            scene.proxy.wait_struck(1);
            scene.wait_blocked();
            let asked = ask_past_expiry(&mut scene, &context, question);
            scene.proxy.release();
            check_agree(name, &mut scene, &context, put, &asked);
        }
    }
}

fn begin(scene: &Scene, context: &Context) -> JoinHandle<Response> {
    let (mut client, sent) = (scene.server.client(), context.clone());
    thread::spawn(move || sent.apply(&mut client, "a", 1))
}

/// Asks once the transaction's time is up; goes on when that is answered, or waits like the operation.
#[track_caller]
fn ask_past_expiry(
    scene: &mut Scene,
    context: &Context,
    question: Question,
) -> mpsc::Receiver<Response> {
    eventually("its time is up", || is_past(&mut scene.store));
    let before = blocked(&mut scene.store);
    let (sender, answer) = mpsc::channel();
    let (mut client, asked) = (scene.server.client(), context.clone());
    let (told, tell) = mpsc::channel();
    thread::spawn(move || {
        let response = question(&mut client, &asked);
        told.send(()).unwrap();
        sender.send(response).unwrap();
    });
    // With one committer, a write may wait in the queue instead: it cannot be seen there, and does no harm.
    for _ in 0..100 {
        if tell.recv_timeout(Duration::from_millis(5)).is_ok() || blocked(&mut scene.store) > before
        {
            break;
        }
    }
    // Kept alive: the thread tells it in any case.
    thread::spawn(move || tell.recv());
    answer
}

fn is_past(store: &mut PgConnection) -> bool {
    let sql = "SELECT count(*) AS number FROM transactions WHERE expires_at < clock_timestamp()";
    number(store, sql) > 0
}

#[track_caller]
fn check_agree(
    name: &str,
    scene: &mut Scene,
    context: &Context,
    put: JoinHandle<Response>,
    asked: &mpsc::Receiver<Response>,
) {
    let put = put.join().unwrap();
    let asked = asked.recv_timeout(Duration::from_secs(60)).unwrap();
    let applied = put.status == 200;
    if applied {
        assert_eq!(put.json()["state"], "committed");
        assert_ne!(
            asked.status,
            410,
            "{name}: the PUT was applied\n{}",
            asked.text()
        );
        assert_ne!((name, asked.status), ("DELETE", 204), "the PUT was applied");
        assert_eq!(
            scene.client.get(&context.path).expect(200).json(),
            put.json()
        );
    } else {
        put.expect_problem(410, "transaction-expired");
        let read = scene.client.get(&context.path);
        read.expect_problem(410, "transaction-expired");
        let refused = asked.clone().expect_problem(410, "transaction-expired");
        assert_eq!(
            refused.header("cache-control").as_deref(),
            Some("no-store"),
            "{name}"
        );
    }
    assert_eq!(scene.version("a"), if applied { 2 } else { 1 }, "{name}");
}
