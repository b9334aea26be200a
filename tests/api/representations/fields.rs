//! The header fields of every kind of answer, all of them: what is not in the table must not be sent.

use serde_json::Value;

use crate::support::client::{Client, Response};
use crate::support::server::Server;

const PRIVATE: &str = "private, no-cache, no-transform";

/// Checks the status and every header field; `~` stands for any value.
#[track_caller]
fn check(response: &Response, status: u16, expected: &[(&str, &str)]) {
    assert_eq!(
        response.status,
        status,
        "{:#?}\n{}",
        response.headers,
        response.text()
    );
    let mut found: Vec<(&str, &str)> = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| *name != "date")
        .map(
            |(name, value)| match expected.iter().find(|(other, _)| *other == name) {
                Some((_, "~")) => (name, "~"),
                _ => (name, value),
            },
        )
        .collect();
    let mut expected: Vec<(&str, &str)> = expected.to_vec();
    expected.push(("x-request-id", "~"));
    for (name, value) in &mut found {
        if *name == "x-request-id" {
            *value = "~";
        }
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{}", response.text());
    assert!(response.header("date").is_some());
}

#[test]
fn reads_of_a_resource() {
    let server = Server::start();
    let mut client = server.client();
    let path = "/resources/a/b";
    let written = client
        .send("PUT", path, &[("if-none-match", "*")], Some("1"))
        .expect(201);
    let via = written.header("link").unwrap();
    let link = format!("{via}, </resources/a/b/versions>; rel=\"version-history\"");
    let tag = written.etag();
    let modified = written.header("last-modified").unwrap();
    let stored = [
        ("etag", &*tag),
        ("cache-control", PRIVATE),
        ("vary", "Accept"),
        ("content-location", path),
    ];
    let mut whole = stored.to_vec();
    whole.extend([
        ("link", &*link),
        ("last-modified", &*modified),
        ("content-type", "application/json"),
        ("content-length", "1"),
    ]);
    check(&client.get(path), 200, &whole);
    check(&client.send("HEAD", path, &[], None), 200, &whole);
    for condition in [
        ("if-none-match", &*tag),
        ("if-none-match", "*"),
        ("if-none-match", &*format!("\"x\", W/{tag}")),
        ("if-modified-since", &*modified),
    ] {
        for method in ["GET", "HEAD"] {
            check(&client.send(method, path, &[condition], None), 304, &stored);
        }
    }
}

#[test]
fn reads_of_versions() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "1");
    let star = [("if-match", "*")];
    let middle = client.send("PUT", "/resources/a/b", &star, Some("22"));
    client.send("PUT", "/resources/a/b", &star, Some("3"));
    let path = "/resources/a/b/versions/2";
    let tag = middle.etag();
    let stored = [
        ("etag", &*tag),
        ("cache-control", "private, immutable, max-age=31536000"),
        ("vary", "Accept"),
        ("content-location", path),
    ];
    let link = [
        &*middle.header("link").unwrap(),
        "</resources/a/b/versions>; rel=\"version-history\"",
        "</resources/a/b>; rel=\"latest-version\"",
        "</resources/a/b/versions/1>; rel=\"predecessor-version\"",
        "</resources/a/b/versions/3>; rel=\"successor-version\"",
    ]
    .join(", ");
    let modified = middle.header("last-modified").unwrap();
    let mut whole = stored.to_vec();
    whole.extend([
        ("link", &*link),
        ("last-modified", &*modified),
        ("content-type", "application/json"),
        ("content-length", "2"),
    ]);
    let unchanged = [("if-none-match", &*tag)];
    for method in ["GET", "HEAD"] {
        check(&client.send(method, path, &[], None), 200, &whole);
        check(&client.send(method, path, &unchanged, None), 304, &stored);
    }
    let kept = [
        ("etag", "~"),
        ("cache-control", PRIVATE),
        ("vary", "Accept"),
    ];
    let list = "/resources/a/b/versions";
    let link = ("link", "</resources/a/b>; rel=\"latest-version\"");
    let json = ("content-type", "application/json");
    let whole = [kept.as_slice(), &[link, json, ("content-length", "~")]].concat();
    check(&client.get(list), 200, &whole);
    let unchanged = [("if-none-match", "*")];
    check(&client.send("GET", list, &unchanged, None), 304, &kept);
}

