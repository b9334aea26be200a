//! Applying the changes of one operation: all conditions first, then all patches, then all writes.

use std::sync::Arc;

use serde::Serialize;

use super::bodies::{NewBody, new_bodies};
use super::judge;
use crate::protocol::command::{Action, Command};
use crate::protocol::condition::{Conditions, Judgement};
use crate::protocol::name::ResourceName;
use crate::protocol::operation::{Change, ChangeMethod, JSON};
use crate::protocol::problem::{Conflict, Problem, Slug};
use crate::protocol::state::Resource;
use crate::protocol::tag::StateTag;
use crate::protocol::world::World;

/// What became of one change: the answer that it would have had by itself.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ChangeOutcome {
    target: String,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
}

/// The problem of a PATCH or DELETE of what does not exist, naming who deleted it.
pub(super) fn absent(world: &World, command: &Command, target: &ResourceName) -> Problem {
    let problem = Problem::new(
        Slug::NotFound,
        format!("{} does not exist. Nothing was changed.", target.path()),
    );
    let sent = command.conditions.clone().unwrap_or_default();
    match world.resource(target) {
        None => problem,
        Some(tombstone) => problem.with_conflicts(vec![Conflict {
            change: 0,
            target: target.clone(),
            if_match: sent.if_match.map(|list| list.canonical()),
            if_none_match: sent.if_none_match.map(|list| list.canonical()),
            current: None,
            draft: None,
            transaction: Some(tombstone.transaction),
            body: None,
        }]),
    }
}

/// Judges the header's conditions of a direct write whose content is refused anyway.
pub(super) fn judge_direct(
    world: &World,
    command: &Command,
    method: ChangeMethod,
    target: &ResourceName,
) -> Result<(), Problem> {
    let Ok(conditions) = &command.conditions else {
        return Ok(());
    };
    match conflict(world, 0, method, target, conditions, command.representation) {
        None => Ok(()),
        Some((judgement, conflict)) => Err(stale_direct(judgement, method, conflict)),
    }
}

/// Applies `changes`, or says why not; then nothing has been written.
///
/// `direct` where it is a direct write: its problem speaks of header lines, not of changes.
pub(super) fn apply(
    world: &mut World,
    command: &Command,
    changes: &[Change],
    direct: bool,
) -> Result<Vec<ChangeOutcome>, Problem> {
    let bodies = check(world, command, changes, direct)?;
    let operation = world.operations();
    let mut outcomes = Vec::with_capacity(changes.len());
    for (change, NewBody { text: body, breaks }) in changes.iter().zip(bodies) {
        if let Some(nonce) = breaks {
            world.break_pending(&change.target, nonce);
        }
        outcomes.push(write(world, command, change, body, operation));
    }
    Ok(outcomes)
}

/// The bodies that `changes` would leave behind, or why they cannot be applied: all conditions, then all patches and schemas.
pub(super) fn check(
    world: &World,
    command: &Command,
    changes: &[Change],
    direct: bool,
) -> Result<Vec<NewBody>, Problem> {
    judge_all(world, command, changes, direct)?;
    new_bodies(world, changes, direct)
}

fn judge_all(
    world: &World,
    command: &Command,
    changes: &[Change],
    direct: bool,
) -> Result<(), Problem> {
    let mut conflicts = Vec::new();
    for (index, change) in changes.iter().enumerate() {
        let found = conflict(
            world,
            index,
            change.method,
            &change.target,
            &change.conditions,
            command.representation,
        );
        if let Some((judgement, conflict)) = found {
            if direct {
                return Err(stale_direct(judgement, change.method, conflict));
            }
            conflicts.push(conflict);
        }
    }
    if conflicts.is_empty() {
        return Ok(());
    }
    let next = next_attempt(world, command);
    let lines: Vec<String> = conflicts.iter().take(3).map(advice).collect();
    let more = conflicts.len().saturating_sub(lines.len());
    let more = if more == 0 {
        String::new()
    } else {
        format!(" {more} more in conflicts.")
    };
    Err(Problem::new(
        Slug::StaleResource,
        format!(
            "Nothing was changed, and nothing recorded. {}{more} Decide again from these states, then {next}",
            lines.join(" ")
        ),
    )
    .with_conflicts(conflicts))
}

/// How the same transaction is tried once more.
fn next_attempt(world: &World, command: &Command) -> String {
    if matches!(command.action, Action::Create(_)) {
        return "POST again; the same key may be used.".to_owned();
    }
    let line = world.transaction(command.id).map_or_else(
        || "If-None-Match: *".to_owned(),
        |transaction| format!("If-Match: {}", transaction.tag),
    );
    let put = match command.action {
        Action::Commit => "PUT the changes",
        _ => "PUT",
    };
    format!("{put} to this URI again with the header line {line}")
}

