//! The writes of a batch: heads, then in one statement the commit numbers, versions and transactions.
//!
//! ## Concurrency
//! The bucket's counter is taken together with the inserts that carry it, right before COMMIT: whoever holds
//! that row waits for nothing but the disk, so numbers become visible in order and the lock is held briefly.
//! Transitions are guarded here too: a row that is not open, or not older, is left alone and found missing.

use std::iter::repeat_n;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use super::statement::statement;
use crate::protocol::name::{ResourceName, Tenant};
use crate::protocol::state::{Resource, State, Transaction};
use crate::protocol::world::World;

statement! {
    /// Brings heads to their newest state; their rows are there and locked.
    UpdateHeads {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
        versions: Vec<i64> => Array<BigInt>,
        nonces: Vec<i64> => Array<BigInt>,
        deleted: Vec<bool> => Array<Bool>,
        media_types: Vec<&'a str> => Array<Text>,
        bodies: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        times: Vec<OffsetDateTime> => Array<Timestamptz>,
        transactions: Vec<Uuid> => Array<SqlUuid>,
    } -> () =
        "UPDATE resources r SET version = u.version, nonce = u.nonce, deleted = u.deleted, media_type = u.media_type, \
         body = u.body, updated_at = u.updated_at, transaction_id = u.transaction_id \
         FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(bucket, tenant, collection, key, version, nonce, deleted, media_type, body, \
         updated_at, transaction_id) \
         WHERE r.bucket = u.bucket AND r.tenant = u.tenant AND r.collection = u.collection AND r.key = u.key"
}

statement! {
    /// Removes the names that were only locked.
    DeletePlaceholders {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
    } -> () =
        "DELETE FROM resources r USING unnest({}, {}, {}, {}) AS u(bucket, tenant, collection, key) \
         WHERE r.bucket = u.bucket AND r.tenant = u.tenant AND r.collection = u.collection AND r.key = u.key AND r.version = 0"
}

/// The insert of transactions that both statements below end in; `n` is their one row of the bucket.
macro_rules! insert_transactions {
    ($commit_number:literal) => {
        concat!(
            "INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, ",
            "reference, metadata, operation, digest, outcome, commit_number) ",
            "SELECT n.bucket, u.tenant, u.id, u.state, u.version, u.nonce, u.created_at, u.expires_at, u.finished_at, ",
            "u.reference, u.metadata, u.operation, u.digest, u.outcome, ", $commit_number,
            " FROM n, unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(tenant, id, state, version, nonce, ",
            "created_at, expires_at, finished_at, reference, metadata, operation, digest, outcome, position) ",
            "ON CONFLICT (bucket, tenant, id) DO UPDATE SET state = excluded.state, version = excluded.version, ",
            "nonce = excluded.nonce, expires_at = excluded.expires_at, finished_at = excluded.finished_at, ",
            "operation = excluded.operation, digest = excluded.digest, outcome = excluded.outcome, ",
            "commit_number = excluded.commit_number ",
            "WHERE transactions.state = 'open' AND transactions.version < excluded.version"
        )
    };
}

