//! A write that is one statement and a transaction by itself: its answer gets lost, or it arrives late.

use std::thread;

use super::proxy::Fault;
use super::scene::{Scene, check_replay, named};

const ACCOUNT: &str = "/resources/accounts/a";

fn exactly(tag: &str, value: usize) -> String {
    let tag = tag.trim_matches('"');
    format!(
        r#"{{"changes": [{{"method": "PUT", "target": "{ACCOUNT}", "if_match": "{tag}", "body": {value}}}]}}"#
    )
}

#[test]
fn a_named_transaction_under_an_exact_tag_is_applied_once_wherever_its_commit_breaks() {
    for fault in [
        Fault::CutBeforeCommit,
        Fault::CutAfterCommit,
        Fault::CutWithCommit,
    ] {
        let mut scene = Scene::with(&["a"]);
        let tag = scene.client.get(ACCOUNT).expect(200).etag();
        let (path, content) = (named(), exactly(&tag, 1));
        scene.proxy.arm(fault);
        scene
            .client
            .send("PUT", &path, &[("if-none-match", "*")], Some(&content))
            .expect(201);
        assert_eq!(
            (scene.proxy.struck(), scene.version("a")),
            (1, 2),
            "{fault:?}"
        );
        check_replay(
            scene
                .client
                .send("PUT", &path, &[("if-match", "*")], Some(&content)),
        );
        assert_eq!(scene.version("a"), 2, "{fault:?}");
    }
}

/// The statement waits in a buffer while the server, cut off, does the work another way. Then it arrives.
#[test]
fn a_write_that_arrives_after_it_was_done_again_does_nothing() {
    for named_by_client in [true, false] {
        let mut scene = Scene::with(&["a"]);
        let tag = scene.client.get(ACCOUNT).expect(200).etag();
        scene.proxy.arm(Fault::HoldCommit);
        if named_by_client {
            let content = exactly(&tag, 1);
            scene
                .client
                .send("PUT", &named(), &[("if-none-match", "*")], Some(&content))
                .expect(201);
        } else {
            scene
                .client
                .send("PUT", ACCOUNT, &[("if-match", &tag)], Some("1"))
                .expect(204);
        }
        assert_eq!((scene.proxy.struck(), scene.version("a")), (1, 2));
        scene.proxy.release();
        // Whatever it does, it does before the next write of the same resource, which waits for its lock.
        thread::sleep(std::time::Duration::from_millis(200));
        assert_eq!(scene.version("a"), 2);
        let next = scene.client.get(ACCOUNT).expect(200).etag();
        scene
            .client
            .send("PUT", ACCOUNT, &[("if-match", &next)], Some("2"))
            .expect(204);
        assert_eq!(scene.version("a"), 3);
    }
}

/// The statement is under way, waiting for a row, when its connection breaks; it goes on once the row is free.
#[test]
fn a_write_that_goes_on_after_its_connection_broke_is_told_as_it_ends() {
    for named_by_client in [true, false] {
        let mut scene = Scene::with(&["a"]);
        let tag = scene.client.get(ACCOUNT).expect(200).etag();
        let row = scene.hold_row("a");
        scene.proxy.arm(Fault::CutWithCommit);
        let mut client = scene.server.client();
        let sent = tag.clone();
        let request = thread::spawn(move || {
            if named_by_client {
                let content = exactly(&sent, 1);
                client
                    .send("PUT", &named(), &[("if-none-match", "*")], Some(&content))
                    .expect(201)
            } else {
                client
                    .send("PUT", ACCOUNT, &[("if-match", &sent)], Some("1"))
                    .expect(204)
            }
        });
        scene.proxy.wait_struck(1);
        scene.wait_blocked();
        drop(row);
        request.join().unwrap();
        assert_eq!(scene.version("a"), 2);
    }
}

/// It was applied, its answer is lost, and nobody can be asked: then nobody says that nothing was applied.
#[test]
fn a_write_in_doubt_is_not_called_unapplied_while_postgres_stays_away() {
    for named_by_client in [true, false] {
        let mut scene = Scene::with(&["a"]);
        let tag = scene.client.get(ACCOUNT).expect(200).etag();
        // New connections only: the one there is takes the statement.
        scene.proxy.refuse_new();
        scene.proxy.arm(Fault::CutAfterCommit);
        let answer = if named_by_client {
            let content = exactly(&tag, 1);
            scene
                .client
                .send("PUT", &named(), &[("if-none-match", "*")], Some(&content))
        } else {
            scene
                .client
                .send("PUT", ACCOUNT, &[("if-match", &tag)], Some("1"))
        };
        let problem = answer.expect_problem(503, "unavailable").json();
        let detail = problem["detail"].as_str().unwrap();
        assert!(!detail.contains("Nothing was applied"), "{detail}");
        assert_eq!((scene.proxy.struck(), scene.version("a")), (1, 2));
        scene.proxy.allow();
    }
}
