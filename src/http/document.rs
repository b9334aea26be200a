//! The documents that the server builds (contract §5, §8, §9): wire types, one for each schema of the
//! API description. Members without a value are left out; what clients wrote is embedded as it came.

use std::borrow::Cow;

use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::protocol::clock::Timestamp;
use crate::protocol::name::ResourceName;
use crate::protocol::operation::JSON;
use crate::protocol::problem::{Conflict, Problem, Slug};
use crate::protocol::state::{Resource, Transaction};

/// A document as it is sent: indented by two spaces, with a line feed at its end.
///
/// # Errors
/// `internal-error` where something stored is not JSON after all.
pub(super) fn pretty(document: &impl Serialize) -> Result<Vec<u8>, Problem> {
    let mut content = serde_json::to_vec_pretty(document).map_err(|error| {
        tracing::error!(%error, "a document could not be built");
        Problem::new(
            Slug::InternalError,
            "The answer could not be built. Send the same request again.",
        )
    })?;
    content.push(b'\n');
    Ok(content)
}

/// JSON that is embedded byte for byte, without the white space around it.
pub(super) struct Raw<'a>(pub(super) &'a str);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(self.0).map_err(S::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// A page of a list.
#[derive(Serialize)]
pub(super) struct ListDocument<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<String>,
}

/// A collection in a list.
#[derive(Serialize)]
pub(super) struct CollectionItem<'a> {
    pub(super) href: String,
    pub(super) name: &'a str,
}

/// A resource in a list.
#[derive(Serialize)]
pub(super) struct ResourceItem<'a> {
    href: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    collection: Option<&'a str>,
    key: &'a str,
    etag: String,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'a str>,
    body: Raw<'a>,
}

impl<'a> ResourceItem<'a> {
    /// In the list of its collection.
    pub(super) fn of((name, resource): &'a (ResourceName, Resource)) -> Self {
        Self {
            href: name.path(),
            collection: None,
            key: name.key.as_str(),
            etag: resource.tag.to_string(),
            updated_at: resource.updated_at,
            media_type: Some(&*resource.media_type).filter(|media_type| *media_type != JSON),
            body: Raw(resource.body.as_deref().unwrap_or("null")),
        }
    }

    /// In a list across collections.
    pub(super) fn with_collection(item: &'a (ResourceName, Resource)) -> Self {
        Self {
            collection: Some(item.0.collection.as_str()),
            ..Self::of(item)
        }
    }
}

/// Where a transaction is.
#[derive(Serialize)]
struct TransactionLinks {
    #[serde(rename = "self")]
    this: String,
}

/// A transaction without its changes, in a list.
#[derive(Serialize)]
pub(super) struct TransactionItem<'a> {
    id: String,
    state: &'static str,
    etag: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    links: TransactionLinks,
}

impl<'a> TransactionItem<'a> {
    pub(super) fn of(transaction: &'a Transaction) -> Self {
        Self {
            id: transaction.id.to_string(),
            state: transaction.state.as_str(),
            etag: transaction.tag.to_string(),
            created_at: transaction.created_at,
            expires_at: transaction.expires_at,
            finished_at: transaction.finished_at,
            reference: transaction.reference.as_deref(),
            links: TransactionLinks {
                this: transaction.id.path(),
            },
        }
    }
}

/// A transaction, its members in the order of contract §5.
#[derive(Serialize)]
pub(super) struct TransactionDocument<'a> {
    id: String,
    state: &'static str,
    etag: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Raw<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Stored<'a, ChangeMember<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<OutcomeMember<'a>>,
    links: TransactionLinks,
}

impl<'a> TransactionDocument<'a> {
    pub(super) fn of(transaction: &'a Transaction) -> Self {
        let item = TransactionItem::of(transaction);
        Self {
            id: item.id,
            state: item.state,
            etag: item.etag,
            created_at: item.created_at,
            expires_at: item.expires_at,
            finished_at: item.finished_at,
            reference: item.reference,
            metadata: transaction.metadata.as_deref().map(Raw),
            changes: transaction.operation.as_deref().map(Stored::of),
            outcome: transaction.outcome.as_deref().map(|text| OutcomeMember {
                changes: Stored::of(text),
            }),
            links: item.links,
        }
    }
}

/// A stored JSON array whose items are laid out anew, so that they are indented like the rest.
struct Stored<'a, T> {
    text: &'a str,
    item: std::marker::PhantomData<T>,
}

