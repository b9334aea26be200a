//! Drafts: changes are recorded one by one or all at once, judged as if they were applied, and applied by a commit
//! (contract §5, "Drafts").

use super::refusal::{already_finished, stale};
use super::transaction::{
    existing, judge, judgement, next_tag, none_match_holds, record, required,
};
use super::{bodies, changes};
use super::{judge_content_first, judge_content_last, refuse_unsafe_to_repeat};
use crate::protocol::command::{Command, Done, PutContent, Verdict};
use crate::protocol::condition::{Conditions, Judgement, Selected};
use crate::protocol::draft::{Draft, Shown, View, committed_from, started_from};
use crate::protocol::limits;
use crate::protocol::name::ResourceName;
use crate::protocol::operation::{Change, ChangeMethod, Operation};
use crate::protocol::problem::{Conflict, Problem, Slug};
use crate::protocol::state::{Resource, State, Transaction};
use crate::protocol::tag::DraftTag;
use crate::protocol::world::World;

/// `PUT`, `PATCH` and `DELETE` of a resource in a draft.
pub(super) fn write(
    world: &mut World,
    command: &Command,
    method: ChangeMethod,
    target: &ResourceName,
    content: &Result<Change, Problem>,
) -> Verdict {
    let mut transaction = existing(world, command)?;
    if transaction.state != State::Open {
        return Err(already_finished(transaction));
    }
    let mut draft = Draft::of(&transaction)?;
    if draft.is_recorded_under(target, command.nonce) {
        // By a run of this very command, whose COMMIT was not acknowledged.
        let shown = shown(world, &draft, target)?;
        return Ok(Done::Drafted { shown });
    }
    let change = judge_write(world, command, &draft, method, target, content)?;
    let is_new = draft.change(target).is_none();
    match change {
        Some(change) => draft.record(change, command.nonce),
        None => draft.forget(target),
    }
    let shown = shown(world, &draft, target)?;
    let recorded = shown.as_ref().filter(|shown| shown.written.is_none());
    if let Some(body) = recorded.and_then(|shown| shown.body.as_deref()) {
        bodies::judge_document(world, target, body)?;
    }
    let operation = draft.operation();
    if is_new && draft.len() > limits::CHANGES_MAX {
        let detail =
            "Nothing was changed. The draft has 1000 changes, and no transaction has more.";
        return Err(Problem::new(Slug::InvalidOperation, detail));
    }
    let longest = transaction.operation.as_ref().map_or(0, |text| text.len());
    if operation.text.len() > world.body_bytes_max.max(longest) {
        let detail = format!(
            "Nothing was changed. All changes of a transaction together are at most {} bytes long.",
            world.body_bytes_max
        );
        return Err(Problem::new(Slug::ContentTooLarge, detail));
    }
    draft.store(&operation, &mut transaction);
    transaction.tag = next_tag(&transaction, command);
    world.write_transaction(transaction, None);
    Ok(Done::Drafted { shown })
}

/// The change to be recorded, if all is as the client expects; `None` where the recorded one is to be dropped.
fn judge_write(
    world: &World,
    command: &Command,
    draft: &Draft,
    method: ChangeMethod,
    target: &ResourceName,
    content: &Result<Change, Problem>,
) -> Result<Option<Change>, Problem> {
    let view = draft.view(target, world.resource(target));
    let first = draft.change(target);
    let changed = first.is_some_and(|change| change.method.writes());
    if let (View::Absent(why), true) = (&view, method != ChangeMethod::Put) {
        if first.is_none() {
            return Err(changes::absent(world, command, target));
        }
        return Err(Problem::new(
            Slug::NotFound,
            format!("{} {why}. Nothing was changed.", target.path()),
        ));
    }
    if changed && matches!(method, ChangeMethod::Patch(_)) {
        return Err(patched_twice(target, &view));
    }
    judge_content_first(content)?;
    let conditions = super::required(&command.conditions, method)?;
    if conditions.if_match.is_some() && conditions.if_none_match.is_some() {
        let detail = "Nothing was changed. A change of a transaction has one condition: send If-Match or If-None-Match, not both.";
        return Err(Problem::new(Slug::MalformedRequest, detail));
    }
    refuse_unsafe_to_repeat(conditions, method, "")?;
    if changed {
        judge_view(world, command, conditions, method, target, &view)?;
    } else {
        changes::judge_direct(world, command, method, target)?;
    }
    let change = judge_content_last(content)?;
    Ok(match first {
        Some(first)
            if method == ChangeMethod::Delete
                && first.method == ChangeMethod::Put
                && first.conditions.if_none_match.is_some() =>
        {
            None
        }
        first => Some(Change {
            conditions: first.map_or_else(
                || Conditions {
                    if_match: conditions.if_match.clone(),
                    if_none_match: conditions.if_none_match.clone(),
                    ..Conditions::default()
                },
                |first| first.conditions.clone(),
            ),
            ..change.clone()
        }),
    })
}

