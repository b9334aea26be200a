//! An offer to upgrade is not taken, and no content gets lost over it (RFC 9110 §7.8).

use super::scene::number;
use crate::support::client::Response;
use crate::support::cluster;
use crate::support::server::Server;

const H2C: &str = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n";
const WEBSOCKET: &str = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends a request with these lines on a connection of its own.
fn send(server: &Server, head: &str, lines: &str, content: Option<&str>) -> Response {
    let mut request = format!("{head} HTTP/1.1\r\nhost: x\r\n{lines}");
    match content {
        Some(content) => request.push_str(&format!(
            "content-type: application/json\r\ncontent-length: {}\r\n\r\n{content}",
            content.len()
        )),
        None => request.push_str("\r\n"),
    }
    server.client().raw(request.as_bytes(), false)
}

fn stored(server: &Server) -> i64 {
    let mut store = cluster::connect(&server.database_url);
    let sql = "SELECT (SELECT count(*) FROM versions) + (SELECT count(*) FROM resources) \
               + (SELECT count(*) FROM transactions) AS number";
    number(&mut store, sql)
}

#[test]
fn content_sent_with_an_offer_of_http_2_is_taken() {
    let server = Server::start();
    let mut client = server.client();
    let create = format!("{H2C}if-none-match: *\r\n");
    let long = format!("[{}0]", "0,".repeat(100_000));
    for (path, body) in [
        ("/resources/a/b", "{\"a\": 1}"),
        ("/resources/a/long", &long),
    ] {
        let created = send(&server, &format!("PUT {path}"), &create, Some(body)).expect(201);
        let read = client.get(path).expect(200);
        assert_eq!(
            (read.text(), read.etag()),
            (body.to_owned(), created.etag())
        );
    }
    let patch = format!("{H2C}if-match: *\r\n");
    send(&server, "PATCH /resources/a/b", &patch, Some("{\"b\": 2}")).expect(204);
    assert_eq!(client.get("/resources/a/b").text(), "{\"a\":1,\"b\":2}");

    let opened = send(
        &server,
        "POST /transactions",
        H2C,
        Some("{\"reference\": \"r\"}"),
    )
    .expect(201);
    assert_eq!(opened.json()["reference"], "r");
    assert_eq!(client.get(&opened.location()).json()["reference"], "r");
    let head = format!("PUT {}", opened.location());
    let lines = format!("{H2C}if-match: {}\r\n", opened.etag());
    let changes =
        r#"{"changes": [{"method": "DELETE", "target": "/resources/a/b", "if_match": "*"}]}"#;
    let applied = send(&server, &head, &lines, Some(changes)).expect(200);
    assert_eq!(applied.json()["state"], "committed");
    client
        .get("/resources/a/b")
        .expect_problem(404, "not-found");
    send(&server, "GET /resources/a/long", H2C, None).expect(200);
}

/// The connection ends after it, so the answer says so: a client that was told `Connection: upgrade` would use it again.
#[test]
fn what_has_no_content_and_offers_http_2_is_told_that_the_connection_ends() {
    let server = Server::start();
    server.client().put_new("/resources/a/b", "1");
    for (head, lines) in [
        ("GET /resources/a/b", ""),
        ("HEAD /resources/a/b", ""),
        ("GET /nowhere", ""),
        ("POST /transactions", ""),
        ("POST /transactions", "content-length: 0\r\n"),
        ("DELETE /resources/a/b", "if-match: *\r\n"),
    ] {
        let request = format!("{head} HTTP/1.1\r\nhost: x\r\n{H2C}{lines}\r\n");
        let without_content = head.starts_with("HEAD");
        let answer = server.client().raw(request.as_bytes(), without_content);
        assert_eq!(
            answer.header("connection").as_deref(),
            Some("close"),
            "{head}"
        );
        assert_eq!(answer.header("upgrade"), None, "{head}");
    }
}

#[test]
fn chunked_content_sent_with_an_offer_of_http_2_is_taken() {
    let server = Server::start();
    let request = format!(
        "PUT /resources/a/b HTTP/1.1\r\nhost: x\r\n{H2C}if-none-match: *\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n"
    );
    let mut client = server.client();
    client.raw(request.as_bytes(), false).expect(201);
    assert_eq!(
        server.client().get("/resources/a/b").expect(200).text(),
        "[1,2]"
    );
}

#[test]
fn content_sent_with_an_offer_of_websocket_is_refused_and_the_connection_ends() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "1");
    let (transaction, _) = client.open_transaction();
    let before = stored(&server);
    for offer in [
        WEBSOCKET.to_owned(),
        WEBSOCKET.replace("websocket\r\n", "WebSocket\r\n"),
        WEBSOCKET.replace("upgrade: websocket", "upgrade: h2c, websocket"),
    ] {
        for (head, condition) in [
            ("PUT /resources/a/c".to_owned(), "if-none-match: *\r\n"),
            ("PUT /resources/a/b".to_owned(), "if-match: *\r\n"),
            ("PATCH /resources/a/b".to_owned(), "if-match: *\r\n"),
            ("DELETE /resources/a/b".to_owned(), "if-match: *\r\n"),
            ("POST /transactions".to_owned(), ""),
            (format!("DELETE {transaction}"), "if-match: *\r\n"),
        ] {
            let lines = format!("{offer}{condition}");
            let refused =
                send(&server, &head, &lines, Some("{}")).expect_problem(400, "malformed-request");
            assert_eq!(
                refused.header("connection").as_deref(),
                Some("close"),
                "{head}"
            );
            assert_eq!(
                refused.header("cache-control").as_deref(),
                Some("no-store"),
                "{head}"
            );
        }
    }
    assert_eq!(stored(&server), before);
    let read = client.get("/resources/a/b").expect(200);
    assert_eq!((read.text(), read.etag()), ("1".to_owned(), tag));
    client.get(&transaction).expect(200);
    client
        .get("/resources/a/c")
        .expect_problem(404, "not-found");
}

#[test]
fn what_has_no_content_is_answered_and_an_offered_websocket_ends_the_connection() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "1");
    let read = send(&server, "GET /resources/a/b", WEBSOCKET, None).expect(200);
    assert_eq!((read.text(), read.etag()), ("1".to_owned(), tag.clone()));
    assert_eq!(read.header("connection").as_deref(), Some("close"));
    let missing =
        send(&server, "GET /resources/a/c", WEBSOCKET, None).expect_problem(404, "not-found");
    assert_eq!(missing.header("connection").as_deref(), Some("close"));
    let opened = send(&server, "POST /transactions", WEBSOCKET, Some("")).expect(201);
    assert_eq!(
        client.get(&opened.location()).expect(200).etag(),
        opened.etag()
    );
    let lines = format!("{WEBSOCKET}if-match: {tag}\r\n");
    let deleted = send(&server, "DELETE /resources/a/b", &lines, None).expect(204);
    assert_eq!(deleted.header("connection").as_deref(), Some("close"));
    client
        .get("/resources/a/b")
        .expect_problem(404, "not-found");
}
