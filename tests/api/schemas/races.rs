//! Writes and changes of a schema at the same time: whatever the order, what is stored satisfies the schema that is set.

use std::sync::Barrier;

use super::*;
use crate::support::many::pair;

const ROUNDS: usize = 200;
const WRITERS: usize = 4;

/// Does `work` for each number at the same time; the results in their order.
fn at_once<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (barrier, work) = (Barrier::new(count), &work);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|index| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    work(index)
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.collect()
    })
}

/// One write of a writer's own account, by another way each round; whether it was applied.
fn write(client: &mut Client, who: usize, round: usize) -> Response {
    let broken = (round + who).is_multiple_of(7);
    let balance = if broken { -1 } else { 1 };
    let path = format!("/resources/accounts/w{who}");
    let body = json!({"balance": balance});
    match (round / 2 + who) % 3 {
        0 => client.send("PUT", &path, &ANY, Some(&body.to_string())),
        1 => {
            // Under the very tag: by belief.
            let tag = client.get(&path).expect(200).etag();
            client.send("PUT", &path, &[("if-match", &tag)], Some(&body.to_string()))
        }
        _ => {
            let change =
                json!([{"method": "PATCH", "target": path, "if_match": "*", "body": body}]);
            let (transaction, tag) = client.open_transaction();
            client.apply(&transaction, &tag, &change.to_string())
        }
    }
}

/// Sets the schema where there is none, and deletes it in every second round where there is one.
fn change(client: &mut Client, round: usize) -> Response {
    let set = client.get(SCHEMA).status == 200;
    match (set, round % 2) {
        (false, _) => client.send("PUT", SCHEMA, &NEW, Some(SOLVENT)),
        (true, 0) => client.send("PUT", SCHEMA, &ANY, Some(SOLVENT)),
        (true, _) => client.send("DELETE", SCHEMA, &ANY, None),
    }
}

fn rounds(servers: &[Server]) {
    let mut first = servers[0].client();
    for who in 0..WRITERS {
        first.put_new(&format!("/resources/accounts/w{who}"), r#"{"balance": 1}"#);
    }
    let mut seen = std::collections::BTreeMap::<(&str, u16), usize>::new();
    for round in 0..ROUNDS {
        let answers = at_once(WRITERS + 1, |index| {
            let mut client = servers[index % servers.len()].client();
            match index {
                WRITERS => change(&mut client, round),
                who => write(&mut client, who, round),
            }
        });
        for (index, answer) in answers.iter().enumerate() {
            let (kind, expected): (_, &[u16]) = match index {
                WRITERS => ("schema", &[201, 204, 409]),
                _ => ("write", &[200, 204, 422]),
            };
            assert!(
                expected.contains(&answer.status),
                "{round} {kind}: {answer:#?}"
            );
            *seen.entry((kind, answer.status)).or_default() += 1;
        }
        if first.get(SCHEMA).status == 200 {
            let stored = first.get("/resources/accounts").expect(200).json();
            for item in stored["items"].as_array().unwrap() {
                assert_eq!(
                    item["body"]["balance"], 1,
                    "{round}: {item:#}\n{answers:#?}"
                );
            }
        }
    }
    // All of it has happened, or nothing was tested.
    for happened in [
        ("schema", 201),
        ("schema", 204),
        ("schema", 409),
        ("write", 204),
        ("write", 422),
    ] {
        assert!(seen.contains_key(&happened), "{happened:?}: {seen:?}");
    }
}

#[test]
fn writers_and_a_schema_that_comes_and_goes() {
    rounds(&[Server::start()]);
}

#[test]
fn writers_and_a_schema_that_comes_and_goes_over_two_servers() {
    let servers = pair();
    rounds(&servers);
}

#[test]
fn of_two_schemas_at_once_one_is_set() {
    let servers = pair();
    let mut client = servers[0].client();
    let mut tag = set(&mut client, "{}");
    for _ in 0..ROUNDS / 4 {
        let answers = at_once(2, |index| {
            let schema = json!({"title": index.to_string()}).to_string();
            let mut client = servers[index].client();
            client.send("PUT", SCHEMA, &[("if-match", &tag)], Some(&schema))
        });
        let winners: Vec<usize> = (0..2)
            .filter(|index| answers[*index].status == 204)
            .collect();
        assert_eq!(winners.len(), 1, "{answers:#?}");
        let loser = &answers[1 - winners[0]];
        assert!(
            [(409, "schema-conflict"), (412, "stale-resource")]
                .contains(&(loser.status, &*loser.slug())),
            "{loser:#?}"
        );
        let read = client.get(SCHEMA).expect(200);
        assert_eq!(read.json()["title"], winners[0].to_string());
        assert_eq!(read.etag(), answers[winners[0]].etag());
        tag = read.etag();
    }
}

#[test]
fn a_schema_is_never_set_over_what_has_not_been_looked_at() {
    let server = Server::start();
    let mut client = server.client();
    let operation = |body: &str| {
        let change = |n: usize| {
            format!(
                r#"{{"method": "PUT", "target": "/resources/accounts/a{n}", "if_match": "*", "body": {body}}}"#
            )
        };
        format!(
            "{{\"changes\": [{}]}}",
            (0..10).map(change).collect::<Vec<_>>().join(",")
        )
    };
    for key in (0..10).map(|n| format!("a{n}")).chain(["z".to_owned()]) {
        client.put_new(&format!("/resources/accounts/{key}"), "\"broken\"");
    }
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut mender = server.client();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                for body in ["[]", "\"broken\""] {
                    let (path, _) = mender.open_transaction();
                    let content = operation(body);
                    let mended = mender.send("PUT", &path, &[("if-match", "*")], Some(&content));
                    // Schemas that come without a pause can keep it from its epoch.
                    assert!([200, 503].contains(&mended.status), "{mended:?}");
                }
            }
        });
        let _stop = crate::support::Stop(&over);
        for _ in 0..ROUNDS {
            let create = [("if-none-match", "*")];
            let answer = client.send("PUT", SCHEMA, &create, Some(r#"{"type": "array"}"#));
            answer.expect_problem(409, "schema-conflict");
        }
    });
}
