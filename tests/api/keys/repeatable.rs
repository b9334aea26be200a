//! OASIS Repeatable Requests 1.0: the same keys under other names.

use std::time::{Duration, SystemTime};

use super::{check_again, versions};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const PATH: &str = "/resources/keys/k";
const ID: &str = "112a3a3e-f94c-4f56-b49b-5aab3d97e5b7";
const STAR: (&str, &str) = ("if-match", "*");

fn now() -> String {
    httpdate::fmt_http_date(SystemTime::now())
}

fn put(client: &mut Client, fields: &[(&str, &str)], body: &str) -> Response {
    let fields: Vec<_> = [STAR].into_iter().chain(fields.iter().copied()).collect();
    client.send("PUT", PATH, &fields, Some(body))
}

#[track_caller]
fn check_result(answer: &Response, expected: &str) {
    let found = answer.header("repeatability-result");
    assert_eq!(found.as_deref(), Some(expected), "{answer:#?}");
}

#[test]
fn it_is_a_key_under_another_name() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let date = now();
    let fields = [
        ("Repeatability-Request-ID", ID),
        ("Repeatability-First-Sent", &*date),
    ];
    let first = put(&mut client, &fields, "1").expect(204);
    check_result(&first, "accepted");
    let again = put(&mut client, &fields, "1");
    check_again(&first, &again);
    check_result(&again, "accepted");
    // Any case, another date, or the other name: the key is the same.
    let upper = ID.to_uppercase();
    let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
    let other_case = [
        ("repeatability-request-id", &*upper),
        ("repeatability-first-sent", &later),
    ];
    check_again(&first, &put(&mut client, &other_case, "1"));
    let other_name = put(&mut client, &[("idempotency-key", ID)], "1");
    check_again(&first, &other_name);
    assert_eq!(other_name.header("repeatability-result"), None);
    let reused = put(&mut client, &fields, "2").expect_problem(422, "key-reused");
    check_result(&reused, "rejected");
    assert_eq!(versions(&mut client, PATH), 2);
}

#[test]
fn what_is_refused_for_another_reason_is_accepted_and_may_be_sent_again() {
    let server = Server::start();
    let mut client = server.client();
    let date = now();
    let fields = [
        ("repeatability-request-id", ID),
        ("repeatability-first-sent", &*date),
    ];
    let refused = put(&mut client, &fields, "1").expect_problem(412, "stale-resource");
    check_result(&refused, "accepted");
    let broken = put(&mut client, &fields, "{").expect_problem(412, "stale-resource");
    check_result(&broken, "accepted");
    client.put_new(PATH, "0");
    let done = put(&mut client, &fields, "1").expect(204);
    assert_eq!(done.header("idempotent-replayed"), None);
}

#[test]
fn post_takes_it_too() {
    let server = Server::start();
    let mut client = server.client();
    let date = now();
    let fields = [
        ("repeatability-request-id", ID),
        ("repeatability-first-sent", &*date),
    ];
    let content = r#"{"changes": [{"method": "PUT", "target": "/resources/keys/k", "if_none_match": "*", "body": 1}]}"#;
    let first = client
        .send("POST", "/transactions", &fields, Some(content))
        .expect(201);
    check_result(&first, "accepted");
    let again = client.send("POST", "/transactions", &fields, Some(content));
    check_again(&first, &again);
    check_result(&again, "accepted");
    let delete = [STAR, fields[0], fields[1]];
    let reused = client.send("DELETE", PATH, &delete, None);
    check_result(&reused.expect_problem(422, "key-reused"), "rejected");
}

#[test]
fn one_field_without_the_other_and_what_cannot_be_read_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let date = now();
    let (id, sent) = (
        ("repeatability-request-id", ID),
        ("repeatability-first-sent", &*date),
    );
    for fields in [
        vec![id],
        vec![sent],
        vec![id, id, sent],
        vec![id, sent, sent],
        vec![id, sent, ("idempotency-key", ID)],
        vec![id, ("idempotency-key", ID)],
        vec![("repeatability-request-id", "k"), sent],
        vec![("repeatability-request-id", ""), sent],
        vec![
            (
                "repeatability-request-id",
                "112a3a3ef94c4f56b49b5aab3d97e5b7",
            ),
            sent,
        ],
        vec![id, ("repeatability-first-sent", "yesterday")],
        vec![
            id,
            (
                "repeatability-first-sent",
                "Tuesday, 26-Mar-19 16:06:51 GMT",
            ),
        ],
        vec![id, ("repeatability-first-sent", "2026-11-25T12:00:00Z")],
        vec![id, ("repeatability-first-sent", "")],
    ] {
        let refused = put(&mut client, &fields, "1").expect_problem(400, "malformed-request");
        check_result(&refused, "rejected");
    }
    assert_eq!(versions(&mut client, PATH), 1);
}

#[test]
fn what_was_first_sent_before_the_horizon_is_not_done() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let horizon = client.get("/").expect(200).json()["purge_horizon"].clone();
    let horizon = &horizon.as_str().unwrap()[..19];
    // To the second, and a second later.
    let instant = |more: u64| {
        let text = format!("{horizon}Z");
        let time =
            time::OffsetDateTime::parse(&text, &time::format_description::well_known::Rfc3339)
                .unwrap();
        httpdate::fmt_http_date(SystemTime::from(time) + Duration::from_secs(more))
    };
    let (old, new) = (instant(0), instant(1));
    let fields = |date| {
        [
            ("repeatability-request-id", ID),
            ("repeatability-first-sent", date),
        ]
    };
    for date in [
        &*old,
        "Tue, 26 Mar 2019 16:06:51 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ] {
        let refused = put(&mut client, &fields(date), "1").expect_problem(412, "request-too-old");
        check_result(&refused, "rejected");
    }
    assert_eq!(versions(&mut client, PATH), 1);
    check_result(
        &put(&mut client, &fields(&new), "1").expect(204),
        "accepted",
    );
}
