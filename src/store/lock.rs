//! The locks of a batch, and the state found under them.
//!
//! ## Concurrency
//! Order of locking, the same in every batch: transactions by id, then names that may not exist yet (as
//! placeholder rows, by name), then resources by name, then the bucket's counter. A placeholder that is not
//! committed is invisible to the statement that locks existing rows, so nobody waits for one while holding
//! row locks of that later phase; a cycle is impossible.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use super::rows::{
    self, GroundColumns, GroundRow, ResourceColumns, ResourceRow, TransactionColumns,
    TransactionRow, ground_columns, transaction_columns,
};
use super::statement::statement;
use crate::protocol::clock::Timestamp;
use crate::protocol::name::{Collection, Key, ResourceName, Tenant, TransactionId};
use crate::protocol::state::{Resource, Transaction};
use crate::protocol::world::Ground;

statement! {
    /// Locks transactions in the order of their ids, and reads the ground.
    LockTransactions {
        ids: &'a [Uuid] => Array<SqlUuid>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (GroundColumns, Nullable<TransactionColumns>) = concat!(
        "SELECT ", ground_columns!(), ", ", transaction_columns!(), " FROM tenants t LEFT JOIN LATERAL (",
        "SELECT l.* FROM unnest({}) AS u(id) CROSS JOIN LATERAL (SELECT * FROM transactions w WHERE w.bucket = t.bucket ",
        "AND w.tenant = t.tenant AND w.id = u.id FOR UPDATE) l) x ON true WHERE t.bucket = {} AND t.tenant = {}")
}

statement! {
    /// The transactions that have these references in the store.
    FindReferences {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        references: &'a [&'a str] => Array<Text>,
    } -> SqlUuid =
        "SELECT id FROM transactions WHERE bucket = {} AND tenant = {} AND reference = ANY({}) \
         AND state IN ('open', 'committed')"
}

statement! {
    /// Takes names that may not exist; answers with those that did not.
    InsertPlaceholders {
        tenant: &'a str => Text,
        now: OffsetDateTime => Timestamptz,
        nobody: Uuid => SqlUuid,
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
        bucket: i16 => SmallInt,
    } -> (Text, Text) =
        "INSERT INTO resources (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at, \
         transaction_id) SELECT a.bucket, {}, u.collection, u.key, 0, 0, true, '', NULL, {}, {} \
         FROM unnest({}, {}) AS u(collection, key), buckets a WHERE a.bucket = {} \
         ON CONFLICT (bucket, tenant, collection, key) DO NOTHING RETURNING collection, key"
}

statement! {
    /// Locks resources one by one in the order given: for update where written, for share where asserted.
    LockResources {
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
        writes: &'a [bool] => Array<Bool>,
        bodies: &'a [bool] => Array<Bool>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (BigInt, ResourceColumns) =
        "SELECT u.position, r.version, r.nonce, r.deleted, r.media_type, CASE WHEN u.body THEN r.body END, r.updated_at, \
         r.transaction_id FROM unnest({}, {}, {}, {}) WITH ORDINALITY AS u(collection, key, writes, body, position) \
         CROSS JOIN (SELECT {}::smallint AS bucket, {} AS tenant) p \
         CROSS JOIN LATERAL ( \
           SELECT * FROM (SELECT * FROM resources h WHERE h.bucket = p.bucket AND h.tenant = p.tenant \
             AND h.collection = u.collection AND h.key = u.key AND u.writes FOR UPDATE) w \
           UNION ALL \
           SELECT * FROM (SELECT * FROM resources h WHERE h.bucket = p.bucket AND h.tenant = p.tenant \
             AND h.collection = u.collection AND h.key = u.key AND NOT u.writes FOR SHARE) s) r"
}

statement! {
    /// Reads the same without locks, in one snapshot.
    ReadResources {
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
        bodies: &'a [bool] => Array<Bool>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (BigInt, ResourceColumns) =
        "SELECT u.position, r.version, r.nonce, r.deleted, r.media_type, CASE WHEN u.body THEN r.body END, r.updated_at, \
         r.transaction_id FROM unnest({}, {}, {}) WITH ORDINALITY AS u(collection, key, body, position) \
         CROSS JOIN LATERAL (SELECT * FROM resources h WHERE h.collection = u.collection AND h.key = u.key \
           AND h.bucket = {} AND h.tenant = {} LIMIT 1) r WHERE r.version > 0"
}

/// How one name is used by a batch: the strongest of all its commands' uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Locked for update, not only against writers.
    pub writes: bool,
    /// The name itself is locked where it does not exist.
    pub may_create: bool,
    /// The body is read.
    pub reads_body: bool,
}

/// The names that a batch uses, in the order of locking.
pub type Uses<'a> = BTreeMap<&'a ResourceName, Use>;

/// The ground, and the transactions found.
pub struct Opened {
    /// What is judged by; the clock was read after the locks were held.
    pub ground: Ground,
    /// Those that exist.
    pub transactions: Vec<Transaction>,
}

/// Locks the transactions with these ids (sorted), and reads the clock.
///
/// # Errors
/// [`StoreError`]; `Corrupt` where the tenant has no row.
pub fn transactions_lock_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    ids: &[TransactionId],
) -> Result<Opened, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let statement = LockTransactions {
        ids: &ids,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    opened(statement.load(connection)?)
}

