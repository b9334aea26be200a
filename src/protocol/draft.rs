//! Drafts (contract §5): changes that an open transaction keeps without applying them, and how a resource looks through
//! them.
//!
//! The changes are kept as any operation is. Beside them stands a record of this module: the nonce of each change, of
//! which its tag is made, and, once the draft was committed by PATCH, the tag that this started from. What may be recorded
//! and when, [`super::decide`] says; this module must not know it.

use std::sync::Arc;

use etag::EntityTag;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;
use super::name::{ResourceName, TransactionId};
use super::operation::{Change, ChangeMethod, Operation, stored_changes};
use super::patch::{self, PatchFailure, PatchKind, Work};
use super::problem::{Problem, Slug};
use super::state::{Resource, Transaction};
use super::tag::DraftTag;

/// What is stored beside the operation.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    /// One for each change, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nonces: Vec<i64>,
    /// The transaction's tag, with its quotes, that a commit by PATCH started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

/// The draft of an open transaction.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    entries: Vec<Entry>,
}

/// One change, and the nonce that it was recorded under.
#[derive(Clone, Debug)]
struct Entry {
    change: Change,
    nonce: i64,
}

/// A resource as a draft leaves it.
#[derive(Clone, Debug)]
pub enum View<'a> {
    /// It is not there; in words, why.
    Absent(&'static str),
    /// The draft leaves it alone, or only asserts it.
    Own(&'a Resource),
    /// The draft puts this document.
    Document(&'a Change, DraftTag),
    /// The draft patches what is there.
    Patched(&'a Change, PatchKind, &'a Resource, DraftTag),
}

/// What a client sees of a view.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The tag of the view.
    pub tag: EntityTag,
    /// Its media type.
    pub media_type: Arc<str>,
    /// Its bytes; `None` where they were not asked for.
    pub body: Option<Arc<str>>,
    /// When and by whom it was written, where it is the resource's own state.
    pub written: Option<(Timestamp, TransactionId)>,
}

impl Draft {
    /// The draft that an open transaction keeps; empty where it keeps none.
    ///
    /// # Errors
    /// `internal-error` where what is stored is no operation.
    pub fn of(transaction: &Transaction) -> Result<Self, Problem> {
        let Some(text) = &transaction.operation else {
            return Ok(Self::default());
        };
        let changes = stored_changes(text).ok_or_else(|| {
            Problem::new(
                Slug::InternalError,
                "The draft could not be read. Nothing was changed.",
            )
        })?;
        let nonces = record_of(transaction).nonces;
        let entries = changes
            .into_iter()
            .enumerate()
            .map(|(index, change)| Entry {
                change,
                nonce: nonces.get(index).copied().unwrap_or(transaction.tag.nonce),
            })
            .collect();
        Ok(Self { entries })
    }

    /// Whether it changes and asserts nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many changes it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The recorded change of a resource, an assertion too.
    pub fn change(&self, target: &ResourceName) -> Option<&Change> {
        self.entry(target).map(|entry| &entry.change)
    }

    /// Whether the change of a resource was recorded under this nonce.
    pub fn is_recorded_under(&self, target: &ResourceName, nonce: i64) -> bool {
        self.entry(target).is_some_and(|entry| entry.nonce == nonce)
    }

    fn entry(&self, target: &ResourceName) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| entry.change.target == *target)
    }

    /// A resource through the draft; `resource` is its newest state, tombstones included.
    pub fn view<'a>(&'a self, target: &ResourceName, resource: Option<&'a Resource>) -> View<'a> {
        let present = resource.filter(|resource| !resource.deleted);
        let own = match present {
            Some(resource) => View::Own(resource),
            None => View::Absent("does not exist"),
        };
        let Some(Entry { change, nonce }) = self.entry(target) else {
            return own;
        };
        match (change.method, present) {
            (ChangeMethod::Get, _) if change.conditions.if_none_match.is_some() => {
                View::Absent("is not there, as this draft asserts")
            }
            (ChangeMethod::Get, _) => own,
            (ChangeMethod::Delete, _) => View::Absent("is deleted by this draft"),
            (ChangeMethod::Put, _) => View::Document(change, DraftTag::of_document(*nonce)),
            (ChangeMethod::Patch(kind), Some(resource)) => {
                let tag = DraftTag::of_patched(*nonce, resource.tag);
                View::Patched(change, kind, resource, tag)
            }
            (ChangeMethod::Patch(_), None) => {
                View::Absent("does not exist, and so this draft cannot patch it")
            }
        }
    }

    /// Records a change in the place of another of the same resource, or as the last.
    pub fn record(&mut self, change: Change, nonce: i64) {
        let entry = Entry { change, nonce };
        let mut entries = self.entries.iter_mut();
        match entries.find(|other| other.change.target == entry.change.target) {
            Some(place) => *place = entry,
            None => self.entries.push(entry),
        }
    }

    /// Takes the change of a resource out.
    pub fn forget(&mut self, target: &ResourceName) {
        self.entries.retain(|entry| entry.change.target != *target);
    }

    /// The draft with these changes; those that were in it already, to the letter, keep their tags.
    pub fn replaced(&self, changes: &[Change], nonce: i64) -> Self {
        let kept = |change: &Change| {
            let old = self.entry(&change.target)?;
            (old.change.text() == change.text()).then_some(old.nonce)
        };
        let entries = changes.iter().map(|change| Entry {
            change: change.clone(),
            nonce: kept(change).unwrap_or(nonce),
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// The operation that it is.
    pub fn operation(&self) -> Operation {
        let changes = self.entries.iter().map(|entry| entry.change.clone());
        Operation::new(changes.collect())
    }

    /// Makes it the draft of a transaction; `operation` is its own.
    pub fn store(&self, operation: &Operation, transaction: &mut Transaction) {
        if self.is_empty() {
            (transaction.operation, transaction.digest) = (None, None);
            transaction.draft = None;
            return;
        }
        transaction.operation = Some(operation.text.clone());
        transaction.digest = Some(operation.digest);
        transaction.draft = text_of(&Record {
            nonces: self.entries.iter().map(|entry| entry.nonce).collect(),
            from: None,
        });
    }
}

/// Keeps for a transaction, still open, under which tag its draft is being committed.
pub fn started_from(transaction: &mut Transaction) {
    transaction.draft = text_of(&Record {
        nonces: Vec::new(),
        from: Some(transaction.tag.to_string()),
    });
}

/// The tag, with its quotes, under which the draft of a transaction was committed by PATCH.
pub fn committed_from(transaction: &Transaction) -> Option<String> {
    record_of(transaction).from
}

fn record_of(transaction: &Transaction) -> Record {
    let text = transaction.draft.as_deref();
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn text_of(record: &Record) -> Option<Arc<str>> {
    serde_json::to_string(record).ok().map(Arc::from)
}

impl View<'_> {
    /// Its tag, of a resource that is there.
    pub fn tag(&self) -> Option<EntityTag> {
        match self {
            Self::Absent(_) => None,
            Self::Own(resource) => Some(resource.tag.entity_tag()),
            Self::Document(_, tag) | Self::Patched(.., tag) => Some(tag.entity_tag()),
        }
    }

    /// The tag that only a draft gives.
    pub fn draft_tag(&self) -> Option<DraftTag> {
        match self {
            Self::Absent(_) | Self::Own(_) => None,
            Self::Document(_, tag) | Self::Patched(.., tag) => Some(*tag),
        }
    }

    /// What a client sees of it, with its bytes; `None` where it is not there. A patch makes at most `body_bytes_max` bytes.
    ///
    /// # Errors
    /// Why the patch does not fit what is there by now.
    pub fn shown(&self, body_bytes_max: usize) -> Result<Option<Shown>, Vec<PatchFailure>> {
        let (media_type, body, written) = match self {
            Self::Absent(_) => return Ok(None),
            Self::Own(resource) => {
                let written = (resource.updated_at, resource.transaction);
                (&resource.media_type, resource.body.clone(), Some(written))
            }
            Self::Document(change, _) => (&change.media_type, change.body.clone(), None),
            Self::Patched(change, kind, resource, _) => {
                let stored = resource.body.as_deref().unwrap_or("null");
                let patch = change.body.as_deref().unwrap_or("null");
                let mut work = Work::default();
                let body = patch::apply_within(*kind, stored, patch, body_bytes_max, &mut work)?;
                (&resource.media_type, Some(body.into()), None)
            }
        };
        Ok(self.tag().map(|tag| Shown {
            tag,
            media_type: media_type.clone(),
            body,
            written,
        }))
    }
}

#[cfg(test)]
mod tests;
