//! Whatever bytes come in any header, path, query or body: the right `4xx` problem, and nothing stored.

mod documents;
mod headers;
mod random;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::support::client::{Client, Response};
use crate::support::cluster;
use crate::support::server::Server;

/// A request as bytes; `content-length` and JSON's type are added where there is a body and they are not there.
fn request(method: &str, target: &[u8], headers: &[(&str, &[u8])], body: Option<&[u8]>) -> Vec<u8> {
    let mut bytes = [
        method.as_bytes(),
        b" ",
        target,
        b" HTTP/1.1\r\nhost: test\r\n",
    ]
    .concat();
    let mut line = |name: &str, value: &[u8]| {
        bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    };
    for (name, value) in headers {
        line(name, value);
    }
    let has = |name: &str| headers.iter().any(|(other, _)| *other == name);
    if let Some(body) = body {
        if !has("content-type") {
            line("content-type", b"application/json");
        }
        if !has("content-length") {
            line("content-length", body.len().to_string().as_bytes());
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body.unwrap_or_default());
    bytes
}

/// How much is stored: versions, resources and transactions.
fn stored(server: &Server) -> i64 {
    let mut connection = cluster::connect(&server.database_url);
    let counts = "(SELECT count(*) FROM versions) + (SELECT count(*) FROM resources) + (SELECT count(*) FROM transactions)";
    diesel::select(sql::<BigInt>(counts))
        .get_result(&mut connection)
        .unwrap()
}

/// Whether HTTP itself was broken, so that the answer comes from below this API: an empty `400`, after which the connection ends.
fn is_below(response: &Response) -> bool {
    response.status == 400 && response.body.is_empty() && response.header("content-type").is_none()
}

/// Checks that a request is refused with this problem.
#[track_caller]
fn check(client: &mut Client, request: &[u8], status: u16, slug: &str) -> Response {
    let response = client.raw(request, false);
    let found = (response.status, response.slug());
    let shown = String::from_utf8_lossy(&request[..request.len().min(400)]);
    assert_eq!(
        found,
        (status, slug.to_owned()),
        "{shown}\n{}",
        response.text()
    );
    assert_eq!(
        response.header("cache-control").as_deref(),
        Some("no-store")
    );
    response
}

#[test]
fn a_path_of_any_bytes_is_404() {
    let server = Server::start();
    let mut client = server.client();
    let long = [b"/resources/a/".as_slice(), &[b'k'; 4000]].concat();
    for target in [
        b"/resources/a/%ff".as_slice(),
        b"/resources/a/%c3%28",
        b"/resources/a/b%2fc",
        b"/resources/a/b%2Fc",
        b"/resources/a/%252e",
        b"/resources/a/%2e",
        b"/resources/a/%2e%2E",
        b"/resources/a/.",
        b"/resources/a/..",
        b"/resources/a/../b",
        b"/resources/./b",
        b"/resources/a/b/../../../health/live",
        b"/resources/a/%00",
        b"/resources/a/b%0d%0ax",
        b"/resources/a/%",
        b"/resources/a/%4",
        b"/resources/a/%zz",
        b"/resources/a/%u0061",
        b"/resources/a/b%3fc",
        b"/resources/a/%E2%98%83",
        b"/resources/a/b[c]",
        b"/resources/a/b|c",
        b"/resources/a/{b}",
        b"/resources/a/b^c",
        b"/resources/a//b",
        b"//resources/a/b",
        b"/resources/a/b//",
        b"/RESOURCES/a/b",
        b"/resources/-a/b",
        b"/resources/%20a/b",
        b"/transactions/%00",
        b"/transactions/..%2f",
        b"/problems/%67one%",
        &long,
    ] {
        for method in ["GET", "PUT", "DELETE"] {
            let bytes = request(method, target, &[("if-none-match", b"*")], Some(b"1"));
            check(&mut client, &bytes, 404, "not-found");
        }
    }
    assert_eq!(stored(&server), 0);
}

#[test]
fn what_is_not_http_is_400_and_ends_the_connection() {
    let server = Server::start();
    for bytes in [
        b"GET /resources/a/\xff HTTP/1.1\r\nhost: a\r\n\r\n".as_slice(),
        b"GET /resources/a/b c HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /resources/a/b`c HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET *?limit=1 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /resources/a/\0 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nif-match: \"\x01\"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nif-match: \"\0\"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\n: empty\r\n\r\n",
        b"PUT /resources/a/b HTTP/1.1\r\nhost: a\r\nif-none-match: *\r\ncontent-length: x\r\n\r\n1",
        b"PUT /resources/a/b HTTP/1.1\r\nhost: a\r\nif-none-match: *\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n1",
        b"PUT /resources/a/b HTTP/1.1\r\nhost: a\r\nif-none-match: *\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1",
        b"PUT /resources/a/b HTTP/1.1\r\nhost: a\r\nif-none-match: *\r\ntransfer-encoding: gzip\r\n\r\n1",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"hello\r\n\r\n",
    ] {
        let mut client = server.client();
        let response = client.raw(bytes, false);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(response.status, 400, "{shown}\n{}", response.text());
        assert!(is_below(&response) || response.slug() == "malformed-request", "{shown}\n{:?}", response.headers);
    }
    assert_eq!(stored(&server), 0);
    server.client().get("/health/ready").expect(200);
}

#[test]
fn the_content_is_the_one_that_its_digest_names() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let server = Server::start();
    let mut client = server.client();
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let right = encode(&sha2::Sha256::digest(b"{}"));
    let right512 = encode(&sha2::Sha512::digest(b"{}"));
    let wrong = encode(&sha2::Sha256::digest(b"{ }"));
    for (field, taken) in [
        (format!("sha-256=:{right}:"), true),
        (format!("sha-512=:{right512}:"), true),
        (format!("sha-256=:{right}:, sha-512=:{right512}:"), true),
        (format!("unixsum=:AAAA:, sha-256=:{right}:;x=1"), true),
        ("md5=:AAAA:".to_owned(), true),
        (format!("sha-256=:{wrong}:"), false),
        (format!("sha-256=:{right}:, sha-512=:{wrong}:"), false),
        (format!("sha-256={right}"), false),
        (format!("sha-256=\"{right}\""), false),
        ("sha-256=::".to_owned(), false),
        ("sha-256".to_owned(), false),
        ("sha-256=:%%%:".to_owned(), false),
        ("=".to_owned(), false),
        ("SHA-256=:AAAA:".to_owned(), false),
        ("\u{e9}".to_owned(), false),
    ] {
        for (method, path) in [
            ("PUT", "/resources/a/b"),
            ("PATCH", "/resources/a/c"),
            ("POST", "/transactions"),
        ] {
            client.send("DELETE", "/resources/a/b", &[("if-match", "*")], None);
            client.send(
                "PUT",
                "/resources/a/c",
                &[("if-none-match", "*")],
                Some("1"),
            );
            let before = stored(&server);
            let condition: (&str, &[u8]) = match method {
                "PUT" => ("if-none-match", b"*"),
                "PATCH" => ("if-match", b"*"),
                _ => ("x-none", b""),
            };
            let headers = [condition, ("content-digest", field.as_bytes())];
            let bytes = request(method, path.as_bytes(), &headers, Some(b"{}"));
            if taken {
                assert!(client.raw(&bytes, false).status < 300, "{method} {field}");
            } else {
                check(&mut client, &bytes, 400, "malformed-request");
                assert_eq!(stored(&server), before, "{method} {field}");
            }
        }
    }
}
