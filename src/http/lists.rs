//! Lists: pages with cursors, each one consistent snapshot (contract §4, §5 "List").

use actix_web::HttpResponse;
use serde::Serialize;

use super::call::Call;
use super::document::{CollectionItem, ListDocument, ResourceItem, TransactionItem};
use super::query::{Query, refused};
use super::respond::{self, Representation};
use crate::engine::{
    CollectionQuery, ContainingQuery, Page, ResourceQuery, ResourceScope, TransactionQuery,
};
use crate::protocol::containment::Containment;
use crate::protocol::cursor::Cursor;
use crate::protocol::json::JsonFault;
use crate::protocol::limits::{CONTAINS_BYTES_MAX, REFERENCE_CHARS_MAX};
use crate::protocol::name::{Collection, Key, ResourceName, TransactionId};
use crate::protocol::problem::Problem;
use crate::protocol::state::State;

/// States that a transaction may have, of which this release lists none: what is `410`, and what comes later.
const UNLISTED_STATES: [&str; 5] = ["cancelled", "expired", "pending", "failed", "unresolved"];

/// `GET /resources`: the collections, or with `key` the named resources of any collections.
pub(super) async fn list_collections(call: Call) -> Result<HttpResponse, Problem> {
    let query = Query::of(&call, &["limit", "after", "prefix", "key"])?;
    let limit = query.limit()?;
    let list = List {
        path: "/resources".to_owned(),
        scope: "collections".to_owned(),
        query: &query,
    };
    if query.get("key").is_some() {
        let scope = named(&query)?;
        let asked = ResourceQuery {
            scope,
            after: None,
            limit,
        };
        let page = call.engine.resource_list(&call.tenant, asked).await?;
        return list.answer(
            &call,
            page.items
                .iter()
                .map(ResourceItem::with_collection)
                .collect(),
            page.next,
        );
    }
    let prefix = prefix(&query, |text| Collection::parse(text).is_some())?;
    let after = list.after(|text| Collection::parse(text).is_some())?;
    let page = call
        .engine
        .collection_list(
            &call.tenant,
            CollectionQuery {
                after,
                limit,
                prefix,
            },
        )
        .await?;
    let items = page.items.iter();
    let items = items
        .map(|name| CollectionItem {
            href: format!("/resources/{name}"),
            name: name.as_str(),
        })
        .collect();
    list.answer(&call, items, page.next)
}

/// The resources that `key=collection/key` names.
fn named(query: &Query) -> Result<ResourceScope, Problem> {
    refuse_beside_key(query, &["after", "prefix"])?;
    let names = query
        .all("key")
        .map(ResourceName::parse_pair)
        .collect::<Option<Vec<_>>>();
    names
        .map(ResourceScope::Named)
        .ok_or_else(|| refused("key", "here it is collection/key, as in key=accounts/alice"))
}

/// `GET /resources/{collection}`.
pub(super) async fn list_resources(call: Call) -> Result<HttpResponse, Problem> {
    let collection = call.collection()?;
    let query = Query::of(&call, &["limit", "after", "prefix", "key", "contains"])?;
    let limit = query.limit()?;
    let name = format!("resources/{collection}");
    let list = List {
        path: format!("/{name}"),
        scope: name,
        query: &query,
    };
    let prefix = prefix(&query, |text| {
        text == "." || text == ".." || Key::parse(text).is_some()
    })?;
    let keys = keys(&query)?;
    let after = list.after(|text| Key::parse(text).is_some())?;
    let page = if let Some(value) = contained(&query)? {
        let asked = ContainingQuery {
            collection,
            value,
            prefix: prefix.unwrap_or_default(),
            keys,
            after: after.unwrap_or_default(),
            limit,
        };
        call.engine.containing_list(&call.tenant, asked).await?
    } else {
        let asked = ResourceQuery {
            scope: ResourceScope::Collection {
                collection,
                prefix,
                keys,
            },
            after,
            limit,
        };
        call.engine.resource_list(&call.tenant, asked).await?
    };
    list.answer(
        &call,
        page.items.iter().map(ResourceItem::of).collect(),
        page.next,
    )
}

/// The value that `contains` asks for, if any; what is no JSON is told as for content, with its place.
fn contained(query: &Query) -> Result<Option<Containment>, Problem> {
    let Some(text) = query.get("contains") else {
        return Ok(None);
    };
    if text.len() > CONTAINS_BYTES_MAX {
        return Err(refused("contains", "give at most 1024 bytes of JSON text"));
    }
    let fault = |fault: JsonFault| {
        let fault = fault.to_string();
        let place = fault.trim_end_matches('.');
        refused(
            "contains",
            &format!("it is JSON text, with a fault in {place}"),
        )
    };
    Containment::parse(text).map(Some).map_err(fault)
}

