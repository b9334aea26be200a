//! The part of a tenant's state that a batch of commands is judged against, and what they made of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::clock::Timestamp;
use super::key::{KeyName, KeyUse};
use super::name::{Collection, ResourceName, TransactionId};
use super::schema::Schemas;
use super::state::{Resource, State, Transaction};

/// State read under lock (or in one snapshot, for commands that write nothing), and the writes so far.
///
/// Later commands of a batch see what earlier ones did.
#[derive(Clone, Debug)]
pub struct World {
    /// The database's clock, once for the batch.
    pub now: Timestamp,
    /// Ids that are not newer than this and have no row are gone (contract §5, "Retention").
    pub purge_horizon: Timestamp,
    /// A resource without a row begins above this version.
    pub version_floor: i64,
    /// What the store compares when it writes: see [`Ground::epoch`].
    pub epoch: i64,
    /// A resource longer than this is not stored.
    pub body_bytes_max: usize,
    /// How many transactions may be opened before the tenant has too many.
    pub open_room: usize,
    /// What bodies are held to: the schemas of this epoch.
    pub schemas: Arc<Schemas>,
    transactions: HashMap<TransactionId, Transaction>,
    references: HashMap<Arc<str>, TransactionId>,
    expired_references: HashMap<Arc<str>, TransactionId>,
    resources: HashMap<ResourceName, Resource>,
    keys: HashMap<KeyName, KeyUse>,
    writes: Writes,
}

/// What commands are judged by, beside the state that they name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The database's clock.
    pub now: Timestamp,
    /// The tenant's purge horizon; it never moves back.
    pub purge_horizon: Timestamp,
    /// The greatest version of any of the tenant's tombstones that were purged; it never moves back.
    pub version_floor: i64,
    /// Counts up with every change of the above but the clock, and of schemas: what was judged in an epoch is written in
    /// it or not at all.
    pub epoch: i64,
}

#[cfg(test)]
impl Ground {
    /// What a new tenant stands on at this time.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            now,
            purge_horizon: Timestamp::from_micros(0),
            version_floor: 0,
            epoch: 0,
        }
    }
}

/// What a batch writes.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Every new version of every resource, in order.
    pub versions: Vec<Version>,
    /// Names of the resources whose head is another now, in the order of locking.
    pub heads: BTreeSet<ResourceName>,
    /// Transactions to be inserted or updated, with the version that the store has (0: no row).
    pub transactions: HashMap<TransactionId, StoredTransaction>,
    /// Keys that stand for something now, in the order of writing.
    pub keys: BTreeSet<KeyName>,
    /// Pending schemas that a new body breaks: the nonce, and one of the resources.
    pub broken: BTreeMap<Collection, (i64, ResourceName)>,
}

/// One new version of a resource.
#[derive(Clone, Debug)]
pub struct Version {
    /// The resource.
    pub name: ResourceName,
    /// Its new state.
    pub resource: Resource,
    /// The position of its operation among those the batch applies, from 0.
    pub operation: usize,
}

/// How one transaction's row changes.
#[derive(Clone, Copy, Debug)]
pub struct StoredTransaction {
    /// The version in the store; 0 where there is no row.
    pub stored_version: i64,
    /// The position among the operations that the batch applies, for one that is applied.
    pub operation: Option<usize>,
}

impl World {
    /// An empty one.
    pub fn new(ground: Ground, body_bytes_max: usize) -> Self {
        Self {
            now: ground.now,
            purge_horizon: ground.purge_horizon,
            version_floor: ground.version_floor,
            epoch: ground.epoch,
            body_bytes_max,
            open_room: usize::MAX,
            schemas: Arc::default(),
            transactions: HashMap::new(),
            references: HashMap::new(),
            expired_references: HashMap::new(),
            resources: HashMap::new(),
            keys: HashMap::new(),
            writes: Writes::default(),
        }
    }

