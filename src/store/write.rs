//! The writes of a batch: heads, then in one statement the commit numbers, versions and transactions.
//!
//! ## Concurrency
//! The bucket's counter is taken together with the inserts that carry it, right before COMMIT: whoever holds
//! that row waits for nothing but the disk, so numbers become visible in order and the lock is held briefly.
//! Transitions are guarded here too: a row that is not open, or not older, is left alone and found missing.

mod statements;

use std::iter::repeat_n;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use self::statements::{
    DeletePlaceholders, InsertCommitted, InsertProbe, InsertUncommitted, ProbeTransaction,
    UpdateHeads,
};
use super::error::StoreError;
use crate::protocol::name::{ResourceName, Tenant};
use crate::protocol::state::{Resource, State, Transaction};
use crate::protocol::world::World;

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
