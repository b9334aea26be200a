//! The connection breaks at COMMIT: before, after and while it is under way.

use std::thread;

use diesel::connection::SimpleConnection;

use super::proxy::Fault;
use super::scene::{Context, Scene, check_replay, check_unavailable, named, operation};

const FAULTS: [Fault; 3] = [
    Fault::CutBeforeCommit,
    Fault::CutAfterCommit,
    Fault::CutWithCommit,
];

#[test]
fn a_transaction_is_applied_once_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let mut scene = Scene::with(&["a"]);
        let context = scene.context();
        scene.proxy.arm(fault);
        let answer = context.apply(&mut scene.client, "a", 1).expect(200);
        assert_eq!(scene.proxy.struck(), 1, "{fault:?}");
        assert_eq!(
            answer.header("idempotent-replayed"),
            None,
            "{fault:?}: this request did it"
        );
        assert_eq!(answer.json()["state"], "committed");
        check_applied_once(&mut scene, &context);
    }
}

#[test]
fn a_named_transaction_is_created_and_applied_once_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let mut scene = Scene::with(&["a"]);
        let (path, content) = (named(), operation("a", 1));
        scene.proxy.arm(fault);
        let created = scene
            .client
            .send("PUT", &path, &[("if-none-match", "*")], Some(&content))
            .expect(201);
        assert_eq!(
            (scene.proxy.struck(), created.location()),
            (1, path.clone()),
            "{fault:?}"
        );
        assert_eq!(scene.version("a"), 2, "{fault:?}");
        let repeated = scene
            .client
            .send("PUT", &path, &[("if-none-match", "*")], Some(&content));
        let repeated = repeated.expect_problem(412, "already-applied").json();
        assert_eq!(repeated["current"]["state"], "committed");
        check_replay(
            scene
                .client
                .send("PUT", &path, &[("if-match", "*")], Some(&content)),
        );
        assert_eq!(scene.version("a"), 2, "{fault:?}");
    }
}

#[test]
fn a_direct_write_is_applied_once_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let mut scene = Scene::with(&["a"]);
        let tag = scene.client.get("/resources/accounts/a").expect(200).etag();
        scene.proxy.arm(fault);
        let written = scene
            .client
            .send(
                "PUT",
                "/resources/accounts/a",
                &[("if-match", &tag)],
                Some("1"),
            )
            .expect(204);
        let read = scene.client.get("/resources/accounts/a").expect(200);
        assert_eq!(
            (read.text(), read.etag(), scene.version("a")),
            ("1".into(), written.etag(), 2),
            "{fault:?}"
        );
        let repeated = scene.client.send(
            "PUT",
            "/resources/accounts/a",
            &[("if-match", &tag)],
            Some("1"),
        );
        let repeated = repeated.expect_problem(412, "stale-resource").json();
        let writer = written.header("link").unwrap();
        let named = repeated["conflicts"][0]["transaction"].as_str().unwrap();
        assert!(writer.contains(named), "{fault:?}: {writer} {named}");
        assert_eq!(
            (scene.proxy.struck(), scene.version("a")),
            (1, 2),
            "{fault:?}"
        );
    }
}

#[test]
fn a_delete_is_applied_once_wherever_its_commit_breaks() {
    for fault in FAULTS {
        let mut scene = Scene::with(&["a"]);
        let tag = scene.client.get("/resources/accounts/a").expect(200).etag();
        scene.proxy.arm(fault);
        scene
            .client
            .send(
                "DELETE",
                "/resources/accounts/a",
                &[("if-match", &tag)],
                None,
            )
            .expect(204);
        scene
            .client
            .send(
                "DELETE",
                "/resources/accounts/a",
                &[("if-match", &tag)],
                None,
            )
            .expect_problem(404, "not-found");
        assert_eq!(
            (scene.proxy.struck(), scene.version("a")),
            (1, 2),
            "{fault:?}"
        );
    }
}

#[test]
fn a_context_is_created_and_cancelled_once_wherever_the_commit_breaks() {
    for fault in FAULTS {
        let mut scene = Scene::with(&[]);
        scene.proxy.arm(fault);
        let context = scene.context();
        assert_eq!(
            scene.client.get(&context.path).expect(200).etag(),
            context.tag,
            "{fault:?}"
        );
        scene.proxy.arm(fault);
        scene
            .client
            .send("DELETE", &context.path, &[("if-match", "*")], None)
            .expect(204);
        assert_eq!(scene.proxy.struck(), 2, "{fault:?}");
        scene
            .client
            .get(&context.path)
            .expect_problem(410, "transaction-cancelled");
    }
}

#[test]
fn two_lost_answers_in_a_row_are_settled_too() {
    let mut scene = Scene::with(&["a"]);
    for (count, fault) in [
        Fault::CutAfterCommit,
        Fault::CutBeforeCommit,
        Fault::CutWithCommit,
    ]
    .into_iter()
    .enumerate()
    {
        let context = scene.context();
        scene.proxy.arm(fault);
        context.apply(&mut scene.client, "a", count).expect(200);
        check_replay(context.apply(&mut scene.client, "a", count));
        assert_eq!(
            scene.version("a"),
            i64::try_from(count).unwrap() + 2,
            "{fault:?}"
        );
    }
    assert_eq!(scene.proxy.struck(), 3);
}

