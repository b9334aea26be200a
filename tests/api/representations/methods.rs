//! Which methods a URI has, and what HEAD and OPTIONS answer (contract §2).

use crate::support::client::{Client, Response};
use crate::support::server::Server;

const READ: &str = "GET, HEAD, OPTIONS";
const READ_CREATE: &str = "GET, HEAD, POST, OPTIONS";
const READ_WRITE: &str = "GET, HEAD, PUT, PATCH, DELETE, OPTIONS";

/// Every URI of this release, one of each kind; what is not there yet must answer the same.
fn uris(transaction: &str) -> Vec<(String, &'static str)> {
    [
        ("/", READ),
        ("/resources", READ),
        ("/resources/a", READ),
        ("/resources/empty", READ),
        ("/resources/a/b", READ_WRITE),
        ("/resources/a/absent", READ_WRITE),
        ("/resources/a/b/versions", READ),
        ("/resources/a/absent/versions", READ),
        ("/resources/a/b/versions/1", READ),
        ("/resources/a/b/versions/9223372036854775807", READ),
        ("/transactions", READ_CREATE),
        (transaction, READ_WRITE),
        (
            "/transactions/01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11",
            READ_WRITE,
        ),
        ("/problems/gone", READ),
        ("/openapi.yaml", READ),
        ("/openapi.json", READ),
        ("/docs", READ),
        ("/health/live", READ),
        ("/health/ready", READ),
    ]
    .map(|(path, allow)| (path.to_owned(), allow))
    .to_vec()
}

fn prepared(server: &Server) -> (Client, String) {
    let mut client = server.client();
    client.put_new("/resources/a/b", "{\"a\": 1}");
    let (transaction, _) = client.open_transaction();
    (client, transaction)
}

#[test]
fn options_name_the_methods_and_the_patches() {
    let server = Server::start();
    let (mut client, transaction) = prepared(&server);
    for (path, allow) in uris(&transaction) {
        let options = client.send("OPTIONS", &path, &[], None).expect(204);
        assert_eq!(options.header("allow").as_deref(), Some(allow), "{path}");
        let patches = options.header("accept-patch");
        if !allow.contains("PATCH") {
            assert_eq!(patches, None, "{path}");
        } else if path.starts_with("/resources") {
            let all = "application/merge-patch+json, application/json-patch+json, \
                       application/vnd.ifmatch.increment+json, application/json";
            assert_eq!(patches.as_deref(), Some(all));
        } else {
            let all = "application/merge-patch+json, application/json";
            assert_eq!(patches.as_deref(), Some(all));
        }
        assert_eq!(options.header("content-type"), None);
        assert!(options.header("cache-control").is_some());
    }
    client.send("OPTIONS", "*", &[], None).expect(204);
}

#[test]
fn another_method_is_405_with_allow() {
    let server = Server::start();
    let (mut client, transaction) = prepared(&server);
    for (path, allow) in uris(&transaction) {
        for method in [
            "PUT", "POST", "PATCH", "DELETE", "PROPFIND", "TRACE", "get", "X-Y",
        ] {
            if allow.split(", ").any(|known| known == method) {
                continue;
            }
            // 405 comes before any condition or content is looked at.
            let refused = client
                .send(method, &path, &[("if-match", "nonsense")], Some("{"))
                .expect_problem(405, "method-not-allowed");
            assert_eq!(
                refused.header("allow").as_deref(),
                Some(allow),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn names_that_nothing_can_have_are_404_for_every_method() {
    let server = Server::start();
    let mut client = server.client();
    for path in [
        "/resources/A",
        "/resources/1a",
        "/resources/a.b",
        "/resources/a%2fb",
        "/resources/a/%",
        "/resources/a/b%20c",
        "/resources/a/b%2561",
        "/resources/a/.",
        "/resources/a/%2e%2e",
        "/resources/a/b/",
        "/resources/a/",
        "/resources//b",
        "/resources/",
        "/resources/a/b/c",
        "/resources/A/b/versions",
        "/resources/a/b%20c/versions",
        "/resources/a/../versions/1",
        "/resources/a/b/versions/",
        "/resources/a/b/versions/0",
        "/resources/a/b/versions/01",
        "/resources/a/b/versions/+1",
        "/resources/a/b/versions/-1",
        "/resources/a/b/versions/1.0",
        "/resources/a/b/versions/9223372036854775808",
        "/resources/a/b/versions/one",
        "/resources/a/b/versions/%2531",
        "/resources/A/b/versions/1",
        "/resources/a/b/versions/1/",
        "/resources/a/b/versions/1/2",
        "/resources/a/b/Versions",
        "/transactions/",
        "/transactions/1",
        "/transactions/01980f3e7a107c5e9d0b6a3f5f0c2b11",
        "/transactions/{01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11}",
        "/problems",
        "/problems/",
        "/problems/no-such-problem",
        "/nowhere",
        "//",
        "/health",
        "/openapi",
    ] {
        for method in ["GET", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"] {
            let headers = [("if-none-match", "*"), ("accept", "image/png")];
            client
                .send(method, path, &headers, Some("{}"))
                .expect_problem(404, "not-found");
        }
        assert_eq!(client.send("HEAD", path, &[], None).status, 404, "{path}");
    }
}

#[test]
fn names_are_decoded_exactly_once() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/%61/b%21%7e+", "1");
    let read = client.get("/resources/a/b!~%2B").expect(200);
    assert_eq!(read.etag(), tag);
    assert_eq!(
        read.header("content-location").as_deref(),
        Some("/resources/a/b!~+")
    );
    let longest = "k".repeat(255);
    client.put_new(&format!("/resources/a/{longest}"), "1");
    client
        .send(
            "PUT",
            &format!("/resources/a/{longest}k"),
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect_problem(404, "not-found");
}

#[test]
fn head_has_the_header_fields_of_get() {
    let server = Server::start();
    let (mut client, transaction) = prepared(&server);
    let tag = client.get("/resources/a/b").etag();
    let conditions: &[&[(&str, &str)]] = &[
        &[],
        &[("accept", "text/html")],
        &[("if-none-match", "*")],
        &[("if-none-match", &tag)],
        &[("if-match", "\"other\"")],
        &[("if-match", "W/\"weak\"")],
        &[("if-match", "nonsense")],
        &[("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")],
    ];
    let mut paths = uris(&transaction);
    for extra in [
        "/nowhere",
        "/resources/a?limit=0",
        "/resources/a?limit=1",
        "/resources?key=a/b",
    ] {
        paths.push((extra.to_owned(), READ));
    }
    for (path, _) in paths {
        for headers in conditions {
            let get = client.send("GET", &path, headers, None);
            let head = client.send("HEAD", &path, headers, None);
            assert_eq!(comparable(&get), comparable(&head), "{path} {headers:?}");
        }
    }
}

fn comparable(response: &Response) -> (u16, Vec<(String, String)>) {
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| name != "date" && name != "x-request-id");
    headers.sort();
    (response.status, headers)
}
