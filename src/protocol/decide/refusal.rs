//! What clients are told whose request does not fit the state of a transaction: what it is, and what to send next.

use crate::protocol::clock::Timestamp;
use crate::protocol::condition::{Conditions, Judgement, Selected};
use crate::protocol::name::{ResourceName, TransactionId};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::{State, Transaction};

/// A reference that another transaction has taken for good.
pub(super) fn duplicate_reference(holder: &Transaction) -> Problem {
    let detail = format!(
        "Nothing was done. {} has this reference: read it with GET, or use another reference.",
        holder.id.path()
    );
    let mut problem = Problem::new(Slug::DuplicateReference, detail).with_current(holder.clone());
    problem.location = Some(holder.id.path());
    problem
}

/// A tenant with as many open transactions as it may have.
pub(super) fn too_many_open() -> Problem {
    Problem::new(
        Slug::TooManyRequests,
        "Nothing was created. As many transactions are open as limits.open_transactions of / allows. Finish or cancel some, \
         or wait until they expire; then send the same request again. PUT /transactions/{id} with If-None-Match: * needs no \
         open one.",
    )
}

/// A version that a resource had, but that is not kept any more.
pub fn version_purged(name: &ResourceName, version: i64) -> Problem {
    let path = name.path();
    Problem::new(
        Slug::Gone,
        format!(
            "Version {version} of {path} is not kept any more. GET {path}/versions lists those that are."
        ),
    )
}

/// `If-Match` on a transaction with weak tags only.
pub(super) fn weak(transaction: &Transaction) -> Problem {
    let detail = format!(
        "Nothing was changed. A weak tag never matches in If-Match. Send the header line If-Match: {}",
        transaction.tag
    );
    Problem::new(Slug::WeakEtag, detail).with_current(transaction.clone())
}

/// A `PUT` under `If-Match` of an id that has no row.
pub(super) fn unknown_id(conditions: &Conditions) -> Problem {
    let weak = matches!(
        conditions.judge_write(Selected::Absent),
        Judgement::IfMatchFalse { weak: true }
    );
    let slug = if weak {
        Slug::WeakEtag
    } else {
        Slug::StaleTransaction
    };
    let detail = "Nothing was changed. There is no transaction with this id: POST /transactions creates one, or send a UUIDv7 of \
                  your own with the header line If-None-Match: * alone.";
    Problem::new(slug, detail)
}

/// The header condition on a transaction is false.
pub(super) fn stale(transaction: &Transaction, conditions: &Conditions) -> Problem {
    let next = match transaction.state {
        State::Open => format!(
            "To go on with it, send the header line If-Match: {}",
            transaction.tag
        ),
        _ => "It is decided: read current for what was done.".to_owned(),
    };
    let why = if conditions.if_none_match.is_some() {
        "exists already and"
    } else {
        "has changed and"
    };
    let detail = format!(
        "Nothing was changed. The transaction {why} is {} at {}. {next}",
        transaction.state.as_str(),
        transaction.tag
    );
    Problem::new(Slug::StaleTransaction, detail).with_current(transaction.clone())
}

/// The transaction is decided, and the request is no repetition.
pub(super) fn already_finished(transaction: Transaction) -> Problem {
    let detail = format!(
        "Nothing was changed. The transaction is {} at {} and never changes again; read current for what was done. Create \
         another with POST /transactions for anything else.",
        transaction.state.as_str(),
        transaction.tag
    );
    Problem::new(Slug::TransactionFinished, detail).with_current(transaction)
}

/// A key that stands for another request.
pub(super) fn key_reused(transaction: TransactionId) -> Problem {
    let detail = format!(
        "Nothing was changed. This key came with another request before, which was applied as {}. Send that request again \
         to see its answer; for this one, make a new key.",
        transaction.path()
    );
    Problem::new(Slug::KeyReused, detail)
}

/// A key that may have been forgotten.
pub(super) fn key_gone(purge_horizon: Timestamp) -> Problem {
    let detail = format!(
        "Nothing was changed. The key is a UUID from before {purge_horizon}; what is that old and has no record cannot be \
         told any more. Read the resources, then send what is still wanted with a new key."
    );
    Problem::new(Slug::Gone, detail)
}

/// A key, or a repeatable request, from the future: it would outlive what tells that it was applied.
pub(super) fn key_ahead(now: Timestamp) -> Problem {
    let detail = format!(
        "Nothing was changed. The time in the key, or in Repeatability-First-Sent, is more than 5 minutes ahead; here it is \
         {now}. Set the clock right."
    );
    Problem::new(Slug::InvalidOperation, detail)
}

/// A repeatable request that may have been forgotten.
pub(super) fn request_too_old(purge_horizon: Timestamp) -> Problem {
    let detail = format!(
        "Nothing was changed. The request was first sent before {purge_horizon}; whether it was applied then cannot be told \
         any more. Read the resources, then send what is still wanted with a new Repeatability-Request-ID and the time of now."
    );
    Problem::new(Slug::RequestTooOld, detail)
}

/// Refuses what is `410` for every method: cancelled, expired, or not newer than the purge horizon.
///
/// # Errors
/// `transaction-cancelled`, `transaction-expired`, `gone` (contract §5, "Life and purge").
pub fn answerable(
    id: TransactionId,
    found: Option<&Transaction>,
    now: Timestamp,
    purge_horizon: Timestamp,
) -> Result<(), Problem> {
    let never = "It was not applied and never will be. Create a new transaction with POST /transactions if it is still wanted.";
    match found.map(|transaction| transaction.state_at(now)) {
        Some(State::Cancelled) => Err(Problem::new(
            Slug::TransactionCancelled,
            format!("This transaction was cancelled. {never}"),
        )),
        Some(State::Expired) => Err(Problem::new(
            Slug::TransactionExpired,
            format!("This transaction expired while it was open. {never}"),
        )),
        Some(State::Open | State::Committed) => Ok(()),
        None => {
            let micros = id.unix_millis().map(|millis| {
                i64::try_from(millis)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1000)
            });
            if micros.is_some_and(|micros| micros <= purge_horizon.micros()) {
                let detail = format!(
                    "The id is from before {purge_horizon}; what is that old and has no record cannot be told any more."
                );
                return Err(Problem::new(Slug::Gone, detail));
            }
            Ok(())
        }
    }
}
