//! Requests with a key (contract §5, "Idempotency-Key, and the others who send a key").
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod fields;
mod purge;
mod repeatable;
mod table;

use crate::support::client::{Client, Response};

/// What is there of every answer that a repetition must repeat.
fn lasting(answer: &Response) -> (u16, Vec<(String, String)>, String) {
    let names = [
        "etag",
        "last-modified",
        "location",
        "content-location",
        "link",
        "content-type",
        "preference-applied",
        "cache-control",
    ];
    let fields = names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), answer.header(name)?)));
    (answer.status, fields.collect(), answer.text())
}

/// Checks that one answer repeats another, which was the first.
#[track_caller]
fn check_again(first: &Response, again: &Response) {
    assert_eq!(first.header("idempotent-replayed"), None, "{first:#?}");
    let replayed = again.header("idempotent-replayed");
    assert_eq!(replayed.as_deref(), Some("true"), "{again:#?}");
    assert_eq!(lasting(first), lasting(again));
}

/// How many versions a resource has had.
fn versions(client: &mut Client, path: &str) -> usize {
    let list = client.get(&format!("{path}/versions"));
    if list.status == 404 {
        return 0;
    }
    list.expect(200).json()["items"].as_array().unwrap().len()
}
