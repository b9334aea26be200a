//! Transitions of a transaction: create, apply and its retry table, renew, cancel.

use std::sync::Arc;

use etag::EntityTag;

use super::changes::{self, ChangeOutcome};
use super::draft;
use super::reference::{free_reference, holder};
use super::refusal::{
    already_finished, answerable, duplicate_reference, stale, too_many_open, unknown_id, weak,
};
use super::{judge_content_first, judge_content_last, parsed};
use crate::protocol::command::{Command, Done, NewTransaction, PutContent, Verdict};
use crate::protocol::condition::{Conditions, Judgement, Selected, TagList};
use crate::protocol::json;
use crate::protocol::limits;
use crate::protocol::operation::Operation;
use crate::protocol::problem::{FieldError, Problem, Slug};
use crate::protocol::state::{State, Transaction};
use crate::protocol::tag::DocumentTag;
use crate::protocol::world::World;

/// `POST /transactions`.
pub(super) fn create(
    world: &mut World,
    command: &Command,
    content: &Result<PutContent, Problem>,
) -> Verdict {
    judge_content_first(content)?;
    let list = EntityTag::weak("list");
    match parsed(&command.conditions)?.judge_write(Selected::Present {
        tag: &list,
        modified: None,
    }) {
        Judgement::Holds => {}
        _ => {
            let detail = "Nothing was created. A condition on a POST is about the list at this URI, which exists and has a \
                          weak tag; send POST /transactions without conditions.";
            return Err(Problem::new(Slug::StaleResource, detail));
        }
    }
    let PutContent { operation, new, .. } = judge_content_last(content)?;
    if let Some(holder) = holder(world, new) {
        if operation.is_none() && holder.state_at(world.now) == State::Open {
            return Ok(Done::Shared(holder.clone()));
        }
        return Err(duplicate_reference(holder));
    }
    let mut transaction = opened(world, command, new);
    if let Some(operation) = operation {
        let outcome = changes::apply(world, command, &operation.changes, false)?;
        free_reference(world, command, new);
        transaction = record(world, command, transaction, operation, outcome);
    } else {
        world.open_room = world.open_room.checked_sub(1).ok_or_else(too_many_open)?;
        free_reference(world, command, new);
        world.write_transaction(transaction.clone(), None);
    }
    Ok(Done::Created(transaction))
}

/// `PUT /transactions/{id}`: the retry table of contract §5, then the operation.
pub(super) fn put(
    world: &mut World,
    command: &Command,
    content: &Result<PutContent, Problem>,
) -> Verdict {
    let found = lookup(world, command)?.cloned();
    let early = judge_content_first(content)?;
    let conditions = required(command)?;
    let Some(transaction) = found else {
        if !matches!(conditions.if_none_match, Some(TagList::Star)) || conditions.if_match.is_some()
        {
            return Err(unknown_id(conditions));
        }
        let content = judge_content_last(content)?;
        return name(world, command, content);
    };
    if transaction.state == State::Committed {
        return finished(command, conditions, &transaction, early);
    }
    if early.is_some_and(|put| draft::is_repeated_save(command, conditions, put, &transaction)) {
        return Ok(Done::Replayed(transaction));
    }
    judge(conditions, &transaction)?;
    let content = judge_content_last(content)?;
    unchanged(&transaction, &content.new)?;
    let Some(operation) = &content.operation else {
        return Err(Problem::new(
            Slug::InvalidOperation,
            "To cancel this transaction, DELETE it.",
        ));
    };
    if content.draft {
        return draft::save(world, command, transaction, operation).map(Done::Saved);
    }
    let outcome = changes::apply(world, command, &operation.changes, false)?;
    let drafted = Transaction {
        draft: None,
        ..transaction
    };
    let applied = record(world, command, drafted, operation, outcome);
    Ok(Done::Applied(applied))
}

/// `PATCH /transactions/{id}`: another `expires_at`.
pub(super) fn renew(
    world: &mut World,
    command: &Command,
    content: &Result<i64, Problem>,
) -> Verdict {
    let mut transaction = existing(world, command)?;
    judge_content_first(content)?;
    judge(required(command)?, &transaction)?;
    if transaction.state != State::Open {
        return Err(already_finished(transaction));
    }
    let seconds = *judge_content_last(content)?;
    transaction.expires_at = world.now.plus_seconds(seconds);
    transaction.tag = next_tag(&transaction, command);
    world.write_transaction(transaction.clone(), None);
    Ok(Done::Renewed(transaction))
}

