//! The history of a resource: the list of its versions, and each by itself (contract §2, §3).
//!
//! A version never changes, so it may be cached for ever; what comes after it is in its links alone.

use actix_web::HttpResponse;
use serde::Serialize;

use super::call::{Call, version_number};
use super::lists::List;
use super::query::Query;
use super::respond::{self, IMMUTABLE, Representation};
use crate::engine::{Version, VersionQuery};
use crate::protocol::clock::Timestamp;
use crate::protocol::name::ResourceName;
use crate::protocol::operation::JSON;
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::Resource;

/// A version in the list of its resource, without its body.
#[derive(Serialize)]
struct VersionItem<'a> {
    href: String,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    updated_at: Timestamp,
    deleted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    transaction: String,
}

impl<'a> VersionItem<'a> {
    /// A deletion has neither a tag nor a media type: there is nothing that they could be of.
    fn of(name: &ResourceName, state: &'a Resource) -> Self {
        let there = !state.deleted;
        Self {
            href: version_path(name, state.tag.version),
            version: state.tag.version,
            etag: there.then(|| state.tag.to_string()),
            updated_at: state.updated_at,
            deleted: state.deleted,
            media_type: Some(&*state.media_type).filter(|media_type| there && *media_type != JSON),
            transaction: state.transaction.path(),
        }
    }
}

/// `GET /resources/{collection}/{key}/versions`.
pub(super) async fn list_versions(call: Call) -> Result<HttpResponse, Problem> {
    let name = call.resource_name()?;
    let query = Query::of(&call, &["limit", "after"])?;
    let path = history_path(&name);
    let list = List {
        scope: path.clone(),
        path,
        query: &query,
    };
    let after = list.after(|text| version_number(text).is_some())?;
    let asked = VersionQuery {
        name: name.clone(),
        after: after.as_deref().and_then(version_number),
        limit: query.limit()?,
    };
    let Some(page) = call.engine.version_list(&call.tenant, asked).await? else {
        let detail = format!("{} does not exist, and never did.", name.path());
        return Err(Problem::new(Slug::NotFound, detail));
    };
    let items = page.items.iter();
    let items = items.map(|state| VersionItem::of(&name, state)).collect();
    let latest = respond::link(&name.path(), "latest-version");
    list.answer_linked(&call, items, page.next, Some(latest))
}

/// `GET /resources/{collection}/{key}/versions/{version}`.
pub(super) async fn get_version(call: Call) -> Result<HttpResponse, Problem> {
    let (name, number) = call.version()?;
    Query::of(&call, &[])?;
    let found = call
        .engine
        .version_fetch(&call.tenant, &name, number)
        .await?;
    let Some(version) = found else {
        let detail = format!(
            "{} has no version {number}. GET {} lists those it has.",
            name.path(),
            history_path(&name)
        );
        return Err(Problem::new(Slug::NotFound, detail));
    };
    let state = &version.state;
    let Some(body) = state.body.as_deref().filter(|_| !state.deleted) else {
        let detail = format!(
            "Version {number} of {} is its deletion, by {}: there is no document. GET {} lists the versions that have one.",
            name.path(),
            state.transaction.path(),
            history_path(&name)
        );
        return Err(Problem::new(Slug::NotFound, detail));
    };
    let shown = Representation {
        content: body.as_bytes().to_vec(),
        media_type: &state.media_type,
        cache: IMMUTABLE,
        tag: Some(state.tag.entity_tag()),
        modified: Some(state.updated_at.unix_seconds()),
        location: Some(version_path(&name, number)),
        link: Some(links(&name, &version)),
    };
    respond::read_plain(&call, shown)
}

/// RFC 5829's relations, to what is there, and who wrote this state.
fn links(name: &ResourceName, version: &Version) -> String {
    let beside = |number: Option<i64>, relation| {
        number.map(|number| respond::link(&version_path(name, number), relation))
    };
    let links = [
        Some(respond::via(version.state.transaction)),
        Some(history_link(name)),
        Some(respond::link(&name.path(), "latest-version")),
        beside(version.predecessor, "predecessor-version"),
        beside(version.successor, "successor-version"),
    ];
    let links: Vec<String> = links.into_iter().flatten().collect();
    links.join(", ")
}

/// `Link` to the history of a resource.
pub(super) fn history_link(name: &ResourceName) -> String {
    respond::link(&history_path(name), "version-history")
}

fn history_path(name: &ResourceName) -> String {
    format!("{}/versions", name.path())
}

fn version_path(name: &ResourceName, version: i64) -> String {
    format!("{}/versions/{version}", name.path())
}
