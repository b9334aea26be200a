//! One change of an operation: its members, and every fault with its pointer.

use std::collections::HashMap;
use std::sync::Arc;

use super::faults::{Faults, pointer};
use super::{
    Change, ChangeMethod, INCREMENT, JSON, JSON_PATCH, MERGE_PATCH, patch_kind, patch_media_type,
};
use crate::protocol::condition::{Conditions, TagList};
use crate::protocol::json::Json;
use crate::protocol::limits;
use crate::protocol::media::ContentType;
use crate::protocol::name::ResourceName;
use crate::protocol::patch;
use crate::protocol::problem::FieldError;

/// Reads the changes of an operation; those without a fault.
pub(super) fn parse_changes(value: &Json<'_>, faults: &mut Faults) -> Vec<Change> {
    let items = value.as_array().unwrap_or_default();
    if items.is_empty() || items.len() > limits::CHANGES_MAX {
        faults.add("#/changes", "An array of 1 to 1000 changes.");
        return Vec::new();
    }
    let mut changes = Vec::with_capacity(items.len());
    let mut seen: HashMap<ResourceName, usize> = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let Some(change) = parse_change(index, item, faults) else {
            continue;
        };
        if let Some(first) = seen.insert(change.target.clone(), index) {
            faults.add(
                format!("#/changes/{index}/target"),
                format!(
                    "Change {first} has the same target; an operation changes a resource once."
                ),
            );
        }
        changes.push(change);
    }
    changes
}

/// The members of one change, as found.
#[derive(Default)]
struct Members<'j, 'a> {
    method: Option<&'j Json<'a>>,
    target: Option<&'j Json<'a>>,
    if_match: Option<&'j Json<'a>>,
    if_none_match: Option<&'j Json<'a>>,
    content_type: Option<&'j Json<'a>>,
    body: Option<&'j Json<'a>>,
}

fn parse_change(index: usize, item: &Json<'_>, faults: &mut Faults) -> Option<Change> {
    let at = |member: &str| format!("#/changes/{index}/{member}");
    let Some(found) = item.as_object() else {
        faults.add(format!("#/changes/{index}"), "A change is a JSON object.");
        return None;
    };
    let mut members = Members::default();
    for (name, value) in found {
        match name.as_ref() {
            "method" => members.method = Some(value),
            "target" => members.target = Some(value),
            "if_match" => members.if_match = Some(value),
            "if_none_match" => members.if_none_match = Some(value),
            "content_type" => members.content_type = Some(value),
            "body" => members.body = Some(value),
            name => faults.add(
                format!("#/changes/{index}{}", &pointer(name)[1..]),
                "No such member; a change has method, target, if_match or if_none_match, content_type and body.",
            ),
        }
    }
    let target = members
        .target
        .and_then(Json::as_str)
        .and_then(ResourceName::parse_path);
    if target.is_none() {
        faults.add(
            at("target"),
            "The path of a resource: \"/resources/{collection}/{key}\".",
        );
    }
    let method = members.method.and_then(Json::as_str).unwrap_or_default();
    if !["GET", "PUT", "PATCH", "DELETE"].contains(&method) {
        faults.add(
            at("method"),
            "One of \"GET\", \"PUT\", \"PATCH\", \"DELETE\".",
        );
        return None;
    }
    let conditions = change_conditions(&members, method, &at, faults);
    let (method, media_type) = change_content(&members, method, index, faults)?;
    let target = target?;
    let body = members.body.map(|body| Arc::from(body.text));
    Some(Change {
        method,
        target,
        conditions: conditions?,
        media_type,
        body,
    })
}

fn change_conditions(
    members: &Members<'_, '_>,
    method: &str,
    at: &dyn Fn(&str) -> String,
    faults: &mut Faults,
) -> Option<Conditions> {
    let mut conditions = Conditions::default();
    if members.if_match.is_some() && members.if_none_match.is_some() {
        faults.add(
            at("if_none_match"),
            "Exactly one of if_match and if_none_match.",
        );
        return None;
    }
    if let Some(value) = members.if_match {
        match value.as_str().map(TagList::parse_change) {
            Some(Ok(list)) => conditions.if_match = Some(list),
            Some(Err(fault)) => faults.add(at("if_match"), fault.detail),
            None => faults.add(at("if_match"), "A string: a tag, a list of tags, or \"*\"."),
        }
        return conditions.if_match.is_some().then_some(conditions);
    }
    if let Some(value) = members.if_none_match {
        if method == "PATCH" || method == "DELETE" {
            faults.add(
                at("if_none_match"),
                "PATCH and DELETE take if_match only: what does not exist can be neither.",
            );
            return None;
        }
        if value.as_str().map(|text| text.trim_matches([' ', '\t'])) != Some("*") {
            faults.add(at("if_none_match"), "Only \"*\": it must not exist.");
            return None;
        }
        conditions.if_none_match = Some(TagList::Star);
        return Some(conditions);
    }
    let name = if method == "PATCH" || method == "DELETE" {
        "if_match"
    } else {
        "if_match or if_none_match"
    };
    faults.unconditional.push(FieldError {
        pointer: at("if_match"),
        detail: format!("Add {name}."),
    });
    None
}

fn change_content(
    members: &Members<'_, '_>,
    method: &str,
    index: usize,
    faults: &mut Faults,
) -> Option<(ChangeMethod, Arc<str>)> {
    let at = |member: &str| format!("#/changes/{index}/{member}");
    if method == "GET" || method == "DELETE" {
        for (name, value) in [
            ("body", members.body),
            ("content_type", members.content_type),
        ] {
            if value.is_some() {
                faults.add(at(name), format!("{method} has no content."));
            }
        }
        let method = if method == "GET" {
            ChangeMethod::Get
        } else {
            ChangeMethod::Delete
        };
        return Some((method, JSON.into()));
    }
    let Some(body) = members.body else {
        faults.add(at("body"), format!("{method} needs a body."));
        return None;
    };
    let text = match members.content_type {
        None => None,
        Some(value) => match value.as_str() {
            Some(text) => Some(text),
            None => {
                faults.add(at("content_type"), "A string: a media type.");
                return None;
            }
        },
    };
    if method == "PUT" {
        let Some(text) = text else {
            return Some((ChangeMethod::Put, JSON.into()));
        };
        match ContentType::parse(text.as_bytes()).filter(ContentType::is_json) {
            Some(media) => return Some((ChangeMethod::Put, media.text().into())),
            None => faults.add(
                at("content_type"),
                "PUT takes application/json or application/*+json.",
            ),
        }
        return None;
    }
    let Some(kind) = patch_kind(text.unwrap_or(MERGE_PATCH)) else {
        faults.add(
            at("content_type"),
            format!("PATCH takes {MERGE_PATCH}, {JSON_PATCH} or {INCREMENT}."),
        );
        return None;
    };
    for fault in patch::check_shape(kind, body, &at("body")) {
        faults.add(fault.pointer, fault.detail);
    }
    Some((ChangeMethod::Patch(kind), patch_media_type(kind).into()))
}
