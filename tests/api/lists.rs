//! Lists: what is in them, in which order, page by page (contract §4).

mod contains;
mod pages;
mod queries;
mod snapshots;

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::Server;

/// The keys, or names, of a list's items.
fn names(document: &Value) -> Vec<String> {
    let items = document["items"].as_array().unwrap();
    let name = |item: &Value| {
        item.get("key")
            .or(item.get("name"))
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    };
    items.iter().map(name).collect()
}

/// The keys of the list at `path`.
#[track_caller]
fn list(client: &mut Client, path: &str) -> Vec<String> {
    names(&client.get(path).expect(200).json())
}

const NONE: [&str; 0] = [];

#[test]
fn an_empty_list_is_a_list() {
    let server = Server::start();
    let mut client = server.client();
    for path in [
        "/resources",
        "/resources/never",
        "/resources/never?prefix=a&limit=1",
        "/resources/never?key=a",
        "/resources?key=never/a",
        "/resources?prefix=a",
        "/transactions",
    ] {
        let read = client.get(path).expect(200);
        assert_eq!(
            read.text(),
            "{\n  \"items\": [],\n  \"next\": null\n}\n",
            "{path}"
        );
        assert_eq!(read.header("link"), None);
    }
}

#[test]
fn an_item_is_the_resource_as_it_is_read() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/plain", "{\"x\": 1.0}");
    let typed = [
        ("if-none-match", "*"),
        ("content-type", "application/vnd.x+json"),
    ];
    client
        .send("PUT", "/resources/a/typed", &typed, Some("null"))
        .expect(201);
    let (plain, typed) = (
        client.get("/resources/a/plain").etag(),
        client.get("/resources/a/typed").etag(),
    );
    let page = client.get("/resources/a").expect(200);
    let items = page.json()["items"].clone();
    let expected = json!([
        {"href": "/resources/a/plain", "key": "plain", "etag": plain, "updated_at": items[0]["updated_at"], "body": {"x": 1}},
        {"href": "/resources/a/typed", "key": "typed", "etag": typed, "updated_at": items[1]["updated_at"], "media_type": "application/vnd.x+json", "body": null},
    ]);
    assert_eq!(
        items.to_string(),
        expected.to_string().replace("{\"x\":1}", "{\"x\":1.0}")
    );
    let updated = items[0]["updated_at"].as_str().unwrap();
    assert!(
        updated.ends_with('Z') && updated.len() == "2026-03-01T11:58:30.120000Z".len(),
        "{updated}"
    );
    let across = client.get("/resources?key=a/plain").expect(200).json()["items"][0].clone();
    assert_eq!(across["collection"], "a");
    for member in ["href", "key", "etag", "updated_at", "body"] {
        assert_eq!(across[member], items[0][member]);
    }
}

#[test]
fn keys_are_ordered_byte_by_byte() {
    let server = Server::start();
    let mut client = server.client();
    let mut keys = vec![
        "a", "A", "b", "B", "a-b", "a.b", "a_b", "ab", "aB", "Ab", "0", "10", "2", "!", "$", "~",
        "'", "(", "*", "=", "@", ":", ";", ",", "&", "+", "-", "...", "a!", "a~", "_",
    ];
    for key in &keys {
        client.put_new(&format!("/resources/a/{key}"), "1");
    }
    keys.sort_unstable();
    assert_eq!(list(&mut client, "/resources/a"), keys);
    let href = client.get("/resources/a").json()["items"][0]["href"].clone();
    client.get(href.as_str().unwrap()).expect(200);
    for collection in ["b_c", "b-c", "bc", "b0"] {
        client.put_new(&format!("/resources/{collection}/x"), "1");
    }
    let collections = ["a", "b-c", "b0", "b_c", "bc"];
    assert_eq!(list(&mut client, "/resources"), collections);
    let expected = json!({"href": "/resources/a", "name": "a"});
    assert_eq!(client.get("/resources").json()["items"][0], expected);
}

#[test]
fn what_is_deleted_is_in_no_list() {
    let server = Server::start();
    let mut client = server.client();
    for path in ["/resources/a/x", "/resources/a/y", "/resources/b/x"] {
        client.put_new(path, "1");
    }
    client
        .send("DELETE", "/resources/a/x", &[("if-match", "*")], None)
        .expect(204);
    client
        .send("DELETE", "/resources/b/x", &[("if-match", "*")], None)
        .expect(204);
    assert_eq!(list(&mut client, "/resources/a"), ["y"]);
    assert_eq!(list(&mut client, "/resources/a?key=x&key=y"), ["y"]);
    assert_eq!(list(&mut client, "/resources/b"), NONE);
    assert_eq!(list(&mut client, "/resources"), ["a"]);
    assert_eq!(list(&mut client, "/resources?key=a/x&key=b/x"), NONE);
    // A refused creation leaves no name behind either.
    let stale = [("if-match", "*")];
    client
        .send("PUT", "/resources/c/x", &stale, Some("1"))
        .expect_problem(412, "stale-resource");
    assert_eq!(list(&mut client, "/resources"), ["a"]);
    assert_eq!(list(&mut client, "/resources/c"), NONE);
    client.put_new("/resources/b/x", "2");
    assert_eq!(list(&mut client, "/resources"), ["a", "b"]);
}

#[test]
fn a_list_has_a_weak_tag_that_changes_with_it() {
    let server = Server::start();
    let mut client = server.client();
    let (mut one, mut all) = (String::new(), String::new());
    for round in 0..3 {
        client.put_new(&format!("/resources/a/{round}"), "1");
        for (path, before) in [
            ("/resources/a?limit=1", &mut one),
            ("/resources/a?limit=1000", &mut all),
        ] {
            let read = client.get(path).expect(200);
            assert!(read.etag().starts_with("W/\""));
            let unchanged = client.send("GET", path, &[("if-none-match", &read.etag())], None);
            assert_eq!(unchanged.expect(304).etag(), read.etag());
            if !before.is_empty() {
                let changed = client.send("GET", path, &[("if-none-match", before)], None);
                let expected = if path.ends_with("=1") && round > 1 {
                    304
                } else {
                    200
                };
                assert_eq!(changed.status, expected, "{path} {round}");
            }
            *before = read.etag();
        }
    }
    for path in ["/resources/a", "/resources", "/transactions", "/"] {
        let read = client.get(path).expect(200).etag();
        let refused = client.send("GET", path, &[("if-match", &read)], None);
        refused.expect_problem(412, "weak-etag");
        client
            .send("GET", path, &[("if-match", "*")], None)
            .expect(200);
        client
            .send("GET", path, &[("if-none-match", "*")], None)
            .expect(304);
        client
            .send("GET", path, &[("if-none-match", "x")], None)
            .expect_problem(400, "malformed-request");
    }
}
