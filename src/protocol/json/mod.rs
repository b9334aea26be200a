//! JSON as the service accepts it: RFC 8259 narrowed by RFC 7493 to what every parser reads alike, and to what a
//! Postgres `jsonb` column can hold, so that nothing accepted at the door fails further in.
//!
//! [`parse`] reads bytes in one pass into a [`Json`] that borrows from them: each value keeps the slice of the source it
//! came from, because stored content is returned byte for byte. [`equal`], [`write_canonical`] and [`canonical_digest`]
//! compare values as JSON does: members in any order, numbers by exact value, strings after unescaping.
//!
//! This module must not know what a value means (resource, patch, transaction) beyond the one exception to the depth rule
//! in [`parse_operation`], nor HTTP, nor the database.

mod canonical;
mod number;
mod parse;
mod pointer;
mod sum;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use canonical::{canonical_digest, equal, write_canonical, write_compact};
pub(in crate::protocol) use canonical::{escaped_bytes, write_string};
pub use parse::{parse, parse_operation};
pub use pointer::push_pointer_segment;
pub(in crate::protocol) use sum::sum;

pub use super::limits::JSON_DEPTH_MAX;

/// Why content is not acceptable JSON; the answer is a `400` with this as an entry of `errors` (RFC 9457 §3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct JsonFault {
    /// The value at fault as a JSON Pointer in URI fragment form (RFC 6901 §6): `#` for the root, `#/a/b` within it. For a
    /// fault in a member's name or between values it names the array or object around it. A pointer that would grow past
    /// 8 KiB stops at the ancestor that fits.
    pub pointer: String,
    /// What is wrong, at which byte (counted from 0), and what to send instead.
    pub detail: String,
}

/// A JSON value within the limits of this module, borrowed from the bytes it was read from.
#[derive(Debug, Clone)]
pub struct Json<'a> {
    /// What the value is.
    pub kind: Kind<'a>,
    /// The exact source of this value, without white space around it.
    pub text: &'a str,
}

/// The kinds of JSON values (RFC 8259 §3).
#[derive(Debug, Clone)]
pub enum Kind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number; its spelling is [`Json::text`], its value is compared by [`equal`].
    Number,
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array's elements.
    Array(Vec<Json<'a>>),
    /// An object's members in source order; names are unescaped and unique.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl Kind<'_> {
    /// The kind with its article, for people: `a string`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Number => "a number",
            Kind::String(_) => "a string",
            Kind::Array(_) => "an array",
            Kind::Object(_) => "an object",
        }
    }
}

impl<'a> Json<'a> {
    /// The object's member of this name; `None` where there is none or the value is no object. Linear in the members.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        let (_, value) = self
            .as_object()?
            .iter()
            .find(|(member, _)| member == name)?;
        Some(value)
    }

    /// The unescaped string; `None` for any other kind.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::String(string) => Some(string),
            _ => None,
        }
    }

    /// The elements; `None` for any other kind.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match &self.kind {
            Kind::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members in source order; `None` for any other kind.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        match &self.kind {
            Kind::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The number, if it is exactly an integer of 64 bits, however it is spelled (`3`, `3.0`, `30e-1`).
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self.kind {
            Kind::Number => number::Exact::read(self.text)?.integer(),
            _ => None,
        }
    }
}
