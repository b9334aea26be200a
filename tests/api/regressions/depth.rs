//! Operations whose bodies are as deep as a body may be are told apart like all others.

use super::scene::{check_replay, named};
use crate::support::client::Client;
use crate::support::server::Server;

const CREATE: [(&str, &str); 1] = [("if-none-match", "*")];
const DEPTHS: [usize; 4] = [100, 99, 98, 2];

/// A value nested so deep, of arrays, or of objects, around something.
fn nested(depth: usize, objects: bool, core: &str) -> String {
    let (open, close) = if objects {
        ("{\"a\":", "}")
    } else {
        ("[", "]")
    };
    format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
}

fn operation(method: &str, body: &str) -> String {
    format!(
        r#"{{"changes": [{{"method": "{method}", "target": "/resources/a/b", "if_match": "*", "body": {body}}}]}}"#
    )
}

/// The cases: an operation, and another one that differs in the depth of its body only.
fn cases() -> Vec<(String, String)> {
    let mut cases = Vec::new();
    for depth in DEPTHS {
        for objects in [false, true] {
            for method in ["PUT", "PATCH"] {
                let with = |core| operation(method, &nested(depth, objects, core));
                cases.push((with("1"), with("2")));
            }
        }
    }
    cases
}

fn start() -> (Server, Client) {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "{}");
    (server, client)
}

#[test]
fn another_deep_operation_is_no_repetition_of_a_deep_one() {
    let (_server, mut client) = start();
    for (first, other) in cases() {
        let (path, tag) = client.open_transaction();
        let put = |client: &mut Client, content: &str| {
            client.send("PUT", &path, &[("if-match", &tag)], Some(content))
        };
        let applied = put(&mut client, &first).expect(200);
        assert_eq!(applied.header("idempotent-replayed"), None);
        let written = client.get("/resources/a/b").expect(200);
        let refused = put(&mut client, &other).expect_problem(412, "stale-transaction");
        assert_eq!(refused.json()["current"], applied.json());
        let finished = client.send("PUT", &path, &[("if-match", "*")], Some(&other));
        finished.expect_problem(409, "transaction-finished");
        check_replay(put(&mut client, &first));
        check_replay(put(&mut client, &first.replace(": ", " :  ")));
        let read = client.get("/resources/a/b").expect(200);
        assert_eq!((read.text(), read.etag()), (written.text(), written.etag()));
    }
}

#[test]
fn another_deep_operation_under_a_clients_name_is_no_repetition_of_a_deep_one() {
    let (_server, mut client) = start();
    for (first, other) in cases() {
        let path = named();
        let put =
            |client: &mut Client, content: &str| client.send("PUT", &path, &CREATE, Some(content));
        let created = put(&mut client, &first).expect(201);
        let written = client.get("/resources/a/b").expect(200);
        let refused = put(&mut client, &other).expect_problem(412, "stale-transaction");
        assert_eq!(refused.json()["current"], created.json());
        put(&mut client, &first).expect_problem(412, "already-applied");
        let under_match = |client: &mut Client, content: &str| {
            client.send("PUT", &path, &[("if-match", "*")], Some(content))
        };
        check_replay(under_match(&mut client, &first));
        under_match(&mut client, &other).expect_problem(409, "transaction-finished");
        let read = client.get("/resources/a/b").expect(200);
        assert_eq!((read.text(), read.etag()), (written.text(), written.etag()));
    }
}

#[test]
fn a_body_one_level_too_deep_is_refused_and_the_context_stays_open() {
    let (_server, mut client) = start();
    let (path, tag) = client.open_transaction();
    for objects in [false, true] {
        let content = operation("PUT", &nested(101, objects, "1"));
        client
            .send("PUT", &path, &[("if-match", &tag)], Some(&content))
            .expect_problem(400, "malformed-request");
    }
    let read = client.get(&path).expect(200);
    assert_eq!(
        (read.json()["state"].as_str(), read.etag()),
        (Some("open"), tag)
    );
    assert_eq!(client.get("/resources/a/b").expect(200).text(), "{}");
}