/// `DELETE /transactions/{id}`.
pub(super) fn cancel(
    world: &mut World,
    command: &Command,
    content: &Result<(), Problem>,
) -> Verdict {
    let mut transaction = existing(world, command)?;
    judge_content_first(content)?;
    let conditions = parsed(&command.conditions)?;
    if transaction.state != State::Open {
        return Err(already_finished(transaction));
    }
    required(command)?;
    judge(conditions, &transaction)?;
    judge_content_last(content)?;
    transaction.state = State::Cancelled;
    transaction.finished_at = Some(world.now);
    transaction.tag = next_tag(&transaction, command);
    world.write_transaction(transaction, None);
    Ok(Done::Cancelled)
}

/// Records a direct write as the committed transaction that it is.
pub(super) fn record_direct(
    world: &mut World,
    command: &Command,
    operation: &Operation,
    outcome: Vec<ChangeOutcome>,
) {
    let transaction = opened(world, command, &NewTransaction::default());
    record(world, command, transaction, operation, outcome);
}

/// `PUT` with `If-None-Match: *` of an id that has no row.
fn name(world: &mut World, command: &Command, content: &PutContent) -> Verdict {
    let Some(millis) = command.id.unix_millis() else {
        return Err(Problem::new(
            Slug::InvalidOperation,
            "Nothing was changed. An id that a client makes is a UUID of version 7 (RFC 9562 §5.7), since its time says \
             when it may be forgotten.",
        ));
    };
    let micros = i64::try_from(millis)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    if micros
        > world
            .now
            .plus_seconds(limits::CLIENT_ID_AHEAD_SECONDS)
            .micros()
    {
        return Err(Problem::new(
            Slug::InvalidOperation,
            format!(
                "Nothing was changed. The id is from more than 5 minutes ahead; here it is {}. Set the clock right.",
                world.now
            ),
        ));
    }
    if let Some(holder) = holder(world, &content.new) {
        return Err(duplicate_reference(holder));
    }
    let mut transaction = opened(world, command, &content.new);
    let Some(operation) = &content.operation else {
        transaction.state = State::Cancelled;
        transaction.finished_at = Some(world.now);
        free_reference(world, command, &content.new);
        world.write_transaction(transaction.clone(), None);
        return Ok(Done::Named(transaction));
    };
    if content.draft {
        let left = world.open_room.checked_sub(1).ok_or_else(too_many_open)?;
        let saved = draft::save(world, command, transaction, operation)?;
        world.open_room = left;
        free_reference(world, command, &content.new);
        return Ok(Done::Named(saved));
    }
    let outcome = changes::apply(world, command, &operation.changes, false)?;
    free_reference(world, command, &content.new);
    Ok(Done::Named(record(
        world,
        command,
        transaction,
        operation,
        outcome,
    )))
}

fn opened(world: &World, command: &Command, new: &NewTransaction) -> Transaction {
    Transaction {
        id: command.id,
        state: State::Open,
        tag: DocumentTag {
            version: 1,
            nonce: command.nonce,
        },
        created_at: world.now,
        expires_at: world
            .now
            .plus_seconds(new.expires_in.unwrap_or(limits::EXPIRES_SECONDS_DEFAULT)),
        finished_at: None,
        reference: new.reference.clone(),
        metadata: new.metadata.clone(),
        operation: None,
        digest: None,
        outcome: None,
        draft: None,
    }
}

pub(super) fn record(
    world: &mut World,
    command: &Command,
    mut transaction: Transaction,
    operation: &Operation,
    outcome: Vec<ChangeOutcome>,
) -> Transaction {
    if world.transaction(transaction.id).is_some() {
        transaction.tag = next_tag(&transaction, command);
    }
    transaction.state = State::Committed;
    transaction.finished_at = Some(world.now);
    transaction.operation = Some(operation.text.clone());
    transaction.digest = Some(operation.digest);
    transaction.outcome = serde_json::to_string(&outcome).ok().map(Arc::from);
    let position = world.operations();
    world.write_transaction(transaction.clone(), Some(position));
    transaction
}

pub(super) fn next_tag(transaction: &Transaction, command: &Command) -> DocumentTag {
    DocumentTag {
        version: transaction.tag.version + 1,
        nonce: command.nonce,
    }
}

