//! Equality of values as JSON, and the two ways values are written: canonical (one text for all equal values, to be
//! hashed) and compact (the spelling kept, white space dropped).
//!
//! The canonical form is valid JSON but private to the service: it is compared and hashed, never sent.

use super::number::Exact;
use super::{Json, Kind};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

type Member<'a> = (Cow<'a, str>, Json<'a>);

/// Whether two values are equal as JSON: array order counts, member order and white space do not, numbers are compared by
/// exact value (`1`, `1.0` and `10e-1` are equal, so are `-0` and `0`), strings after unescaping.
#[must_use]
pub fn equal(a: &Json<'_>, b: &Json<'_>) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Bool(a), Kind::Bool(b)) => a == b,
        (Kind::Number, Kind::Number) => numbers_equal(a.text, b.text),
        (Kind::String(a), Kind::String(b)) => a == b,
        (Kind::Array(a), Kind::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Kind::Object(a), Kind::Object(b)) => a.len() == b.len() && members_equal(a, b),
        _ => false,
    }
}

fn numbers_equal(a: &str, b: &str) -> bool {
    a == b || matches!((Exact::read(a), Exact::read(b)), (Some(a), Some(b)) if a.equals(&b))
}

/// Both have the same number of members, each name once.
fn members_equal(a: &[Member<'_>], b: &[Member<'_>]) -> bool {
    let same = |(a, b): (&Member<'_>, &Member<'_>)| a.0 == b.0 && equal(&a.1, &b.1);
    if a.iter().zip(b).all(|(a, b)| a.0 == b.0) {
        return a.iter().zip(b).all(same);
    }
    let (a, b) = (sorted(a), sorted(b));
    a.into_iter().zip(b).all(same)
}

fn sorted<'m, 'a>(members: &'m [Member<'a>]) -> Vec<&'m Member<'a>> {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    sorted
}

/// The SHA-256 of [`write_canonical`]'s text: equal for values that are [`equal`], different for all others.
#[must_use]
pub fn canonical_digest(json: &Json<'_>) -> [u8; 32] {
    let mut text = Vec::with_capacity(json.text.len());
    write_canonical(json, &mut text);
    Sha256::digest(&text).into()
}

/// Appends the canonical text: members sorted by the bytes of their names, no white space, numbers as digits without zeros
/// at the ends with an exponent (`1e131071` costs nothing), strings with only what must be escaped escaped.
pub fn write_canonical(json: &Json<'_>, out: &mut Vec<u8>) {
    match &json.kind {
        Kind::Number => match Exact::read(json.text) {
            Some(exact) => exact.write(out),
            None => out.extend_from_slice(json.text.as_bytes()),
        },
        Kind::String(string) => write_string(string, out),
        Kind::Array(elements) => write_separated(b"[]", elements, out, write_canonical),
        Kind::Object(members) => {
            write_separated(b"{}", sorted(members), out, |(name, value), out| {
                write_string(name, out);
                out.push(b':');
                write_canonical(value, out);
            })
        }
        Kind::Null | Kind::Bool(_) => out.extend_from_slice(json.text.as_bytes()),
    }
}

/// Appends the value without white space; numbers and strings keep their spelling, members their order.
pub fn write_compact(json: &Json<'_>, out: &mut Vec<u8>) {
    match &json.kind {
        Kind::Array(elements) => write_separated(b"[]", elements, out, write_compact),
        Kind::Object(members) => write_separated(b"{}", members, out, |(name, value), out| {
            write_string(name, out);
            out.push(b':');
            write_compact(value, out);
        }),
        _ => out.extend_from_slice(json.text.as_bytes()),
    }
}

fn write_separated<T>(
    brackets: &[u8; 2],
    items: impl IntoIterator<Item = T>,
    out: &mut Vec<u8>,
    write: impl Fn(T, &mut Vec<u8>),
) {
    out.push(brackets[0]);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(brackets[1]);
}

/// Appends a JSON string: quotes, with `"`, `\` and control characters escaped and nothing else.
pub(in crate::protocol) fn write_string(string: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for &byte in string.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 0xf));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// How many bytes [`write_string`] appends.
pub(in crate::protocol) fn escaped_bytes(string: &str) -> usize {
    let bytes = string.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        0..=0x1f => 6,
        _ => 1,
    });
    2 + bytes.sum::<usize>()
}
