//! The parameters of lists, their encodings and their faults.

use super::{NONE, list};
use crate::support::server::Server;

#[test]
fn a_prefix_is_of_the_key_and_nothing_in_it_is_special() {
    let server = Server::start();
    let mut client = server.client();
    for key in ["a", "a_b", "axb", "a+b", "ab", "b", "A", "a*", "..x", "a.b"] {
        client.put_new(&format!("/resources/a/{key}"), "1");
    }
    for (query, expected) in [
        ("prefix=a_", vec!["a_b"]),
        (
            "prefix=a",
            vec!["a", "a*", "a+b", "a.b", "a_b", "ab", "axb"],
        ),
        (
            "prefix=%61",
            vec!["a", "a*", "a+b", "a.b", "a_b", "ab", "axb"],
        ),
        ("prefix=a%2B", vec!["a+b"]),
        ("prefix=a+", vec!["a+b"]),
        ("prefix=a*", vec!["a*"]),
        ("prefix=a.", vec!["a.b"]),
        ("prefix=..", vec!["..x"]),
        ("prefix=.", vec!["..x"]),
        ("prefix=c", vec![]),
        ("prefix=A&limit=5", vec!["A"]),
    ] {
        assert_eq!(
            list(&mut client, &format!("/resources/a?{query}")),
            expected,
            "{query}"
        );
    }
    assert_eq!(list(&mut client, "/resources/a?prefix=").len(), 10);
    assert_eq!(list(&mut client, "/resources?prefix=a"), ["a"]);
    assert_eq!(list(&mut client, "/resources?prefix=b"), NONE);
}

#[test]
fn keys_name_resources_of_one_page_whatever_the_limit() {
    let server = Server::start();
    let mut client = server.client();
    let keys: Vec<String> = (0..100).map(|index| format!("k{index:03}")).collect();
    for key in &keys {
        client.put_new(&format!("/resources/a/{key}"), "1");
    }
    let query = |prefix: &str| -> String {
        let pairs = keys.iter().rev().map(|key| format!("key={prefix}{key}"));
        pairs.collect::<Vec<_>>().join("&")
    };
    assert_eq!(
        list(&mut client, &format!("/resources/a?{}", query(""))),
        keys
    );
    let page = client
        .get(&format!("/resources/a?limit=1&{}", query("")))
        .expect(200);
    assert_eq!(super::names(&page.json()), keys);
    assert_eq!(
        (page.json()["next"].clone(), page.header("link")),
        (serde_json::Value::Null, None)
    );
    assert_eq!(
        list(&mut client, &format!("/resources?limit=1&{}", query("a/"))),
        keys
    );
    for (path, more) in [
        ("/resources/a", "key=one-more"),
        ("/resources", "key=a/one-more"),
    ] {
        let query = query(if path == "/resources" { "a/" } else { "" });
        client
            .get(&format!("{path}?{query}&{more}"))
            .expect_problem(400, "malformed-request");
    }
    assert_eq!(
        list(
            &mut client,
            "/resources/a?key=k001&key=none&key=k000&key=k001"
        ),
        ["k000", "k001"]
    );
}

#[test]
fn names_in_queries_are_decoded_exactly_once_and_plus_is_a_plus() {
    let server = Server::start();
    let mut client = server.client();
    for path in [
        "/resources/a/x+y",
        "/resources/a/x&y=z",
        "/resources/a/61",
        "/resources/b/q",
    ] {
        client.put_new(path, "1");
    }
    for (path, expected) in [
        ("/resources/a?key=x+y", vec!["x+y"]),
        ("/resources/a?key=x%2By", vec!["x+y"]),
        ("/resources/a?key=x%26y%3Dz", vec!["x&y=z"]),
        ("/resources/a?key=x%26y=z", vec!["x&y=z"]),
        ("/resources/a?k%65y=%361", vec!["61"]),
        ("/resources?key=a/x+y&key=b/q", vec!["x+y", "q"]),
        ("/resources?key=%61%2F61&key=b%2fq", vec!["61", "q"]),
        ("/resources?key=b/q&key=a/61", vec!["61", "q"]),
    ] {
        assert_eq!(list(&mut client, path), expected, "{path}");
    }
}