/// The ground and the transactions, from rows that repeat the former.
pub(super) fn opened(
    found: Vec<(GroundRow, Option<TransactionRow>)>,
) -> Result<Opened, StoreError> {
    let mut opened: Option<Opened> = None;
    for (ground, row) in found {
        let ground = rows::ground(ground);
        let opened = opened.get_or_insert_with(|| Opened {
            ground,
            transactions: Vec::new(),
        });
        opened.ground.now = opened.ground.now.max(ground.now);
        if let Some(row) = row {
            opened.transactions.push(rows::transaction(row)?);
        }
    }
    opened.ok_or(StoreError::Corrupt("the tenant has no row"))
}

/// The ids of the transactions that have these references, expired ones included; nothing is locked.
///
/// # Errors
/// [`StoreError`].
pub fn references_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    references: &[&str],
) -> Result<Vec<TransactionId>, StoreError> {
    let statement = FindReferences {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        references,
        lifetime: PhantomData,
    };
    let found: Vec<Uuid> = statement.load(connection)?;
    Ok(found.into_iter().map(TransactionId::from_uuid).collect())
}

/// Takes the names in `uses` that may be created, and answers with those that did not exist.
///
/// # Errors
/// [`StoreError`].
pub fn placeholders_insert_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    now: Timestamp,
    uses: &Uses<'_>,
) -> Result<Vec<ResourceName>, StoreError> {
    let (collections, keys): (Vec<&str>, Vec<&str>) = uses
        .iter()
        .filter(|(_, usage)| usage.may_create)
        .map(|(name, _)| (name.collection.as_str(), name.key.as_str()))
        .unzip();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let statement = InsertPlaceholders {
        tenant: tenant.as_str(),
        now: now.to_datetime(),
        nobody: Uuid::nil(),
        collections: &collections,
        keys: &keys,
        bucket: tenant.bucket(),
        lifetime: PhantomData,
    };
    let inserted: Vec<(String, String)> = statement.load(connection)?;
    inserted
        .into_iter()
        .map(|(collection, key)| name_of(&collection, &key))
        .collect()
}

/// Locks every name in `uses` that has a row, placeholders included, and reads it.
///
/// # Errors
/// [`StoreError`].
pub fn resources_lock_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    uses: &Uses<'_>,
) -> Result<Vec<(ResourceName, Resource)>, StoreError> {
    let (collections, keys) = columns(uses);
    let (writes, bodies): (Vec<bool>, Vec<bool>) = uses
        .values()
        .map(|usage| (usage.writes, usage.reads_body))
        .unzip();
    let statement = LockResources {
        collections: &collections,
        keys: &keys,
        writes: &writes,
        bodies: &bodies,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    named(statement.load(connection)?, uses)
}

/// Reads every name in `uses` that exists, tombstones included, in one snapshot and without locks.
///
/// # Errors
/// [`StoreError`].
pub fn resources_read(
    connection: &mut PgConnection,
    tenant: &Tenant,
    uses: &Uses<'_>,
) -> Result<Vec<(ResourceName, Resource)>, StoreError> {
    let (collections, keys) = columns(uses);
    let bodies: Vec<bool> = uses.values().map(|usage| usage.reads_body).collect();
    let statement = ReadResources {
        collections: &collections,
        keys: &keys,
        bodies: &bodies,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    named(statement.load(connection)?, uses)
}

fn columns<'a>(uses: &Uses<'a>) -> (Vec<&'a str>, Vec<&'a str>) {
    uses.keys()
        .map(|name| (name.collection.as_str(), name.key.as_str()))
        .unzip()
}

/// Puts the names back to rows that carry their position, counted from 1.
fn named(
    found: Vec<(i64, ResourceRow)>,
    uses: &Uses<'_>,
) -> Result<Vec<(ResourceName, Resource)>, StoreError> {
    let names: Vec<&ResourceName> = uses.keys().copied().collect();
    found
        .into_iter()
        .map(|(position, row)| {
            let name = usize::try_from(position - 1)
                .ok()
                .and_then(|index| names.get(index));
            let name = name.ok_or(StoreError::Corrupt("a locked row has no name"))?;
            Ok(((*name).clone(), rows::resource(row)))
        })
        .collect()
}

/// A name from its columns.
pub(super) fn name_of(collection: &str, key: &str) -> Result<ResourceName, StoreError> {
    match (Collection::parse(collection), Key::parse(key)) {
        (Some(collection), Some(key)) => Ok(ResourceName { collection, key }),
        _ => Err(StoreError::Corrupt(
            "a stored name has a form that no name has",
        )),
    }
}
