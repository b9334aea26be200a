//! One who asks for too much, or a session that is stuck, does not stop the others.

use std::thread;

use diesel::connection::SimpleConnection;

use super::scene::{check_unavailable, named};
use crate::support::client::Response;
use crate::support::cluster;
use crate::support::server::Server;

const CHANGES: usize = 95;
const OPERATIONS_OF_A_PATCH: usize = 240;

/// An operation that patches `CHANGES` arrays of a collection, each at its beginning over and over.
fn expensive(collection: &str) -> String {
    let patch = vec![r#"{"op":"add","path":"/0","value":0}"#; OPERATIONS_OF_A_PATCH].join(",");
    let changes: Vec<String> = (0..CHANGES)
        .map(|number| {
            format!(
                "{{\"method\":\"PATCH\",\"target\":\"/resources/{collection}/k{number}\",\"if_match\":\"*\",\
                 \"content_type\":\"application/json-patch+json\",\"body\":[{patch}]}}"
            )
        })
        .collect();
    format!("{{\"changes\":[{}]}}", changes.join(","))
}

/// Arrays of 500,000 zeros in two collections.
fn arrays(server: &Server) {
    copies(server, &format!("[{}0]", "0,".repeat(499_999)));
}

/// A document many times in two collections: one is put, the others are copies of its row.
fn copies(server: &Server, document: &str) {
    server.client().put_new("/resources/source/k", document);
    let mut store = cluster::connect(&server.database_url);
    for table in ["resources", "versions"] {
        let number = if table == "versions" {
            ", commit_number"
        } else {
            ""
        };
        let sql = format!(
            "INSERT INTO {table} SELECT bucket, tenant, c, 'k' || n, version, nonce, deleted, media_type, body, updated_at, \
             transaction_id{number} FROM {table}, generate_series(0, {}) n, unnest(ARRAY['one', 'other']) c",
            CHANGES - 1
        );
        store.batch_execute(&sql).unwrap();
    }
}

#[test]
fn two_operations_of_many_expensive_patches_are_refused_and_small_writes_go_on() {
    let server = Server::start();
    arrays(&server);
    let mut client = server.client();
    let mut tag = client.put_new("/resources/small/a", "0");
    let before = client.get("/resources/one/k0").expect(200).etag();
    let requests: Vec<_> = ["one", "other"]
        .into_iter()
        .map(|collection| {
            let (mut client, path, content) = (server.client(), named(), expensive(collection));
            assert!(
                (800_000..1_048_576).contains(&content.len()),
                "{}",
                content.len()
            );
            thread::spawn(move || {
                let answer = client.send("PUT", &path, &[("if-none-match", "*")], Some(&content));
                (path, answer)
            })
        })
        .collect();
    let mut round = 0;
    loop {
        let done = requests.iter().all(thread::JoinHandle::is_finished);
        round += 1;
        let headers = [("if-match", &*tag)];
        let written = client
            .send(
                "PUT",
                "/resources/small/a",
                &headers,
                Some(&round.to_string()),
            )
            .expect(204);
        tag = written.etag();
        if done {
            break;
        }
    }
    for request in requests {
        let (path, answer) = request.join().unwrap();
        check_refused(answer);
        client.get(&path).expect_problem(404, "not-found");
    }
    assert_eq!(
        client.get("/resources/small/a").expect(200).text(),
        round.to_string()
    );
    assert_eq!(client.get("/resources/one/k0").expect(200).etag(), before);
}

/// An operation that adds to the seven numbers of each of so many documents.
fn sums(changes: usize, added: &str) -> String {
    let members: Vec<String> = (0..7).map(|n| format!("\"{n}\":{added}")).collect();
    let changes: Vec<String> = (0..changes)
        .map(|number| {
            format!(
                "{{\"method\":\"PATCH\",\"target\":\"/resources/one/k{number}\",\"if_match\":\"*\",\"content_type\":\
                 \"application/vnd.ifmatch.increment+json\",\"body\":{{{}}}}}",
                members.join(",")
            )
        })
        .collect();
    format!("{{\"changes\":[{}]}}", changes.join(","))
}

#[test]
fn an_operation_of_many_expensive_sums_is_refused_though_each_is_small() {
    let server = Server::start();
    let wide = format!("1{}1", "0".repeat(131_070));
    let members: Vec<String> = (0..7).map(|n| format!("\"{n}\":{wide}")).collect();
    copies(&server, &format!("{{{}}}", members.join(",")));
    let mut client = server.client();
    let create = [("if-none-match", "*")];
    let path = named();
    let refused = client.send("PUT", &path, &create, Some(&sums(CHANGES, "-1e131071")));
    check_refused(refused);
    client.get(&path).expect_problem(404, "not-found");
    // A part of it is not too much.
    let some = client.send("PUT", &path, &create, Some(&sums(20, "-1e131071")));
    some.expect(201);
    let seen = client.get("/resources/one/k19").expect(200).text();
    assert_eq!(seen, r#"{"0":1,"1":1,"2":1,"3":1,"4":1,"5":1,"6":1}"#);
}

#[track_caller]
fn check_refused(answer: Response) {
    let problem = answer.expect_problem(409, "patch-conflict").json();
    let errors = problem["errors"].as_array().unwrap();
    assert!(!errors.is_empty(), "{problem:#}");
    for error in errors {
        let pointer = error["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("#/changes/"), "{pointer}");
    }
}

#[test]
fn a_session_that_holds_a_row_holds_up_its_own_writers_only() {
    let server = Server::start();
    let mut client = server.client();
    let stuck = client.put_new("/resources/a/stuck", "0");
    let mut other = client.put_new("/resources/a/other", "0");
    let mut holder = cluster::connect(&server.database_url);
    holder
        .batch_execute("BEGIN; SELECT 1 FROM resources WHERE key = 'stuck' FOR UPDATE")
        .unwrap();
    // As many as there are committers, and one more.
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let (mut second, tag) = (server.client(), stuck.clone());
            let write = move || {
                second.send(
                    "PUT",
                    "/resources/a/stuck",
                    &[("if-match", &tag)],
                    Some("1"),
                )
            };
            thread::spawn(write)
        })
        .collect();
    let mut store = cluster::connect(&server.database_url);
    super::proxy::eventually("the write waits", || super::scene::blocked(&mut store) > 0);
    for round in 1..=50 {
        let headers = [("if-match", &*other)];
        other = client
            .send(
                "PUT",
                "/resources/a/other",
                &headers,
                Some(&round.to_string()),
            )
            .expect(204)
            .etag();
        assert_eq!(client.get("/resources/a/stuck").expect(200).etag(), stuck);
    }
    for request in requests {
        check_unavailable(request.join().unwrap());
    }
    let read = client.get("/resources/a/stuck").expect(200);
    assert_eq!((read.text(), read.etag()), ("0".to_owned(), stuck.clone()));
    holder.batch_execute("ROLLBACK").unwrap();
    client
        .send(
            "PUT",
            "/resources/a/stuck",
            &[("if-match", &stuck)],
            Some("2"),
        )
        .expect(204);
    assert_eq!(client.get("/resources/a/stuck").expect(200).text(), "2");
}
