//! The documents of `POST`, `PUT` and `PATCH` on transactions: their members, and every fault with its pointer.

use super::change;
use super::faults::{Faults, pointer};
use crate::protocol::command::{NewTransaction, PutContent, TransactionPatch};
use crate::protocol::json::{self, Json, Kind};
use crate::protocol::limits;
use crate::protocol::operation::Operation;
use crate::protocol::problem::{FieldError, Problem, Slug};

/// Turns a fault of the JSON reader into its problem.
pub fn malformed(fault: json::JsonFault) -> Problem {
    let detail = format!(
        "The content is not JSON that can be stored unambiguously: {}",
        fault.detail
    );
    let error = FieldError {
        pointer: fault.pointer,
        detail: fault.detail,
    };
    Problem::new(Slug::MalformedRequest, detail).with_errors(vec![error])
}

/// Reads the content of `POST /transactions`; none, `null` and `{}` are the same. `keyed` where it came with a key.
///
/// # Errors
/// `malformed-request` where it is not JSON, `invalid-operation` where a member is not known or not
/// of its type, `precondition-required` for `changes` without a key (contract §5).
pub fn parse_post(content: &[u8], keyed: bool) -> Result<PutContent, Problem> {
    if content.is_empty() {
        return Ok(PutContent::default());
    }
    let document = json::parse_operation(content).map_err(malformed)?;
    let members = match &document.kind {
        Kind::Null => return Ok(PutContent::default()),
        Kind::Object(members) => members,
        _ => return Err(not_an_object("#")),
    };
    let mut faults = Faults::default();
    let mut new = NewTransaction::default();
    let mut changes = None;
    for (name, value) in members {
        match name.as_ref() {
            "changes" if keyed => changes = Some(change::parse_changes(value, &mut faults)),
            "changes" => {
                let detail = "Nothing was changed. A POST with changes could be applied twice if it had to be repeated: add the \
                              header line Idempotency-Key: <a UUID of your own>. Or POST without changes, and PUT them to its \
                              Location under If-Match with its ETag.";
                let error = FieldError {
                    pointer: "#/changes".into(),
                    detail: detail.into(),
                };
                return Err(
                    Problem::new(Slug::PreconditionRequired, detail).with_errors(vec![error])
                );
            }
            name if new_member(name, value, &mut new, &mut faults) => {}
            name => faults.add(
                pointer(name),
                "No such member; a new transaction takes expires_in, reference, metadata, and changes with an Idempotency-Key.",
            ),
        }
    }
    faults.into_result()?;
    let operation = changes.map(Operation::new);
    Ok(PutContent {
        operation,
        draft: false,
        new,
    })
}

/// Reads the content of `PUT /transactions/{id}`; `naming` where it is sent with `If-None-Match: *`.
///
/// # Errors
/// As [`parse_post`]; every fault of every change is listed.
pub fn parse_put(content: &[u8], naming: bool) -> Result<PutContent, Problem> {
    let document = json::parse_operation(content).map_err(malformed)?;
    let Kind::Object(members) = &document.kind else {
        return Err(not_an_object("#"));
    };
    let mut faults = Faults::default();
    let mut new = NewTransaction::default();
    let mut wanted = Wanted::Committed;
    let mut changes = None;
    for (name, value) in members {
        match name.as_ref() {
            "id" | "etag" | "created_at" | "expires_at" | "finished_at" | "outcome" | "links" => {}
            "state" => wanted = wanted_state(value, naming, &mut faults),
            "changes" => changes = Some(change::parse_changes(value, &mut faults)),
            "expires_in" if !naming => faults.add(
                "#/expires_in",
                "Only a PUT with If-None-Match: * takes it; renew with PATCH.",
            ),
            name if new_member(name, value, &mut new, &mut faults) => {}
            name => faults.add(pointer(name), "No such member."),
        }
    }
    let cancel = wanted == Wanted::Cancelled;
    match (&changes, cancel) {
        (Some(_), true) => faults.add(
            "#/changes",
            "A transaction that is created cancelled has no changes.",
        ),
        (None, false) => faults.add(
            "#/changes",
            "Say what is to be changed: an array of 1 to 1000 changes.",
        ),
        _ => {}
    }
    faults.into_result()?;
    let operation = changes.filter(|_| !cancel).map(Operation::new);
    Ok(PutContent {
        operation,
        draft: wanted == Wanted::Open,
        new,
    })
}

