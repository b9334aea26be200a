//! Problem documents and their pages (contract §8).

use ifmatch::protocol::problem::Slug;
use serde_json::Value;

use crate::support::client::{Client, Response};
use crate::support::server::Server;

/// Method, URI, header fields, content, slug.
type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

/// Checks all that is true of every problem.
#[track_caller]
fn check(response: &Response, path: &str) {
    let text = response.text();
    let document: Value = serde_json::from_str(&text).unwrap();
    let members: Vec<&str> = document
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        members[..5],
        ["type", "title", "status", "detail", "instance"],
        "{text}"
    );
    assert!(
        members[5..]
            .iter()
            .all(|name| ["errors", "conflicts", "current"].contains(name))
    );
    assert_eq!(
        text,
        serde_json::to_string_pretty(&document).unwrap() + "\n"
    );
    assert_eq!(document["status"], response.status);
    assert_eq!(document["instance"], path);
    let slug = Slug::parse(&response.slug()).unwrap();
    assert_eq!(document["title"], slug.title());
    assert_eq!(slug.status(), response.status);
    assert_eq!(
        response.header("cache-control").as_deref(),
        Some("no-store")
    );
    assert_eq!(response.header("etag"), None);
    let detail = document["detail"].as_str().unwrap();
    for secret in ["SELECT", "postgres", "diesel", "panicked", "src/", "test_"] {
        assert!(!detail.contains(secret), "{detail}");
    }
}

#[test]
fn every_problem_is_a_document_of_one_form() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "{\"a\":1}");
    let (open, _) = client.open_transaction();
    let wrong = "\"wrong\"";
    let rows: &[Row] = &[
        ("GET", "/resources/a/b?x=1", &[], "", "malformed-request"),
        ("GET", "/resources/a/none", &[], "", "not-found"),
        ("POST", "/resources/a/b", &[], "", "method-not-allowed"),
        (
            "GET",
            "/resources/a/b",
            &[("accept", "text/html")],
            "",
            "not-acceptable",
        ),
        (
            "PUT",
            "/resources/a/b",
            &[("if-match", wrong)],
            "1",
            "stale-resource",
        ),
        (
            "GET",
            "/resources/a/b",
            &[("if-match", wrong)],
            "",
            "stale-resource",
        ),
        (
            "PUT",
            "/resources/a/b",
            &[("if-match", "W/\"1\"")],
            "1",
            "weak-etag",
        ),
        ("PUT", "/resources/a/b", &[], "1", "precondition-required"),
        (
            "PUT",
            "/resources/a/b",
            &[("if-match", &tag)],
            "{",
            "malformed-request",
        ),
        (
            "PUT",
            "/resources/a/b",
            &[("if-match", &tag), ("content-type", "a/b")],
            "1",
            "unsupported-media-type",
        ),
        (
            "PATCH",
            "/resources/a/b",
            &[
                ("if-match", &tag),
                ("content-type", "application/json-patch+json"),
            ],
            "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
            "patch-conflict",
        ),
        (
            "PUT",
            &open,
            &[("if-match", wrong)],
            "{}",
            "stale-transaction",
        ),
        (
            "PUT",
            &open,
            &[("if-match", "*")],
            "{}",
            "invalid-operation",
        ),
        (
            "GET",
            "/transactions/01080f3e-7a10-7c5e-9d0b-6a3f5f0c2b11",
            &[],
            "",
            "gone",
        ),
    ];
    for (method, path, headers, body, slug) in rows {
        let body = (!body.is_empty()).then_some(*body);
        let response = client.send(method, path, headers, body);
        assert_eq!(
            response.slug(),
            *slug,
            "{method} {path} {headers:?}: {}",
            response.text()
        );
        check(&response, path.split('?').next().unwrap());
    }
}

#[test]
fn problems_disregard_accept() {
    let server = Server::start();
    let mut client = server.client();
    for accept in [
        "application/json",
        "image/png",
        "text/html;q=0",
        "*/*;q=0",
        ";;;",
    ] {
        let headers = [("accept", accept)];
        let missing = client.send("GET", "/resources/a/b", &headers, None);
        check(&missing.expect_problem(404, "not-found"), "/resources/a/b");
        let refused = client.send("PUT", "/resources/a/b", &headers, Some("1"));
        check(
            &refused.expect_problem(428, "precondition-required"),
            "/resources/a/b",
        );
    }
}

#[test]
fn writes_disregard_accept() {
    let server = Server::start();
    let mut client = server.client();
    let accept = ("accept", "image/png");
    client
        .send(
            "PUT",
            "/resources/a/b",
            &[("if-none-match", "*"), accept],
            Some("1"),
        )
        .expect(201);
    let headers = [
        ("if-match", "*"),
        accept,
        ("prefer", "return=representation"),
    ];
    client
        .send("PUT", "/resources/a/b", &headers, Some("2"))
        .expect(200);
    let opened = client
        .send("POST", "/transactions", &[accept], None)
        .expect(201);
    client
        .send(
            "DELETE",
            &opened.location(),
            &[("if-match", "*"), accept],
            None,
        )
        .expect(204);
    client
        .send(
            "DELETE",
            "/resources/a/b",
            &[("if-match", "*"), accept],
            None,
        )
        .expect(204);
}

#[test]
fn any_json_in_accept_is_content_with_any_other() {
    let server = Server::start();
    let mut client = server.client();
    let headers = [
        ("if-none-match", "*"),
        ("content-type", "application/vnd.x+json"),
    ];
    client
        .send("PUT", "/resources/a/b", &headers, Some("1"))
        .expect(201);
    for (accept, status) in [
        ("*/*", 200),
        ("", 200),
        ("application/*", 200),
        ("application/json", 200),
        ("application/vnd.y+json", 200),
        ("text/html, application/json;q=0.1", 200),
        ("text/html, */*;q=0.1", 200),
        ("text/html", 406),
        ("image/*", 406),
        ("application/xml, text/plain", 406),
        ("*/*;q=0", 406),
    ] {
        for path in [
            "/resources/a/b",
            "/resources/a",
            "/",
            "/problems/gone",
            "/health/live",
        ] {
            let read = client.send("GET", path, &[("accept", accept)], None);
            assert_eq!(read.status, status, "{path} {accept:?}");
            if status == 406 {
                check(&read.expect_problem(406, "not-acceptable"), path);
            }
        }
    }
    let yaml = [("accept", "application/yaml")];
    client.send("GET", "/openapi.yaml", &yaml, None).expect(200);
    client
        .send("GET", "/openapi.json", &yaml, None)
        .expect_problem(406, "not-acceptable");
}

#[test]
fn every_problem_type_has_a_page() {
    let server = Server::start();
    let mut client: Client = server.client();
    for slug in Slug::ALL {
        let path = format!("/problems/{}", slug.as_str());
        let page = client.get(&path).expect(200);
        assert_eq!(
            page.header("content-type").as_deref(),
            Some("application/json")
        );
        assert_eq!(page.header("cache-control").as_deref(), Some("max-age=300"));
        let expected = serde_json::json!({
            "type": path,
            "title": slug.title(),
            "status": slug.status(),
            "detail": slug.meaning(),
            "recovery": slug.recovery(),
        });
        assert_eq!(page.json(), expected);
    }
}
