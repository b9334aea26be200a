//! Drafts: changes that a transaction keeps, seen as the resources they would leave, and committed (contract §5).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commits;
mod saves;
mod table;
mod views;
mod writers;

use serde_json::Value;

use crate::support::client::{Client, Response};

const COMMIT: Option<&str> = Some(r#"{"state": "committed"}"#);
const INCREMENT: &str = "application/vnd.ifmatch.increment+json";

/// Commits a draft under a tag of its transaction.
fn commit(client: &mut Client, transaction: &str, tag: &str) -> Response {
    client.send("PATCH", transaction, &[("if-match", tag)], COMMIT)
}

/// Saves changes, a JSON array, as the draft of a transaction.
fn save(client: &mut Client, transaction: &str, tag: &str, changes: &str) -> Response {
    let content = format!(r#"{{"state": "open", "changes": {changes}}}"#);
    client.send("PUT", transaction, &[("if-match", tag)], Some(&content))
}

/// The changes that a transaction has: method, target and condition of each.
fn changes(client: &mut Client, transaction: &str) -> Vec<String> {
    let document = client.get(transaction).expect(200).json();
    let items = document["changes"].as_array().cloned().unwrap_or_default();
    let word = |change: &Value, name: &str| change[name].as_str().unwrap_or("-").to_owned();
    let line = |change: &Value| {
        ["method", "target", "if_match", "if_none_match"]
            .map(|name| word(change, name))
            .join(" ")
    };
    items.iter().map(line).collect()
}
