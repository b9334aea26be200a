//! Where the field is read, and which ones are one key.

use uuid::Uuid;

use super::{check_again, versions};
use crate::support::client::Client;
use crate::support::server::Server;

const PATH: &str = "/resources/keys/k";
const STAR: (&str, &str) = ("if-match", "*");

fn put(client: &mut Client, keys: &[&str], body: &str) -> crate::support::client::Response {
    let mut fields = vec![STAR];
    fields.extend(keys.iter().map(|key| ("Idempotency-Key", *key)));
    client.send("PUT", PATH, &fields, Some(body))
}

#[test]
fn quoted_bare_and_with_parameters_are_one_key() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let first = put(&mut client, &["\"a-1\""], "1").expect(204);
    for same in ["a-1", "\"a-1\"", " a-1 ", "\"a-1\"; v=2"] {
        check_again(&first, &put(&mut client, &[same], "1"));
    }
    put(&mut client, &["A-1"], "1").expect(204);
    assert_eq!(versions(&mut client, PATH), 3);
}

#[test]
fn keys_of_1_to_255_characters_are_taken_and_all_else_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let (most, more) = ("k".repeat(255), "k".repeat(256));
    let first = put(&mut client, &[&most], "1").expect(204);
    check_again(&first, &put(&mut client, &[&format!("\"{most}\"")], "1"));
    for wrong in [
        &more,
        &format!("\"{more}\""),
        "",
        "\"\"",
        "\"k",
        "a, b",
        "a b",
        "\"a\", \"b\"",
        "a;b",
    ] {
        let refused = put(&mut client, &[wrong], "1");
        let problem = refused.expect_problem(400, "malformed-request").json();
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("Idempotency-Key")
        );
    }
    put(&mut client, &["a", "a"], "1").expect_problem(400, "malformed-request");
    let post = [("idempotency-key", "a b")];
    client
        .send("POST", "/transactions", &post, None)
        .expect_problem(400, "malformed-request");
    assert_eq!(versions(&mut client, PATH), 2);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    for value in [b"\xff\xfe".as_slice(), b"\"\xc3\xa9\"", b"a\x80"] {
        let mut request = b"PUT /resources/keys/k HTTP/1.1\r\nhost: a\r\nif-match: *\r\n".to_vec();
        request.extend_from_slice(
            b"content-type: application/json\r\ncontent-length: 1\r\nidempotency-key: ",
        );
        request.extend_from_slice(value);
        request.extend_from_slice(b"\r\n\r\n1");
        client
            .raw(&request, false)
            .expect_problem(400, "malformed-request");
    }
    assert_eq!(versions(&mut client, PATH), 1);
}

#[test]
fn it_is_ignored_where_it_means_nothing() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let first = put(&mut client, &["k"], "1").expect(204);
    // The same key, a broken one, and half of a repeatable request.
    for field in [
        ("idempotency-key", "k"),
        ("idempotency-key", "a, b"),
        ("repeatability-request-id", "k"),
    ] {
        for path in [
            PATH,
            "/resources",
            "/resources/keys",
            "/transactions",
            "/",
            "/resources/keys/k/versions",
        ] {
            let read = client.send("GET", path, &[field], None).expect(200);
            assert_eq!(read.header("idempotent-replayed"), None, "{path}");
            assert_eq!(read.header("repeatability-result"), None, "{path}");
        }
        let path = format!("/transactions/{}", Uuid::now_v7());
        let changes = r#"{"changes": [{"method": "PUT", "target": "/resources/keys/k", "if_match": "*", "body": 2}]}"#;
        let create = [("if-none-match", "*"), field];
        let done = client
            .send("PUT", &path, &create, Some(changes))
            .expect(201);
        assert_eq!(done.header("repeatability-result"), None);
        client
            .send("DELETE", &path, &[STAR, field], None)
            .expect_problem(409, "transaction-finished");
        let (open, tag) = client.open_transaction();
        let renew = [("if-match", &*tag), field];
        let body = Some(r#"{"expires_in": 60}"#);
        client.send("PATCH", &open, &renew, body).expect(200);
        client
            .send("DELETE", &open, &[STAR, field], None)
            .expect(204);
    }
    check_again(&first, &put(&mut client, &["k"], "1"));
}

#[test]
fn names_are_compared_decoded_and_content_as_json() {
    let server = Server::start();
    let mut client = server.client();
    let fields = [("if-none-match", "*"), ("idempotency-key", "k")];
    let body = r#"{"a": 1.50, "b": [1, "é"]}"#;
    let first = client.send("PUT", PATH, &fields, Some(body)).expect(201);
    let same = r#"{"b":[10e-1,"\u00e9"],"a":1.5}"#;
    let encoded = "/resources/%6Beys/%6b";
    check_again(&first, &client.send("PUT", encoded, &fields, Some(same)));
    assert_eq!(
        client.get(PATH).expect(200).text(),
        body,
        "as it came first"
    );
    for (other, status) in [
        (("content-type", "application/vnd.a+json"), 422),
        (("if-match", "*"), 422),
        (
            ("if-unmodified-since", "Sun, 01 Mar 2026 11:58:30 GMT"),
            422,
        ),
        (("prefer", "return=minimal"), 201),
        (("x-request-id", "another"), 201),
    ] {
        let fields: Vec<_> = fields.into_iter().chain([other]).collect();
        client.send("PUT", PATH, &fields, Some(body)).expect(status);
    }
}

/// A UUID of version 7 that was made so many seconds from now.
fn made_in(seconds: u64) -> Uuid {
    let then = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
    let since = then.duration_since(std::time::UNIX_EPOCH).unwrap();
    let time = uuid::Timestamp::from_unix(uuid::NoContext, since.as_secs(), since.subsec_nanos());
    Uuid::new_v7(time)
}

#[test]
fn what_a_key_from_ahead_stands_for_is_kept_by_the_time_of_the_key() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let key = made_in(200);
    let done = put(&mut client, &[&key.to_string()], "1").expect(204);
    let link = done.header("link").unwrap();
    let id = link.split(['/', '>']).nth(2).unwrap();
    let millis = |id: &Uuid| id.as_u128() >> 80;
    assert!(millis(&id.parse().unwrap()) >= millis(&key), "{link}");
    put(&mut client, &[&made_in(400).to_string()], "1").expect_problem(422, "invalid-operation");
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let fields = [
        STAR,
        ("Repeatability-Request-ID", &*Uuid::new_v4().to_string()),
        ("Repeatability-First-Sent", &*httpdate::fmt_http_date(ahead)),
    ];
    let refused = client.send("PUT", PATH, &fields, Some("1"));
    refused.expect_problem(422, "invalid-operation");
    assert_eq!(versions(&mut client, PATH), 2);
}
