//! Slow clients, broken ones, and those that do not wait for answers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::server::Server;

/// More than there are workers.
const SLOW_CLIENTS: usize = 12;

fn impatient() -> Server {
    Server::with(
        |_| {},
        |http| {
            (http.header_timeout, http.body_timeout) =
                (Duration::from_millis(700), Duration::from_millis(700))
        },
    )
}

fn connect(server: &Server, begun: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    stream.write_all(begun.as_bytes()).unwrap();
    stream
}

/// All that comes until the server closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn clients_that_send_their_header_slowly_are_cut_off_and_hold_nobody_up() {
    let server = impatient();
    let begun = "PUT /resources/accounts/slow HTTP/1.1\r\nhost: x\r\nif-none";
    let mut slow: Vec<TcpStream> = (0..SLOW_CLIENTS).map(|_| connect(&server, begun)).collect();
    let mut client = server.client();
    client
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201);
    for stream in &mut slow {
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
    }
    client
        .get("/resources/accounts/slow")
        .expect_problem(404, "not-found");
}

#[test]
fn clients_that_send_their_content_slowly_are_cut_off_and_hold_nobody_up() {
    let server = impatient();
    let begun = "PUT /resources/accounts/slow HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\n\
                 content-length: 10\r\n\r\n[1, ";
    let mut slow: Vec<TcpStream> = (0..SLOW_CLIENTS).map(|_| connect(&server, begun)).collect();
    let mut client = server.client();
    client
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201);
    for stream in &mut slow {
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer:?}");
        for field in [
            "connection: close",
            "content-type: application/problem+json",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(field), "{field}: {answer}");
        }
    }
    client
        .get("/resources/accounts/slow")
        .expect_problem(404, "not-found");
}

#[test]
fn content_that_breaks_off_is_not_applied() {
    let server = Server::start();
    let mut client = server.client();
    for framing in [
        "content-length: 100\r\n\r\n1",
        "transfer-encoding: chunked\r\n\r\n1\r\n1\r\n",
    ] {
        let begun = format!(
            "PUT /resources/accounts/a HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\n{framing}"
        );
        let mut stream = connect(&server, &begun);
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Whatever it says, or nothing, it does not say that it was done.
        let answer = rest(&mut stream);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
        client
            .get("/resources/accounts/a")
            .expect_problem(404, "not-found");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start();
    let mut pipeline = String::new();
    for number in 0..20 {
        pipeline.push_str(&format!(
            "PUT /resources/accounts/k{number} HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{number}GET /resources/accounts/k{number} HTTP/1.1\r\nhost: x\r\n\r\n",
            number.to_string().len()
        ));
    }
    let mut client = server.client();
    let mut next = pipeline.as_bytes();
    for number in 0..20 {
        let written = client.raw(next, false).expect(201);
        next = b"";
        assert_eq!(written.location(), format!("/resources/accounts/k{number}"));
        let read = client.raw(b"", false).expect(200);
        assert_eq!(
            (read.text(), read.etag()),
            (number.to_string(), written.etag())
        );
    }
}

#[test]
fn what_is_no_http_is_refused_and_the_connection_closed() {
    let server = Server::start();
    for nonsense in [
        "NONSENSE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{0}\r\n\r\n",
    ] {
        let answer = rest(&mut connect(&server, nonsense));
        assert!(
            answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
            "{nonsense:?}: {answer}"
        );
    }
    server.client().get("/health/live").expect(200);
}