/// Reads the content of `PATCH /transactions/{id}`: a new `expires_in`, or `{"state": "committed"}`.
///
/// # Errors
/// As [`parse_post`].
pub fn parse_patch(content: &[u8]) -> Result<TransactionPatch, Problem> {
    let document = json::parse_operation(content).map_err(malformed)?;
    let Kind::Object(members) = &document.kind else {
        return Err(not_an_object("#"));
    };
    let mut faults = Faults::default();
    let mut new = NewTransaction::default();
    let commits = members.iter().any(|(name, _)| name == "state");
    for (name, value) in members {
        match name.as_ref() {
            "state" if value.as_str() == Some("committed") => {}
            "state" => faults.add(
                "#/state",
                "\"committed\" applies the draft; to give the transaction up, DELETE it.",
            ),
            "expires_in" if commits => faults.add(
                "#/expires_in",
                "A transaction that is committed does not expire; leave it out.",
            ),
            "expires_in" if new_member(name, value, &mut new, &mut faults) => {}
            name => faults.add(pointer(name), "Only expires_in or state can be patched."),
        }
    }
    if members.is_empty() {
        faults.add(
            "#/expires_in",
            "Say for how many seconds from now it stays open.",
        );
    }
    faults.into_result()?;
    if commits {
        return Ok(TransactionPatch::Commit);
    }
    let seconds = new.expires_in.unwrap_or(limits::EXPIRES_SECONDS_DEFAULT);
    Ok(TransactionPatch::Renew(seconds))
}

fn not_an_object(pointer: &str) -> Problem {
    let detail = "The content must be a JSON object.";
    let error = FieldError {
        pointer: pointer.into(),
        detail: detail.into(),
    };
    Problem::new(Slug::InvalidOperation, detail).with_errors(vec![error])
}

/// What a PUT wants the transaction to be.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Committed,
    Open,
    Cancelled,
}

fn wanted_state(value: &Json<'_>, naming: bool, faults: &mut Faults) -> Wanted {
    match value.as_str() {
        Some("committed") => {}
        Some("open") => return Wanted::Open,
        Some("cancelled") if naming => return Wanted::Cancelled,
        Some("cancelled") => {
            faults.add("#/state", "To cancel this transaction, DELETE it; only a PUT with If-None-Match: * may create one cancelled.");
        }
        _ => faults.add(
            "#/state",
            "Leave it out, or send \"committed\"; \"open\" keeps the changes without applying them.",
        ),
    }
    Wanted::Committed
}

/// Reads one of the members that a new transaction takes; false where the name is none of them.
fn new_member(name: &str, value: &Json<'_>, new: &mut NewTransaction, faults: &mut Faults) -> bool {
    match name {
        "expires_in" => match value.as_integer() {
            Some(seconds) if (1..=limits::EXPIRES_SECONDS_MAX).contains(&seconds) => {
                new.expires_in = Some(seconds)
            }
            _ => faults.add(
                "#/expires_in",
                "A whole number of seconds from 1 to 604800 (7 days).",
            ),
        },
        "reference" => match value.as_str() {
            Some(text) if (1..=limits::REFERENCE_CHARS_MAX).contains(&text.chars().count()) => {
                new.reference = Some(text.into());
            }
            _ => faults.add("#/reference", "A string of 1 to 255 characters."),
        },
        "metadata" => {
            if value.as_object().is_none() || value.text.len() > limits::METADATA_BYTES_MAX {
                faults.add("#/metadata", "A JSON object of at most 16384 bytes.");
            } else {
                new.metadata = Some(value.text.into());
            }
        }
        _ => return false,
    }
    true
}
