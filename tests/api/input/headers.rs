//! Header fields of any bytes.

use super::{check, request, stored};
use crate::support::server::Server;

#[test]
fn a_condition_that_does_not_parse_is_never_ignored() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "1");
    let (transaction, _) = client.open_transaction();
    let before = stored(&server);
    for value in [
        b"".as_slice(),
        b",",
        b" , ,",
        b"a",
        b"\"",
        b"\"a",
        b"a\"",
        b"\"a\" \"b\"",
        b"\"a\",b",
        b"*, \"a\"",
        b"\"a\", *",
        b"**",
        b"* *",
        b"w/\"a\"",
        b"W/",
        b"W/a",
        b"W\"a\"",
        b"/\"a\"",
        b"W/ \"a\"",
        b"\"a b\"",
        b"\"a\tb\"",
        b"\"a\"b\"",
        b"'a'",
        b"\"a\";x",
        b"\xff",
        b"1.2",
        b"\xe2\x80\x9ca\xe2\x80\x9d",
    ] {
        for name in ["if-match", "if-none-match"] {
            let headers = [(name, value)];
            for (method, target) in [
                ("GET", "/resources/a/b"),
                ("HEAD", "/resources/a/b"),
                ("PUT", "/resources/a/b"),
                ("PATCH", "/resources/a/b"),
                ("DELETE", "/resources/a/b"),
                ("PUT", &*transaction),
                ("PATCH", &*transaction),
                ("DELETE", &*transaction),
                ("GET", &*transaction),
                ("POST", "/transactions"),
                ("GET", "/resources"),
            ] {
                let body: Option<&[u8]> = (!matches!(method, "GET" | "HEAD")).then_some(b"{}");
                let bytes = request(method, target.as_bytes(), &headers, body);
                if method == "HEAD" {
                    assert_eq!(client.raw(&bytes, true).status, 400, "{value:?}");
                    continue;
                }
                check(&mut client, &bytes, 400, "malformed-request");
            }
        }
    }
    assert_eq!(stored(&server), before);
}

#[test]
fn a_valid_tag_that_is_none_of_ours_never_matches() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "1");
    let before = stored(&server);
    let long = format!("\"{}\"", "x".repeat(4096));
    let many = vec!["\"x\""; 100].join(", ");
    let inner = tag.trim_matches('"');
    for value in [
        b"\"\"".as_slice(),
        b"\"*\"",
        b"\"\xe9\"",
        b"\"\xff\xfe\"",
        b"\"W/\"",
        b"\"a,b\"",
        b"\"a\\b\"",
        b", \"a\" ,,",
        b"\"a\",\"b\"",
        long.as_bytes(),
        many.as_bytes(),
        format!("\"{inner}0\"").as_bytes(),
        format!("\"0{inner}\"").as_bytes(),
        format!("\"{}\"", inner.to_uppercase()).as_bytes(),
        format!("\"-{inner}\"").as_bytes(),
        b"\"99999999999999999999.0000000000000000\"",
    ] {
        if value == tag.as_bytes() {
            continue;
        }
        let bytes = request("PUT", b"/resources/a/b", &[("if-match", value)], Some(b"2"));
        check(&mut client, &bytes, 412, "stale-resource");
        let bytes = request("GET", b"/resources/a/b", &[("if-none-match", value)], None);
        client.raw(&bytes, false).expect(200);
        let with_ours = [value, b", ", tag.as_bytes()].concat();
        let bytes = request(
            "GET",
            b"/resources/a/b",
            &[("if-none-match", &with_ours)],
            None,
        );
        client.raw(&bytes, false).expect(304);
        let bytes = request(
            "GET",
            b"/resources/a/b",
            &[("if-match", value), ("if-match", tag.as_bytes())],
            None,
        );
        client.raw(&bytes, false).expect(200);
    }
    for value in [
        b"W/\"\"".as_slice(),
        b"W/\"x\"",
        format!("W/{tag}").as_bytes(),
        b"W/\"a\", W/\"b\"",
    ] {
        let bytes = request("PUT", b"/resources/a/b", &[("if-match", value)], Some(b"2"));
        check(&mut client, &bytes, 412, "weak-etag");
    }
    assert_eq!(stored(&server), before);
}

