//! Schemas of collections: read, set, deleted, and kept by every write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::{Value, json};

use crate::support::client::{Client, Response};
use crate::support::server::Server;
use crate::support::{cluster, eventually};

mod changes;
mod checks;
mod races;
mod writes;

const SCHEMA: &str = "/schemas/accounts";
const ALICE: &str = "/resources/accounts/alice";

/// A balance that is there and not negative.
const SOLVENT: &str = r#"{"type": "object", "required": ["balance"],
  "properties": {"balance": {"type": "number", "minimum": 0}}}"#;

const NEW: [(&str, &str); 1] = [("if-none-match", "*")];
const ANY: [(&str, &str); 1] = [("if-match", "*")];

/// Sets the first schema of accounts; its tag.
#[track_caller]
fn set(client: &mut Client, schema: &str) -> String {
    client
        .send("PUT", SCHEMA, &NEW, Some(schema))
        .expect(201)
        .etag()
}

/// The pointers of a problem's errors.
#[track_caller]
fn pointers(problem: &Response) -> Vec<String> {
    let errors = problem.json()["errors"].clone();
    let errors = errors.as_array().cloned().unwrap_or_default();
    let pointer = |error: &Value| error["pointer"].as_str().unwrap().to_owned();
    errors.iter().map(pointer).collect()
}