impl<'a, T> Stored<'a, T> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            item: std::marker::PhantomData,
        }
    }
}

impl<'a, T: Serialize + Deserialize<'a>> Serialize for Stored<'a, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items: Vec<T> = serde_json::from_str(self.text).map_err(S::Error::custom)?;
        items.serialize(serializer)
    }
}

/// One change of a stored operation; its body stays as it came.
#[derive(Serialize, Deserialize)]
struct ChangeMember<'a> {
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    if_match: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    if_none_match: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    body: Option<&'a RawValue>,
}

/// A body that is there, though it be `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What became of the changes.
#[derive(Serialize)]
struct OutcomeMember<'a> {
    changes: Stored<'a, ChangeOutcomeMember<'a>>,
}

/// What became of one change.
#[derive(Serialize, Deserialize)]
struct ChangeOutcomeMember<'a> {
    #[serde(borrow)]
    target: Cow<'a, str>,
    status: u16,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    etag: Option<Cow<'a, str>>,
}

/// A problem (RFC 9457 §3).
#[derive(Serialize)]
pub(super) struct ProblemDocument<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ErrorMember<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    conflicts: Vec<ConflictMember<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<TransactionDocument<'a>>,
}

impl<'a> ProblemDocument<'a> {
    pub(super) fn of(problem: &'a Problem, instance: &'a str) -> Self {
        let errors = problem.errors.iter();
        Self {
            kind: problem_path(problem.slug),
            title: problem.slug.title(),
            status: problem.slug.status(),
            detail: &problem.detail,
            instance,
            errors: errors
                .map(|error| ErrorMember {
                    pointer: &error.pointer,
                    detail: &error.detail,
                })
                .collect(),
            conflicts: problem.conflicts.iter().map(ConflictMember::of).collect(),
            current: problem.current.as_deref().map(TransactionDocument::of),
        }
    }

    /// A problem that is no more than its status code (RFC 9457 §4.2.1).
    pub(super) fn untyped(status: u16, title: &'a str, detail: &'a str, instance: &'a str) -> Self {
        let kind = "about:blank".to_owned();
        Self {
            kind,
            title,
            status,
            detail,
            instance,
            errors: Vec::new(),
            conflicts: Vec::new(),
            current: None,
        }
    }
}

/// The URI of a problem type.
pub(super) fn problem_path(slug: Slug) -> String {
    format!("/problems/{}", slug.as_str())
}

/// One place in the content that is at fault.
#[derive(Serialize)]
struct ErrorMember<'a> {
    pointer: &'a str,
    detail: &'a str,
}

/// One false condition.
#[derive(Serialize)]
struct ConflictMember<'a> {
    change: usize,
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_match: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_none_match: Option<&'a str>,
    current: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Raw<'a>>,
}

impl<'a> ConflictMember<'a> {
    fn of(conflict: &'a Conflict) -> Self {
        Self {
            change: conflict.change,
            target: conflict.target.path(),
            if_match: conflict.if_match.as_deref(),
            if_none_match: conflict.if_none_match.as_deref(),
            current: match conflict.draft {
                Some(tag) => Some(tag.to_string()),
                None => conflict.current.map(|tag| tag.to_string()),
            },
            transaction: conflict.transaction.map(|id| id.path()),
            body: conflict.body.as_deref().map(Raw),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_clients_wrote_is_embedded_as_it_came() {
        let list = ListDocument {
            items: vec![Raw(" {\"a\":1.00, \"b\": [ ]}\n"), Raw("null")],
            next: None,
        };
        let expected = "{\n  \"items\": [\n    {\"a\":1.00, \"b\": [ ]},\n    null\n  ],\n  \"next\": null\n}\n";
        assert_eq!(String::from_utf8(pretty(&list).unwrap()).unwrap(), expected);
    }

    #[test]
    fn stored_changes_are_laid_out_anew_but_for_their_bodies() {
        let text = r#"[{"method":"PUT","target":"/resources/a/b","if_match":"\"1.f\"","body":null},{"method":"DELETE","target":"/resources/a/c","if_match":"*"}]"#;
        let changes = Stored::<ChangeMember<'_>>::of(text);
        assert_eq!(serde_json::to_string(&changes).unwrap(), text);
        assert!(
            serde_json::to_string_pretty(&changes)
                .unwrap()
                .contains("\n    \"body\": null\n")
        );
    }
}
