//! Content that is too large, and content that nobody wanted.

use crate::support::client::{Client, Response};
use crate::support::server::Server;

const BYTES_MAX: usize = 2048;

fn small() -> Server {
    Server::with(
        |settings| settings.limits.body_bytes_max = BYTES_MAX,
        |_| {},
    )
}

#[test]
fn a_declared_length_far_beyond_the_limit_is_refused_before_it_is_read() {
    let server = Server::start();
    let context = server
        .client()
        .send("POST", "/transactions", &[], None)
        .expect(201)
        .location();
    let named = format!("/transactions/{}", uuid::Uuid::now_v7());
    for (method, path, condition) in [
        ("PUT", "/resources/accounts/a", "if-none-match: *"),
        ("PUT", &*context, "if-match: *"),
        ("PUT", &*named, "if-none-match: *"),
        ("PATCH", &*context, "if-match: *"),
        ("POST", "/transactions", "prefer: return=representation"),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\n{condition}\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n[1, 2,"
        );
        check_too_large(server.client().raw(request.as_bytes(), false), true);
    }
    let mut client = server.client();
    client
        .get("/resources/accounts/a")
        .expect_problem(404, "not-found");
    client.get(&named).expect_problem(404, "not-found");
    assert_eq!(client.get(&context).expect(200).json()["state"], "open");
}

#[test]
fn content_one_byte_longer_than_the_limit_is_refused_and_one_at_the_limit_is_not() {
    let server = small();
    let mut client = server.client();
    let json = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    check_too_large(
        client.send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some(&json(BYTES_MAX + 1)),
        ),
        false,
    );
    client
        .get("/resources/accounts/a")
        .expect_problem(404, "not-found");
    client
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some(&json(BYTES_MAX)),
        )
        .expect(201);
    assert_eq!(
        client.get("/resources/accounts/a").expect(200).body.len(),
        BYTES_MAX
    );
}

#[test]
fn chunked_content_is_taken_up_to_the_limit() {
    let server = small();
    let mut client = server.client();
    let head = "PUT /resources/accounts/a HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    for _ in 0..3 {
        request.extend(chunk(&[b' '; 1000]));
    }
    request.extend(chunk(b""));
    check_too_large(client.raw(&request, false), false);
    // The same connection goes on.
    let mut request = head.as_bytes().to_vec();
    request.extend(chunk(&[b' '; 1000]));
    request.extend(chunk(b"[1, "));
    request.extend(chunk(b"2]"));
    request.extend(chunk(b""));
    client.raw(&request, false).expect(201);
    assert_eq!(
        client
            .get("/resources/accounts/a")
            .expect(200)
            .text()
            .trim_start(),
        "[1, 2]"
    );
}

#[test]
fn chunked_content_without_an_end_is_refused_and_the_connection_closed() {
    let server = small();
    let mut request = b"PUT /resources/accounts/a HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\n\
                        transfer-encoding: chunked\r\n\r\n"
        .to_vec();
    // Past what is read and thrown away, and then nothing more: the answer does not wait for the end.
    for _ in 0..70 {
        request.extend(chunk(&vec![b' '; 1 << 16]));
    }
    check_too_large(server.client().raw(&request, false), true);
}