    /// With the schemas of its epoch.
    pub fn with_schemas(mut self, schemas: Arc<Schemas>) -> Self {
        self.schemas = schemas;
        self
    }

    /// Puts in a transaction as the store has it.
    pub fn load_transaction(&mut self, transaction: Transaction) {
        if let Some(reference) = &transaction.reference {
            if transaction.holds_reference_at(self.now) {
                self.references.insert(reference.clone(), transaction.id);
            } else if transaction.state == State::Open {
                self.expired_references
                    .insert(reference.clone(), transaction.id);
            }
        }
        self.transactions.insert(transaction.id, transaction);
    }

    /// Puts in a resource as the store has it.
    pub fn load_resource(&mut self, name: ResourceName, resource: Resource) {
        self.resources.insert(name, resource);
    }

    /// Puts in what a key stands for in the store.
    pub fn load_key(&mut self, name: KeyName, used: KeyUse) {
        self.keys.insert(name, used);
    }

    /// What a key stands for.
    pub fn key(&self, name: &KeyName) -> Option<&KeyUse> {
        self.keys.get(name)
    }

    /// The transaction with this id.
    pub fn transaction(&self, id: TransactionId) -> Option<&Transaction> {
        self.transactions.get(&id)
    }

    /// The transaction that holds this reference.
    pub fn reference_holder(&self, reference: &str) -> Option<&Transaction> {
        self.references
            .get(reference)
            .and_then(|id| self.transactions.get(id))
    }

    /// The transaction that has expired but still has this reference in the store.
    pub fn expired_holder(&self, reference: &str) -> Option<&Transaction> {
        let id = self.expired_references.get(reference)?;
        self.transactions
            .get(id)
            .filter(|transaction| transaction.state == State::Open)
    }

    /// The newest state of a resource, tombstones included.
    pub fn resource(&self, name: &ResourceName) -> Option<&Resource> {
        self.resources.get(name)
    }

    /// What has been written so far.
    pub fn writes(&self) -> &Writes {
        &self.writes
    }

    /// How many operations have been applied so far.
    pub fn operations(&self) -> usize {
        self.writes
            .transactions
            .values()
            .filter(|stored| stored.operation.is_some())
            .count()
    }

    /// Writes a transaction; `operation` where it is applied by this.
    pub(super) fn write_transaction(&mut self, transaction: Transaction, operation: Option<usize>) {
        let stored_version = self
            .transactions
            .get(&transaction.id)
            .map_or(0, |old| old.tag.version);
        self.writes
            .transactions
            .entry(transaction.id)
            .and_modify(|stored| stored.operation = operation.or(stored.operation))
            .or_insert(StoredTransaction {
                stored_version,
                operation,
            });
        if let Some(reference) = &transaction.reference {
            if transaction.holds_reference_at(self.now) {
                self.references.insert(reference.clone(), transaction.id);
            } else if self.references.get(reference) == Some(&transaction.id) {
                self.references.remove(reference);
            }
        }
        self.transactions.insert(transaction.id, transaction);
    }

    /// Writes what a key stands for from now on.
    pub(super) fn write_key(&mut self, name: KeyName, used: KeyUse) {
        self.writes.keys.insert(name.clone());
        self.keys.insert(name, used);
    }

    /// Takes down that a new body breaks the pending schema of its collection.
    pub(super) fn break_pending(&mut self, name: &ResourceName, nonce: i64) {
        self.writes
            .broken
            .entry(name.collection.clone())
            .or_insert_with(|| (nonce, name.clone()));
    }

    /// Writes a new version of a resource.
    pub(super) fn write_resource(
        &mut self,
        name: ResourceName,
        resource: Resource,
        operation: usize,
    ) {
        self.writes.heads.insert(name.clone());
        self.writes.versions.push(Version {
            name: name.clone(),
            resource: resource.clone(),
            operation,
        });
        self.resources.insert(name, resource);
    }
}
