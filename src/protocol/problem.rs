//! What can go wrong, once: RFC 9457 problem types, their status codes, and whether to repeat.
//!
//! Every refusal of the server is a [`Problem`]. Status codes are given here and in `http/` only.

mod slug;

use std::sync::Arc;

pub use slug::Slug;

use super::name::{ResourceName, TransactionId};
use super::state::Transaction;
use super::tag::{DraftTag, StateTag};

/// One place in the content that is at fault (RFC 9457 §3, `errors`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// URI fragment form of a JSON Pointer: `#/changes/0/if_match`.
    pub pointer: String,
    /// What is wrong there, and what would be right.
    pub detail: String,
}

/// One false condition on a resource, with the state that was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Index of the change; 0 for a direct write.
    pub change: usize,
    /// The resource.
    pub target: ResourceName,
    /// The condition as it was sent.
    pub if_match: Option<String>,
    /// The condition as it was sent.
    pub if_none_match: Option<String>,
    /// Its tag, or none where it does not exist.
    pub current: Option<StateTag>,
    /// Its tag in the draft, where it is the draft's state that was judged.
    pub draft: Option<DraftTag>,
    /// Who wrote that state.
    pub transaction: Option<TransactionId>,
    /// The state itself, where the client asked for it.
    pub body: Option<Arc<str>>,
}

/// One refusal, with all that its document and header fields need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its type.
    pub slug: Slug,
    /// What to do next, in this very case.
    pub detail: String,
    /// The places at fault.
    pub errors: Vec<FieldError>,
    /// The false conditions.
    pub conflicts: Vec<Conflict>,
    /// The transaction as it is.
    pub current: Option<Box<Transaction>>,
    /// `Location`, where another URI is the answer.
    pub location: Option<String>,
    /// `Allow` or `Accept-Patch` or `Accept-Encoding`: name and value.
    pub field: Option<(&'static str, &'static str)>,
}

impl Problem {
    /// A problem with nothing but its detail.
    pub fn new(slug: Slug, detail: impl Into<String>) -> Self {
        Self {
            slug,
            detail: detail.into(),
            errors: Vec::new(),
            conflicts: Vec::new(),
            current: None,
            location: None,
            field: None,
        }
    }

    /// With the places in the content that are at fault.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// With the transaction as it is.
    pub fn with_current(mut self, transaction: Transaction) -> Self {
        self.current = Some(Box::new(transaction));
        self
    }

    /// With the false conditions.
    pub fn with_conflicts(mut self, conflicts: Vec<Conflict>) -> Self {
        self.conflicts = conflicts;
        self
    }

    /// With one more header field.
    pub fn with_field(mut self, name: &'static str, value: &'static str) -> Self {
        self.field = Some((name, value));
        self
    }
}

#[cfg(test)]
mod tests;
