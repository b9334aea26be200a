//! The content of `POST` and `PUT` on transactions: parsing, with every fault and its pointer.
//!
//! An operation is normalised once, here: defaults left out, tags quoted, targets decoded. Its digest
//! is what "the same operation" means for a repeated request (contract §5).

use std::collections::HashMap;
use std::sync::Arc;

use super::command::{NewTransaction, Operation, PutContent};
use super::condition::{Conditions, TagList};
use super::json::{self, Json, Kind};
use super::limits;
use super::media::ContentType;
use super::name::ResourceName;
use super::patch::{self, PatchKind};
use super::problem::{FieldError, Problem, Slug};

/// What a change does to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeMethod {
    /// Asserts a state; writes nothing.
    Get,
    /// Replaces or creates.
    Put,
    /// Changes a part.
    Patch(PatchKind),
    /// Deletes.
    Delete,
}

impl ChangeMethod {
    /// Whether it writes.
    pub fn writes(self) -> bool {
        self != Self::Get
    }

    /// The HTTP method.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Patch(_) => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One change of an operation, or a direct write as one.
#[derive(Clone, Debug)]
pub struct Change {
    /// What is done.
    pub method: ChangeMethod,
    /// To which resource.
    pub target: ResourceName,
    /// Under which conditions.
    pub conditions: Conditions,
    /// The media type of `body`.
    pub media_type: Arc<str>,
    /// The new state for PUT, the patch for PATCH, nothing else.
    pub body: Option<Arc<str>>,
}

/// The media type of a stored body where none was named.
pub const JSON: &str = "application/json";
/// RFC 7396.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// RFC 6902.
pub const JSON_PATCH: &str = "application/json-patch+json";

impl Operation {
    /// An operation of these changes, with its normal form and digest.
    pub fn new(changes: Vec<Change>) -> Self {
        let mut text = String::from("[");
        for (index, change) in changes.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            change.write(&mut text);
        }
        text.push(']');
        let digest = json::parse_operation(text.as_bytes())
            .map(|document| json::canonical_digest(&document))
            .unwrap_or_default();
        Self {
            changes,
            text: text.into(),
            digest,
        }
    }
}

impl Change {
    fn write(&self, out: &mut String) {
        let mut member = |name: &str, value: &str| {
            out.push(if name == "method" { '{' } else { ',' });
            out.push_str(&serde_json::Value::from(name).to_string());
            out.push(':');
            out.push_str(value);
        };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        member("method", &quoted(self.method.as_str()));
        member("target", &quoted(&self.target.path()));
        if let Some(list) = &self.conditions.if_match {
            member("if_match", &quoted(&list.canonical()));
        }
        if let Some(list) = &self.conditions.if_none_match {
            member("if_none_match", &quoted(&list.canonical()));
        }
        let default = match self.method {
            ChangeMethod::Patch(_) => MERGE_PATCH,
            _ => JSON,
        };
        if &*self.media_type != default && self.body.is_some() {
            member("content_type", &quoted(&self.media_type));
        }
        if let Some(body) = &self.body {
            member("body", body);
        }
        out.push('}');
    }
}

/// Gathers faults, so that a client can mend them all at once.
#[derive(Default)]
struct Faults {
    invalid: Vec<FieldError>,
    unconditional: Vec<FieldError>,
}

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.invalid.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
    }

    fn into_result(self) -> Result<(), Problem> {
        if !self.invalid.is_empty() {
            let detail =
                "Nothing was changed. Mend every place in errors, then send the request again.";
            return Err(Problem::new(Slug::InvalidOperation, detail).with_errors(self.invalid));
        }
        if !self.unconditional.is_empty() {
            let detail = "Nothing was changed. Every change names the state it expects: add \"if_match\": \"<tag>\" \
                          with the tag you read, \"if_match\": \"*\" for any state, or for PUT and GET \
                          \"if_none_match\": \"*\" if it must not exist.";
            return Err(
                Problem::new(Slug::PreconditionRequired, detail).with_errors(self.unconditional)
            );
        }
        Ok(())
    }
}

/// Turns a fault of the JSON reader into its problem.
pub fn malformed(fault: json::JsonFault) -> Problem {
    let detail = format!(
        "The content is not JSON that can be stored unambiguously: {}",
        fault.detail
    );
    let error = FieldError {
        pointer: fault.pointer,
        detail: fault.detail,
    };
    Problem::new(Slug::MalformedRequest, detail).with_errors(vec![error])
}

/// Reads the content of `POST /transactions`; none, `null` and `{}` are the same.
///
/// # Errors
/// `malformed-request` where it is not JSON, `invalid-operation` where a member is not known or not
/// of its type, `precondition-required` for `changes` (contract §5).
pub fn parse_post(content: &[u8]) -> Result<NewTransaction, Problem> {
    if content.is_empty() {
        return Ok(NewTransaction::default());
    }
    let document = json::parse_operation(content).map_err(malformed)?;
    let members = match &document.kind {
        Kind::Null => return Ok(NewTransaction::default()),
        Kind::Object(members) => members,
        _ => return Err(not_an_object("#")),
    };
    let mut faults = Faults::default();
    let mut new = NewTransaction::default();
    for (name, value) in members {
        match name.as_ref() {
            "changes" => {
                let detail = "POST creates the context; PUT the changes to its Location under If-Match with its ETag.";
                let error = FieldError {
                    pointer: "#/changes".into(),
                    detail: detail.into(),
                };
                return Err(
                    Problem::new(Slug::PreconditionRequired, detail).with_errors(vec![error])
                );
            }
            name if new_member(name, value, &mut new, &mut faults) => {}
            name => faults.add(
                pointer(name),
                "No such member; a new transaction takes expires_in, reference and metadata.",
            ),
        }
    }
    faults.into_result()?;
    Ok(new)
}

