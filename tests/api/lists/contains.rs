//! `contains`: what Postgres's `@>` says of each document, by index or by key, in one snapshot (contract §4).

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::SimpleConnection;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{NONE, list};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::{Stop, cluster};

const VALUES: [&str; 31] = [
    "null",
    "true",
    "1",
    "1.0",
    "\"a\"",
    "\"é\\\"\\u0041\"",
    "\"\"",
    "{}",
    "[]",
    "[[]]",
    "[{}]",
    "[1, \"a\"]",
    "[\"a\", 1, 1, [2]]",
    "[[2]]",
    "[[1], 2]",
    "[null]",
    r#"{"a": 1}"#,
    r#"{"a": 1.00, "b": "x"}"#,
    r#"{"a": null}"#,
    r#"{"a": {}}"#,
    r#"{"a": []}"#,
    r#"{"a": [1, {"b": 2}]}"#,
    r#"{"a": [{"b": 2}]}"#,
    r#"{"a": [{}]}"#,
    r#"{"a": [1]}"#,
    r#"{"a": {"b": {"c": "deep"}}}"#,
    r#"{"b": {"c": "deep"}}"#,
    r#"{"": {"": ""}}"#,
    r#"{"default/a": 1}"#,
    r#"{"é": ["é"]}"#,
    r#"[{"a": 1}, {"b": [true, {"c": null}]}]"#,
];