statement! {
    /// Takes commit numbers, and inserts the versions and transactions that carry them.
    InsertCommitted {
        count: i64 => BigInt,
        bucket: i16 => SmallInt,
        count_again: i64 => BigInt,
        version_tenants: Vec<&'a str> => Array<Text>,
        collections: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
        versions: Vec<i64> => Array<BigInt>,
        nonces: Vec<i64> => Array<BigInt>,
        deleted: Vec<bool> => Array<Bool>,
        media_types: Vec<&'a str> => Array<Text>,
        bodies: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        times: Vec<OffsetDateTime> => Array<Timestamptz>,
        writers: Vec<Uuid> => Array<SqlUuid>,
        version_positions: Vec<i64> => Array<BigInt>,
        tenants: Vec<&'a str> => Array<Text>,
        ids: Vec<Uuid> => Array<SqlUuid>,
        states: Vec<&'a str> => Array<Text>,
        tx_versions: Vec<i64> => Array<BigInt>,
        tx_nonces: Vec<i64> => Array<BigInt>,
        created: Vec<OffsetDateTime> => Array<Timestamptz>,
        expires: Vec<OffsetDateTime> => Array<Timestamptz>,
        finished: Vec<Option<OffsetDateTime>> => Array<Nullable<Timestamptz>>,
        references: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        metadata: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        operations: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        digests: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        outcomes: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        positions: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    } -> () = concat!(
        "WITH n AS (UPDATE buckets SET last_commit = last_commit + {} WHERE bucket = {} ",
        "RETURNING bucket, last_commit - {} + 1 AS first_commit), ",
        "v AS (INSERT INTO versions (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at, ",
        "transaction_id, commit_number) SELECT n.bucket, u.tenant, u.collection, u.key, u.version, u.nonce, u.deleted, ",
        "u.media_type, u.body, u.updated_at, u.transaction_id, n.first_commit + u.position ",
        "FROM n, unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(tenant, collection, key, version, nonce, deleted, ",
        "media_type, body, updated_at, transaction_id, position)) ",
        insert_transactions!("n.first_commit + u.position"))
}

statement! {
    /// Writes transactions none of which is applied by it: created, renewed, cancelled, expired.
    InsertUncommitted {
        bucket: i16 => SmallInt,
        tenants: Vec<&'a str> => Array<Text>,
        ids: Vec<Uuid> => Array<SqlUuid>,
        states: Vec<&'a str> => Array<Text>,
        tx_versions: Vec<i64> => Array<BigInt>,
        tx_nonces: Vec<i64> => Array<BigInt>,
        created: Vec<OffsetDateTime> => Array<Timestamptz>,
        expires: Vec<OffsetDateTime> => Array<Timestamptz>,
        finished: Vec<Option<OffsetDateTime>> => Array<Nullable<Timestamptz>>,
        references: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        metadata: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        operations: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        digests: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        outcomes: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        positions: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    } -> () = concat!(
        "WITH n AS (SELECT bucket FROM buckets WHERE bucket = {}) ", insert_transactions!("NULL"))
}

statement! {
    /// The nonce of a transaction's row; waits for whoever is writing it. The nonce is no part of the WHERE, which
    /// is judged before the wait.
    ProbeTransaction {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        id: Uuid => SqlUuid,
    } -> BigInt =
        "SELECT nonce FROM transactions WHERE bucket = {} AND tenant = {} AND id = {} FOR UPDATE"
}

statement! {
    /// A row that is never committed: it waits for whoever is inserting the same id.
    InsertProbe {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        id: Uuid => SqlUuid,
        now: OffsetDateTime => Timestamptz,
        later: OffsetDateTime => Timestamptz,
    } -> () =
        "INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at) \
         VALUES ({}, {}, {}, 'open', 0, 0, {}, {}) ON CONFLICT DO NOTHING"
}

/// Writes all that `world` holds, as far as it has changed.
///
/// # Errors
/// [`StoreError::Conflict`] where a row was not as it had been found: the batch runs again.
pub fn world_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
    placeholders: &[ResourceName],
) -> Result<(), StoreError> {
    heads_write_in_txn(connection, tenant, world)?;
    let unused: Vec<&ResourceName> = placeholders
        .iter()
        .filter(|name| !world.writes().heads.contains(*name))
        .collect();
    if !unused.is_empty() {
        let (collections, keys) = unused
            .iter()
            .map(|name| (name.collection.as_str(), name.key.as_str()))
            .unzip();
        DeletePlaceholders {
            buckets: repeat_n(tenant.bucket(), unused.len()).collect(),
            tenants: repeat_n(tenant.as_str(), unused.len()).collect(),
            collections,
            keys,
            lifetime: PhantomData,
        }
        .execute(connection)?;
    }
    transactions_write_in_txn(connection, tenant, world)
}