/// The state alone forbids it: patches are not joined.
fn patched_twice(target: &ResourceName, view: &View<'_>) -> Problem {
    let tag = view.tag().map(|tag| tag.to_string()).unwrap_or_default();
    Problem::new(
        Slug::PatchConflict,
        format!(
            "Nothing was changed. This draft changes {} already, and a patch is not added to another change. Read it here, \
             and PUT the whole of it with the header line If-Match: {tag}",
            target.path()
        ),
    )
}

/// Judges the header's conditions against what the draft makes of a resource.
fn judge_view(
    world: &World,
    command: &Command,
    conditions: &Conditions,
    method: ChangeMethod,
    target: &ResourceName,
    view: &View<'_>,
) -> Result<(), Problem> {
    let tag = view.tag();
    let judgement = conditions.judge_write(match &tag {
        None => Selected::Absent,
        Some(tag) => Selected::Present {
            tag,
            modified: None,
        },
    });
    let weak = match judgement {
        Judgement::Holds => return Ok(()),
        Judgement::IfMatchFalse { weak } => weak,
        _ => false,
    };
    let (path, method) = (target.path(), method.as_str());
    let why = if weak {
        "A weak tag never matches in If-Match. "
    } else {
        ""
    };
    let detail = match (&tag, view) {
        (Some(tag), _) => format!(
            "Nothing was changed. {why}In this draft {path} is at {tag}. Decide again from that state, then {method} with \
             the header line If-Match: {tag}"
        ),
        (None, View::Absent(absent)) => format!(
            "Nothing was changed. {why}{path} {absent}. To have it there, PUT with the header line If-None-Match: *"
        ),
        (None, _) => format!("Nothing was changed. {why}{path} is not there."),
    };
    let slug = if weak {
        Slug::WeakEtag
    } else {
        Slug::StaleResource
    };
    let body = command
        .representation
        .then(|| view.shown(world.body_bytes_max).ok().flatten())
        .flatten()
        .and_then(|shown| shown.body);
    Err(Problem::new(slug, detail).with_conflicts(vec![Conflict {
        change: 0,
        target: target.clone(),
        if_match: conditions.if_match.as_ref().map(|list| list.canonical()),
        if_none_match: conditions
            .if_none_match
            .as_ref()
            .map(|list| list.canonical()),
        current: None,
        draft: view.draft_tag(),
        transaction: Some(command.id),
        body,
    }]))
}

/// What the draft makes of a resource; `None` where it is not there.
fn shown(world: &World, draft: &Draft, target: &ResourceName) -> Result<Option<Shown>, Problem> {
    let view = draft.view(target, world.resource(target));
    view.shown(world.body_bytes_max)
        .map_err(bodies::unfit_patch)
}

/// Whether a PUT asks for the draft that is there: sent again, it is answered again. As of a finished one, a strong tag or
/// the star in `If-Match` may be false, unless the client is strict.
pub(super) fn is_repeated_save(
    command: &Command,
    conditions: &Conditions,
    content: &PutContent,
    transaction: &Transaction,
) -> bool {
    let equal = content
        .operation
        .as_ref()
        .is_some_and(|operation| Some(operation.digest) == transaction.digest);
    let strong = conditions
        .if_match
        .as_ref()
        .is_some_and(|list| list.has_strong_or_star());
    let holds = judgement(conditions, transaction) == Judgement::Holds;
    let wanted = !command.strict || holds;
    content.draft && equal && strong && wanted && none_match_holds(conditions, transaction)
}