fn advice(conflict: &Conflict) -> String {
    let target = conflict.target.path();
    let index = conflict.change;
    let weak = conflict
        .if_match
        .as_deref()
        .is_some_and(|text| text.contains("W/\""));
    let weak = if weak {
        " (a weak tag never matches)"
    } else {
        ""
    };
    match conflict.current {
        Some(tag) => format!("Change {index}: {target} is now at {tag}{weak}."),
        None => format!("Change {index}: {target} does not exist{weak}."),
    }
}

fn conflict(
    world: &World,
    index: usize,
    method: ChangeMethod,
    target: &ResourceName,
    conditions: &Conditions,
    representation: bool,
) -> Option<(Judgement, Conflict)> {
    let stored = world.resource(target);
    let judgement = judge(conditions, stored);
    let absent_written = method.writes()
        && method != ChangeMethod::Put
        && stored.is_none_or(|resource| resource.deleted);
    if judgement == Judgement::Holds && !absent_written {
        return None;
    }
    let present = stored.filter(|resource| !resource.deleted);
    let conflict = Conflict {
        change: index,
        target: target.clone(),
        if_match: conditions.if_match.as_ref().map(|list| list.canonical()),
        if_none_match: conditions
            .if_none_match
            .as_ref()
            .map(|list| list.canonical()),
        current: present.map(|resource| resource.tag),
        draft: None,
        transaction: stored.map(|resource| resource.transaction),
        body: present
            .filter(|_| representation)
            .and_then(|resource| resource.body.clone()),
    };
    Some((judgement, conflict))
}

fn stale_direct(judgement: Judgement, method: ChangeMethod, conflict: Conflict) -> Problem {
    let target = conflict.target.path();
    let method = method.as_str();
    let (slug, detail) = match (judgement, conflict.current) {
        (Judgement::IfMatchFalse { weak: true }, Some(tag)) => (
            Slug::WeakEtag,
            format!(
                "Nothing was changed. A weak tag never matches in If-Match. {target} is at {tag}; if that is the state \
                 you decided on, send If-Match: {tag}"
            ),
        ),
        (Judgement::IfMatchFalse { weak: true }, None) => (
            Slug::WeakEtag,
            format!(
                "Nothing was changed. A weak tag never matches in If-Match, and {target} does not exist; to create it send If-None-Match: *"
            ),
        ),
        (_, Some(tag)) => (
            Slug::StaleResource,
            format!(
                "Nothing was changed. {target} is at {tag}. Decide again from that state, then {method} with the header line If-Match: {tag}"
            ),
        ),
        (_, None) => (
            Slug::StaleResource,
            format!(
                "Nothing was changed. {target} does not exist. To create it, PUT with the header line If-None-Match: *"
            ),
        ),
    };
    Problem::new(slug, detail).with_conflicts(vec![conflict])
}

fn write(
    world: &mut World,
    command: &Command,
    change: &Change,
    body: Option<Arc<str>>,
    operation: usize,
) -> ChangeOutcome {
    let target = change.target.path();
    let before = world.resource(&change.target).cloned();
    let existed = before.as_ref().is_some_and(|resource| !resource.deleted);
    if change.method == ChangeMethod::Get {
        let etag = before
            .filter(|resource| !resource.deleted)
            .map(|resource| resource.tag.to_string());
        return ChangeOutcome {
            target,
            status: if existed { 200 } else { 404 },
            etag,
        };
    }
    let deleted = change.method == ChangeMethod::Delete;
    let media_type: Arc<str> = match change.method {
        ChangeMethod::Patch(_) => before
            .as_ref()
            .map_or_else(|| JSON.into(), |resource| resource.media_type.clone()),
        _ => change.media_type.clone(),
    };
    let tag = StateTag {
        version: before
            .as_ref()
            .map_or(world.version_floor, |resource| resource.tag.version)
            + 1,
        nonce: command.nonce,
    };
    let updated_at = before.map_or(world.now, |resource| world.now.max(resource.updated_at));
    let resource = Resource {
        tag,
        deleted,
        media_type,
        body,
        updated_at,
        transaction: command.id,
    };
    world.write_resource(change.target.clone(), resource, operation);
    ChangeOutcome {
        target,
        status: if existed { 204 } else { 201 },
        etag: (!deleted).then(|| tag.to_string()),
    }
}
