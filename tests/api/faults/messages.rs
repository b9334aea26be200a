//! The connection breaks at every message of a batch, one after the other.

use super::proxy::Fault;
use super::scene::{Scene, check_replay, check_unavailable, named, operation};

/// More than any batch of one command sends.
const MESSAGES_MAX: usize = 200;

#[test]
fn a_transaction_survives_a_cut_at_every_message_of_a_warm_connection() {
    let mut scene = Scene::with(&["a"]);
    let mut applied = 0;
    for number in 1..=MESSAGES_MAX {
        let context = scene.context();
        // Statements are prepared by now, but for the first round.
        scene.proxy.arm(Fault::CutAt(number));
        context.apply(&mut scene.client, "a", number).expect(200);
        applied += 1;
        let complete = scene.proxy.disarm();
        check_replay(context.apply(&mut scene.client, "a", number));
        assert_eq!(scene.version("a"), applied + 1, "cut at message {number}");
        if complete {
            assert!(
                number > 6,
                "a batch of {number} messages has not been cut at all of them"
            );
            assert_eq!(scene.proxy.struck(), number - 1);
            return;
        }
    }
    panic!("a batch of more than {MESSAGES_MAX} messages");
}

#[test]
fn a_client_is_told_the_truth_after_a_cut_at_every_message_of_a_new_connection() {
    let mut scene = Scene::with(&["a"]);
    let mut applied = 0;
    for number in 1..=MESSAGES_MAX {
        let (path, content) = (named(), operation("a", number));
        let put = |scene: &mut Scene| {
            scene
                .client
                .send("PUT", &path, &[("if-none-match", "*")], Some(&content))
        };
        // The connection there is, and then the one that takes its place: the server may give up after two.
        scene.proxy.cut();
        scene.proxy.arm(Fault::CutAt(number));
        let answer = put(&mut scene);
        if answer.status == 503 {
            check_unavailable(answer);
            assert_eq!(
                scene.version("a"),
                applied + 1,
                "nothing was applied, cut at message {number}"
            );
            put(&mut scene).expect(201);
        } else {
            answer.expect(201);
        }
        applied += 1;
        let complete = scene.proxy.disarm();
        put(&mut scene).expect_problem(412, "already-applied");
        check_replay(
            scene
                .client
                .send("PUT", &path, &[("if-match", "*")], Some(&content)),
        );
        assert_eq!(scene.version("a"), applied + 1, "cut at message {number}");
        if complete {
            assert!(
                number > 15,
                "a batch of {number} messages has not been cut at all of them"
            );
            return;
        }
    }
    panic!("a batch of more than {MESSAGES_MAX} messages");
}

#[test]
fn a_refusal_survives_a_cut_at_every_message() {
    let mut scene = Scene::with(&["a"]);
    for number in 1..=MESSAGES_MAX {
        scene.proxy.arm(Fault::CutAt(number));
        let refused = scene.client.send(
            "PUT",
            "/resources/accounts/a",
            &[("if-match", "\"other\"")],
            Some("1"),
        );
        refused.expect_problem(412, "stale-resource");
        assert_eq!(scene.version("a"), 1, "cut at message {number}");
        if scene.proxy.disarm() {
            return;
        }
    }
    panic!("a batch of more than {MESSAGES_MAX} messages");
}

#[test]
fn a_read_survives_a_cut_at_every_message() {
    let mut scene = Scene::with(&["a"]);
    for number in 1..=MESSAGES_MAX {
        scene.proxy.arm(Fault::CutAt(number));
        assert_eq!(
            scene.client.get("/resources/accounts/a").expect(200).text(),
            "0",
            "cut at message {number}"
        );
        if scene.proxy.disarm() {
            assert!(number > 1);
            return;
        }
    }
    panic!("a read of more than {MESSAGES_MAX} messages");
}
