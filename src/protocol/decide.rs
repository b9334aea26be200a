//! The decision: what a command does to a given state. A function of its arguments.
//!
//! Every precondition of every write is judged here and nowhere else: a direct write is an operation
//! of one change. The order in which refusals win is contract §3, "Order", and §5, "Order of failures".

mod bodies;
mod changes;
mod draft;
mod keyed;
mod reference;
mod refusal;
mod schema;
mod transaction;

pub use draft::draft_view;
pub use refusal::{answerable, version_purged};
pub use schema::{judge_schema_delete, judge_schema_put};

use super::command::{Action, Command, Done, Verdict};
use super::condition::{ConditionFault, Conditions, Judgement, Selected, TagList};
use super::name::ResourceName;
use super::operation::ChangeMethod;
use super::operation::Operation;
use super::patch::PatchKind;
use super::problem::{Problem, Slug};
use super::state::Resource;
use super::world::World;

/// Decides one command and, where it succeeds, puts what it writes into `world`.
///
/// Refused commands leave `world` as it was.
pub fn decide(world: &mut World, command: &Command) -> Verdict {
    match &command.key {
        Some(key) => keyed::decide(world, command, key),
        None => act(world, command),
    }
}

/// Decides one command as if it had no key, or a new one.
fn act(world: &mut World, command: &Command) -> Verdict {
    match &command.action {
        Action::Write {
            method,
            target,
            content,
        } => {
            let current = world.resource(target).filter(|resource| !resource.deleted);
            if current.is_none() && *method != ChangeMethod::Put {
                return Err(changes::absent(world, command, target));
            }
            let operation = judge_content_first(content)?;
            let conditions = required(&command.conditions, *method)?;
            if command.key.is_none() {
                refuse_unsafe_to_repeat(conditions, *method, ADD_KEY)?;
            }
            if operation.is_none() {
                changes::judge_direct(world, command, *method, target)?;
            }
            write_directly(world, command, target, judge_content_last(content)?)
        }
        Action::Create(content) => transaction::create(world, command, content),
        Action::Put(content) => transaction::put(world, command, content),
        Action::Renew(content) => transaction::renew(world, command, content),
        Action::Commit => draft::commit(world, command),
        Action::Draft {
            method,
            target,
            content,
        } => draft::write(world, command, *method, target, content),
        Action::Cancel(content) => transaction::cancel(world, command, content),
    }
}

/// Refuses content that is refused before any condition is looked at.
fn judge_content_first<T>(content: &Result<T, Problem>) -> Result<Option<&T>, Problem> {
    match content {
        Ok(content) => Ok(Some(content)),
        Err(problem) if problem.slug.precedes_conditions() => Err(problem.clone()),
        Err(_) => Ok(None),
    }
}

/// Refuses content that is refused after the conditions were found true.
fn judge_content_last<T>(content: &Result<T, Problem>) -> Result<&T, Problem> {
    content.as_ref().map_err(Problem::clone)
}

/// The conditions, where they parse and satisfy the rule of contract §1.
fn required(
    conditions: &Result<Conditions, ConditionFault>,
    method: ChangeMethod,
) -> Result<&Conditions, Problem> {
    let conditions = parsed(conditions)?;
    if conditions.satisfies_write_rule() {
        return Ok(conditions);
    }
    let create = if method == ChangeMethod::Put {
        ", or If-None-Match: * to create it only if it does not exist"
    } else {
        ""
    };
    Err(Problem::new(
        Slug::PreconditionRequired,
        format!(
            "Nothing was changed. Add the header line If-Match: <the ETag you read> to change that very state, \
             If-Match: * to change whatever is there{create}."
        ),
    ))
}

/// The conditions, or the problem of those that do not parse.
fn parsed(conditions: &Result<Conditions, ConditionFault>) -> Result<&Conditions, Problem> {
    conditions.as_ref().map_err(|fault| {
        Problem::new(
            Slug::MalformedRequest,
            format!("{}: {}", fault.field, fault.detail),
        )
    })
}

/// What makes a direct write safe to repeat under any condition.
const ADD_KEY: &str =
    "add the header line Idempotency-Key: <a UUID of your own>, or PUT it in a transaction, or ";

/// A JSON Patch or increment under `If-Match: *` might be applied twice by a client that repeats it without a key.
fn refuse_unsafe_to_repeat(
    conditions: &Conditions,
    method: ChangeMethod,
    advice: &str,
) -> Result<(), Problem> {
    let patch = match method {
        ChangeMethod::Patch(PatchKind::JsonPatch) => "A JSON Patch",
        ChangeMethod::Patch(PatchKind::Increment) => "An increment",
        ChangeMethod::Patch(PatchKind::Merge)
        | ChangeMethod::Get
        | ChangeMethod::Put
        | ChangeMethod::Delete => return Ok(()),
    };
    if !matches!(conditions.if_match, Some(TagList::Star)) {
        return Ok(());
    }
    Err(Problem::new(
        Slug::PreconditionRequired,
        format!(
            "Nothing was changed. {patch} under If-Match: * could be applied twice if it had to be repeated: {advice}send \
             If-Match: <the ETag you read>."
        ),
    ))
}

fn write_directly(
    world: &mut World,
    command: &Command,
    target: &ResourceName,
    operation: &Operation,
) -> Verdict {
    let created = world
        .resource(target)
        .is_none_or(|resource| resource.deleted);
    let outcome = changes::apply(world, command, &operation.changes, true)?;
    transaction::record_direct(world, command, operation, outcome);
    let resource = world.resource(target).cloned().ok_or_else(|| {
        Problem::new(
            Slug::InternalError,
            "The write left no state behind. Send the same request again.",
        )
    })?;
    Ok(Done::Written {
        transaction: command.id,
        created,
        resource,
    })
}

/// Judges conditions against a resource as it is.
fn judge(conditions: &Conditions, resource: Option<&Resource>) -> Judgement {
    match resource.filter(|resource| !resource.deleted) {
        None => conditions.judge_write(Selected::Absent),
        Some(resource) => conditions.judge_write(Selected::Present {
            tag: &resource.tag.entity_tag(),
            modified: Some(resource.updated_at.unix_seconds()),
        }),
    }
}

#[cfg(test)]
mod tests;
