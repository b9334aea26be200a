//! The writes of a batch: heads, then in one statement the commit numbers, versions and transactions.
//!
//! ## Concurrency
//! The bucket's counter is taken together with the inserts that carry it, right before COMMIT: whoever holds
//! that row waits for nothing but the disk, so numbers become visible in order and the lock is held briefly.
//! The same row tells the epoch, compared in its own WHERE: what was judged under another horizon is judged again.
//! Transitions are guarded here too: a row that is not open, or not older, is left alone and found missing.

mod proof;
pub(super) mod statements;

use std::iter::repeat_n;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;

pub use self::proof::{Proof, proof_probe_in_txn};
use self::statements::{
    DeletePlaceholders, LockBucket, UpdateHeads, WriteCommitted, WriteUncommitted, form,
};
use super::error::StoreError;
use super::keys::keys_write_in_txn;
use super::schemas::pending_break_in_txn;
use crate::protocol::name::{ResourceName, Tenant, TransactionId};
use crate::protocol::state::{Resource, State, Transaction};
use crate::protocol::world::{Version, World};

/// Writes all that `world` holds, as far as it has changed. `named`: the ids, sorted, that others than we may take.
///
/// # Errors
/// [`StoreError::Conflict`] where a row was not as it had been found: the batch runs again.
pub fn world_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
    placeholders: &[ResourceName],
    named: &[TransactionId],
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
    pending_break_in_txn(connection, tenant, world)?;
    transactions_write_in_txn(connection, tenant, world, named)?;
    keys_write_in_txn(connection, tenant, world)
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

/// Writes the transactions of a batch.
///
/// ## Concurrency
/// Rows that are known are locked already, so only inserts can wait for each other, and only those whose ids clients
/// have made: whoever inserts one holds the bucket's row, so they come one after the other. An id that was new when it
/// was looked up and has a row by now is left alone: a batch that waits for our resources may have locked it.
fn transactions_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
    named: &[TransactionId],
) -> Result<(), StoreError> {
    let (mut expired, mut applied, mut others) =
        (Rows::default(), Rows::default(), Rows::default());
    let mut inserts_cancelled = false;
    for (id, stored) in &world.writes().transactions {
        let Some(transaction) = world.transaction(*id) else {
            continue;
        };
        let form = match (stored.stored_version, named.binary_search(id)) {
            (1.., _) => form::KNOWN,
            (_, Ok(_)) => form::NAMED,
            (_, Err(_)) => form::OURS,
        };
        inserts_cancelled |= transaction.state == State::Cancelled && form == form::NAMED;
        let (rows, position) = match (stored.operation, transaction.state) {
            (Some(position), _) => (&mut applied, i64::try_from(position).ok()),
            (None, State::Expired) => (&mut expired, None),
            (None, _) => (&mut others, None),
        };
        rows.of(form).push((transaction, position));
    }
    // Expired ones first: they free the references that others take.
    uncommitted_write_in_txn(connection, tenant, expired)?;
    // Keys are judged by the horizon too, which is compared here.
    let keyed = !world.writes().keys.is_empty();
    if (inserts_cancelled || keyed) && applied.is_empty() {
        let locked: Vec<i16> = LockBucket {
            bucket: tenant.bucket(),
            epoch: world.epoch,
            lifetime: PhantomData,
        }
        .load(connection)?;
        expect_rows(locked.len(), 1)?;
    }
    committed_write_in_txn(connection, tenant, world, applied)?;
    uncommitted_write_in_txn(connection, tenant, others)
}

/// A transaction to be written, with its position among those that the batch applies.
type Row<'a> = (&'a Transaction, Option<i64>);

/// Transactions to be written, by the form of the statement that writes them; each by id.
#[derive(Default)]
struct Rows<'a> {
    ours: Vec<Row<'a>>,
    named: Vec<Row<'a>>,
    known: Vec<Row<'a>>,
}

impl<'a> Rows<'a> {
    fn len(&self) -> usize {
        self.ours.len() + self.named.len() + self.known.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn of(&mut self, form: u8) -> &mut Vec<Row<'a>> {
        match form {
            form::OURS => &mut self.ours,
            form::NAMED => &mut self.named,
            _ => &mut self.known,
        }
    }

    fn sort(&mut self) {
        for rows in [&mut self.ours, &mut self.named, &mut self.known] {
            rows.sort_by_key(|(transaction, _)| transaction.id);
        }
    }
}

/// Commit numbers are taken, and versions written, by the first statement.
fn committed_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
    mut rows: Rows<'_>,
) -> Result<(), StoreError> {
    rows.sort();
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let (mut taken, mut versions) = (count, &world.writes().versions[..]);
    if !rows.ours.is_empty() {
        let statement =
            committed::<{ form::OURS }>(tenant, world.epoch, (taken, count), versions, &rows.ours);
        expect_rows(statement.execute(connection)?, rows.ours.len())?;
        (taken, versions) = (0, &[]);
    }
    if !rows.named.is_empty() {
        let statement = committed::<{ form::NAMED }>(
            tenant,
            world.epoch,
            (taken, count),
            versions,
            &rows.named,
        );
        expect_rows(statement.execute(connection)?, rows.named.len())?;
        (taken, versions) = (0, &[]);
    }
    if !rows.known.is_empty() {
        let statement = committed::<{ form::KNOWN }>(
            tenant,
            world.epoch,
            (taken, count),
            versions,
            &rows.known,
        );
        expect_rows(statement.execute(connection)?, rows.known.len())?;
    }
    Ok(())
}

fn uncommitted_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    mut rows: Rows<'_>,
) -> Result<(), StoreError> {
    rows.sort();
    if !rows.known.is_empty() {
        let statement = uncommitted::<{ form::KNOWN }>(tenant, &rows.known);
        expect_rows(statement.execute(connection)?, rows.known.len())?;
    }
    if !rows.named.is_empty() {
        let statement = uncommitted::<{ form::NAMED }>(tenant, &rows.named);
        expect_rows(statement.execute(connection)?, rows.named.len())?;
    }
    if !rows.ours.is_empty() {
        let statement = uncommitted::<{ form::OURS }>(tenant, &rows.ours);
        expect_rows(statement.execute(connection)?, rows.ours.len())?;
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

fn column<'a, T>(rows: &[Row<'a>], value: impl Fn(&'a Transaction) -> T) -> Vec<T> {
    rows.iter()
        .map(|(transaction, _)| value(transaction))
        .collect()
}

fn uncommitted<'a, const FORM: u8>(
    tenant: &'a Tenant,
    rows: &[Row<'a>],
) -> WriteUncommitted<'a, FORM> {
    WriteUncommitted {
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
        drafts: column(rows, |row| row.draft.as_deref()),
        positions: rows.iter().map(|(_, position)| *position).collect(),
        lifetime: PhantomData,
    }
}

/// `taken` commit numbers are taken by the statement itself, the last of `count` that are the batch's.
fn committed<'a, const FORM: u8>(
    tenant: &'a Tenant,
    epoch: i64,
    (taken, count): (i64, i64),
    versions: &'a [Version],
    rows: &[Row<'a>],
) -> WriteCommitted<'a, FORM> {
    WriteCommitted {
        taken,
        bucket: tenant.bucket(),
        epoch,
        count,
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
        drafts: column(rows, |row| row.draft.as_deref()),
        positions: rows.iter().map(|(_, position)| *position).collect(),
        lifetime: PhantomData,
    }
}