fn heads_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
) -> Result<(), StoreError> {
    let heads: Vec<(&ResourceName, &Resource)> = world
        .writes()
        .heads
        .iter()
        .filter_map(|name| world.resource(name).map(|resource| (name, resource)))
        .collect();
    if heads.is_empty() {
        return Ok(());
    }
    let statement = UpdateHeads {
        buckets: repeat_n(tenant.bucket(), heads.len()).collect(),
        tenants: repeat_n(tenant.as_str(), heads.len()).collect(),
        collections: heads
            .iter()
            .map(|(name, _)| name.collection.as_str())
            .collect(),
        keys: heads.iter().map(|(name, _)| name.key.as_str()).collect(),
        versions: heads.iter().map(|(_, head)| head.tag.version).collect(),
        nonces: heads.iter().map(|(_, head)| head.tag.nonce).collect(),
        deleted: heads.iter().map(|(_, head)| head.deleted).collect(),
        media_types: heads.iter().map(|(_, head)| &*head.media_type).collect(),
        bodies: heads.iter().map(|(_, head)| head.body.as_deref()).collect(),
        times: heads
            .iter()
            .map(|(_, head)| head.updated_at.to_datetime())
            .collect(),
        transactions: heads
            .iter()
            .map(|(_, head)| head.transaction.uuid())
            .collect(),
        lifetime: PhantomData,
    };
    expect_rows(statement.execute(connection)?, heads.len())
}

fn transactions_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
) -> Result<(), StoreError> {
    let mut applied: Vec<(&Transaction, Option<i64>)> = Vec::new();
    let mut others: Vec<(&Transaction, Option<i64>)> = Vec::new();
    for (id, stored) in &world.writes().transactions {
        let Some(transaction) = world.transaction(*id) else {
            continue;
        };
        match stored.operation {
            Some(position) => applied.push((transaction, i64::try_from(position).ok())),
            None => others.push((transaction, None)),
        }
    }
    // Expired ones first, since they free the references that others take; then by id, the order of locks.
    for rows in [&mut applied, &mut others] {
        rows.sort_by_key(|(transaction, _)| (transaction.state != State::Expired, transaction.id));
    }
    if !others.is_empty() {
        let written = insert_uncommitted(tenant, &others).execute(connection)?;
        expect_rows(written, others.len())?;
    }
    if !applied.is_empty() {
        let written = insert_committed(tenant, world, &applied).execute(connection)?;
        expect_rows(written, applied.len())?;
    }
    Ok(())
}

/// Fewer rows than expected: somebody else was faster, and the batch must look again.
fn expect_rows(written: usize, expected: usize) -> Result<(), StoreError> {
    if written == expected {
        Ok(())
    } else {
        Err(StoreError::Conflict(diesel::result::Error::NotFound))
    }
}

/// Whether the batch that wrote this transaction with this nonce has committed. Nothing is changed.
///
/// ## Concurrency
/// The insert waits for a commit under way on the same id, the locking read for one on the same row; a plain
/// read might see neither. Both are undone by the caller's ROLLBACK.
///
/// # Errors
/// [`StoreError`].
pub fn transaction_probe_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    transaction: &Transaction,
) -> Result<bool, StoreError> {
    let (bucket, tenant, id) = (tenant.bucket(), tenant.as_str(), transaction.id.uuid());
    InsertProbe {
        bucket,
        tenant,
        id,
        now: transaction.created_at.to_datetime(),
        later: transaction.expires_at.to_datetime(),
        lifetime: PhantomData,
    }
    .execute(connection)?;
    let found: Vec<i64> = ProbeTransaction {
        bucket,
        tenant,
        id,
        lifetime: PhantomData,
    }
    .load(connection)?;
    Ok(found == [transaction.tag.nonce])
}

