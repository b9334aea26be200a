//! The history of a resource: every state it ever had, who wrote it, for ever the same (contract §2, §3, §4).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod pages;
mod table;
mod versions;
mod writers;

use serde_json::Value;

use crate::support::client::Client;

/// Reads all pages of a history, newest first.
#[track_caller]
fn items(client: &mut Client, resource: &str, limit: usize) -> Vec<Value> {
    let mut next = Some(format!("{resource}/versions?limit={limit}"));
    let mut items = Vec::new();
    while let Some(path) = next {
        let page = client.get(&path).expect(200).json();
        let more = page["items"].as_array().unwrap();
        assert!(!more.is_empty() && more.len() <= limit, "{path}: {page:#}");
        let last: Option<&Value> = items.last();
        let older = last.is_none_or(|last| numbers(more)[0] < last["version"].as_i64().unwrap());
        assert!(older, "{path} goes back: {page:#}");
        items.extend(more.iter().cloned());
        next = page["next"].as_str().map(str::to_owned);
    }
    items
}

/// The numbers of versions in a list.
fn numbers(items: &[Value]) -> Vec<i64> {
    let number = |item: &Value| item["version"].as_i64().unwrap();
    items.iter().map(number).collect()
}
