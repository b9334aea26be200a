//! JSON of any bytes: direct, and as the body of a change.

use super::{check, request, stored};
use crate::support::client::Response;
use crate::support::server::Server;

/// Documents that two parsers would read differently, or not at all; with the pointer where it is certain.
fn faults() -> Vec<(Vec<u8>, Option<&'static str>)> {
    let deep = |depth: usize, open: &str, close: &str| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    let mut rows: Vec<(Vec<u8>, Option<&str>)> = [
        (r#"{"a":1,"a":2}"#, "#/a"),
        (r#"{"a":1,"b":2,"\u0061":3}"#, "#/a"),
        (r#"[0,{"x":{"y":1,"y":2}}]"#, "#/1/x/y"),
        (r#"{"a/b~":1,"a/b~":2}"#, "#/a~1b~0"),
        (r#"{"":1,"":2}"#, "#/"),
        (r#"["\u0000"]"#, "#/0"),
        (r#""\ud800""#, "#"),
        (r#"["a","\udc00"]"#, "#/1"),
        (r#"{"x":"\ud800\ud800"}"#, "#/x"),
        (r#"{"x":"\ud800\u0061"}"#, "#/x"),
        (r#"[1e999999]"#, "#/0"),
        (r#"{"x":-1e131073}"#, "#/x"),
        (r#"[1,1e-999999]"#, "#/1"),
        (r#"1e99999999999999999999999"#, "#"),
    ]
    .map(|(text, pointer)| (text.as_bytes().to_vec(), Some(pointer)))
    .to_vec();
    rows.push((deep(101, "[", "]"), None));
    rows.push((deep(101, "{\"a\":", "}"), None));
    rows.push((deep(100_000, "[", "]"), None));
    rows.push(("[".repeat(200_000).into_bytes(), None));
    for text in [
        b"\xff".as_slice(),
        b"[\"\xff\"]",
        b"[\"\xc0\x80\"]",
        b"\"\xed\xa0\x80\"",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"",
        b" ",
        b"{",
        b"[1,",
        b"{\"a\":",
        b"{\"a\"",
        b"\"abc",
        b"nul",
        b"nulll",
        b"True",
        b"NaN",
        b"Infinity",
        b"-",
        b"+1",
        b"01",
        b"-01",
        b".5",
        b"1.",
        b"1e",
        b"1e+",
        b"0x10",
        b"[1,]",
        b"[,]",
        b"{,}",
        b"{\"a\":1,}",
        b"{a:1}",
        b"'a'",
        b"[1] 2",
        b"{} {}",
        b"\"\\x41\"",
        b"\"\\u12\"",
        b"\"a\nb\"",
        b"\"a\x01b\"",
        b"\"\t\"",
        b"// c\n1",
        b"/**/1",
        b"\xc2\xa01",
        b"\x0c1",
        b"{\"\\u0000\":1}",
        b"{\"\\ud800\":1}",
        b"[1 2]",
        b"{\"a\" 1}",
        b"\0",
    ] {
        rows.push((text.to_vec(), None));
    }
    rows
}

/// The one pointer of a fault.
fn pointer(response: &Response) -> String {
    let errors = response.json()["errors"].clone();
    assert_eq!(
        errors.as_array().map(Vec::len),
        Some(1),
        "{}",
        response.text()
    );
    errors[0]["pointer"].as_str().unwrap().to_owned()
}

#[test]
fn a_document_that_is_not_json_is_400_and_nothing_is_stored() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/there", "{}");
    let before = stored(&server);
    let json_patch = b"application/json-patch+json".as_slice();
    let increment = b"application/vnd.ifmatch.increment+json".as_slice();
    for (document, expected) in faults() {
        for (method, target, headers) in [
            (
                "PUT",
                "/resources/a/b",
                vec![("if-none-match", b"*".as_slice())],
            ),
            (
                "PUT",
                "/resources/a/there",
                vec![("if-match", b"*".as_slice())],
            ),
            (
                "PATCH",
                "/resources/a/there",
                vec![("if-match", b"*".as_slice())],
            ),
            (
                "PATCH",
                "/resources/a/there",
                vec![("if-match", tag.as_bytes()), ("content-type", json_patch)],
            ),
            (
                "PATCH",
                "/resources/a/there",
                vec![("if-match", tag.as_bytes()), ("content-type", increment)],
            ),
            ("POST", "/transactions", vec![]),
        ] {
            // A POST without content is one without wishes.
            if method == "POST" && document.is_empty() {
                continue;
            }
            let bytes = request(method, target.as_bytes(), &headers, Some(&document));
            let refused = check(&mut client, &bytes, 400, "malformed-request");
            let found = pointer(&refused);
            assert!(found.starts_with('#'));
            if let Some(expected) = expected {
                assert_eq!(found, expected, "{}", String::from_utf8_lossy(&document));
            }
        }
    }
    assert_eq!(stored(&server), before);
}

#[test]
fn the_limits_hold_for_the_body_of_each_change_by_itself() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    let before = stored(&server);
    for (document, expected) in faults() {
        let content = [
            br#"{"changes": [{"method":"GET","target":"/resources/a/c","if_none_match":"*"},{"method":"PUT","target":"/resources/a/b","if_none_match":"*","body":"#.as_slice(),
            &document,
            b"}]}",
        ]
        .concat();
        let bytes = request(
            "PUT",
            transaction.as_bytes(),
            &[("if-match", tag.as_bytes())],
            Some(&content),
        );
        let refused = check(&mut client, &bytes, 400, "malformed-request");
        let found = pointer(&refused);
        match expected {
            Some(expected) => assert_eq!(found, format!("#/changes/1/body{}", &expected[1..])),
            None => assert!(found.starts_with('#'), "{found}"),
        }
    }
    assert_eq!(stored(&server), before);
    assert_eq!(client.get(&transaction).expect(200).etag(), tag);
    let deepest = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    client.put_new("/resources/a/direct", &deepest);
    let changes = format!(
        r#"[{{"method":"PUT","target":"/resources/a/b","if_none_match":"*","body":{deepest}}}]"#
    );
    client.apply(&transaction, &tag, &changes).expect(200);
    assert_eq!(client.get("/resources/a/b").expect(200).text(), deepest);
}

#[test]
fn numbers_up_to_the_limits_of_numeric_are_taken() {
    let server = Server::start();
    let mut client = server.client();
    let many = format!("{}.{}", "9".repeat(10_000), "1".repeat(10_000));
    for (index, number) in [
        "1e131071",
        "-9.99e131071",
        "1e-16383",
        "1e400",
        "0e999",
        &many,
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/resources/a/{index}");
        client.put_new(&path, number);
        assert_eq!(client.get(&path).expect(200).text(), **number);
    }
}

#[test]
fn content_up_to_the_limit_is_taken_and_one_byte_more_is_not() {
    let server = Server::with(|engine| engine.limits.body_bytes_max = 1000, |_| {});
    let mut client = server.client();
    let document = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    client.put_new("/resources/a/b", &document(1000));
    let before = stored(&server);
    for (method, target) in [
        ("PUT", "/resources/a/b"),
        ("PUT", "/resources/a/c"),
        ("PATCH", "/resources/a/b"),
        ("POST", "/transactions"),
    ] {
        for condition in [("if-match", b"*".as_slice()), ("if-match", b"\"x\"")] {
            for bytes in [1001, 5000, 100_000] {
                let content = document(bytes);
                let bytes = request(
                    method,
                    target.as_bytes(),
                    &[condition],
                    Some(content.as_bytes()),
                );
                check(&mut client, &bytes, 413, "content-too-large");
            }
        }
    }
    assert_eq!(stored(&server), before);
    let patch = [
        ("if-match", "*"),
        ("content-type", "application/merge-patch+json"),
    ];
    client
        .send(
            "PUT",
            "/resources/a/d",
            &[("if-none-match", "*")],
            Some(&format!("{{\"a\":{}}}", document(600))),
        )
        .expect(201);
    let grown = client.send(
        "PATCH",
        "/resources/a/d",
        &patch,
        Some(&format!("{{\"b\":{}}}", document(600))),
    );
    // A patch does not get around the limit.
    grown.expect_problem(409, "patch-conflict");
    assert!(client.get("/resources/a/d").expect(200).body.len() < 1000);
}