/// The three rows of the retry table for a transaction that is not open any more.
fn finished(
    command: &Command,
    conditions: &Conditions,
    transaction: &Transaction,
    content: Option<&PutContent>,
) -> Verdict {
    let same = content
        .filter(|content| !content.draft)
        .and_then(|content| content.operation.as_ref())
        .is_some_and(|operation| Some(operation.digest) == transaction.digest);
    let problem =
        |slug, detail: String| Err(Problem::new(slug, detail).with_current(transaction.clone()));
    let applied = || {
        format!(
            "Nothing is left to do: this very operation was applied, and the transaction is at {}.",
            transaction.tag
        )
    };
    if !none_match_holds(conditions, transaction) {
        if same {
            return problem(Slug::AlreadyApplied, applied());
        }
        return Err(stale(transaction, conditions));
    }
    let Some(if_match) = &conditions.if_match else {
        return Err(stale(transaction, conditions));
    };
    if !if_match.has_strong_or_star() {
        return Err(weak(transaction));
    }
    let holds = judgement(conditions, transaction) == Judgement::Holds;
    match (same, command.strict, holds) {
        (true, false, _) => Ok(Done::Replayed(transaction.clone())),
        (true, true, false) => problem(Slug::AlreadyApplied, applied()),
        (false, _, false) => Err(stale(transaction, conditions)),
        (_, _, true) => Err(already_finished(transaction.clone())),
    }
}

pub(super) fn existing(world: &World, command: &Command) -> Result<Transaction, Problem> {
    lookup(world, command)?.cloned().ok_or_else(|| {
        Problem::new(
            Slug::NotFound,
            format!(
                "There is no transaction {}. Nothing was changed.",
                command.id
            ),
        )
    })
}

fn lookup<'w>(world: &'w World, command: &Command) -> Result<Option<&'w Transaction>, Problem> {
    let found = world.transaction(command.id);
    answerable(command.id, found, world.now, world.purge_horizon)?;
    Ok(found)
}

pub(super) fn required(command: &Command) -> Result<&Conditions, Problem> {
    let conditions = parsed(&command.conditions)?;
    if conditions.satisfies_write_rule() {
        return Ok(conditions);
    }
    Err(Problem::new(
        Slug::PreconditionRequired,
        "Nothing was changed. Add the header line If-Match: <ETag of the transaction>, as POST and GET gave it, or \
         If-Match: *; a PUT that creates the transaction sends If-None-Match: *",
    ))
}

/// Whether `If-None-Match` is true by itself: a false If-Match, which a replay may disregard, would hide it.
pub(super) fn none_match_holds(conditions: &Conditions, transaction: &Transaction) -> bool {
    let none_match = Conditions {
        if_none_match: conditions.if_none_match.clone(),
        ..Conditions::default()
    };
    judgement(&none_match, transaction) != Judgement::IfNoneMatchFalse
}

pub(super) fn judgement(conditions: &Conditions, transaction: &Transaction) -> Judgement {
    conditions.judge_write(Selected::Present {
        tag: &transaction.tag.entity_tag(),
        modified: None,
    })
}

pub(super) fn judge(conditions: &Conditions, transaction: &Transaction) -> Result<(), Problem> {
    match judgement(conditions, transaction) {
        Judgement::Holds => Ok(()),
        Judgement::IfMatchFalse { weak: true } => Err(weak(transaction)),
        _ => Err(stale(transaction, conditions)),
    }
}

/// Members that cannot be changed any more may be sent back, unchanged.
fn unchanged(transaction: &Transaction, new: &NewTransaction) -> Result<(), Problem> {
    let mut errors = Vec::new();
    let same_json = |a: &str, b: &str| match (json::parse(a.as_bytes()), json::parse(b.as_bytes()))
    {
        (Ok(a), Ok(b)) => json::equal(&a, &b),
        _ => false,
    };
    if new.reference.is_some() && new.reference != transaction.reference {
        errors.push(("#/reference", "The reference was given when the transaction was created; leave it out or send it unchanged."));
    }
    let metadata = transaction.metadata.as_deref().unwrap_or("{}");
    if new
        .metadata
        .as_deref()
        .is_some_and(|sent| !same_json(sent, metadata))
    {
        errors.push(("#/metadata", "The metadata was given when the transaction was created; leave it out or send it unchanged."));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let errors = errors
        .into_iter()
        .map(|(pointer, detail)| FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        })
        .collect();
    Err(Problem::new(
        Slug::InvalidOperation,
        "Nothing was changed. Mend every place in errors.",
    )
    .with_errors(errors))
}
