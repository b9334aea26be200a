//! What review found by trying to break the server, one file a kind: what went wrong once must not again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod content;
mod depth;
mod expiry;
mod fields;
mod load;
mod naming;
mod plans;
mod references;
mod refusals;
mod upgrades;

// Those of the fault tests; not every item is used here.
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "faults/proxy.rs"]
mod proxy;
#[allow(dead_code, clippy::duplicate_mod)]
#[path = "faults/scene.rs"]
mod scene;

use serde_json::Value;

use crate::support::client::Response;

/// The pointers of a problem.
fn pointers(response: &Response) -> Vec<String> {
    let document = response.json();
    let errors = document["errors"].as_array().cloned().unwrap_or_default();
    let pointer = |error: &Value| error["pointer"].as_str().unwrap().to_owned();
    errors.iter().map(pointer).collect()
}
