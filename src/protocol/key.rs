//! Keys that clients send to have a request applied once: `Idempotency-Key`, and OASIS Repeatable Requests.
//!
//! A key names a transaction that the client cannot name otherwise. This module reads the header fields and says which
//! requests are the same; what becomes of a request with a key is [`super::decide`]'s to say.

use std::sync::Arc;

use sfv::{BareItem, Item, Parser};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::clock::Timestamp;
use super::command::{Action, Command, NewTransaction};
use super::condition::{Conditions, TagList};
use super::json;
use super::limits::KEY_CHARS_MAX;
use super::name::{ResourceName, TransactionId};
use super::problem::{Problem, Slug};
use super::state::{Resource, Transaction};
use super::tag::trim_ows;

/// The name of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// Whose key it is; empty while there is no authentication.
    pub principal: Arc<str>,
    /// 1 to 255 characters of printable ASCII; a `Repeatability-Request-ID` is in lower case.
    pub text: Arc<str>,
}

/// The key that a request came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Its name.
    pub name: KeyName,
    /// `Repeatability-First-Sent`; no part of what the request is.
    pub first_sent: Option<Timestamp>,
}

/// What a key stands for: the first request that came with it, and what that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// [`fingerprint`] of that request.
    pub fingerprint: [u8; 32],
    /// The transaction that it was, or was answered with.
    pub transaction: TransactionId,
    /// Whether what it was answered with was created by it.
    pub created: bool,
    /// What it did.
    pub answer: KeyAnswer,
}

/// What the first request with a key did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyAnswer {
    /// A direct write: the state that it made, without media type and body where that version was purged since.
    Written(ResourceName, Resource),
    /// A POST: the transaction as it is now.
    Transaction(Box<Transaction>),
}

impl RequestKey {
    /// Parses the lines of `Idempotency-Key`, `Repeatability-Request-ID` and `Repeatability-First-Sent`; `None` where
    /// there are none.
    ///
    /// # Errors
    /// `malformed-request`: more than one key, one that does not parse, one of the latter two without the other.
    pub fn parse(
        idempotency_key: &[&[u8]],
        request_id: &[&[u8]],
        first_sent: &[&[u8]],
    ) -> Result<Option<Self>, Problem> {
        let (text, first_sent) = match (idempotency_key, request_id, first_sent) {
            ([], [], []) => return Ok(None),
            ([line], [], []) => (text_read(line)?, None),
            ([_, _, ..], [], []) => {
                return Err(fault(
                    "Idempotency-Key came more than once. Send one key on one line.",
                ));
            }
            ([], [id], [date]) => (id_read(id)?, Some(date_read(date)?)),
            ([], ..) => {
                return Err(fault(
                    "Repeatability-Request-ID and Repeatability-First-Sent go together. Send each once.",
                ));
            }
            _ => {
                return Err(fault(
                    "Idempotency-Key and Repeatability-Request-ID are two names of one thing. Send one of them.",
                ));
            }
        };
        let name = KeyName {
            principal: "".into(),
            text: text.into(),
        };
        Ok(Some(Self { name, first_sent }))
    }
}

impl RequestKey {
    /// When the client says that it made the key, or sent it first, if it says so.
    pub fn claimed_at(&self) -> Option<Timestamp> {
        self.first_sent.max(self.name.made_at())
    }
}

impl KeyName {
    /// The time within the key, where it is a UUID of version 7: as that within the id of a transaction.
    pub fn made_at(&self) -> Option<Timestamp> {
        let millis = TransactionId::parse_segment(&self.text)?.unix_millis()?;
        let micros = i64::try_from(millis).ok()?.checked_mul(1000)?;
        Some(Timestamp::from_micros(micros))
    }
}

fn fault(detail: &str) -> Problem {
    Problem::new(
        Slug::MalformedRequest,
        format!("Nothing was changed. {detail}"),
    )
}

