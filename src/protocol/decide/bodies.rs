//! The bodies that an operation leaves behind: patches applied, and schemas satisfied.

use std::sync::Arc;

use crate::protocol::name::ResourceName;
use crate::protocol::operation::{Change, ChangeMethod};
use crate::protocol::patch::{self, FailureKind, PatchFailure, Work};
use crate::protocol::problem::{FieldError, Problem, Slug};
use crate::protocol::schema::Effort;
use crate::protocol::world::World;

/// Places told of at once, where one change may have many at fault; each change that fails has one at least.
pub(super) const FAULTS_MAX: usize = 100;

/// What a change leaves behind.
pub(super) struct NewBody {
    /// `None` for deletions and assertions.
    pub(super) text: Option<Arc<str>>,
    /// The nonce of the pending schema that it breaks.
    pub(super) breaks: Option<i64>,
}

/// What one operation may cost.
#[derive(Default)]
struct Bounds {
    patches: Work,
    schemas: Effort,
    /// Who spends all of it breaks the pending schema, which is then not set.
    pending: Effort,
}

/// Why there is no new body.
#[derive(Clone, Copy)]
enum Refusal {
    Patch(FailureKind),
    Schema,
}

/// The body after each change, or all that is wrong with them; the first that is at fault says which problem it is.
pub(super) fn new_bodies(
    world: &World,
    changes: &[Change],
    direct: bool,
) -> Result<Vec<NewBody>, Problem> {
    let mut bodies = Vec::with_capacity(changes.len());
    let (mut first, mut errors) = (None, Vec::new());
    let mut bounds = Bounds::default();
    for (index, change) in changes.iter().enumerate() {
        if bounds.patches.is_spent() {
            break;
        }
        let base = if direct {
            "#".to_owned()
        } else {
            format!("#/changes/{index}/body")
        };
        match new_body(world, change, &base, &mut bounds)? {
            Ok(body) => bodies.push(body),
            Err((refusal, faults)) => {
                first = first.or(Some(refusal));
                let room = FAULTS_MAX.saturating_sub(errors.len()).max(1);
                errors.extend(faults.into_iter().take(room));
            }
        }
    }
    match first {
        None => Ok(bodies),
        Some(first) => Err(unfit(first).with_errors(errors)),
    }
}

type Judged = Result<NewBody, (Refusal, Vec<FieldError>)>;

fn new_body(
    world: &World,
    change: &Change,
    base: &str,
    bounds: &mut Bounds,
) -> Result<Judged, Problem> {
    let text = match change.method {
        ChangeMethod::Patch(kind) => {
            let stored = world
                .resource(&change.target)
                .and_then(|resource| resource.body.as_deref());
            let Some(stored) = stored else {
                return Err(Problem::new(
                    Slug::InternalError,
                    "The resource's content was not read. Nothing was changed.",
                ));
            };
            let patch = change.body.as_deref().unwrap_or("null");
            let work = &mut bounds.patches;
            match patch::apply_within(kind, stored, patch, world.body_bytes_max, work) {
                Ok(text) => Some(text.into()),
                Err(failures) => return Ok(Err(unapplied(base, failures))),
            }
        }
        _ => change.body.clone(),
    };
    Ok(judged(world, change, text, base, bounds))
}

fn unapplied(base: &str, failures: Vec<PatchFailure>) -> (Refusal, Vec<FieldError>) {
    let kind = failures
        .first()
        .map_or(FailureKind::Unfit, |failure| failure.kind);
    (Refusal::Patch(kind), patch_errors(base, failures))
}

/// The places of a patch that do not fit what it is applied to.
pub(super) fn patch_errors(base: &str, failures: Vec<PatchFailure>) -> Vec<FieldError> {
    let errors = failures
        .into_iter()
        .take(FAULTS_MAX)
        .map(|failure| FieldError {
            pointer: format!("{base}{}", failure.place),
            detail: failure.detail,
        });
    errors.collect()
}

/// The problem of a patch in a draft that does not fit what is there.
pub(super) fn unfit_patch(failures: Vec<PatchFailure>) -> Problem {
    let (refusal, errors) = unapplied("#", failures);
    unfit(refusal).with_errors(errors)
}

/// Judges a document that a draft is to leave behind.
pub(super) fn judge_document(
    world: &World,
    target: &ResourceName,
    body: &str,
) -> Result<(), Problem> {
    let schemas = world.schemas.of(&target.collection);
    let Some((_, schema)) = schemas.and_then(|schemas| schemas.current.as_ref()) else {
        return Ok(());
    };
    let violations = schema.violations(body, "#", &mut Effort::default());
    if violations.is_empty() {
        return Ok(());
    }
    Err(unfit(Refusal::Schema).with_errors(violations))
}

/// Judges a new body by the schemas of its collection, if it has any.
fn judged(
    world: &World,
    change: &Change,
    text: Option<Arc<str>>,
    base: &str,
    bounds: &mut Bounds,
) -> Judged {
    let writes = matches!(change.method, ChangeMethod::Put | ChangeMethod::Patch(_));
    let schemas = world.schemas.of(&change.target.collection);
    let (Some(body), Some(schemas)) = (text.as_deref().filter(|_| writes), schemas) else {
        return Ok(NewBody { text, breaks: None });
    };
    if let Some((_, schema)) = &schemas.current {
        let violations = schema.violations(body, base, &mut bounds.schemas);
        if !violations.is_empty() {
            return Err((Refusal::Schema, violations));
        }
    }
    let pending = schemas.pending.as_ref();
    let breaks = pending.and_then(|(nonce, schema)| {
        let violations = schema.violations(body, base, &mut bounds.pending);
        (!violations.is_empty()).then_some(*nonce)
    });
    Ok(NewBody { text, breaks })
}

/// The problem of changes of which one leaves no body behind.
fn unfit(first: Refusal) -> Problem {
    match first {
        Refusal::Patch(FailureKind::Unfit) => Problem::new(
            Slug::PatchConflict,
            "Nothing was changed. The patch does not fit the state that it was applied to; read the resource, make a patch \
             that fits, and send it with the header line If-Match: <its ETag>",
        ),
        Refusal::Patch(FailureKind::NoNumber) => Problem::new(
            Slug::InvalidOperation,
            "Nothing was changed. An increment adds to numbers only; read the resource, mend every place in errors, then \
             send the request again.",
        ),
        Refusal::Schema => Problem::new(
            Slug::SchemaViolation,
            "Nothing was changed. What the request would leave behind breaks the schema of its collection, which GET \
             /schemas/{collection} shows; mend every place in errors, then send the request again.",
        ),
    }
}
