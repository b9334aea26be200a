//! Tables of the documentation as tests, and what they check of every answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::fmt::Debug;

use serde_json::{Value, json};

use crate::support::client::Response;

/// The rows of the table in `page` whose header line starts with `start`: column to cell.
pub(crate) fn table(page: &str, start: &str) -> Vec<HashMap<String, String>> {
    let path = format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text
        .lines()
        .skip_while(|line| !line.starts_with(start))
        .take_while(|line| line.starts_with('|'));
    let cells = |line: &str| -> Vec<String> {
        let inner = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |"));
        let inner = inner.unwrap_or_else(|| panic!("no row: {line}"));
        inner.split(" | ").map(str::to_owned).collect()
    };
    let names = cells(lines.next().expect("the table"));
    lines
        .skip(1)
        .map(|line| {
            let values = cells(line);
            assert_eq!(values.len(), names.len(), "{line}");
            names.iter().cloned().zip(values).collect()
        })
        .collect()
}

/// What one row did not keep; all rows run, then all of it is told.
pub(crate) struct Faults {
    row: String,
    list: Vec<String>,
}

impl Faults {
    pub(crate) fn of(row: &str) -> Self {
        Self {
            row: row.to_owned(),
            list: Vec::new(),
        }
    }

    pub(crate) fn check(&mut self, holds: bool, what: &str) {
        if !holds {
            self.list.push(format!("{}: {what}", self.row));
        }
    }

    pub(crate) fn equal<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            let row = &self.row;
            let line = format!("{row}: {what} is {found:?}, expected {expected:?}");
            self.list.push(line);
        }
    }

    /// What every problem document says.
    pub(crate) fn problem(&mut self, response: &Response, slug: &str, path: &str) -> Value {
        self.equal("slug", response.slug().as_str(), slug);
        let type_sent = response.header("content-type");
        self.equal(
            "content-type",
            type_sent.as_deref(),
            Some("application/problem+json"),
        );
        let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        self.equal("status member", &problem["status"], &json!(response.status));
        self.equal("instance", &problem["instance"], &json!(path));
        self.check(
            problem["title"].is_string() && problem["detail"].is_string(),
            "no title or detail",
        );
        problem
    }

    pub(crate) fn told(self) -> Vec<String> {
        self.list
    }
}

/// Fails where anything was not kept.
pub(crate) fn settle(faults: &[String]) {
    let count = faults.len();
    assert!(faults.is_empty(), "{count} faults\n{}", faults.join("\n"));
}

/// The path of the transaction that a write or a state is the work of.
pub(crate) fn writer(response: &Response) -> Option<String> {
    let path = linked(response, "via")?;
    path.starts_with("/transactions/").then_some(path)
}

/// What an answer links to by this relation.
pub(crate) fn linked(response: &Response, relation: &str) -> Option<String> {
    let line = response.header("link")?;
    let end = format!(">; rel=\"{relation}\"");
    let mut paths = line.split(", ").filter_map(|link| link.strip_suffix(&end));
    let path = paths.next()?.strip_prefix('<').map(str::to_owned);
    assert_eq!(paths.next(), None, "{relation} stands twice in {line}");
    path
}
