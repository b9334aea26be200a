//! Header fields of answers that were missing, too many, or contradicted each other.

use std::time::SystemTime;

use diesel::connection::SimpleConnection;

use crate::support::client::Response;
use crate::support::cluster;
use crate::support::server::Server;

/// Checks that what is there was not last modified later than it was sent (RFC 9110 §8.8.2.1).
#[track_caller]
fn check_dates(response: &Response) {
    let date = |name: &str| -> SystemTime {
        let value = response
            .header(name)
            .unwrap_or_else(|| panic!("no {name}: {response:#?}"));
        httpdate::parse_http_date(&value).unwrap_or_else(|_| panic!("{name}: {value}"))
    };
    assert!(
        date("last-modified") <= date("date"),
        "{:#?}",
        response.headers
    );
}

#[test]
fn nothing_was_last_modified_later_than_it_is_sent() {
    let server = Server::start();
    let mut client = server.client();
    let mut tag = client.put_new("/resources/a/b", "0");
    for round in 0..300 {
        let headers = [("if-match", &*tag)];
        let written = client
            .send("PUT", "/resources/a/b", &headers, Some(&round.to_string()))
            .expect(204);
        check_dates(&written);
        let read = client.get("/resources/a/b").expect(200);
        check_dates(&read);
        tag = written.etag();
        assert_eq!(read.etag(), tag);
    }
    check_dates(&client.send("HEAD", "/resources/a/b", &[], None).expect(200));
}

#[test]
fn a_database_whose_clock_is_ahead_does_not_make_the_last_change_later_than_now() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "0");
    cluster::connect(&server.database_url)
        .batch_execute("UPDATE resources SET updated_at = now() + interval '1 minute'")
        .unwrap();
    check_dates(&client.get("/resources/a/b").expect(200));
    check_dates(&client.send("HEAD", "/resources/a/b", &[], None).expect(200));
    let headers = [("if-match", &*tag), ("prefer", "return=representation")];
    check_dates(
        &client
            .send("PUT", "/resources/a/b", &headers, Some("1"))
            .expect(200),
    );
    check_dates(&client.get("/resources/a/b").expect(200));
}

#[test]
fn a_304_carries_what_rfc_9110_names_and_no_other_metadata() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "0");
    let read = client.get("/resources/a/b").expect(200);
    assert!(read.header("link").is_some());
    for value in [&*tag, "*", &format!("W/{tag}")] {
        for method in ["GET", "HEAD"] {
            let headers = [("if-none-match", value)];
            let same = client
                .send(method, "/resources/a/b", &headers, None)
                .expect(304);
            for name in ["etag", "cache-control", "vary", "content-location"] {
                assert!(same.header(name).is_some(), "{name}: {same:#?}");
                assert_eq!(same.header(name), read.header(name), "{name}");
            }
            assert!(same.header("date").is_some(), "{same:#?}");
            for name in ["link", "last-modified", "content-type"] {
                assert_eq!(same.header(name), None, "{name}");
            }
        }
    }
}

#[test]
fn a_406_says_that_it_depends_on_accept() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "0");
    let (transaction, _) = client.open_transaction();
    for path in [
        "/",
        "/resources",
        "/resources/a",
        "/resources/a/b",
        "/transactions",
        &transaction,
        "/openapi.json",
    ] {
        let headers = [("accept", "text/plain")];
        let refused = client
            .send("GET", path, &headers, None)
            .expect_problem(406, "not-acceptable");
        assert_eq!(refused.header("vary").as_deref(), Some("Accept"), "{path}");
        let head = client.send("HEAD", path, &headers, None).expect(406);
        assert_eq!(head.header("vary").as_deref(), Some("Accept"), "{path}");
    }
}