/// Reads the content of `PUT /transactions/{id}`; `naming` where it is sent with `If-None-Match: *`.
///
/// # Errors
/// As [`parse_post`]; every fault of every change is listed.
pub fn parse_put(content: &[u8], naming: bool) -> Result<PutContent, Problem> {
    let document = json::parse_operation(content).map_err(malformed)?;
    let Kind::Object(members) = &document.kind else {
        return Err(not_an_object("#"));
    };
    let mut faults = Faults::default();
    let mut new = NewTransaction::default();
    let mut cancel = false;
    let mut changes = None;
    for (name, value) in members {
        match name.as_ref() {
            "id" | "etag" | "created_at" | "expires_at" | "finished_at" | "outcome" | "links" => {}
            "state" => cancel = wanted_state(value, naming, &mut faults),
            "changes" => changes = Some(parse_changes(value, &mut faults)),
            "expires_in" if !naming => faults.add(
                "#/expires_in",
                "Only a PUT with If-None-Match: * takes it; renew with PATCH.",
            ),
            name if new_member(name, value, &mut new, &mut faults) => {}
            name => faults.add(pointer(name), "No such member."),
        }
    }
    match (&changes, cancel) {
        (Some(_), true) => faults.add(
            "#/changes",
            "A transaction that is created cancelled has no changes.",
        ),
        (None, false) => faults.add(
            "#/changes",
            "Say what is to be changed: an array of 1 to 1000 changes.",
        ),
        _ => {}
    }
    faults.into_result()?;
    let operation = changes.filter(|_| !cancel).map(Operation::new);
    Ok(PutContent { operation, new })
}

/// Reads the content of `PATCH /transactions/{id}`: the new `expires_in`, in seconds.
///
/// # Errors
/// As [`parse_post`].
pub fn parse_renewal(content: &[u8]) -> Result<i64, Problem> {
    let document = json::parse_operation(content).map_err(malformed)?;
    let Kind::Object(members) = &document.kind else {
        return Err(not_an_object("#"));
    };
    let mut faults = Faults::default();
    let mut new = NewTransaction::default();
    for (name, value) in members {
        if name != "expires_in" || !new_member(name, value, &mut new, &mut faults) {
            faults.add(pointer(name), "Only expires_in can be patched.");
        }
    }
    if members.is_empty() {
        faults.add(
            "#/expires_in",
            "Say for how many seconds from now it stays open.",
        );
    }
    faults.into_result()?;
    Ok(new.expires_in.unwrap_or(limits::EXPIRES_SECONDS_DEFAULT))
}

fn not_an_object(pointer: &str) -> Problem {
    let detail = "The content must be a JSON object.";
    let error = FieldError {
        pointer: pointer.into(),
        detail: detail.into(),
    };
    Problem::new(Slug::InvalidOperation, detail).with_errors(vec![error])
}

/// `#/name`, with the name escaped as RFC 6901 §6 asks for.
fn pointer(name: &str) -> String {
    let mut pointer = String::from("#");
    json::push_pointer_segment(&mut pointer, name);
    pointer
}

fn wanted_state(value: &Json<'_>, naming: bool, faults: &mut Faults) -> bool {
    match value.as_str() {
        Some("committed") => false,
        Some("cancelled") if naming => true,
        Some("cancelled") => {
            faults.add("#/state", "To cancel this transaction, DELETE it; only a PUT with If-None-Match: * may create one cancelled.");
            false
        }
        _ => {
            faults.add("#/state", "Leave it out, or send \"committed\".");
            false
        }
    }
}

/// Reads one of the members that a new transaction takes; false where the name is none of them.
fn new_member(name: &str, value: &Json<'_>, new: &mut NewTransaction, faults: &mut Faults) -> bool {
    match name {
        "expires_in" => match value.as_integer() {
            Some(seconds) if (1..=limits::EXPIRES_SECONDS_MAX).contains(&seconds) => {
                new.expires_in = Some(seconds)
            }
            _ => faults.add(
                "#/expires_in",
                "A whole number of seconds from 1 to 604800 (7 days).",
            ),
        },
        "reference" => match value.as_str() {
            Some(text) if (1..=limits::REFERENCE_CHARS_MAX).contains(&text.chars().count()) => {
                new.reference = Some(text.into());
            }
            _ => faults.add("#/reference", "A string of 1 to 255 characters."),
        },
        "metadata" => {
            if value.as_object().is_none() || value.text.len() > limits::METADATA_BYTES_MAX {
                faults.add("#/metadata", "A JSON object of at most 16384 bytes.");
            } else {
                new.metadata = Some(value.text.into());
            }
        }
        _ => return false,
    }
    true
}

fn parse_changes(value: &Json<'_>, faults: &mut Faults) -> Vec<Change> {
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
        if value.as_str().map(str::trim) != Some("*") {
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
            format!("PATCH takes {MERGE_PATCH} or {JSON_PATCH}."),
        );
        return None;
    };
    if kind == PatchKind::JsonPatch {
        for fault in patch::check_json_patch(body, &at("body")) {
            faults.add(fault.pointer, fault.detail);
        }
        return Some((ChangeMethod::Patch(kind), JSON_PATCH.into()));
    }
    Some((ChangeMethod::Patch(kind), MERGE_PATCH.into()))
}

/// The kind of patch that a media type names; plain JSON is taken as a merge patch (contract §4).
pub fn patch_kind(media_type: &str) -> Option<PatchKind> {
    let media = ContentType::parse(media_type.as_bytes())?;
    if media.is_json_patch() {
        Some(PatchKind::JsonPatch)
    } else if media.is_merge_patch() || media.essence() == JSON {
        Some(PatchKind::Merge)
    } else {
        None
    }
}