#[test]
fn answers_to_direct_writes() {
    let server = Server::start();
    let mut client = server.client();
    let path = "/resources/a/b";
    let fields = [
        ("etag", "~"),
        ("last-modified", "~"),
        ("link", "~"),
        ("cache-control", PRIVATE),
    ];
    let mut created = fields.to_vec();
    created.extend([("location", path), ("content-length", "0")]);
    check(
        &client.send("PUT", path, &[("if-none-match", "*")], Some("{}")),
        201,
        &created,
    );
    check(
        &client.send("PUT", path, &[("if-match", "*")], Some("{}")),
        204,
        &fields,
    );
    let patched = client.send("PATCH", path, &[("if-match", "*")], Some("{}"));
    assert_eq!(patched.status, 204);
    assert!(patched.header("etag").is_some() && patched.header("link").is_some());
    let deleted = client.send("DELETE", path, &[("if-match", "*")], None);
    check(
        &deleted,
        204,
        &[("link", "~"), ("cache-control", "no-store")],
    );
}

#[test]
fn answers_about_transactions() {
    let server = Server::start();
    let mut client = server.client();
    let json = [
        ("content-type", "application/json"),
        ("content-length", "~"),
        ("cache-control", PRIVATE),
    ];
    let with = |more: &[(&'static str, &'static str)]| [json.as_slice(), more].concat();
    let opened = client.send("POST", "/transactions", &[], None);
    let located = with(&[("location", "~"), ("content-location", "~"), ("etag", "~")]);
    check(&opened, 201, &located);
    let path = opened.location();
    assert_eq!(opened.header("content-location"), opened.header("location"));
    assert_eq!(opened.json()["links"]["self"], *path);
    check(
        &client.get(&path),
        200,
        &with(&[("content-location", "~"), ("etag", "~"), ("vary", "Accept")]),
    );
    let renewed = client.send(
        "PATCH",
        &path,
        &[("if-match", "*")],
        Some("{\"expires_in\": 60}"),
    );
    check(&renewed, 200, &with(&[("content-location", "~")]));
    let read = client.get(&path);
    let unchanged = client.send("GET", &path, &[("if-none-match", &read.etag())], None);
    check(
        &unchanged,
        304,
        &[
            ("etag", "~"),
            ("cache-control", PRIVATE),
            ("vary", "Accept"),
            ("content-location", &path),
        ],
    );
    let changes = r#"[{"method":"PUT","target":"/resources/a/b","if_none_match":"*","body":1}]"#;
    let applied = client.apply(&path, &read.etag(), changes);
    check(&applied, 200, &with(&[("content-location", "~")]));
    assert_eq!(
        applied.json()["etag"],
        *client.get(&path).etag(),
        "mirrored in the document"
    );
    let replayed = client.apply(&path, &read.etag(), changes);
    check(
        &replayed,
        200,
        &with(&[("content-location", "~"), ("idempotent-replayed", "true")]),
    );
    let (path, tag) = client.open_transaction();
    let cancelled = client.send("DELETE", &path, &[("if-match", &tag)], None);
    check(&cancelled, 204, &[("cache-control", "no-store")]);
}

#[test]
fn reads_of_documents_of_the_server() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "1");
    let json = ("content-type", "application/json");
    for path in [
        "/",
        "/resources",
        "/resources/a",
        "/resources?key=a/b",
        "/transactions",
    ] {
        let kept = [
            ("etag", "~"),
            ("cache-control", PRIVATE),
            ("vary", "Accept"),
        ];
        let read = client.get(path);
        check(
            &read,
            200,
            &[kept.as_slice(), &[json, ("content-length", "~")]].concat(),
        );
        assert!(read.etag().starts_with("W/\""), "{path}");
        check(
            &client.send("GET", path, &[("if-none-match", &read.etag())], None),
            304,
            &kept,
        );
    }
    for path in ["/health/live", "/health/ready"] {
        let expected = [
            json,
            ("content-length", "~"),
            ("cache-control", "no-store"),
            ("vary", "Accept"),
        ];
        check(&client.get(path), 200, &expected);
    }
    for (path, media_type) in [
        ("/openapi.yaml", "application/yaml"),
        ("/openapi.json", "application/json"),
    ] {
        let expected = [
            ("content-type", media_type),
            ("content-length", "~"),
            ("cache-control", "max-age=300"),
            ("vary", "Accept"),
            ("etag", "~"),
        ];
        check(&client.get(path), 200, &expected);
    }
    let page = [
        json,
        ("content-length", "~"),
        ("cache-control", "max-age=300"),
        ("vary", "Accept"),
    ];
    check(&client.get("/problems/gone"), 200, &page);
}

