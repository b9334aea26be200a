//! Requests with a key: the first one does what it says, every other one is told what that was (contract §5,
//! "Idempotency-Key").
//!
//! The key is looked up before anything that depends on state (RFC 9110 §13.2.1 lets an extension do so): a repetition
//! must not meet a condition that it has made false itself.

use super::refusal;
use super::{act, parsed};
use crate::protocol::command::{Action, Command, Done, Verdict};
use crate::protocol::key::{KeyAnswer, KeyUse, RequestKey, fingerprint};
use crate::protocol::limits;
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::Transaction;
use crate::protocol::world::World;

/// Decides a command with a key, and remembers the key where it succeeds.
pub(super) fn decide(world: &mut World, command: &Command, key: &RequestKey) -> Verdict {
    if let Some(first_sent) = key.first_sent
        && first_sent <= world.purge_horizon
    {
        return Err(refusal::request_too_old(world.purge_horizon));
    }
    if let Some(used) = world.key(&key.name) {
        return again(world, command, used);
    }
    if let Some(made_at) = key.name.made_at()
        && made_at <= world.purge_horizon
    {
        return Err(refusal::key_gone(world.purge_horizon));
    }
    if let Some(claimed) = key.claimed_at()
        && claimed > world.now.plus_seconds(limits::CLIENT_ID_AHEAD_SECONDS)
    {
        return Err(refusal::key_ahead(world.now));
    }
    let done = act(world, command)?;
    if let Some(used) = used(command, &done) {
        world.write_key(key.name.clone(), used);
    }
    Ok(done)
}

/// The first answer again, if the request is the same.
fn again(world: &World, command: &Command, used: &KeyUse) -> Verdict {
    // What cannot be read at all may be damaged, rather than another request.
    parsed(&command.conditions)?;
    if let Some(problem) = unreadable(command) {
        return Err(problem.clone());
    }
    if fingerprint(command) != Some(used.fingerprint) {
        return Err(refusal::key_reused(used.transaction));
    }
    let done = match &used.answer {
        KeyAnswer::Written(_, resource) => Done::Written {
            transaction: used.transaction,
            created: used.created,
            resource: resource.clone(),
        },
        KeyAnswer::Transaction(read) => {
            // A command before this one may have gone on with it.
            let now = world.transaction(used.transaction).unwrap_or(read).clone();
            refusal::answerable(now.id, Some(&now), world.now, world.purge_horizon)?;
            context(used.created, now)
        }
    };
    Ok(Done::Again(Box::new(done)))
}

fn context(created: bool, transaction: Transaction) -> Done {
    if created {
        Done::Created(transaction)
    } else {
        Done::Shared(transaction)
    }
}

/// Why the content cannot be compared with any other.
fn unreadable(command: &Command) -> Option<&Problem> {
    let problem = match &command.action {
        Action::Write { content, .. } => content.as_ref().err(),
        Action::Create(content) => content.as_ref().err(),
        Action::Put(_)
        | Action::Draft { .. }
        | Action::Commit
        | Action::Renew(_)
        | Action::Cancel(_) => None,
    };
    problem.filter(|problem| {
        problem.slug == Slug::MalformedRequest || problem.slug.precedes_conditions()
    })
}

/// What the key stands for after this; `None` where no request of this kind has a key.
fn used(command: &Command, done: &Done) -> Option<KeyUse> {
    let (transaction, created, answer) = match (&command.action, done) {
        (
            Action::Write { target, .. },
            Done::Written {
                transaction,
                created,
                resource,
            },
        ) => {
            let answer = KeyAnswer::Written(target.clone(), resource.clone());
            (*transaction, *created, answer)
        }
        (Action::Create(_), Done::Created(made)) => (
            made.id,
            true,
            KeyAnswer::Transaction(Box::new(made.clone())),
        ),
        (Action::Create(_), Done::Shared(found)) => {
            let answer = KeyAnswer::Transaction(Box::new(found.clone()));
            (found.id, false, answer)
        }
        _ => return None,
    };
    Some(KeyUse {
        fingerprint: fingerprint(command)?,
        transaction,
        created,
        answer,
    })
}