#[test]
fn leftover_content_is_never_taken_for_the_next_request() {
    let server = small();
    let mut setup = server.client();
    let tag = setup
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201)
        .etag();
    // Content that would be a request, were it read as one.
    let inner =
        format!("DELETE /resources/accounts/a HTTP/1.1\r\nhost: x\r\nif-match: {tag}\r\n\r\n");
    let long = "x".repeat(BYTES_MAX + 1);
    type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, u16);
    let cases: [Case<'_>; 10] = [
        ("PUT", "/nothing", &[], &inner, 404),
        (
            "PUT",
            "/resources/Accounts/a",
            &[("if-match", "*")],
            &inner,
            404,
        ),
        (
            "PATCH",
            "/resources/accounts/b",
            &[("if-match", "*")],
            "{}",
            404,
        ),
        ("POST", "/resources/accounts/a", &[], &inner, 405),
        ("DELETE", "/resources", &[], &inner, 405),
        (
            "PUT",
            "/resources/accounts/a",
            &[("if-match", "*"), ("content-type", "text/plain")],
            &inner,
            415,
        ),
        (
            "PUT",
            "/resources/accounts/a",
            &[("if-match", "*"), ("content-encoding", "gzip")],
            &inner,
            415,
        ),
        ("PUT", "/resources/accounts/a", &[], "2", 428),
        (
            "PUT",
            "/resources/accounts/a",
            &[("if-match", "\"other\"")],
            &inner,
            412,
        ),
        (
            "PUT",
            "/resources/accounts/a",
            &[("if-match", "*")],
            &long,
            413,
        ),
    ];
    for (method, path, headers, content, status) in cases {
        for chunked in [false, true] {
            let mut client = server.client();
            let refused = client.raw(&request(method, path, headers, content, chunked), false);
            assert_eq!(
                refused.status,
                status,
                "{method} {path} {headers:?}: {}",
                refused.text()
            );
            assert_ne!(refused.slug(), "-", "{refused:#?}");
            check_goes_on(&mut client, refused.clone(), &tag);
        }
        // The refusal and the next request in one piece.
        let mut both = request(method, path, headers, content, false);
        both.extend_from_slice(b"GET /resources/accounts/a HTTP/1.1\r\nhost: x\r\n\r\n");
        let mut client = server.client();
        assert_eq!(client.raw(&both, false).status, status, "{method} {path}");
        let next = client.raw(b"", false).expect(200);
        assert_eq!(
            (next.text(), next.etag()),
            ("1".to_owned(), tag.clone()),
            "{method} {path}"
        );
    }
}

#[test]
fn content_of_a_get_is_not_taken_for_the_next_request() {
    let server = small();
    let mut client = server.client();
    let inner = "DELETE /resources/accounts/a HTTP/1.1\r\nhost: x\r\nif-match: *\r\n\r\n";
    let tag = client
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201)
        .etag();
    let read = client
        .raw(
            &request("GET", "/resources/accounts/a", &[], inner, false),
            false,
        )
        .expect(200);
    check_goes_on(&mut client, read, &tag);
}

#[test]
fn whoever_expects_a_100_gets_one_and_then_the_answer() {
    use std::io::{Read, Write};
    let server = small();
    let mut stream = std::net::TcpStream::connect(server.address).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    let head = "PUT /resources/accounts/a HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\n\
                content-length: 1\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&interim),
        "HTTP/1.1 100 Continue\r\n\r\n"
    );
    stream.write_all(b"7").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(
        server
            .client()
            .get("/resources/accounts/a")
            .expect(200)
            .text(),
        "7"
    );
}

#[test]
fn whoever_expects_a_100_and_is_refused_gets_the_refusal() {
    let server = small();
    for (path, length, status) in [
        ("/nothing", "1", 404),
        ("/resources/accounts/a", "1", 428),
        ("/resources/accounts/a", "1073741824", 413),
    ] {
        let request = format!(
            "PUT {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nexpect: 100-continue\r\n\r\n7"
        );
        assert_eq!(
            server.client().raw(request.as_bytes(), false).status,
            status,
            "{path} {length}"
        );
    }
}

/// What was refused neither did harm, nor is anything of it left on the connection.
#[track_caller]
fn check_goes_on(client: &mut Client, answered: Response, tag: &str) {
    assert_eq!(
        answered.header("connection"),
        None,
        "the connection is kept: {answered:#?}"
    );
    let next = client.get("/resources/accounts/a").expect(200);
    assert_eq!((next.text(), next.etag()), ("1".to_owned(), tag.to_owned()));
    client.get("/health/live").expect(200);
}

fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    content: &str,
    chunked: bool,
) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\n");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request.push_str("content-type: application/json\r\n");
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut request = request.into_bytes();
    if chunked {
        request.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        let (one, other) = content.as_bytes().split_at(content.len() / 2);
        for part in [one, other].into_iter().filter(|part| !part.is_empty()) {
            request.extend(chunk(part));
        }
        request.extend(chunk(b""));
    } else {
        request.extend_from_slice(
            format!("content-length: {}\r\n\r\n{content}", content.len()).as_bytes(),
        );
    }
    request
}

fn chunk(content: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", content.len()).into_bytes();
    chunk.extend_from_slice(content);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[track_caller]
fn check_too_large(response: Response, closes: bool) {
    let response = response.expect_problem(413, "content-too-large");
    assert_eq!(
        response
            .header("connection")
            .is_some_and(|value| value == "close"),
        closes,
        "{response:#?}"
    );
    assert_eq!(
        response.header("cache-control").as_deref(),
        Some("no-store")
    );
}
