//! Postgres is away for a while.

use super::proxy::eventually;
use super::scene::{Scene, check_replay, check_unavailable, named, operation};

#[test]
fn without_postgres_everything_is_503_but_the_sign_of_life() {
    let mut scene = Scene::with(&["a"]);
    let context = scene.context();
    scene.client.get("/health/ready").expect(200);
    scene.proxy.refuse();
    check_unavailable(scene.client.get("/health/ready"));
    check_unavailable(scene.client.get("/resources/accounts/a"));
    check_unavailable(scene.client.get("/resources"));
    check_unavailable(scene.client.get(&context.path));
    check_unavailable(context.apply(&mut scene.client, "a", 1));
    check_unavailable(scene.client.send("POST", "/transactions", &[], None));
    check_unavailable(scene.client.send(
        "PUT",
        &named(),
        &[("if-none-match", "*")],
        Some(&operation("a", 1)),
    ));
    check_unavailable(scene.client.send(
        "PUT",
        "/resources/accounts/b",
        &[("if-none-match", "*")],
        Some("1"),
    ));
    check_unavailable(scene.client.send(
        "DELETE",
        "/resources/accounts/a",
        &[("if-match", "*")],
        None,
    ));
    let live = scene.client.get("/health/live").expect(200);
    assert_eq!(live.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(scene.version("a"), 1);
}

#[test]
fn what_no_state_is_needed_for_is_answered_without_postgres() {
    let mut scene = Scene::with(&[]);
    scene.proxy.refuse();
    scene
        .client
        .get("/nothing")
        .expect_problem(404, "not-found");
    scene
        .client
        .send("POST", "/resources/accounts/a", &[], Some("1"))
        .expect_problem(405, "method-not-allowed");
    scene.client.get("/problems/unavailable").expect(200);
    scene.client.get("/openapi.json").expect(200);
}

#[test]
fn the_server_is_back_by_itself_when_postgres_is() {
    let mut scene = Scene::with(&["a"]);
    let context = scene.context();
    for round in 1..=2 {
        scene.proxy.refuse();
        check_unavailable(scene.client.get("/health/ready"));
        if round == 1 {
            check_unavailable(context.apply(&mut scene.client, "a", 1));
        }
        scene.proxy.allow();
        eventually("it is ready again", || {
            scene.client.get("/health/ready").status == 200
        });
        let mut last = None;
        eventually("it writes again", || {
            let answer = context.apply(&mut scene.client, "a", 1);
            let done = answer.status == 200;
            last = Some(answer);
            done
        });
        let replayed = last.unwrap().header("idempotent-replayed").is_some();
        assert_eq!(
            replayed,
            round == 2,
            "what was refused had not been applied"
        );
        assert_eq!(scene.version("a"), 2);
    }
    check_replay(context.apply(&mut scene.client, "a", 1));
}
