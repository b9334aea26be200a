//! One resource: read it, or write it directly, which is a transaction of one change (contract §4).

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::call::Call;
use super::content::Taken;
use super::keys;
use super::query::Query;
use super::respond::{self, NO_STORE, PRIVATE, Representation};
use super::{schemas, versions, waiting};
use crate::protocol::command::{Action, Done};
use crate::protocol::condition::{ConditionFault, Conditions};
use crate::protocol::json;
use crate::protocol::media::ContentType;
use crate::protocol::name::{ResourceName, TransactionId};
use crate::protocol::operation::Operation;
use crate::protocol::operation::{self, Change, ChangeMethod, JSON};
use crate::protocol::patch::{self, PatchKind};
use crate::protocol::problem::{Conflict, FieldError, Problem, Slug};
use crate::protocol::state::Resource;

/// `Accept-Patch` of a resource (RFC 5789 §3.1).
pub(super) const PATCHES: &str = "application/merge-patch+json, application/json-patch+json, \
     application/vnd.ifmatch.increment+json, application/json";
const PUT_TAKES: Taken = Taken {
    takes: ContentType::is_json,
    advice: "Send Content-Type: application/json, or another JSON type (application/*+json), in UTF-8.",
    accept_patch: None,
};
const PATCH_TAKES: Taken = Taken {
    takes: |media| operation::patch_kind(media.text()).is_some(),
    advice: "Send a JSON Merge Patch as application/merge-patch+json, a JSON Patch as application/json-patch+json, or numbers \
             to add as application/vnd.ifmatch.increment+json.",
    accept_patch: Some(PATCHES),
};

/// `GET /resources/{collection}/{key}`.
pub(super) async fn get_resource(call: Call) -> Result<HttpResponse, Problem> {
    let name = call.resource_name()?;
    Query::of(&call, &[])?;
    let found = call.engine.resource_fetch(&call.tenant, &name).await?;
    let Some((resource, described)) = found.filter(|(resource, _)| !resource.deleted) else {
        return Err(Problem::new(
            Slug::NotFound,
            format!("{} does not exist.", name.path()),
        ));
    };
    let mut links = vec![
        respond::via(resource.transaction),
        versions::history_link(&name),
    ];
    if described {
        let schema = schemas::path(&name.collection);
        links.push(respond::link(&schema, "describedby"));
    }
    let shown = Representation {
        content: resource
            .body
            .as_deref()
            .unwrap_or_default()
            .as_bytes()
            .to_vec(),
        media_type: &resource.media_type,
        cache: PRIVATE,
        tag: Some(resource.tag.entity_tag()),
        modified: Some(resource.updated_at.unix_seconds()),
        location: Some(name.path()),
        link: Some(links.join(", ")),
    };
    respond::read(&call, shown, |weak| stale(&call, &name, &resource, weak))
}

/// The problem of a read under a false condition.
fn stale(call: &Call, name: &ResourceName, resource: &Resource, weak: bool) -> Problem {
    let conditions = call.conditions().unwrap_or_default();
    let conflict = Conflict {
        change: 0,
        target: name.clone(),
        if_match: conditions.if_match.as_ref().map(|list| list.canonical()),
        if_none_match: conditions
            .if_none_match
            .as_ref()
            .map(|list| list.canonical()),
        current: Some(resource.tag),
        draft: None,
        transaction: Some(resource.transaction),
        body: resource
            .body
            .clone()
            .filter(|_| call.preferences().representation),
    };
    let slug = if weak {
        Slug::WeakEtag
    } else {
        Slug::StaleResource
    };
    let why = if weak {
        "A weak tag never matches in If-Match. "
    } else {
        ""
    };
    let detail = format!(
        "{why}{} is at {}. Read it without a condition, or under that tag.",
        name.path(),
        resource.tag
    );
    Problem::new(slug, detail).with_conflicts(vec![conflict])
}

/// `PUT /resources/{collection}/{key}`.
pub(super) async fn put_resource(call: Call) -> Result<HttpResponse, Problem> {
    write(call, ChangeMethod::Put, put_content).await
}

/// `PATCH /resources/{collection}/{key}`.
pub(super) async fn patch_resource(call: Call) -> Result<HttpResponse, Problem> {
    let kind = announced_patch(&call);
    write(call, ChangeMethod::Patch(kind), patch_content).await
}

/// The kind of patch that the request says it is, before anything of it is read; one that is not taken is none.
pub(super) fn announced_patch(call: &Call) -> PatchKind {
    let media = match call.lines(header::CONTENT_TYPE).as_slice() {
        [line] => ContentType::parse(line),
        _ => None,
    };
    media
        .and_then(|media| operation::patch_kind(media.text()))
        .unwrap_or(PatchKind::Merge)
}

/// `DELETE /resources/{collection}/{key}`; content means nothing.
pub(super) async fn delete_resource(call: Call) -> Result<HttpResponse, Problem> {
    write(call, ChangeMethod::Delete, delete_content).await
}

/// What the content of a deletion says: nothing.
pub(super) fn delete_content(call: &Call) -> Result<Content, Problem> {
    call.no_content()?;
    Ok(Content {
        media_type: JSON.into(),
        body: None,
    })
}

