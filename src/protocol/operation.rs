//! The content of `POST` and `PUT` on transactions: parsing, with every fault and its pointer.
//!
//! An operation is normalised once, here: defaults left out, tags quoted, targets decoded. Its digest
//! is what "the same operation" means for a repeated request (contract §5).

mod change;
mod document;
mod faults;
mod stored;

pub use document::{malformed, parse_patch, parse_post, parse_put};
pub use stored::stored_changes;

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::condition::Conditions;
use super::json;
use super::media::ContentType;
use super::name::ResourceName;
use super::patch::PatchKind;

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
/// Numbers to be added (contract §4).
pub const INCREMENT: &str = "application/vnd.ifmatch.increment+json";

/// The operation of a transaction: its changes, and what makes it the same as another.
#[derive(Clone, Debug)]
pub struct Operation {
    /// 1 to 1000 changes of distinct targets.
    pub changes: Vec<Change>,
    /// The changes as a JSON array, defaults left out, tags quoted, bodies as they came.
    pub text: Arc<str>,
    /// SHA-256 of the canonical form of `text`.
    pub digest: [u8; 32],
}

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
        // Within its document, where each body's depth counts by itself.
        let document = format!("{{\"changes\":{text}}}");
        let digest = json::parse_operation(document.as_bytes()).map_or_else(
            // Cannot be: it is made of parts that were read. It would then be the same as nothing but itself.
            |_| Sha256::digest(document.as_bytes()).into(),
            |document| json::canonical_digest(&document),
        );
        Self {
            changes,
            text: text.into(),
            digest,
        }
    }
}

impl Change {
    /// Its normal form: a JSON object, defaults left out, tags quoted, the body as it came.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

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

/// The kind of patch that a media type names; plain JSON is taken as a merge patch (contract §4).
pub fn patch_kind(media_type: &str) -> Option<PatchKind> {
    let media = ContentType::parse(media_type.as_bytes())?;
    if media.is_json_patch() {
        Some(PatchKind::JsonPatch)
    } else if media.is_increment() {
        Some(PatchKind::Increment)
    } else if media.is_merge_patch() || (media.is_json() && media.essence() == JSON) {
        Some(PatchKind::Merge)
    } else {
        None
    }
}

/// The media type of a kind of patch, as it is kept and compared: without parameters.
pub fn patch_media_type(kind: PatchKind) -> &'static str {
    match kind {
        PatchKind::Merge => MERGE_PATCH,
        PatchKind::JsonPatch => JSON_PATCH,
        PatchKind::Increment => INCREMENT,
    }
}

#[cfg(test)]
mod tests;
