//! Every write keeps the schema of its collection, by whichever way it comes.

use super::*;

fn patch(client: &mut Client, headers: &[(&str, &str)], body: &str) -> Response {
    client.send("PATCH", ALICE, headers, Some(body))
}

#[test]
fn direct_writes_are_refused_with_every_place() {
    let server = Server::start();
    let mut client = server.client();
    set(
        &mut client,
        r#"{"required": ["owner"], "properties": {"balance": {"minimum": 0}, "mail": {"format": "email"}}}"#,
    );
    let refused = client.send("PUT", ALICE, &NEW, Some(r#"{"balance": -5, "mail": "x"}"#));
    let mut places = pointers(&refused.expect_problem(422, "schema-violation"));
    places.sort();
    assert_eq!(places, ["#", "#/balance", "#/mail"]);
    client.get(ALICE).expect_problem(404, "not-found");
    let mut tag = client.put_new(ALICE, r#"{"owner": "Alice", "balance": 5}"#);
    // By the long way and by belief alike.
    for _ in 0..3 {
        let refused = client.send(
            "PUT",
            ALICE,
            &[("if-match", &tag)],
            Some(r#"{"owner": 1, "balance": -5}"#),
        );
        assert_eq!(
            pointers(&refused.expect_problem(422, "schema-violation")),
            ["#/balance"]
        );
        tag = client
            .send(
                "PUT",
                ALICE,
                &[("if-match", &tag)],
                Some(r#"{"owner": "Alice", "balance": 5}"#),
            )
            .expect(204)
            .etag();
    }
    let merge = [
        ("if-match", &*tag),
        ("content-type", "application/merge-patch+json"),
    ];
    let refused = patch(&mut client, &merge, r#"{"owner": null}"#);
    assert_eq!(
        pointers(&refused.expect_problem(422, "schema-violation")),
        ["#"]
    );
    let json_patch = [
        ("if-match", &*tag),
        ("content-type", "application/json-patch+json"),
    ];
    let refused = patch(
        &mut client,
        &json_patch,
        r#"[{"op": "replace", "path": "/balance", "value": -1}]"#,
    );
    assert_eq!(
        pointers(&refused.expect_problem(422, "schema-violation")),
        ["#/balance"]
    );
    let increment = [
        ("if-match", &*tag),
        ("content-type", "application/vnd.ifmatch.increment+json"),
    ];
    let refused = patch(&mut client, &increment, r#"{"balance": -5.01}"#);
    assert_eq!(
        pointers(&refused.expect_problem(422, "schema-violation")),
        ["#/balance"]
    );
    let tag = patch(&mut client, &increment, r#"{"balance": -5}"#)
        .expect(204)
        .etag();
    client
        .send("DELETE", ALICE, &[("if-match", &tag)], None)
        .expect(204);
}

#[test]
fn a_transaction_is_refused_as_a_whole_with_the_places_of_all_changes() {
    let server = Server::start();
    let mut client = server.client();
    set(&mut client, SOLVENT);
    let bob = client.put_new("/resources/accounts/bob", r#"{"balance": 1}"#);
    client.put_new("/resources/other/carol", r#"{"balance": -1}"#);
    let changes = json!([
        {"method": "PUT", "target": ALICE, "if_none_match": "*", "body": {"balance": -5}},
        {"method": "PUT", "target": "/resources/other/dave", "if_none_match": "*", "body": {"balance": -5}},
        {"method": "GET", "target": "/resources/other/carol", "if_match": "*"},
        {"method": "PATCH", "target": "/resources/accounts/bob", "if_match": bob,
         "content_type": "application/vnd.ifmatch.increment+json", "body": {"balance": -2}},
    ]);
    let (path, tag) = client.open_transaction();
    let refused = client.apply(&path, &tag, &changes.to_string());
    let places = pointers(&refused.expect_problem(422, "schema-violation"));
    assert_eq!(
        places,
        ["#/changes/0/body/balance", "#/changes/3/body/balance"]
    );
    client.get(ALICE).expect_problem(404, "not-found");
    client
        .get("/resources/other/dave")
        .expect_problem(404, "not-found");
    assert_eq!(client.get(&path).expect(200).etag(), tag, "it stays open");
    let mended =
        json!([{"method": "PUT", "target": ALICE, "if_none_match": "*", "body": {"balance": 0}}]);
    client.apply(&path, &tag, &mended.to_string()).expect(200);
}

#[test]
fn the_first_change_at_fault_says_which_problem_it_is_and_conditions_come_before() {
    let server = Server::start();
    let mut client = server.client();
    set(&mut client, SOLVENT);
    client.put_new(ALICE, r#"{"balance": 1}"#);
    client.put_new("/resources/accounts/bob", r#"{"balance": 1}"#);
    let broken = json!({"method": "PUT", "target": ALICE, "if_match": "*", "body": {}});
    let unfit = json!({"method": "PATCH", "target": "/resources/accounts/bob", "if_match": "*",
        "content_type": "application/json-patch+json", "body": [{"op": "test", "path": "/balance", "value": 2}]});
    let stale = json!({"method": "GET", "target": "/resources/accounts/nobody", "if_match": "*"});
    let (path, tag) = client.open_transaction();
    let mut apply = |changes: &[&Value]| {
        let changes = serde_json::to_string(changes).unwrap();
        client.apply(&path, &tag, &changes)
    };
    let refused = apply(&[&broken, &unfit]).expect_problem(422, "schema-violation");
    assert_eq!(
        pointers(&refused),
        ["#/changes/0/body", "#/changes/1/body/0"]
    );
    let refused = apply(&[&unfit, &broken]).expect_problem(409, "patch-conflict");
    assert_eq!(
        pointers(&refused),
        ["#/changes/0/body/0", "#/changes/1/body"]
    );
    apply(&[&broken, &unfit, &stale]).expect_problem(412, "stale-resource");
}

/// Together with an increment: debit if the balance allows.
#[test]
fn of_many_debits_at_once_exactly_those_succeed_that_the_balance_allows() {
    const CLIENTS: usize = 64;
    const EACH: usize = 3;
    let server = Server::start();
    let mut client = server.client();
    set(&mut client, SOLVENT);
    client.put_new(ALICE, r#"{"balance": 100.00}"#);
    let debit = json!([{"method": "PATCH", "target": ALICE, "if_match": "*",
        "content_type": "application/vnd.ifmatch.increment+json", "body": {"balance": -1}}])
    .to_string();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.client();
                    (0..EACH)
                        .map(|_| {
                            let (path, tag) = client.open_transaction();
                            let answer = client.apply(&path, &tag, &debit);
                            if answer.status != 200 {
                                assert_eq!(pointers(&answer), ["#/changes/0/body/balance"]);
                            }
                            answer.status
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.flatten().collect()
    });
    let succeeded = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 422).count();
    assert_eq!((succeeded, refused), (100, CLIENTS * EACH - 100));
    assert_eq!(client.get(ALICE).expect(200).text(), r#"{"balance":0.00}"#);
}