#[test]
fn problems_have_the_fields_that_say_how_to_go_on() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "1");
    let problem = [
        ("content-type", "application/problem+json"),
        ("content-length", "~"),
        ("cache-control", "no-store"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [problem.as_slice(), more].concat();
    check(&client.get("/resources/a/none"), 404, &problem);
    check(
        &client.send("POST", "/", &[], None),
        405,
        &with(&[("allow", "GET, HEAD, OPTIONS")]),
    );
    let typed = [("if-match", "*"), ("content-type", "text/plain")];
    check(
        &client.send("PUT", "/resources/a/b", &typed, Some("1")),
        415,
        &problem,
    );
    check(
        &client.send("PATCH", "/resources/a/b", &typed, Some("1")),
        415,
        &with(&[("accept-patch", "~")]),
    );
}

#[test]
fn header_names_go_out_in_lower_case() {
    let server = Server::start();
    let mut client = server.client();
    let requests: &[(&str, &str, Option<&str>)] = &[
        ("GET", "/", None),
        ("GET", "/nowhere", None),
        ("POST", "/transactions", None),
        ("PUT", "/resources/a/b", Some("1")),
        ("OPTIONS", "/resources/a/b", None),
        ("HEAD", "/openapi.yaml", None),
        ("BREW", "/", None),
    ];
    for (method, path, body) in requests {
        let response = client.send(method, path, &[], *body);
        assert!(!response.headers.is_empty());
        for (name, _) in &response.headers {
            assert_eq!(*name, name.to_lowercase(), "{method} {path}");
        }
    }
    let closed = client.send("GET", "/", &[("connection", "close")], None);
    assert!(closed.headers.iter().any(|(name, _)| name == "connection"));
}

#[test]
fn a_request_id_is_repeated_or_made() {
    let server = Server::start();
    let mut client = server.client();
    let id = |client: &mut Client, path: &str, sent: &str| {
        let response = client.send("GET", path, &[("x-request-id", sent)], None);
        let ids: Vec<_> = response
            .headers
            .iter()
            .filter(|(name, _)| name == "x-request-id")
            .collect();
        assert_eq!(ids.len(), 1);
        ids[0].1.clone()
    };
    for path in ["/", "/nowhere", "/resources/a?x=1", "/openapi.yaml"] {
        assert_eq!(id(&mut client, path, "abc-1/~"), "abc-1/~");
        assert_ne!(id(&mut client, path, "a b"), "a b");
        assert_ne!(id(&mut client, path, ""), "");
        assert!(id(&mut client, path, &"x".repeat(4000)).len() < 129);
        let first = client.get(path).header("x-request-id").unwrap();
        assert_ne!(first, client.get(path).header("x-request-id").unwrap());
    }
}

#[test]
fn the_service_document_names_all_of_it() {
    let server = Server::start();
    let mut client = server.client();
    let service = client.get("/").expect(200).json();
    for link in ["resources", "transactions", "openapi", "docs"] {
        client
            .get(service["links"][link].as_str().unwrap())
            .expect(200);
    }
    let problems = service["links"]["problems"].as_str().unwrap();
    client.get(&problems.replace("{slug}", "gone")).expect(200);
    let expected = serde_json::json!({
        "body_bytes": 1_048_576, "changes": 1000, "json_depth": 100, "list_limit": 1000, "list_keys": 100, "expires_seconds": 604_800,
        "open_transactions": 100_000,
    });
    assert_eq!(service["limits"], expected);
    assert_eq!(service["retention_seconds"], 2_592_000);
    let horizon = service["purge_horizon"].as_str().unwrap();
    assert!(horizon.ends_with('Z') && horizon.len() == "2026-01-30T12:00:00.000000Z".len());
}

#[test]
fn the_description_is_served_as_yaml_and_as_json() {
    let server = Server::start();
    let mut client = server.client();
    let yaml = client.get("/openapi.yaml").expect(200).text();
    assert_eq!(yaml, include_str!("../../../openapi.yaml"));
    let from_yaml: Value = serde_norway::from_str(&yaml).unwrap();
    assert_eq!(client.get("/openapi.json").expect(200).json(), from_yaml);
}
