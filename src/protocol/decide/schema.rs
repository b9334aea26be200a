//! What a change of a schema does to a given state: the rule and the order are those of every write (contract §3).

use super::{judge_content_first, judge_content_last, required};
use crate::protocol::clock::Timestamp;
use crate::protocol::condition::{Conditions, Judgement, Selected};
use crate::protocol::name::Collection;
use crate::protocol::operation::ChangeMethod;
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::schema::SchemaCommand;
use crate::protocol::tag::StateTag;

/// Judges a PUT of a schema against the state of the one there is: its tag, and when it was set.
///
/// # Errors
/// What precedes conditions; `precondition-required`, `stale-resource`, `weak-etag`; then what else is wrong with the
/// content.
pub fn judge_schema_put<'a, T>(
    command: &SchemaCommand,
    content: &'a Result<T, Problem>,
    current: Option<(StateTag, Timestamp)>,
) -> Result<&'a T, Problem> {
    judge_content_first(content)?;
    let conditions = required(&command.conditions, ChangeMethod::Put)?;
    judge(&command.collection, conditions, current)?;
    judge_content_last(content)
}

/// Judges a DELETE of a schema.
///
/// # Errors
/// `not-found` where there is none; else as [`judge_schema_put`].
pub fn judge_schema_delete(
    command: &SchemaCommand,
    content: &Result<(), Problem>,
    current: Option<(StateTag, Timestamp)>,
) -> Result<(), Problem> {
    if current.is_none() {
        return Err(Problem::new(
            Slug::NotFound,
            format!(
                "{} has no schema. Nothing was changed.",
                command.collection.as_str()
            ),
        ));
    }
    judge_content_first(content)?;
    let conditions = required(&command.conditions, ChangeMethod::Delete)?;
    judge(&command.collection, conditions, current)?;
    judge_content_last(content).copied()
}

fn judge(
    collection: &Collection,
    conditions: &Conditions,
    current: Option<(StateTag, Timestamp)>,
) -> Result<(), Problem> {
    let judgement = match current {
        None => conditions.judge_write(Selected::Absent),
        Some((tag, at)) => conditions.judge_write(Selected::Present {
            tag: &tag.entity_tag(),
            modified: Some(at.unix_seconds()),
        }),
    };
    let (slug, why) = match judgement {
        Judgement::Holds => return Ok(()),
        Judgement::IfMatchFalse { weak: true } => {
            (Slug::WeakEtag, "A weak tag never matches in If-Match. ")
        }
        _ => (Slug::StaleResource, ""),
    };
    let name = collection.as_str();
    let now = match current {
        Some((tag, _)) => format!(
            "The schema of {name} is at {tag}. Decide again from that state, then send the header line If-Match: {tag}"
        ),
        None => format!(
            "{name} has no schema. To set one, PUT it with the header line If-None-Match: *"
        ),
    };
    Err(Problem::new(
        slug,
        format!("Nothing was changed. {why}{now}"),
    ))
}
