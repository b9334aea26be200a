//! One resource in a draft: read it as an open transaction would leave it, or record a change of it (contract §5,
//! "Drafts").

use actix_web::HttpResponse;
use actix_web::http::header;

use super::call::Call;
use super::query::Query;
use super::resources::{self, Content};
use super::respond::{self, NO_STORE, PRIVATE, Representation};
use super::{versions, waiting};
use crate::protocol::command::{Action, Done};
use crate::protocol::draft::Shown;
use crate::protocol::name::{ResourceName, TransactionId};
use crate::protocol::operation::{Change, ChangeMethod};
use crate::protocol::problem::{Conflict, Problem, Slug};
use crate::protocol::tag::{DraftTag, StateTag};

/// `GET /transactions/{id}/resources/{collection}/{key}`.
pub(super) async fn get_draft_resource(call: Call) -> Result<HttpResponse, Problem> {
    let (id, name) = call.draft_target()?;
    Query::of(&call, &[])?;
    let found = call.engine.draft_fetch(&call.tenant, id, &name).await;
    let (resource, draft_tag) = found?;
    let content = resource.body.as_deref().unwrap_or_default();
    let shown = Representation {
        content: content.as_bytes().to_vec(),
        media_type: &resource.media_type,
        cache: PRIVATE,
        tag: Some(resource.tag.clone()),
        modified: resource.written.map(|(at, _)| at.unix_seconds()),
        location: Some(path(id, &name)),
        link: Some(links(id, &name, &resource)),
    };
    respond::read(&call, shown, |weak| {
        stale(&call, id, &name, (&resource, draft_tag), weak)
    })
}

/// Where a view is.
fn path(id: TransactionId, name: &ResourceName) -> String {
    format!("{}{}", id.path(), name.path())
}

/// To the transaction, to the resource itself (RFC 5829 §3.4), and where it is the resource's own state to its writer.
fn links(id: TransactionId, name: &ResourceName, resource: &Shown) -> String {
    let mut links = vec![up(id), respond::link(&name.path(), "working-copy-of")];
    if let Some((_, writer)) = resource.written {
        links.push(respond::via(writer));
        links.push(versions::history_link(name));
    }
    links.join(", ")
}

fn up(id: TransactionId) -> String {
    respond::link(&id.path(), "up")
}

/// The problem of a read under a false condition.
fn stale(
    call: &Call,
    id: TransactionId,
    name: &ResourceName,
    (resource, draft): (&Shown, Option<DraftTag>),
    weak: bool,
) -> Problem {
    let conditions = call.conditions().unwrap_or_default();
    let canonical =
        |list: Option<crate::protocol::condition::TagList>| list.map(|list| list.canonical());
    let conflict = Conflict {
        change: 0,
        target: name.clone(),
        if_match: canonical(conditions.if_match),
        if_none_match: canonical(conditions.if_none_match),
        current: StateTag::read(&resource.tag),
        draft,
        transaction: Some(resource.written.map_or(id, |(_, writer)| writer)),
        body: resource
            .body
            .clone()
            .filter(|_| call.preferences().representation),
    };
    let (slug, why) = match weak {
        true => (Slug::WeakEtag, "A weak tag never matches in If-Match. "),
        false => (Slug::StaleResource, ""),
    };
    let detail = format!(
        "{why}In this draft {} is at {}. Read it without a condition, or under that tag.",
        name.path(),
        resource.tag
    );
    Problem::new(slug, detail).with_conflicts(vec![conflict])
}

/// `PUT /transactions/{id}/resources/{collection}/{key}`.
pub(super) async fn put_draft_resource(call: Call) -> Result<HttpResponse, Problem> {
    write(call, ChangeMethod::Put, resources::put_content).await
}

/// `PATCH /transactions/{id}/resources/{collection}/{key}`.
pub(super) async fn patch_draft_resource(call: Call) -> Result<HttpResponse, Problem> {
    let kind = resources::announced_patch(&call);
    write(call, ChangeMethod::Patch(kind), resources::patch_content).await
}

/// `DELETE /transactions/{id}/resources/{collection}/{key}`; content means nothing.
pub(super) async fn delete_draft_resource(call: Call) -> Result<HttpResponse, Problem> {
    write(call, ChangeMethod::Delete, resources::delete_content).await
}

async fn write(
    call: Call,
    method: ChangeMethod,
    read: fn(&Call) -> Result<Content, Problem>,
) -> Result<HttpResponse, Problem> {
    let (id, target) = call.draft_target()?;
    Query::of(&call, &[])?;
    let conditions = call.conditions();
    let mut rewritten = false;
    let content = read(&call).map(|content| Change {
        method,
        target: target.clone(),
        conditions: conditions.clone().unwrap_or_default(),
        media_type: content.media_type,
        // A draft is kept as the document of its changes, in which white space around a body is none of the body.
        body: content.body.map(|body| {
            let kept = body.trim_matches([' ', '\t', '\n', '\r']);
            rewritten = method == ChangeMethod::Put && kept.len() < body.len();
            kept.into()
        }),
    });
    let action = Action::Draft {
        method,
        target: target.clone(),
        content,
    };
    let command = call.command(Some(id), conditions, action);
    match waiting::submit(&call, command).await? {
        // After DELETE there is nothing of the draft to be shown, whatever else is there.
        Done::Drafted { shown } => {
            let shown = shown.filter(|_| method != ChangeMethod::Delete);
            let mut response = recorded(&call, id, &target, shown);
            if rewritten {
                // RFC 9110 §9.3.4: no validator where what is kept is not what was sent.
                response.headers_mut().remove(header::ETAG);
            }
            Ok(response)
        }
        _ => Err(respond::unexpected()),
    }
}

/// Nothing was written, so there is no `Last-Modified`, and no transaction that wrote.
fn recorded(
    call: &Call,
    id: TransactionId,
    name: &ResourceName,
    shown: Option<Shown>,
) -> HttpResponse {
    let preferences = call.preferences();
    let Some(resource) = shown else {
        return HttpResponse::NoContent()
            .insert_header((header::LINK, up(id)))
            .insert_header((header::CACHE_CONTROL, NO_STORE))
            .finish();
    };
    let body = resource.body.filter(|_| preferences.representation);
    let mut response = match body {
        Some(_) => HttpResponse::Ok(),
        None => HttpResponse::NoContent(),
    };
    response.insert_header((header::LINK, up(id)));
    response.insert_header((header::ETAG, resource.tag.to_string()));
    response.insert_header((header::CACHE_CONTROL, PRIVATE));
    let Some(body) = body else {
        if preferences.minimal {
            response.insert_header(("preference-applied", "return=minimal"));
        }
        return response.finish();
    };
    response.insert_header(("preference-applied", "return=representation"));
    response.insert_header((header::CONTENT_LOCATION, path(id, name)));
    response.insert_header((header::CONTENT_TYPE, &*resource.media_type));
    response.body(body.to_string())
}
