//! What a read asks for, and what it gets.

use crate::protocol::clock::Timestamp;
use crate::protocol::name::{Collection, Key, ResourceName};
use crate::protocol::state::{Resource, State};

/// A page of resources.
#[derive(Clone, Debug)]
pub struct ResourceQuery {
    /// Which resources.
    pub scope: ResourceScope,
    /// Only those behind this position: a key.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Which resources a list is about.
#[derive(Clone, Debug)]
pub enum ResourceScope {
    /// Those of one collection.
    Collection {
        /// The collection.
        collection: Collection,
        /// Only keys that begin so.
        prefix: Option<String>,
        /// Only these keys, all on one page.
        keys: Option<Vec<Key>>,
    },
    /// These, of any collections, all on one page.
    Named(Vec<ResourceName>),
}

/// A page of collections.
#[derive(Clone, Debug)]
pub struct CollectionQuery {
    /// Only those behind this name.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// Only names that begin so.
    pub prefix: Option<String>,
}

/// A page of transactions, newest first.
#[derive(Clone, Debug)]
pub struct TransactionQuery {
    /// Only those in this state.
    pub state: Option<State>,
    /// Only the one with this reference.
    pub reference: Option<String>,
    /// Only those older than this id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of the versions of a resource, newest first.
#[derive(Clone, Debug)]
pub struct VersionQuery {
    /// Whose versions.
    pub name: ResourceName,
    /// Only those older than this one.
    pub after: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// One state that a resource had, and its place in the history.
#[derive(Clone, Debug)]
pub struct Version {
    /// The state; a deletion has no body.
    pub state: Resource,
    /// The number of the state before, deletions left out.
    pub predecessor: Option<i64>,
    /// The number of the state after, deletions left out, if there is one yet.
    pub successor: Option<i64>,
}

/// Some items of a list, and where the next page begins.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// The position of the last item, where more follow.
    pub next: Option<String>,
}

/// What the service document tells of a tenant.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Ids not newer than this are gone unless they have a row.
    pub purge_horizon: Timestamp,
}