fn column<'a, T>(
    rows: &[(&'a Transaction, Option<i64>)],
    value: impl Fn(&'a Transaction) -> T,
) -> Vec<T> {
    rows.iter()
        .map(|(transaction, _)| value(transaction))
        .collect()
}

fn insert_uncommitted<'a>(
    tenant: &'a Tenant,
    rows: &[(&'a Transaction, Option<i64>)],
) -> InsertUncommitted<'a> {
    InsertUncommitted {
        bucket: tenant.bucket(),
        tenants: repeat_n(tenant.as_str(), rows.len()).collect(),
        ids: column(rows, |row| row.id.uuid()),
        states: column(rows, |row| row.state.as_str()),
        tx_versions: column(rows, |row| row.tag.version),
        tx_nonces: column(rows, |row| row.tag.nonce),
        created: column(rows, |row| row.created_at.to_datetime()),
        expires: column(rows, |row| row.expires_at.to_datetime()),
        finished: column(rows, |row| row.finished_at.map(|time| time.to_datetime())),
        references: column(rows, |row| row.reference.as_deref()),
        metadata: column(rows, |row| row.metadata.as_deref()),
        operations: column(rows, |row| row.operation.as_deref()),
        digests: column(rows, |row| {
            row.digest.as_ref().map(|digest| digest.as_slice())
        }),
        outcomes: column(rows, |row| row.outcome.as_deref()),
        positions: rows.iter().map(|(_, position)| *position).collect(),
        lifetime: PhantomData,
    }
}

fn insert_committed<'a>(
    tenant: &'a Tenant,
    world: &'a World,
    rows: &[(&'a Transaction, Option<i64>)],
) -> InsertCommitted<'a> {
    let versions = &world.writes().versions;
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    InsertCommitted {
        count,
        bucket: tenant.bucket(),
        count_again: count,
        version_tenants: repeat_n(tenant.as_str(), versions.len()).collect(),
        collections: versions
            .iter()
            .map(|version| version.name.collection.as_str())
            .collect(),
        keys: versions
            .iter()
            .map(|version| version.name.key.as_str())
            .collect(),
        versions: versions
            .iter()
            .map(|version| version.resource.tag.version)
            .collect(),
        nonces: versions
            .iter()
            .map(|version| version.resource.tag.nonce)
            .collect(),
        deleted: versions
            .iter()
            .map(|version| version.resource.deleted)
            .collect(),
        media_types: versions
            .iter()
            .map(|version| &*version.resource.media_type)
            .collect(),
        bodies: versions
            .iter()
            .map(|version| version.resource.body.as_deref())
            .collect(),
        times: versions
            .iter()
            .map(|version| version.resource.updated_at.to_datetime())
            .collect(),
        writers: versions
            .iter()
            .map(|version| version.resource.transaction.uuid())
            .collect(),
        version_positions: versions
            .iter()
            .map(|version| i64::try_from(version.operation).unwrap_or(i64::MAX))
            .collect(),
        tenants: repeat_n(tenant.as_str(), rows.len()).collect(),
        ids: column(rows, |row| row.id.uuid()),
        states: column(rows, |row| row.state.as_str()),
        tx_versions: column(rows, |row| row.tag.version),
        tx_nonces: column(rows, |row| row.tag.nonce),
        created: column(rows, |row| row.created_at.to_datetime()),
        expires: column(rows, |row| row.expires_at.to_datetime()),
        finished: column(rows, |row| row.finished_at.map(|time| time.to_datetime())),
        references: column(rows, |row| row.reference.as_deref()),
        metadata: column(rows, |row| row.metadata.as_deref()),
        operations: column(rows, |row| row.operation.as_deref()),
        digests: column(rows, |row| {
            row.digest.as_ref().map(|digest| digest.as_slice())
        }),
        outcomes: column(rows, |row| row.outcome.as_deref()),
        positions: rows.iter().map(|(_, position)| *position).collect(),
        lifetime: PhantomData,
    }
}