/// The keys that `key` names, if any.
fn keys(query: &Query) -> Result<Option<Vec<Key>>, Problem> {
    if query.get("key").is_none() {
        return Ok(None);
    }
    refuse_beside_key(query, &["after"])?;
    let keys = query.all("key").map(Key::parse).collect::<Option<Vec<_>>>();
    keys.map(Some)
        .ok_or_else(|| refused("key", "here it is the key of a resource of this collection"))
}

/// `GET /transactions`.
pub(super) async fn list_transactions(call: Call) -> Result<HttpResponse, Problem> {
    let query = Query::of(&call, &["state", "reference", "limit", "after"])?;
    let limit = query.limit()?;
    let list = List {
        path: "/transactions".to_owned(),
        scope: "transactions".to_owned(),
        query: &query,
    };
    let reference = reference(&query)?;
    let after = list.after(|text| TransactionId::parse_segment(text).is_some())?;
    let page = match query.get("state") {
        Some(word) if UNLISTED_STATES.contains(&word) => Page {
            items: Vec::new(),
            next: None,
        },
        word => {
            let state = word.map(state).transpose()?;
            let asked = TransactionQuery {
                state,
                reference,
                after,
                limit,
            };
            call.engine.transaction_list(&call.tenant, asked).await?
        }
    };
    list.answer(
        &call,
        page.items.iter().map(TransactionItem::of).collect(),
        page.next,
    )
}

fn state(word: &str) -> Result<State, Problem> {
    State::parse(word).ok_or_else(|| {
        refused(
            "state",
            "it is open, committed, pending, failed, unresolved, cancelled or expired",
        )
    })
}

fn reference(query: &Query) -> Result<Option<String>, Problem> {
    let Some(text) = query.get("reference") else {
        return Ok(None);
    };
    if !(1..=REFERENCE_CHARS_MAX).contains(&text.chars().count()) || text.contains('\0') {
        return Err(refused(
            "reference",
            "it is the reference of a transaction, 1 to 255 characters",
        ));
    }
    Ok(Some(text.to_owned()))
}

fn prefix(query: &Query, is_prefix: fn(&str) -> bool) -> Result<Option<String>, Problem> {
    match query.get("prefix").filter(|text| !text.is_empty()) {
        Some(text) if !is_prefix(text) => Err(refused("prefix", "no name can begin so")),
        prefix => Ok(prefix.map(str::to_owned)),
    }
}

fn refuse_beside_key(query: &Query, names: &[&str]) -> Result<(), Problem> {
    match names.iter().find(|name| query.get(name).is_some()) {
        Some(name) => Err(refused(
            name,
            "leave it out beside key, which names all resources of one page",
        )),
        None => Ok(()),
    }
}

/// Which list a page is of.
pub(super) struct List<'a> {
    /// The URI without a query.
    pub(super) path: String,
    /// What its cursors belong to.
    pub(super) scope: String,
    /// What was asked for.
    pub(super) query: &'a Query,
}

impl List<'_> {
    /// The position in `after`, which must be a cursor of this list.
    pub(super) fn after(&self, is_position: fn(&str) -> bool) -> Result<Option<String>, Problem> {
        let Some(text) = self.query.get("after") else {
            return Ok(None);
        };
        Cursor::decode(text, &self.scope)
            .filter(|position| is_position(position))
            .map(Some)
            .ok_or_else(|| {
                refused(
                    "after",
                    "it is no cursor of this list; begin without it and follow next",
                )
            })
    }

    fn answer<T: Serialize>(
        &self,
        call: &Call,
        items: Vec<T>,
        next: Option<String>,
    ) -> Result<HttpResponse, Problem> {
        self.answer_linked(call, items, next, None)
    }

    /// The answer, with a link besides the one to the next page.
    pub(super) fn answer_linked<T: Serialize>(
        &self,
        call: &Call,
        items: Vec<T>,
        next: Option<String>,
        link: Option<String>,
    ) -> Result<HttpResponse, Problem> {
        let next = next.map(|position| {
            let cursor = Cursor {
                scope: self.scope.clone(),
                position,
            };
            self.query.next_page(&self.path, &cursor.encode())
        });
        let links: Vec<String> = [next.as_ref().map(|next| respond::link(next, "next")), link]
            .into_iter()
            .flatten()
            .collect();
        let mut shown = Representation::weak(&ListDocument { items, next })?;
        shown.link = (!links.is_empty()).then(|| links.join(", "));
        respond::read_plain(call, shown)
    }
}