#[test]
fn a_write_with_the_if_field_of_rfc_4918_is_refused_and_told_of_assertions() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "1");
    let (transaction, _) = client.open_transaction();
    let before = stored(&server);
    for (method, target) in [
        ("PUT", "/resources/a/b"),
        ("PATCH", "/resources/a/b"),
        ("DELETE", "/resources/a/b"),
        ("PUT", &*transaction),
        ("PATCH", &*transaction),
        ("DELETE", &*transaction),
        ("POST", "/transactions"),
    ] {
        for value in [
            b"</resources/a/b> ([\"x\"])".as_slice(),
            b"(<urn:uuid:1>)",
            b"",
            b"\xff",
        ] {
            let headers = [("if", value), ("if-match", b"*".as_slice())];
            let bytes = request(method, target.as_bytes(), &headers, Some(b"{}"));
            let refused = check(&mut client, &bytes, 400, "malformed-request");
            let detail = refused.json()["detail"].as_str().unwrap().to_owned();
            assert!(detail.contains("\"method\": \"GET\""), "{detail}");
        }
    }
    assert_eq!(stored(&server), before);
    client
        .send("GET", "/resources/a/b", &[("if", "(nonsense)")], None)
        .expect(200);
}

#[test]
fn a_date_alone_never_satisfies_a_write_and_an_invalid_one_is_ignored() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "1");
    for value in [
        "Fri, 01 Jan 2100 00:00:00 GMT",
        "yesterday",
        "",
        "0",
        "\"x\"",
    ] {
        for name in ["if-unmodified-since", "if-modified-since"] {
            let refused = client.send("PUT", "/resources/a/b", &[(name, value)], Some("2"));
            refused.expect_problem(428, "precondition-required");
            client
                .send("GET", "/resources/a/b", &[(name, "yesterday")], None)
                .expect(200);
        }
    }
    let past = ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT");
    client
        .send("GET", "/resources/a/b", &[past], None)
        .expect_problem(412, "stale-resource");
    client
        .send(
            "PUT",
            "/resources/a/b",
            &[past, ("if-match", &tag)],
            Some("2"),
        )
        .expect(204);
}

#[test]
fn other_fields_of_any_bytes_do_no_harm() {
    let server = Server::start();
    let mut client = server.client();
    let mut current = client.put_new("/resources/a/b", "1");
    let long = vec![b'x'; 6000];
    for value in [
        b"".as_slice(),
        b"\xff\xfe",
        b"\"",
        b",,,;;;===",
        b"return=\"representation",
        b"wait=99999999999999999999",
        &long,
    ] {
        for name in [
            "prefer",
            "x-request-id",
            "accept-encoding",
            "traceparent",
            "range",
            "cookie",
            "forwarded",
        ] {
            let headers = [("if-match", current.as_bytes()), (name, value)];
            let bytes = request("PUT", b"/resources/a/b", &headers, Some(b"2"));
            let written = client.raw(&bytes, false).expect(204);
            current = written.etag();
        }
        let read = client.raw(
            &request("GET", b"/resources/a/b", &[("accept", value)], None),
            false,
        );
        assert!(
            read.status == 200 || read.slug() == "not-acceptable",
            "{value:?} {}",
            read.status
        );
    }
    for value in [b"gzip".as_slice(), b"\xff", b"identity;q=1", b"*"] {
        let headers = [("if-match", b"*".as_slice()), ("content-encoding", value)];
        let bytes = request("PUT", b"/resources/a/b", &headers, Some(b"2"));
        check(&mut client, &bytes, 415, "unsupported-media-type");
    }
    for value in [
        b"\xff".as_slice(),
        b"application/json; charset=\"",
        b"application/json/x",
        b"application/json;;x",
    ] {
        let headers = [("if-match", b"*".as_slice()), ("content-type", value)];
        let response = client.raw(
            &request("PUT", b"/resources/a/b", &headers, Some(b"2")),
            false,
        );
        assert!(
            response.status == 204 || response.slug() == "unsupported-media-type",
            "{value:?}"
        );
    }
}
