//! A tag names one state for ever (contract §3).

use std::collections::HashSet;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::support::cluster;
use crate::support::server::Server;

#[test]
fn a_put_of_equal_bytes_is_a_new_version_with_a_new_tag() {
    let server = Server::start();
    let mut client = server.client();
    let mut tags = HashSet::from([client.put_new("/resources/a/b", "{}")]);
    for _ in 0..5 {
        let current = client.get("/resources/a/b").etag();
        let written = client
            .send(
                "PUT",
                "/resources/a/b",
                &[("if-match", &current)],
                Some("{}"),
            )
            .expect(204);
        assert!(tags.insert(written.etag()), "a tag was issued twice");
        assert_eq!(client.get("/resources/a/b").etag(), written.etag());
        client
            .send(
                "PUT",
                "/resources/a/b",
                &[("if-match", &current)],
                Some("{}"),
            )
            .expect_problem(412, "stale-resource");
    }
    // A merge patch that changes nothing is a write too.
    let patched = client
        .send("PATCH", "/resources/a/b", &[("if-match", "*")], Some("{}"))
        .expect(204);
    assert!(tags.insert(patched.etag()));
    assert_eq!(versions(&server), (1..=7).collect::<Vec<_>>());
}

#[test]
fn deletion_and_creation_anew_never_bring_back_a_tag() {
    let server = Server::start();
    let mut client = server.client();
    let mut tags = HashSet::new();
    for round in 0..4 {
        let created = client.put_new("/resources/a/b", "{\"same\": true}");
        assert!(tags.insert(created.clone()), "round {round}");
        let deleted = client
            .send("DELETE", "/resources/a/b", &[("if-match", &created)], None)
            .expect(204);
        assert_eq!(deleted.header("etag"), None);
        assert_eq!(deleted.header("last-modified"), None);
        client
            .get("/resources/a/b")
            .expect_problem(404, "not-found");
    }
    client.put_new("/resources/a/b", "{\"same\": true}");
    for tag in &tags {
        client
            .send("PUT", "/resources/a/b", &[("if-match", tag)], Some("1"))
            .expect_problem(412, "stale-resource");
        let read = client.send("GET", "/resources/a/b", &[("if-none-match", tag)], None);
        assert_eq!(read.expect(200).text(), "{\"same\": true}");
    }
    assert_eq!(
        versions(&server),
        (1..=9).collect::<Vec<_>>(),
        "versions go on"
    );
}

#[test]
fn a_repeated_delete_is_404_and_names_the_writer() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "{}");
    let delete = [("if-match", &*tag)];
    let deleted = client
        .send("DELETE", "/resources/a/b", &delete, None)
        .expect(204);
    let link = deleted.header("link").unwrap();
    for method in ["DELETE", "PATCH"] {
        let again = client
            .send(method, "/resources/a/b", &delete, Some("{}"))
            .expect_problem(404, "not-found");
        let conflict = again.json()["conflicts"][0].clone();
        let writer = conflict["transaction"].as_str().unwrap();
        assert_eq!(link, format!("<{writer}>; rel=\"via\""));
        assert_eq!(conflict["current"], serde_json::Value::Null);
        assert_eq!(
            (&conflict["change"], &conflict["target"]),
            (&0.into(), &"/resources/a/b".into())
        );
        let transaction = client.get(writer).expect(200).json();
        assert_eq!(transaction["state"], "committed");
        assert_eq!(transaction["changes"][0]["method"], "DELETE");
    }
    // What never was has no writer.
    let never = client.send("DELETE", "/resources/a/never", &delete, None);
    assert_eq!(
        never
            .expect_problem(404, "not-found")
            .json()
            .get("conflicts"),
        None
    );
}

#[test]
fn a_repeated_put_meets_its_own_new_tag_and_learns_so() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "1");
    let headers = [("if-match", &*tag), ("prefer", "return=representation")];
    let written = client
        .send("PUT", "/resources/a/b", &headers, Some("2"))
        .expect(200);
    let again = client
        .send("PUT", "/resources/a/b", &headers, Some("2"))
        .expect_problem(412, "stale-resource");
    let conflict = again.json()["conflicts"][0].clone();
    assert_eq!(conflict["if_match"], *tag);
    assert_eq!(conflict["current"], *written.etag());
    assert_eq!(conflict["body"], 2);
    let writer = format!(
        "<{}>; rel=\"via\"",
        conflict["transaction"].as_str().unwrap()
    );
    assert_eq!(written.header("link").unwrap(), writer);
    assert_eq!(
        again.header("preference-applied").as_deref(),
        Some("return=representation")
    );
    let bare = client
        .send("PUT", "/resources/a/b", &headers[..1], Some("2"))
        .expect_problem(412, "stale-resource");
    assert_eq!(bare.json()["conflicts"][0].get("body"), None);
}

#[test]
fn tags_are_opaque_ascii_without_backslashes() {
    let server = Server::start();
    let mut client = server.client();
    let (_, transaction) = client.open_transaction();
    for tag in [client.put_new("/resources/a/b", "1"), transaction] {
        let inner = tag
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap();
        assert!(!inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_graphic()));
        assert!(!inner.contains(['"', '\\']), "{tag}");
    }
}

/// The versions of `/resources/a/b`, as they are stored.
fn versions(server: &Server) -> Vec<i64> {
    let mut connection = cluster::connect(&server.database_url);
    let query = diesel::select(sql::<diesel::sql_types::Array<BigInt>>(
        "ARRAY(SELECT version FROM versions WHERE collection = 'a' AND key = 'b' ORDER BY version)",
    ));
    query.get_result(&mut connection).unwrap()
}
