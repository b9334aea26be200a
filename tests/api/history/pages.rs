//! Pages of a history: every version once, newest first, whoever writes meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use ifmatch::protocol::cursor::Cursor;

use super::{items, numbers};
use crate::matrix::rows::linked;
use crate::support::Stop;
use crate::support::client::Client;
use crate::support::server::Server;

const PATH: &str = "/resources/a/b";
const STAR: [(&str, &str); 1] = [("if-match", "*")];

/// Writes a resource so often.
fn fill(client: &mut Client, path: &str, versions: usize) {
    client.put_new(path, "1");
    for number in 2..=versions {
        let answer = client.send("PUT", path, &STAR, Some(&number.to_string()));
        answer.expect(204);
    }
}

#[test]
fn every_limit_gives_the_same_versions() {
    let server = Server::start();
    let mut client = server.client();
    fill(&mut client, PATH, 23);
    let all: Vec<i64> = (1..=23).rev().collect();
    let whole = items(&mut client, PATH, 1000);
    assert_eq!(numbers(&whole), all);
    for limit in [1, 2, 5, 22, 23, 24] {
        assert_eq!(items(&mut client, PATH, limit), whole, "{limit}");
        let page = client.get(&format!("{PATH}/versions?limit={limit}"));
        let next = page.json()["next"].as_str().map(str::to_owned);
        assert_eq!(next.is_some(), limit < 23, "{limit}");
        // The field says what the document says.
        assert_eq!(linked(&page, "next"), next);
        assert_eq!(linked(&page, "latest-version").as_deref(), Some(PATH));
    }
}

#[test]
fn a_page_has_100_versions_where_no_limit_is_named() {
    let server = Server::start();
    let mut client = server.client();
    fill(&mut client, PATH, 101);
    let page = client.get(&format!("{PATH}/versions")).expect(200).json();
    let first = numbers(page["items"].as_array().unwrap());
    assert_eq!(first, (2..=101).rev().collect::<Vec<_>>());
    let page = client
        .get(page["next"].as_str().unwrap())
        .expect(200)
        .json();
    assert_eq!(numbers(page["items"].as_array().unwrap()), [1]);
    assert_eq!(page["next"], serde_json::Value::Null);
}

#[test]
fn pages_cover_a_history_exactly_once_while_others_write_it() {
    let server = Server::start();
    let mut client = server.client();
    fill(&mut client, PATH, 30);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        for _ in 0..2 {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                let mut client = server.client();
                while !done.load(Ordering::Relaxed) {
                    client.send("PUT", PATH, &STAR, Some("0")).expect(204);
                }
            });
        }
        let mut newest = 0;
        for limit in [1, 3, 7, 29, 30, 31, 1000] {
            let found = numbers(&items(&mut client, PATH, limit));
            let expected: Vec<i64> = (1..=found[0]).rev().collect();
            assert_eq!(found, expected, "in order, none twice, none missing");
            assert!(found[0] >= newest, "{} after {newest}", found[0]);
            newest = found[0];
        }
        assert!(newest > 30, "nobody wrote meanwhile");
    });
}

#[test]
fn a_history_has_a_weak_tag_that_changes_with_it() {
    let server = Server::start();
    let mut client = server.client();
    fill(&mut client, PATH, 3);
    let list = format!("{PATH}/versions");
    let before = client.get(&list).expect(200).etag();
    assert!(before.starts_with("W/\""), "{before}");
    let old = client.get(&format!("{list}?limit=2")).json()["next"].clone();
    let old = old.as_str().unwrap();
    let page = client.get(old).expect(200).etag();
    let unchanged = |client: &mut Client, path: &str, tag: &str| {
        let answer = client.send("GET", path, &[("if-none-match", tag)], None);
        (answer.status, answer.etag())
    };
    assert_eq!(
        unchanged(&mut client, &list, &before),
        (304, before.clone())
    );
    client.send("DELETE", PATH, &STAR, None).expect(204);
    let (status, after) = unchanged(&mut client, &list, &before);
    assert!(status == 200 && after != before);
    // What is old stays as it is.
    assert_eq!(unchanged(&mut client, old, &page), (304, page.clone()));
}

#[test]
fn a_cursor_belongs_to_one_history() {
    let server = Server::start();
    let mut client = server.client();
    for path in [PATH, "/resources/a/c", "/resources/b/b"] {
        fill(&mut client, path, 3);
    }
    let cursor_of = |client: &mut Client, path: &str| {
        let next = client.get(path).expect(200).json()["next"].clone();
        let next = next.as_str().unwrap().to_owned();
        next.split_once("after=").unwrap().1.to_owned()
    };
    let mine = cursor_of(&mut client, &format!("{PATH}/versions?limit=1"));
    let read = client
        .get(&format!("{PATH}/versions?after={mine}"))
        .expect(200)
        .json();
    assert_eq!(numbers(read["items"].as_array().unwrap()), [2, 1]);
    let keys = cursor_of(&mut client, "/resources/a?limit=1");
    let made = |position: &str| {
        let (scope, position) = (format!("{PATH}/versions"), position.to_owned());
        Cursor { scope, position }.encode()
    };
    let cut = &mine[1..];
    for (path, query) in [
        ("/resources/a/c/versions", format!("after={mine}")),
        ("/resources/b/b/versions", format!("after={mine}")),
        ("/resources/a", format!("after={mine}")),
        (PATH, format!("after={mine}")),
    ]
    .into_iter()
    .chain(
        [
            format!("after={keys}"),
            format!("after={cut}"),
            "after=3".to_owned(),
            "after=".to_owned(),
            format!("after={mine}&after={mine}"),
            format!("after={}", made("0")),
            format!("after={}", made("-1")),
            format!("after={}", made("02")),
            format!("after={}", made("9223372036854775808")),
            format!("after={}", made("b")),
            "limit=0".to_owned(),
            "limit=1001".to_owned(),
            "limit=1&limit=1".to_owned(),
            "prefix=1".to_owned(),
            "key=1".to_owned(),
            "version=1".to_owned(),
            "x".to_owned(),
        ]
        .map(|query| ("/resources/a/b/versions", query)),
    ) {
        let answer = client.get(&format!("{path}?{query}"));
        let found = (answer.status, answer.slug());
        assert_eq!(
            found,
            (400, "malformed-request".to_owned()),
            "{path}?{query}"
        );
    }
    // Before the first there is nothing, which is no error.
    let end = client.get(&format!("{PATH}/versions?after={}", made("1")));
    assert_eq!(
        end.expect(200).text(),
        "{\n  \"items\": [],\n  \"next\": null\n}\n"
    );
    // A cursor of a history that never was does not make it one.
    let scope = "/resources/a/never/versions".to_owned();
    let position = "5".to_owned();
    let never = Cursor { scope, position }.encode();
    let never = client.get(&format!("/resources/a/never/versions?after={never}"));
    never.expect_problem(404, "not-found");
}