/// What the content of a write says.
pub(super) struct Content {
    /// The media type as it is kept.
    pub(super) media_type: Arc<str>,
    /// The content as it came; none of a deletion.
    pub(super) body: Option<Arc<str>>,
}

async fn write(
    call: Call,
    method: ChangeMethod,
    read: fn(&Call) -> Result<Content, Problem>,
) -> Result<HttpResponse, Problem> {
    let answer = write_once(&call, method, read).await;
    keys::answered(&call, answer)
}

async fn write_once(
    call: &Call,
    method: ChangeMethod,
    read: fn(&Call) -> Result<Content, Problem>,
) -> Result<HttpResponse, Problem> {
    let name = call.resource_name()?;
    Query::of(call, &[])?;
    let key = keys::key_of(call)?;
    let conditions = call.conditions();
    let content = read(call).map(|content| operation(method, &name, &conditions, content));
    let action = Action::Write {
        method,
        target: name.clone(),
        content,
    };
    let command = call.command(None, conditions, action).keyed(key);
    match waiting::submit(call, command).await? {
        Done::Again(first) => Ok(keys::replayed(told(call, &name, *first)?)),
        done => told(call, &name, done),
    }
}

fn told(call: &Call, name: &ResourceName, done: Done) -> Result<HttpResponse, Problem> {
    match done {
        Done::Written {
            transaction,
            created,
            resource,
        } => Ok(written(call, name, transaction, created, &resource)),
        _ => Err(respond::unexpected()),
    }
}

/// The operation that a direct write is.
fn operation(
    method: ChangeMethod,
    name: &ResourceName,
    conditions: &Result<Conditions, ConditionFault>,
    content: Content,
) -> Operation {
    Operation::new(vec![Change {
        method,
        target: name.clone(),
        conditions: conditions.clone().unwrap_or_default(),
        media_type: content.media_type,
        body: content.body,
    }])
}

/// Reads a document.
///
/// # Errors
/// `content-too-large`, `unsupported-media-type`, `malformed-request`.
pub(super) fn put_content(call: &Call) -> Result<Content, Problem> {
    let (media, bytes) = call.content(&PUT_TAKES)?;
    json::parse(&bytes).map_err(operation::malformed)?;
    Ok(Content {
        media_type: media.text().into(),
        body: Some(text_of(&bytes)?),
    })
}

/// Reads a patch.
///
/// # Errors
/// As [`put_content`]; `invalid-operation` where it is no patch of its type.
pub(super) fn patch_content(call: &Call) -> Result<Content, Problem> {
    let (media, bytes) = call.content(&PATCH_TAKES)?;
    let kind = operation::patch_kind(media.text())
        .ok_or_else(|| PATCH_TAKES.refusal("This patch is not taken here."))?;
    let patch = json::parse(&bytes).map_err(operation::malformed)?;
    let faults = patch::check_shape(kind, &patch, "#").into_iter();
    let errors: Vec<FieldError> = faults
        .map(|fault| FieldError {
            pointer: fault.pointer,
            detail: fault.detail,
        })
        .collect();
    if !errors.is_empty() {
        let media_type = operation::patch_media_type(kind);
        let detail = format!(
            "Nothing was changed. The content is no {media_type}; mend every place in errors."
        );
        return Err(Problem::new(Slug::InvalidOperation, detail).with_errors(errors));
    }
    Ok(Content {
        media_type: operation::patch_media_type(kind).into(),
        body: Some(text_of(&bytes)?),
    })
}

/// The content as it came; the JSON reader has seen to it that it is UTF-8.
fn text_of(bytes: &Bytes) -> Result<Arc<str>, Problem> {
    std::str::from_utf8(bytes).map(Arc::from).map_err(|_| {
        Problem::new(
            Slug::MalformedRequest,
            "The content is not UTF-8 (RFC 8259 §8.1).",
        )
    })
}

fn written(
    call: &Call,
    name: &ResourceName,
    transaction: TransactionId,
    created: bool,
    resource: &Resource,
) -> HttpResponse {
    let preferences = call.preferences();
    let shown = resource
        .body
        .as_deref()
        .filter(|_| preferences.representation && !resource.deleted);
    let mut response = match (created, shown.is_some()) {
        (true, _) => HttpResponse::Created(),
        (false, true) => HttpResponse::Ok(),
        (false, false) => HttpResponse::NoContent(),
    };
    response.insert_header((header::LINK, respond::via(transaction)));
    if resource.deleted {
        response.insert_header((header::CACHE_CONTROL, NO_STORE));
        return response.finish();
    }
    state_fields(&mut response, resource);
    if created {
        response.insert_header((header::LOCATION, name.path()));
    }
    let Some(body) = shown else {
        if preferences.minimal {
            response.insert_header(("preference-applied", "return=minimal"));
        }
        return response.finish();
    };
    response.insert_header(("preference-applied", "return=representation"));
    response.insert_header((header::CONTENT_LOCATION, name.path()));
    response.insert_header((header::CONTENT_TYPE, &*resource.media_type));
    response.body(body.to_owned())
}

fn state_fields(response: &mut HttpResponseBuilder, resource: &Resource) {
    response.insert_header((header::ETAG, resource.tag.to_string()));
    response.insert_header((header::CACHE_CONTROL, PRIVATE));
    respond::last_modified(response, resource.updated_at.unix_seconds());
}