#[test]
fn a_commit_that_arrives_late_is_waited_for() {
    let mut scene = Scene::with(&["a"]);
    let context = scene.context();
    scene.proxy.arm(Fault::HoldCommit);
    let answer = while_held(&mut scene, &context);
    let answer = answer.expect(200);
    assert_eq!(answer.header("idempotent-replayed"), None);
    check_applied_once(&mut scene, &context);
}

#[test]
fn a_commit_that_never_arrives_is_waited_for_and_done_again() {
    let mut scene = Scene::with(&["a"]);
    let context = scene.context();
    scene.proxy.arm(Fault::HoldAndDropCommit);
    let answer = while_held(&mut scene, &context);
    let answer = answer.expect(200);
    assert_eq!(answer.header("idempotent-replayed"), None);
    check_applied_once(&mut scene, &context);
}

#[test]
fn a_new_transaction_whose_commit_arrives_late_is_waited_for() {
    for fault in [Fault::HoldCommit, Fault::HoldAndDropCommit] {
        let mut scene = Scene::with(&["a"]);
        let (path, content) = (named(), operation("a", 1));
        scene.proxy.arm(fault);
        let mut client = scene.server.client();
        let (sent_path, sent) = (path.clone(), content.clone());
        let request = thread::spawn(move || {
            client.send("PUT", &sent_path, &[("if-none-match", "*")], Some(&sent))
        });
        scene.proxy.wait_struck(1);
        scene.wait_blocked();
        scene.proxy.release();
        request.join().unwrap().expect(201);
        scene
            .client
            .send("PUT", &path, &[("if-none-match", "*")], Some(&content))
            .expect_problem(412, "already-applied");
        assert_eq!(scene.version("a"), 2, "{fault:?}");
    }
}

#[test]
fn a_client_is_told_that_it_is_unknown_where_postgres_stays_away_after_commit() {
    let database = crate::support::cluster::database();
    let proxy = super::proxy::Proxy::before(&database);
    let server = crate::support::server::Server::over(
        proxy.database_url(),
        |settings| {
            settings.committers = 1;
            settings.connection_timeout = std::time::Duration::from_millis(200);
            settings.time_limit = std::time::Duration::from_millis(1500);
        },
        |_| {},
    );
    let mut client = server.client();
    client
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("0"),
        )
        .expect(201);
    let created = client.send("POST", "/transactions", &[], None).expect(201);
    let context = Context {
        path: created.location(),
        tag: created.etag(),
    };
    proxy.arm(Fault::HoldCommit);
    let (mut second, sent) = (server.client(), context.clone());
    let request = thread::spawn(move || sent.apply(&mut second, "a", 1));
    proxy.wait_struck(1);
    // New connections only: the one that is held goes on.
    proxy.refuse_new();
    check_unavailable(request.join().unwrap());
    proxy.release();
    proxy.allow();
    check_replay(context.apply(&mut client, "a", 1));
    assert_eq!(client.get("/resources/accounts/a").expect(200).text(), "1");
}

/// Applies; lets go of the held COMMIT once the server waits for the transaction that it belongs to.
fn while_held(scene: &mut Scene, context: &Context) -> crate::support::client::Response {
    let (mut client, sent) = (scene.server.client(), context.clone());
    let request = thread::spawn(move || sent.apply(&mut client, "a", 1));
    scene.proxy.wait_struck(1);
    scene.wait_blocked();
    assert_eq!(scene.version("a"), 1, "nothing has been committed yet");
    scene.proxy.release();
    request.join().unwrap()
}

#[track_caller]
fn check_applied_once(scene: &mut Scene, context: &Context) {
    assert_eq!(scene.version("a"), 2);
    check_replay(context.apply(&mut scene.client, "a", 1));
    context
        .apply(&mut scene.client, "a", 2)
        .expect_problem(412, "stale-transaction");
    assert_eq!(scene.version("a"), 2);
    let read = scene.client.get("/resources/accounts/a").expect(200);
    assert_eq!((read.status, read.text()), (200, "1".to_owned()));
    assert_eq!(
        scene.client.get(&context.path).expect(200).json()["state"],
        "committed"
    );
}

#[test]
fn a_commit_that_postgres_refuses_is_an_error_and_is_not_tried_for_ever() {
    let mut scene = Scene::with(&["a"]);
    let context = scene.context();
    // Refused at COMMIT, and counted in what no rollback takes back.
    let trigger = "CREATE SEQUENCE attempts; \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM nextval('attempts'); RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$; \
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON versions DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION refuse()";
    scene.store.batch_execute(trigger).unwrap();
    context
        .apply(&mut scene.client, "a", 1)
        .expect_problem(500, "internal-error");
    assert_eq!(scene.version("a"), 1);
    let attempts = super::scene::number(
        &mut scene.store,
        "SELECT last_value AS number FROM attempts",
    );
    assert!(attempts <= 30, "{attempts} attempts");
    scene
        .store
        .batch_execute("DROP TRIGGER refuse ON versions")
        .unwrap();
    let answer = context.apply(&mut scene.client, "a", 1).expect(200);
    assert_eq!(
        answer.header("idempotent-replayed"),
        None,
        "it had not been applied"
    );
    check_applied_once(&mut scene, &context);
}