/// A string of structured fields (RFC 9651 §3.3.3), whose parameters mean nothing, or the same without its quotes.
fn text_read(line: &[u8]) -> Result<String, Problem> {
    let line = trim_ows(line);
    let text = match line.first() {
        Some(b'"') => quoted_read(line),
        _ => bare_read(line),
    };
    text.filter(|text| (1..=KEY_CHARS_MAX).contains(&text.len()))
        .ok_or_else(|| {
            fault(
                "Idempotency-Key is a string of 1 to 255 printable ASCII characters in double quotes (RFC 9651 §3.3.3), \
                 such as a UUID: Idempotency-Key: \"8e03978e-40d5-43e8-bc93-6894a57f9324\". Without quotes it holds neither \
                 white space nor any of \" \\ , ;",
            )
        })
}

fn quoted_read(line: &[u8]) -> Option<String> {
    match Parser::new(line).parse::<Item>().ok()?.bare_item {
        BareItem::String(text) => Some(text.as_str().to_owned()),
        _ => None,
    }
}

/// What proxies would join two keys with, or cut one at, is in none.
fn bare_read(line: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !br#""\,;"#.contains(byte);
    let text = std::str::from_utf8(line).ok()?;
    line.iter().all(plain).then(|| text.to_owned())
}

/// The 36 characters of a UUID in any case (Repeatable Requests, "Repeatability-Request-ID"), in lower case.
fn id_read(line: &[u8]) -> Result<String, Problem> {
    let text = std::str::from_utf8(trim_ows(line)).unwrap_or_default();
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == 36);
    id.map(|id| id.as_hyphenated().to_string()).ok_or_else(|| {
        fault("Repeatability-Request-ID is a UUID of 36 characters, without quotes.")
    })
}

/// An IMF-fixdate, and no other form of an HTTP-date (Repeatable Requests, "Server Behavior").
fn date_read(line: &[u8]) -> Result<Timestamp, Problem> {
    let text = std::str::from_utf8(trim_ows(line)).unwrap_or_default();
    let time = httpdate::parse_http_date(text)
        .ok()
        .filter(|time| httpdate::fmt_http_date(*time) == text)
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_micros()).ok());
    time.map(Timestamp::from_micros).ok_or_else(|| {
        fault(
            "Repeatability-First-Sent is an HTTP-date in this form: Tue, 26 Mar 2019 16:06:51 GMT (RFC 9110 §5.6.7).",
        )
    })
}

/// SHA-256 of all that makes a request the one that it is: method, URI, conditions, media type and content, each as it
/// was understood. `None` where the content is refused whatever the state: no request that succeeded is the same.
///
/// Preferences, and the fields that carry the key, are no part of it.
pub fn fingerprint(command: &Command) -> Option<[u8; 32]> {
    let conditions = command.conditions.as_ref().ok()?;
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    match &command.action {
        // The digest covers method, target, conditions but dates, media type and content.
        Action::Write { content, .. } => {
            part(b"write");
            part(&content.as_ref().ok()?.digest);
        }
        Action::Create(content) => {
            let content = content.as_ref().ok()?;
            part(b"create");
            part(&new_digest(&content.new)?);
            let operation = content.operation.as_ref();
            part(operation.map_or(&[], |operation| &operation.digest));
        }
        Action::Put(_)
        | Action::Draft { .. }
        | Action::Commit
        | Action::Renew(_)
        | Action::Cancel(_) => return None,
    }
    part(conditions_text(conditions).as_bytes());
    Some(hash.finalize().into())
}

/// Of the members of a new transaction as JSON.
fn new_digest(new: &NewTransaction) -> Option<[u8; 32]> {
    let quoted = |text: &Arc<str>| serde_json::Value::from(&**text).to_string();
    let document = format!(
        "[{},{},{}]",
        new.expires_in
            .map_or("null".to_owned(), |seconds| seconds.to_string()),
        new.reference.as_ref().map_or("null".to_owned(), quoted),
        new.metadata.as_deref().unwrap_or("null"),
    );
    let document = json::parse_operation(document.as_bytes()).ok()?;
    Some(json::canonical_digest(&document))
}

fn conditions_text(conditions: &Conditions) -> String {
    let list = |list: &Option<TagList>| list.as_ref().map(TagList::canonical);
    format!(
        "{:?}",
        (
            list(&conditions.if_match),
            list(&conditions.if_none_match),
            conditions.if_unmodified_since,
            conditions.if_modified_since,
        )
    )
}

#[cfg(test)]
mod tests;
