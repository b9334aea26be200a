//! Content is looked at by every write, also where it means nothing (contract §3).

use base64::Engine as _;
use sha2::Digest as _;

use super::scene::number;
use crate::support::client::{Client, Response};
use crate::support::cluster;
use crate::support::server::Server;

const BYTES_MAX: usize = 1000;

fn small() -> Server {
    Server::with(
        |settings| settings.limits.body_bytes_max = BYTES_MAX,
        |_| {},
    )
}

/// `Content-Digest` of some content.
fn digest(content: &str) -> String {
    let hash = sha2::Sha256::digest(content.as_bytes());
    let encoded = base64::engine::general_purpose::STANDARD.encode(hash);
    format!("sha-256=:{encoded}:")
}

fn count(server: &Server, table: &str) -> i64 {
    let mut store = cluster::connect(&server.database_url);
    number(
        &mut store,
        &format!("SELECT count(*) AS number FROM {table}"),
    )
}

#[test]
fn a_post_whose_content_was_cut_to_nothing_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    let other = digest("{\"reference\": \"r\"}");
    let headers = [("content-digest", &*other)];
    for content in [Some(""), None, Some("{}")] {
        client
            .send("POST", "/transactions", &headers, content)
            .expect_problem(400, "malformed-request");
    }
    let long = [headers[0], ("content-length", "0")];
    client
        .send("POST", "/transactions", &long, None)
        .expect_problem(400, "malformed-request");
    let coded = [("content-encoding", "gzip")];
    for content in [Some(""), Some("{}")] {
        let refused = client
            .send("POST", "/transactions", &coded, content)
            .expect_problem(415, "unsupported-media-type");
        assert_eq!(
            refused.header("accept-encoding").as_deref(),
            Some("identity")
        );
    }
    assert_eq!(count(&server, "transactions"), 0);
    let none = digest("");
    for content in [Some(""), None] {
        client
            .send(
                "POST",
                "/transactions",
                &[("content-digest", &none)],
                content,
            )
            .expect(201);
    }
    assert_eq!(count(&server, "transactions"), 2);
}

/// What a DELETE is sent to, with its tag.
struct Target {
    path: String,
    tag: String,
    /// The problem of a false condition.
    stale: &'static str,
}

impl Target {
    fn delete(
        &self,
        client: &mut Client,
        condition: &str,
        headers: &[(&str, &str)],
        content: Option<&str>,
    ) -> Response {
        let mut all = vec![("if-match", condition)];
        all.extend_from_slice(headers);
        client.send("DELETE", &self.path, &all, content)
    }
}

/// A resource and an open transaction.
fn targets(client: &mut Client) -> [Target; 2] {
    let tag = client.put_new("/resources/a/b", "1");
    let (path, transaction_tag) = client.open_transaction();
    [
        Target {
            path: "/resources/a/b".to_owned(),
            tag,
            stale: "stale-resource",
        },
        Target {
            path,
            tag: transaction_tag,
            stale: "stale-transaction",
        },
    ]
}

#[test]
fn a_delete_with_other_content_than_its_digest_names_deletes_nothing() {
    let server = small();
    let mut client = server.client();
    for target in targets(&mut client) {
        let wrong = digest("other");
        let headers = [("content-digest", &*wrong)];
        for content in [Some("{}"), Some(""), None] {
            for condition in [&*target.tag, "*"] {
                target
                    .delete(&mut client, condition, &headers, content)
                    .expect_problem(400, "malformed-request");
            }
            target
                .delete(&mut client, "\"other\"", &headers, content)
                .expect_problem(412, target.stale);
            client
                .send("DELETE", &target.path, &headers, content)
                .expect_problem(428, "precondition-required");
        }
        assert_eq!(client.get(&target.path).expect(200).etag(), target.tag);
        let right = digest("{}");
        let headers = [("content-digest", &*right)];
        target
            .delete(&mut client, &target.tag, &headers, Some("{}"))
            .expect(204);
    }
}

#[test]
fn a_delete_with_a_content_coding_deletes_nothing() {
    let server = small();
    let mut client = server.client();
    for target in targets(&mut client) {
        for coding in ["gzip", "identity, br"] {
            let headers = [("content-encoding", coding)];
            // 415 is one of what would fail without the condition, so it comes before 412 and 428.
            for condition in [&*target.tag, "*", "\"other\""] {
                let refused = target
                    .delete(&mut client, condition, &headers, Some("{}"))
                    .expect_problem(415, "unsupported-media-type");
                assert_eq!(
                    refused.header("accept-encoding").as_deref(),
                    Some("identity")
                );
            }
            client
                .send("DELETE", &target.path, &headers, Some("{}"))
                .expect_problem(415, "unsupported-media-type");
        }
        assert_eq!(client.get(&target.path).expect(200).etag(), target.tag);
        let headers = [("content-encoding", "identity")];
        target
            .delete(&mut client, &target.tag, &headers, Some("{}"))
            .expect(204);
    }
}

#[test]
fn a_delete_with_too_much_content_deletes_nothing() {
    let server = small();
    let mut client = server.client();
    let long = "1".repeat(BYTES_MAX + 1);
    for target in targets(&mut client) {
        for condition in [&*target.tag, "*", "\"other\""] {
            target
                .delete(&mut client, condition, &[], Some(&long))
                .expect_problem(413, "content-too-large");
        }
        assert_eq!(client.get(&target.path).expect(200).etag(), target.tag);
        // As much as is taken means nothing, of whatever type.
        let headers = [("content-type", "text/plain")];
        target
            .delete(&mut client, &target.tag, &headers, Some(&long[1..]))
            .expect(204);
    }
}

#[test]
fn what_is_not_there_is_404_whatever_is_wrong_with_the_content() {
    let server = small();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/gone", "1");
    client
        .send("DELETE", "/resources/a/gone", &[("if-match", &tag)], None)
        .expect(204);
    let (cancelled, tag) = client.open_transaction();
    client
        .send("DELETE", &cancelled, &[("if-match", &tag)], None)
        .expect(204);
    let wrong = digest("other");
    let long = "1".repeat(BYTES_MAX + 1);
    let contents: [(&[(&str, &str)], &str); 4] = [
        (&[("content-digest", &wrong)], "{}"),
        (&[("content-digest", &wrong)], ""),
        (&[("content-encoding", "gzip")], "{}"),
        (&[], &long),
    ];
    let before = count(&server, "versions");
    for (headers, content) in contents {
        for condition in [Some("*"), Some("\"other\""), None] {
            let mut all: Vec<(&str, &str)> =
                condition.map(|tag| ("if-match", tag)).into_iter().collect();
            all.extend_from_slice(headers);
            for path in [
                "/resources/a/gone",
                "/resources/a/never",
                &super::scene::named(),
            ] {
                client
                    .send("DELETE", path, &all, Some(content))
                    .expect_problem(404, "not-found");
            }
            client
                .send("DELETE", &cancelled, &all, Some(content))
                .expect_problem(410, "transaction-cancelled");
        }
    }
    assert_eq!(count(&server, "versions"), before);
}
