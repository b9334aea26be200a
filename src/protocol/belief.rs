//! Deciding on what clients believe, before anybody has looked.
//!
//! A command whose every condition is one exact tag tells the state that it is about. Decided on that state, it either
//! succeeds or needs no belief; and whether the state is so is then left to the statement that writes
//! (`store::believed`), which writes nothing where it is not. No condition is judged here: [`decide`] does, as ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::clock::Timestamp;
use super::command::{Action, Command, PutContent, Verdict};
use super::condition::{Conditions, TagList};
use super::decide::decide;
use super::name::{ResourceName, TransactionId};
use super::operation::{Change, ChangeMethod, Operation};
use super::schema::Schemas;
use super::state::Resource;
use super::tag::StateTag;
use super::world::{Ground, World};

/// Versions that a resource can be at; a client may write anything into a tag.
const VERSIONS: std::ops::Range<i64> = 1..i64::MAX / 2;

/// What commands do if all that they believe is true.
#[derive(Debug)]
pub struct Believed {
    /// The state after them. Its resources were at `states` before, none deleted, none written after `world.now`;
    /// its transactions had no row.
    pub world: World,
    /// One for each command, all of them successes.
    pub verdicts: Vec<Verdict>,
    /// The state that each resource is believed to be in. All of them are written, each once.
    pub states: BTreeMap<ResourceName, StateTag>,
    /// Whether a client has made the id of one of the transactions.
    pub named: bool,
}

impl Believed {
    /// Whether it is one operation with one change.
    pub fn is_alone(&self) -> bool {
        self.verdicts.len() == 1 && self.states.len() == 1
    }
}

/// Decides on what the commands believe. `None` where one of them does not tell all that it depends on, where two
/// believe different things, or where one would be refused: then somebody has to look.
pub fn believe(
    commands: &[Command],
    ground: Ground,
    schemas: &Arc<Schemas>,
    body_bytes_max: usize,
) -> Option<Believed> {
    let mut states = BTreeMap::new();
    let mut world = World::new(ground, body_bytes_max).with_schemas(schemas.clone());
    for command in commands {
        for change in &operation(command)?.changes {
            let tag = exact(change)?;
            // Who comes second after a write of this very batch is judged by looking.
            if states.insert(change.target.clone(), tag).is_some() {
                return None;
            }
            world.load_resource(change.target.clone(), resource_at(tag));
        }
    }
    let verdicts: Vec<Verdict> = commands
        .iter()
        .map(|command| decide(&mut world, command))
        .collect();
    // That a pending schema is broken is written by the long way.
    let certain = verdicts.iter().all(Result::is_ok)
        && world.writes().heads.len() == states.len()
        && world.writes().broken.is_empty();
    certain.then_some(Believed {
        world,
        verdicts,
        states,
        named: commands
            .iter()
            .any(|command| command.transaction().is_some()),
    })
}

/// The operation of a command that depends on nothing but its changes: a direct write, or a transaction that the
/// client names and gives no reference.
fn operation(command: &Command) -> Option<&Operation> {
    // What a key stands for has to be looked up.
    if command.key.is_some() {
        return None;
    }
    match &command.action {
        Action::Write { content, .. } => content.as_ref().ok(),
        Action::Put(Ok(PutContent {
            operation: Some(operation),
            draft: false,
            new,
        })) if names(command) && new.reference.is_none() => Some(operation),
        _ => None,
    }
}

fn names(command: &Command) -> bool {
    matches!(
        &command.conditions,
        Ok(Conditions {
            if_match: None,
            if_none_match: Some(TagList::Star),
            ..
        })
    )
}

/// The state that a change expects, where it expects exactly one and needs nothing of it but its tag.
fn exact(change: &Change) -> Option<StateTag> {
    if !matches!(change.method, ChangeMethod::Put | ChangeMethod::Delete) {
        return None;
    }
    match &change.conditions.if_match {
        Some(TagList::Tags(tags)) => match &tags[..] {
            [tag] => tag
                .state_tag()
                .filter(|tag| VERSIONS.contains(&tag.version)),
            _ => None,
        },
        _ => None,
    }
}

/// A resource of which nothing but the tag is known, and nothing else is needed.
fn resource_at(tag: StateTag) -> Resource {
    Resource {
        tag,
        deleted: false,
        media_type: "".into(),
        body: None,
        updated_at: Timestamp::from_micros(0),
        transaction: TransactionId::from_uuid(uuid::Uuid::nil()),
    }
}

#[cfg(test)]
mod tests;