fn query(value: &str) -> String {
    format!("contains={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
}

/// Every document is asked for every value: what is listed is what Postgres says.
#[track_caller]
fn check_all(server: &Server, client: &mut Client) {
    let mut store = cluster::connect(&server.database_url);
    for value in VALUES {
        let contains = |(index, document): (usize, &&str)| {
            let quoted = |text: &str| text.replace('\'', "''");
            let sql = format!(
                "SELECT ('{}'::jsonb @> '{}'::jsonb)::int::bigint AS number",
                quoted(document),
                quoted(value)
            );
            (cluster::number(&mut store, &sql) == 1).then(|| format!("k{index:02}"))
        };
        let expected: Vec<String> = VALUES.iter().enumerate().filter_map(contains).collect();
        assert!(!expected.is_empty(), "it contains itself");
        let asked = query(value);
        let path = format!("/resources/a?limit=1000&{asked}");
        assert_eq!(list(client, &path), expected, "{value}");
        let keys: Vec<String> = (0..VALUES.len()).map(|n| format!("key=k{n:02}")).collect();
        let path = format!("/resources/a?{asked}&{}", keys.join("&"));
        assert_eq!(list(client, &path), expected, "by key: {value}");
        let some: Vec<&String> = expected
            .iter()
            .filter(|key| key.starts_with("k1"))
            .collect();
        let path = format!("/resources/a?{asked}&prefix=k1");
        assert_eq!(
            list(client, &path).iter().collect::<Vec<_>>(),
            some,
            "{value}"
        );
        let path = format!("{path}&{}", keys.join("&"));
        assert_eq!(
            list(client, &path).iter().collect::<Vec<_>>(),
            some,
            "{value}"
        );
    }
}

fn filled(server: &Server) -> Client {
    let mut client = server.client();
    for (index, value) in VALUES.iter().enumerate() {
        client.put_new(&format!("/resources/a/k{index:02}"), value);
        // Neighbours with the same documents are never listed.
        client.put_new(&format!("/resources/b/k{index:02}"), value);
    }
    client
}

#[test]
fn what_contains_a_value_is_what_postgres_says() {
    let server = Server::start();
    let mut client = filled(&server);
    check_all(&server, &mut client);
}

/// More versions than are looked at one by one have the value: the collection is read by key instead.
#[test]
fn a_value_that_is_everywhere_is_found_by_key() {
    let server = Server::start();
    let mut client = filled(&server);
    cluster::connect(&server.database_url)
        .batch_execute(
            "INSERT INTO versions SELECT v.bucket, v.tenant, v.collection, v.key, 1000 + n, v.nonce, v.deleted, v.media_type,
               v.body, v.updated_at, v.transaction_id, 1 FROM versions v, generate_series(1, 5001) n WHERE v.collection = 'a'",
        )
        .unwrap();
    check_all(&server, &mut client);
}

#[test]
fn what_a_resource_was_is_not_what_it_is() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/x", r#"{"state": "new"}"#);
    let new = format!("/resources/a?{}", query(r#"{"state": "new"}"#));
    let old = format!("/resources/a?{}", query(r#"{"state": "old"}"#));
    let star = [("if-match", "*")];
    let mut tag = String::new();
    for round in 0..3 {
        let read = client.get(&new).expect(200);
        assert_eq!(super::names(&read.json()), ["x"], "{round}");
        assert_ne!(read.etag(), tag);
        tag = read.etag();
        assert!(tag.starts_with("W/\""));
        let unchanged = client.send("GET", &new, &[("if-none-match", &tag)], None);
        assert_eq!(unchanged.expect(304).etag(), tag);
        let body = Some(r#"{"state": "old"}"#);
        client
            .send("PUT", "/resources/a/x", &star, body)
            .expect(204);
        client
            .send("GET", &new, &[("if-none-match", &tag)], None)
            .expect(200);
        assert_eq!(
            (list(&mut client, &new), list(&mut client, &old)),
            (vec![], vec!["x".to_owned()])
        );
        client
            .send("DELETE", "/resources/a/x", &star, None)
            .expect(204);
        assert_eq!(
            (list(&mut client, &new), list(&mut client, &old)),
            (vec![], vec![])
        );
        client.put_new("/resources/a/x", r#"{"state": "new"}"#);
    }
}

/// Follows `next` from `path`; the keys of all pages.
fn pages(client: &mut Client, path: &str, between: &mut dyn FnMut(usize)) -> Vec<String> {
    let (mut keys, mut next, mut count) = (Vec::new(), path.to_owned(), 0);
    loop {
        let page = client.get(&next).expect(200);
        let document = page.json();
        keys.extend(super::names(&document));
        between(count);
        count += 1;
        match document["next"].as_str() {
            Some(uri) => {
                assert!(page.header("link").unwrap().contains(&format!("<{uri}>")));
                assert!(uri.contains("contains="), "{uri}");
                uri.clone_into(&mut next);
            }
            None => return keys,
        }
    }
}

#[test]
fn cursors_stay_while_others_write() {
    let server = Server::start();
    let (mut client, mut writer) = (server.client(), server.client());
    for index in 0..40 {
        let body = format!(r#"{{"even": {}, "n": {index}}}"#, index % 2 == 0);
        client.put_new(&format!("/resources/a/k{index:02}"), &body);
    }
    let path = format!("/resources/a?limit=3&{}", query(r#"{"even": true}"#));
    let mut disturb = |page: usize| {
        // Before the cursor, behind it, and what does not belong to the list.
        for (key, body) in [
            (format!("a{page}"), r#"{"even": true}"#),
            (format!("k{:02}x", 2 * page), r#"{"even": true}"#),
            (format!("k{:02}y", 39), r#"{"even": false}"#),
        ] {
            let path = format!("/resources/a/{key}");
            writer.send("PUT", &path, &[("if-none-match", "*")], Some(body));
        }
    };
    let seen = pages(&mut client, &path, &mut disturb);
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(seen, sorted, "in order, and nothing twice");
    let stayed: Vec<&String> = seen.iter().filter(|key| key.len() == 3).collect();
    let expected: Vec<String> = (0..40).step_by(2).map(|n| format!("k{n:02}")).collect();
    assert_eq!(
        stayed,
        expected.iter().collect::<Vec<_>>(),
        "what stayed is there"
    );
}

#[test]
fn a_page_is_one_snapshot() {
    let server = Server::start();
    let mut client = server.client();
    for key in ["left", "right"] {
        client.put_new(&format!("/resources/a/{key}"), r#"{"holds": "nothing"}"#);
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        let (moving, stop) = (&server, &done);
        scope.spawn(move || {
            let mut client = moving.client();
            for round in 0_usize.. {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (transaction, tag) = client.open_transaction();
                let holds = |this: bool| json!({"holds": if this { "it" } else { "nothing" }});
                let changes = json!([
                    {"method": "PUT", "target": "/resources/a/left", "if_match": "*", "body": holds(round % 2 == 0)},
                    {"method": "PUT", "target": "/resources/a/right", "if_match": "*", "body": holds(round % 2 == 1)},
                ]);
                client.apply(&transaction, &tag, &changes.to_string()).expect(200);
            }
        });
        let it = query(r#"{"holds": "it"}"#);
        crate::support::eventually("it moves", || {
            !list(&mut client, &format!("/resources/a?{it}")).is_empty()
        });
        let mut holders = std::collections::HashSet::new();
        for round in 0..200 {
            let path = match round % 3 {
                0 => format!("/resources/a?{it}"),
                1 => format!("/resources/a?{it}&key=left&key=right"),
                _ => format!("/resources/a?{it}&limit=2&prefix="),
            };
            let found = list(&mut client, &path);
            assert_eq!(found.len(), 1, "{path}: {found:?}");
            holders.extend(found);
        }
        assert_eq!(holders.len(), 2, "nothing moved meanwhile");
    });
}

#[test]
fn what_is_no_value_is_refused_with_its_place() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/x", r#"{"a": "b c", "n": 10}"#);
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for (value, part) in [
        (String::new(), "there is no JSON value"),
        ("{".to_owned(), "#: "),
        ("{'a': 1}".to_owned(), "#: "),
        (r#"{"a": 1, "a": 1}"#.to_owned(), "#/a: "),
        (r#"{"a": ["\u0000"]}"#.to_owned(), "#/a/0: "),
        (r#"{"a": ["\ud800"]}"#.to_owned(), "#/a/0: "),
        (r#"{"a": 1e200000}"#.to_owned(), "#/a: "),
        (deep(101), "nest deeper than 100"),
        ("1 2".to_owned(), "#: "),
        (format!("\"{}\"", "x".repeat(1023)), "1024 bytes"),
    ] {
        let refused = client.get(&format!("/resources/a?{}", query(&value)));
        let refused = refused.expect_problem(400, "malformed-request");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("contains") && detail.contains(part),
            "{value}: {detail}"
        );
    }
    for taken in [deep(100), format!("\"{}\"", "x".repeat(1022))] {
        assert_eq!(
            list(&mut client, &format!("/resources/a?{}", query(&taken))),
            NONE
        );
    }
    for refused in [
        "/resources/a?contains=%ff",
        "/resources/a?contains=1&contains=1",
        "/resources?key=a/x&contains=1",
    ] {
        client.get(refused).expect_problem(400, "malformed-request");
    }
    // As forms encode it: a plus sign is a space.
    for form in ["%7B%22a%22:+%22b+c%22%7D", "{%22n%22:1e%2B1}", "{\"n\":10}"] {
        let path = format!("/resources/a?contains={form}");
        let path = path
            .replace('"', "%22")
            .replace('{', "%7B")
            .replace('}', "%7D");
        assert_eq!(list(&mut client, &path), ["x"], "{form}");
    }
}

#[test]
fn a_page_ends_before_its_bodies_are_too_large() {
    let server = Server::start();
    let mut client = server.client();
    let large = format!(r#"{{"large": true, "text": "{}"}}"#, "x".repeat(1_000_000));
    for key in 0..10 {
        client.put_new(&format!("/resources/a/k{key}"), &large);
    }
    let path = format!("/resources/a?{}", query(r#"{"large": true}"#));
    let first = client.get(&path).expect(200);
    assert!(first.body.len() < 10_000_000 && !first.json()["next"].is_null());
    let all: Vec<String> = (0..10).map(|key| format!("k{key}")).collect();
    assert_eq!(pages(&mut client, &path, &mut |_| {}), all);
}