/// `PUT` with `{"state": "open"}`: keeps the operation as the draft of an open transaction, or of a new one.
pub(super) fn save(
    world: &mut World,
    command: &Command,
    mut transaction: Transaction,
    operation: &Operation,
) -> Result<Transaction, Problem> {
    changes::check(world, command, &operation.changes, false)?;
    let draft = Draft::of(&transaction)?.replaced(&operation.changes, command.nonce);
    draft.store(operation, &mut transaction);
    if world.transaction(transaction.id).is_some() {
        transaction.tag = next_tag(&transaction, command);
    }
    world.write_transaction(transaction.clone(), None);
    Ok(transaction)
}

/// `PATCH` with `{"state": "committed"}`.
pub(super) fn commit(world: &mut World, command: &Command) -> Verdict {
    let mut transaction = existing(world, command)?;
    let conditions = required(command)?;
    if transaction.state != State::Open {
        return repeated_commit(command, conditions, transaction);
    }
    judge(conditions, &transaction)?;
    let draft = Draft::of(&transaction)?;
    if draft.is_empty() {
        let detail = format!(
            "Nothing was changed. The transaction has no draft. PUT its changes with the header line If-Match: {}",
            transaction.tag
        );
        return Err(Problem::new(Slug::InvalidOperation, detail));
    }
    let operation = draft.operation();
    let outcome = changes::apply(world, command, &operation.changes, false)?;
    started_from(&mut transaction);
    let applied = record(world, command, transaction, &operation, outcome);
    Ok(Done::Applied(applied))
}

/// A commit of what is decided already: a repetition only under the very tag that it started from.
fn repeated_commit(
    command: &Command,
    conditions: &Conditions,
    transaction: Transaction,
) -> Verdict {
    if !none_match_holds(conditions, &transaction) {
        return Err(stale(&transaction, conditions));
    }
    let repeated = committed_from(&transaction)
        .zip(conditions.if_match.as_ref())
        .is_some_and(|(from, list)| list.names_exactly(&from));
    if repeated && command.strict {
        let detail = format!(
            "Nothing is left to do: the draft was committed, and the transaction is at {}.",
            transaction.tag
        );
        return Err(Problem::new(Slug::AlreadyApplied, detail).with_current(transaction));
    }
    if repeated {
        return Ok(Done::Replayed(transaction));
    }
    judge(conditions, &transaction)?;
    Err(already_finished(transaction))
}

/// What a GET shows of a resource in the draft of a transaction.
///
/// # Errors
/// `transaction-finished`, `not-found`; `patch-conflict` where the draft's patch does not fit what is there by now.
pub fn draft_view(
    transaction: &Transaction,
    target: &ResourceName,
    resource: Option<&Resource>,
    body_bytes_max: usize,
) -> Result<(Shown, Option<DraftTag>), Problem> {
    if transaction.state != State::Open {
        return Err(already_finished(transaction.clone()));
    }
    let draft = Draft::of(transaction)?;
    let view = draft.view(target, resource);
    let absent = |why: &str| Problem::new(Slug::NotFound, format!("{} {why}.", target.path()));
    match (view.shown(body_bytes_max), &view) {
        (Ok(Some(shown)), _) => Ok((shown, view.draft_tag())),
        (Ok(None), View::Absent(why)) => Err(absent(why)),
        (Ok(None), _) => Err(absent("is not there")),
        (Err(failures), _) => {
            let detail = format!(
                "The patch in this draft does not fit {} as it is now. PUT the document here with the header line If-Match: *, \
                 or PUT the transaction without that change.",
                target.path()
            );
            Err(Problem::new(Slug::PatchConflict, detail)
                .with_errors(bodies::patch_errors("#", failures)))
        }
    }
}
