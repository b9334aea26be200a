//! What is stored: resources and transactions as values, without a word on how they are stored.

use std::sync::Arc;

use super::clock::Timestamp;
use super::name::TransactionId;
use super::tag::{DocumentTag, StateTag};

/// The newest state of one resource; of a deleted one, its tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Version and nonce; what its `ETag` is made of.
    pub tag: StateTag,
    /// Whether the newest version is a deletion.
    pub deleted: bool,
    /// The `Content-Type` it came with.
    pub media_type: Arc<str>,
    /// The bytes it came as; `None` where deleted, or where nobody asked the store for them.
    pub body: Option<Arc<str>>,
    /// When this version was written; never earlier than the version before.
    pub updated_at: Timestamp,
    /// The transaction that wrote it.
    pub transaction: TransactionId,
}

/// Where a transaction stands (contract §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Created, not decided.
    Open,
    /// Applied, for ever.
    Committed,
    /// Given up by its client; it never happened and never will.
    Cancelled,
    /// Its time ran out while it was open.
    Expired,
}

impl State {
    /// The word in documents and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Committed => "committed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Reads the word; `None` for any other.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::Committed, Self::Cancelled, Self::Expired]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// One transaction as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// Its id, a UUID of version 7.
    pub id: TransactionId,
    /// The stored state; see [`Transaction::state_at`] for the one that counts.
    pub state: State,
    /// Version and nonce; what its `ETag` is made of.
    pub tag: DocumentTag,
    /// When the row came to be.
    pub created_at: Timestamp,
    /// Until when it may stay open.
    pub expires_at: Timestamp,
    /// When it was decided.
    pub finished_at: Option<Timestamp>,
    /// The client's own name for it, unique per tenant.
    pub reference: Option<Arc<str>>,
    /// The client's own JSON object, as it came.
    pub metadata: Option<Arc<str>>,
    /// The operation: a JSON array of changes, normalised as [`super::operation`] does.
    pub operation: Option<Arc<str>>,
    /// SHA-256 of the operation's canonical form: what "the same operation" means.
    pub digest: Option<[u8; 32]>,
    /// What became of each change: a JSON array.
    pub outcome: Option<Arc<str>>,
    /// What [`super::draft`] keeps beside the operation.
    pub draft: Option<Arc<str>>,
}

impl Transaction {
    /// The state at `now`: an open one whose time has run out is expired (contract §5, "Expire").
    pub fn state_at(&self, now: Timestamp) -> State {
        if self.state == State::Open && self.expires_at <= now {
            State::Expired
        } else {
            self.state
        }
    }

    /// Whether its reference is taken at `now`: cancelled and expired ones have freed it.
    pub fn holds_reference_at(&self, now: Timestamp) -> bool {
        matches!(self.state_at(now), State::Open | State::Committed)
    }
}
