//! Paging: every item once, in order, whoever writes meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::names;
use crate::support::Stop;
use crate::support::client::Client;
use crate::support::server::Server;

/// Follows `next` from a first page; the keys of each page.
#[track_caller]
fn follow(client: &mut Client, first: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = Some(first.to_owned());
    while let Some(path) = next {
        let page = client.get(&path).expect(200);
        let document = page.json();
        pages.push(names(&document));
        next = document["next"].as_str().map(str::to_owned);
        let link = next.as_ref().map(|next| format!("<{next}>; rel=\"next\""));
        assert_eq!(
            page.header("link"),
            link,
            "the field says what the document says"
        );
        assert!(pages.len() < 1000, "next leads in a circle");
    }
    pages
}

fn fill(client: &mut Client, collection: &str, keys: &[String]) {
    let change = |key: &String| json!({"method": "PUT", "target": format!("/resources/{collection}/{key}"), "if_none_match": "*", "body": 1});
    let changes: Value = keys.iter().map(change).collect();
    let (transaction, tag) = client.open_transaction();
    client
        .apply(&transaction, &tag, &changes.to_string())
        .expect(200);
}

#[test]
fn every_limit_gives_the_same_items() {
    let server = Server::start();
    let mut client = server.client();
    let keys: Vec<String> = (0..23).map(|index| format!("k{index:02}&+")).collect();
    fill(&mut client, "a", &keys);
    for limit in [1, 2, 5, 22, 23, 24, 1000] {
        let pages = follow(&mut client, &format!("/resources/a?limit={limit}"));
        assert_eq!(pages.concat(), keys);
        let full = &pages[..pages.len() - 1];
        assert!(full.iter().all(|page| page.len() == limit), "{limit}");
        assert!(
            pages.last().is_some_and(|page| !page.is_empty()),
            "no empty page at the end"
        );
        let pages = follow(
            &mut client,
            &format!("/resources/a?limit={limit}&prefix=k1"),
        );
        assert_eq!(pages.concat(), keys[10..20]);
    }
    assert_eq!(follow(&mut client, "/resources/a"), [keys]);
}

#[test]
fn a_page_has_100_items_where_no_limit_is_named() {
    let server = Server::start();
    let mut client = server.client();
    let keys: Vec<String> = (0..101).map(|index| format!("k{index:03}")).collect();
    fill(&mut client, "a", &keys);
    let pages = follow(&mut client, "/resources/a");
    assert_eq!(pages, [keys[..100].to_vec(), keys[100..].to_vec()]);
}

#[test]
fn collections_are_paged_too() {
    let server = Server::start();
    let mut client = server.client();
    let names: Vec<String> = (0..7).map(|index| format!("c{index}")).collect();
    for name in &names {
        client.put_new(&format!("/resources/{name}/x"), "1");
        client.put_new(&format!("/resources/{name}/y"), "1");
    }
    for limit in [1, 2, 3, 7, 8] {
        assert_eq!(
            follow(&mut client, &format!("/resources?limit={limit}")).concat(),
            names
        );
        let one = follow(&mut client, &format!("/resources?limit={limit}&prefix=c3"));
        assert_eq!(one, [["c3"]]);
    }
}

#[test]
fn a_cursor_outlives_its_item() {
    let server = Server::start();
    let mut client = server.client();
    for key in ["a", "b", "c", "d"] {
        client.put_new(&format!("/resources/a/{key}"), "1");
    }
    let next = client.get("/resources/a?limit=2").json()["next"].clone();
    client
        .send("DELETE", "/resources/a/b", &[("if-match", "*")], None)
        .expect(204);
    client.put_new("/resources/a/aa", "1");
    client.put_new("/resources/a/bb", "1");
    let pages = follow(&mut client, next.as_str().unwrap());
    assert_eq!(pages.concat(), ["bb", "c", "d"]);
}

#[test]
fn pages_cover_all_exactly_once_while_others_write() {
    let server = Server::start();
    let mut client = server.client();
    let keys: Vec<String> = (0..60).map(|index| format!("k{index:02}")).collect();
    fill(&mut client, "a", &keys);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        for writer in 0..2 {
            let (server, done) = (&server, &done);
            scope.spawn(move || {
                let mut client = server.client();
                let mut round = 0_usize;
                while !done.load(Ordering::Relaxed) {
                    let kept = format!("/resources/a/k{:02}", (round * 7 + writer) % 60);
                    client
                        .send("PUT", &kept, &[("if-match", "*")], Some("2"))
                        .expect(204);
                    let other = format!("/resources/a/k{:02}-{writer}", (round * 11) % 60);
                    client.put_new(&other, "1");
                    client
                        .send("DELETE", &other, &[("if-match", "*")], None)
                        .expect(204);
                    round += 1;
                }
            });
        }
        for limit in [3, 7, 20, 59, 60, 61, 200] {
            let seen = follow(&mut client, &format!("/resources/a?limit={limit}")).concat();
            assert!(
                seen.windows(2).all(|pair| pair[0] < pair[1]),
                "in order, none twice: {seen:?}"
            );
            let kept: Vec<&String> = seen.iter().filter(|key| key.len() == 3).collect();
            assert_eq!(kept, keys.iter().collect::<Vec<_>>(), "none is missing");
        }
    });
}

#[test]
fn a_page_of_large_documents_ends_early() {
    let server = Server::start();
    let mut client = server.client();
    let large = format!("\"{}\"", "x".repeat(1_000_000));
    let keys: Vec<String> = (0..11).map(|index| format!("k{index:02}")).collect();
    for key in &keys {
        client.put_new(&format!("/resources/a/{key}"), &large);
    }
    let pages = follow(&mut client, "/resources/a?limit=1000");
    assert_eq!(pages.concat(), keys);
    assert!(pages.len() > 1, "11 MB on one page");
    assert!(pages[0].len() > 1, "pages are not needlessly small");
    // Keys that are named are on one page, whatever their size.
    let query: Vec<String> = keys.iter().map(|key| format!("key={key}")).collect();
    assert_eq!(
        follow(&mut client, &format!("/resources/a?{}", query.join("&"))),
        [keys]
    );
}