#[test]
fn what_is_no_query_of_ours_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    for key in ["a", "b", "c"] {
        client.put_new(&format!("/resources/a/{key}"), "1");
        client.put_new(&format!("/resources/{key}x/y"), "1");
    }
    let cursor_of = |client: &mut crate::support::client::Client, path: &str| {
        let next = client.get(path).expect(200).json()["next"].clone();
        next.as_str()
            .unwrap()
            .split_once("after=")
            .unwrap()
            .1
            .to_owned()
    };
    let mine = cursor_of(&mut client, "/resources/a?limit=1");
    let other = cursor_of(&mut client, "/resources?limit=1");
    let transactions = cursor_of(&mut client, "/transactions?limit=1");
    client
        .get(&format!("/resources/a?after={mine}"))
        .expect(200);
    let cut = &mine[..mine.len() - 1];
    let changed = format!("{}x", &mine[..mine.len() - 1]);
    let mut rows: Vec<(&str, String)> = Vec::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=",
        "limit",
        "limit=1.0",
        "limit=+1",
        "limit=%2B1",
        "limit=1&limit=1",
        "limit=99999999999999999999",
        "limit=1%00",
        "limit=%D9%A3",
        "prefix=%2f",
        "prefix=a%20",
        "prefix=%ff",
        "prefix=%",
        "prefix=a&prefix=a",
        "prefix=%2561",
        "unknown=1",
        "Limit=1",
        "=1",
        "=",
        "%6",
        "after=",
        "after=%00",
        "after=a&after=b",
        "key=",
        "key=%",
        "key=%c3%28",
        "key=a%20b",
        "limit=1&x",
    ] {
        rows.push(("/resources/a", query.to_owned()));
        rows.push(("/resources", query.to_owned()));
    }
    for (path, query) in [
        ("/resources/a", "key=a/b"),
        ("/resources/a", "key=.."),
        ("/resources", "key=a"),
        ("/resources", "contains=1"),
        ("/resources", "key=a/"),
        ("/resources", "key=/a"),
        ("/resources", "key=A/b"),
        ("/resources", "key=a/b/c"),
        ("/resources", "key=/resources/a/b"),
        ("/resources", "key=a/b&prefix=a"),
        ("/resources", "prefix=A"),
        ("/", "limit=1"),
        ("/resources/a/a", "limit=1"),
        ("/transactions", "prefix=a"),
        ("/problems/gone", "x"),
        ("/openapi.yaml", "x=1"),
        ("/health/live", "x=1"),
        ("/health/ready", "x=1"),
    ] {
        rows.push((path, query.to_owned()));
    }
    for cursor in [
        &*other,
        &*transactions,
        cut,
        &*changed,
        "bm90aGluZw",
        &*mine.to_lowercase(),
        &*format!("{mine}="),
        &*mine.repeat(50),
    ] {
        rows.push(("/resources/a", format!("after={cursor}")));
    }
    rows.push(("/resources/b", format!("after={mine}")));
    rows.push(("/transactions", format!("after={mine}")));
    rows.push(("/resources", format!("after={mine}")));
    rows.push(("/resources/a", format!("after={mine}&key=a")));
    rows.push(("/resources", format!("after={other}&key=a/a")));
    for (path, query) in rows {
        let response = client.get(&format!("{path}?{query}"));
        let found = (response.status, response.slug());
        assert_eq!(
            found,
            (400, "malformed-request".to_owned()),
            "{path}?{query}"
        );
    }
}

#[test]
fn empty_pieces_of_a_query_count_for_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "1");
    for path in [
        "/resources/a?",
        "/resources/a?&",
        "/resources/a?&&limit=1&",
        "/resources/a/b?",
        "/?&",
    ] {
        client.get(path).expect(200);
    }
}
