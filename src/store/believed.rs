//! Writing without having looked: the statement finds out by itself whether the state is what it was taken for.
//!
//! ## Concurrency
//! The tags stand in the updated rows' own WHERE, which Postgres judges again after it has waited for a lock (a
//! sub-select or another CTE it would not). Locks are taken in the order of every batch: resources by name, then the
//! bucket's counter, then ids that clients have made, behind that counter. Where anything is not as believed, the
//! statement takes no commit number and inserts nothing: what it may have updated is undone by the caller. A lone one has
//! then updated nothing, or fails.

use std::iter::repeat_n;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::statement;
use super::write::statements::form;
use crate::protocol::belief::Believed;
use crate::protocol::name::{ResourceName, Tenant};
use crate::protocol::state::{Resource, Transaction};
use crate::protocol::tag::StateTag;

/// All of it but what happens where a transaction's id is taken.
macro_rules! write_believed {
    () => {
        "WITH h AS (UPDATE resources r SET version = u.version + 1, nonce = u.new_nonce, deleted = u.deleted, \
         media_type = u.media_type, body = u.body, updated_at = u.updated_at, transaction_id = u.transaction_id \
         FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(bucket, tenant, collection, key, version, nonce, new_nonce, \
         deleted, media_type, body, updated_at, transaction_id, position) \
         WHERE r.bucket = u.bucket AND r.tenant = u.tenant AND r.collection = u.collection AND r.key = u.key \
         AND r.version = u.version AND r.nonce = u.nonce AND NOT r.deleted AND r.updated_at <= u.updated_at \
         RETURNING r.*, u.position), \
         n AS (UPDATE buckets SET last_commit = last_commit + {} WHERE bucket = {} AND epoch = {} AND (SELECT count(*) FROM h) = {} \
         RETURNING bucket, last_commit - {} + 1 AS first_commit), \
         v AS (INSERT INTO versions (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at, \
         transaction_id, commit_number) SELECT h.bucket, h.tenant, h.collection, h.key, h.version, h.nonce, h.deleted, \
         h.media_type, h.body, h.updated_at, h.transaction_id, n.first_commit + h.position FROM n, h) \
         INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, metadata, \
         operation, digest, outcome, commit_number) SELECT n.bucket, {}, u.id, 'committed', u.version, u.nonce, \
         u.created_at, u.expires_at, u.finished_at, u.metadata, u.operation, u.digest, u.outcome, n.first_commit + u.position \
         FROM n, unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(id, version, nonce, created_at, expires_at, \
         finished_at, metadata, operation, digest, outcome, position) "
    };
}

statement! {
    /// Heads, commit numbers, versions and transactions of a batch; as many rows as transactions, or none.
    WriteBelieved<FORM> {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
        old_versions: Vec<i64> => Array<BigInt>,
        old_nonces: Vec<i64> => Array<BigInt>,
        nonces: Vec<i64> => Array<BigInt>,
        deleted: Vec<bool> => Array<Bool>,
        media_types: Vec<&'a str> => Array<Text>,
        bodies: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        times: Vec<OffsetDateTime> => Array<Timestamptz>,
        writers: Vec<Uuid> => Array<SqlUuid>,
        version_positions: Vec<i64> => Array<BigInt>,
        count: i64 => BigInt,
        bucket: i16 => SmallInt,
        epoch: i64 => BigInt,
        heads: i64 => BigInt,
        count_again: i64 => BigInt,
        transaction_tenant: &'a str => Text,
        ids: Vec<Uuid> => Array<SqlUuid>,
        tx_versions: Vec<i64> => Array<BigInt>,
        tx_nonces: Vec<i64> => Array<BigInt>,
        created: Vec<OffsetDateTime> => Array<Timestamptz>,
        expires: Vec<OffsetDateTime> => Array<Timestamptz>,
        finished: Vec<Option<OffsetDateTime>> => Array<Nullable<Timestamptz>>,
        metadata: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        operations: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        digests: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        outcomes: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        positions: Vec<i64> => Array<BigInt>,
    } -> () = match FORM {
        form::OURS => write_believed!(),
        _ => concat!(write_believed!(), "ON CONFLICT (bucket, tenant, id) DO NOTHING"),
    }
}

statement! {
    /// The same of one operation with one change, as a transaction by itself. In another epoch there is no commit number,
    /// which no row may lack: the statement fails, and what it has updated is undone.
    WriteBelievedAlone {
        nonce: i64 => BigInt,
        deleted: bool => Bool,
        media_type: &'a str => Text,
        body: Option<&'a str> => Nullable<Text>,
        time: OffsetDateTime => Timestamptz,
        writer: Uuid => SqlUuid,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        key: &'a str => Text,
        old_version: i64 => BigInt,
        old_nonce: i64 => BigInt,
        time_again: OffsetDateTime => Timestamptz,
        id: Uuid => SqlUuid,
        epoch: i64 => BigInt,
        id_again: Uuid => SqlUuid,
        tx_version: i64 => BigInt,
        tx_nonce: i64 => BigInt,
        created: OffsetDateTime => Timestamptz,
        expires: OffsetDateTime => Timestamptz,
        finished: Option<OffsetDateTime> => Nullable<Timestamptz>,
        metadata: Option<&'a str> => Nullable<Text>,
        operation: Option<&'a str> => Nullable<Text>,
        digest: Option<&'a [u8]> => Nullable<Binary>,
        outcome: Option<&'a str> => Nullable<Text>,
    } -> () =
        "WITH s AS MATERIALIZED (SELECT set_config('lock_timeout', '5s', true) AS lock_timeout), \
         h AS (UPDATE resources r SET version = r.version + 1, nonce = {}, deleted = {}, media_type = {}, body = {}, \
         updated_at = {}, transaction_id = {} FROM s WHERE s.lock_timeout IS NOT NULL AND r.bucket = {} AND r.tenant = {} \
         AND r.collection = {} AND r.key = {} AND r.version = {} AND r.nonce = {} AND NOT r.deleted AND r.updated_at <= {} \
         AND NOT EXISTS (SELECT FROM transactions t WHERE t.bucket = r.bucket AND t.tenant = r.tenant AND t.id = {}) \
         RETURNING r.*), \
         n AS (UPDATE buckets b SET last_commit = b.last_commit + 1 FROM h WHERE b.bucket = h.bucket AND b.epoch = {} \
         RETURNING b.last_commit), \
         v AS (INSERT INTO versions (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at, \
         transaction_id, commit_number) SELECT h.bucket, h.tenant, h.collection, h.key, h.version, h.nonce, h.deleted, \
         h.media_type, h.body, h.updated_at, h.transaction_id, n.last_commit FROM h LEFT JOIN n ON true) \
         INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, metadata, \
         operation, digest, outcome, commit_number) SELECT h.bucket, h.tenant, {}, 'committed', {}, {}, {}, {}, {}, {}, {}, {}, \
         {}, n.last_commit FROM h LEFT JOIN n ON true"
}

/// Writes all of `believed` inside a transaction. `false` where something is not as believed: then the caller rolls back.
///
/// # Errors
/// Whatever the database says.
pub fn believed_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    believed: &Believed,
) -> QueryResult<bool> {
    // Nobody else takes an id that we have made; without a look at that, a row costs a tenth less.
    if believed.named {
        return batch_write::<{ form::NAMED }>(connection, tenant, believed);
    }
    batch_write::<{ form::OURS }>(connection, tenant, believed)
}

fn batch_write<const FORM: u8>(
    connection: &mut PgConnection,
    tenant: &Tenant,
    believed: &Believed,
) -> QueryResult<bool> {
    let heads = heads(believed);
    let transactions = transactions(believed);
    let count = i64::try_from(transactions.len()).unwrap_or(i64::MAX);
    let written = WriteBelieved::<FORM> {
        buckets: repeat_n(tenant.bucket(), heads.len()).collect(),
        tenants: repeat_n(tenant.as_str(), heads.len()).collect(),
        collections: heads
            .iter()
            .map(|head| head.name.collection.as_str())
            .collect(),
        keys: heads.iter().map(|head| head.name.key.as_str()).collect(),
        old_versions: heads.iter().map(|head| head.old.version).collect(),
        old_nonces: heads.iter().map(|head| head.old.nonce).collect(),
        nonces: heads.iter().map(|head| head.new.tag.nonce).collect(),
        deleted: heads.iter().map(|head| head.new.deleted).collect(),
        media_types: heads.iter().map(|head| &*head.new.media_type).collect(),
        bodies: heads.iter().map(|head| head.new.body.as_deref()).collect(),
        times: heads
            .iter()
            .map(|head| head.new.updated_at.to_datetime())
            .collect(),
        writers: heads
            .iter()
            .map(|head| head.new.transaction.uuid())
            .collect(),
        version_positions: heads.iter().map(|head| head.position).collect(),
        count,
        bucket: tenant.bucket(),
        epoch: believed.world.epoch,
        heads: i64::try_from(heads.len()).unwrap_or(i64::MAX),
        count_again: count,
        transaction_tenant: tenant.as_str(),
        ids: column(&transactions, |row| row.id.uuid()),
        tx_versions: column(&transactions, |row| row.tag.version),
        tx_nonces: column(&transactions, |row| row.tag.nonce),
        created: column(&transactions, |row| row.created_at.to_datetime()),
        expires: column(&transactions, |row| row.expires_at.to_datetime()),
        finished: column(&transactions, |row| {
            row.finished_at.map(|time| time.to_datetime())
        }),
        metadata: column(&transactions, |row| row.metadata.as_deref()),
        operations: column(&transactions, |row| row.operation.as_deref()),
        digests: column(&transactions, |row| {
            row.digest.as_ref().map(|digest| digest.as_slice())
        }),
        outcomes: column(&transactions, |row| row.outcome.as_deref()),
        positions: transactions.iter().map(|(_, position)| *position).collect(),
        lifetime: PhantomData,
    }
    .execute(connection)?;
    Ok(written == transactions.len())
}

/// Writes `believed` in one round trip, without a transaction around it. `false` where something is not as believed,
/// or where it is more than one change: then nothing was written.
///
/// # Errors
/// Whatever the database says.
pub fn believed_write_alone(
    connection: &mut PgConnection,
    tenant: &Tenant,
    believed: &Believed,
) -> QueryResult<bool> {
    let (heads, transactions) = (heads(believed), transactions(believed));
    let ([head], [(transaction, _)]) = (&heads[..], &transactions[..]) else {
        return Ok(false);
    };
    let time = head.new.updated_at.to_datetime();
    let statement = WriteBelievedAlone {
        nonce: head.new.tag.nonce,
        deleted: head.new.deleted,
        media_type: &head.new.media_type,
        body: head.new.body.as_deref(),
        time,
        writer: head.new.transaction.uuid(),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: head.name.collection.as_str(),
        key: head.name.key.as_str(),
        old_version: head.old.version,
        old_nonce: head.old.nonce,
        time_again: time,
        id: transaction.id.uuid(),
        epoch: believed.world.epoch,
        id_again: transaction.id.uuid(),
        tx_version: transaction.tag.version,
        tx_nonce: transaction.tag.nonce,
        created: transaction.created_at.to_datetime(),
        expires: transaction.expires_at.to_datetime(),
        finished: transaction.finished_at.map(|time| time.to_datetime()),
        metadata: transaction.metadata.as_deref(),
        operation: transaction.operation.as_deref(),
        digest: transaction.digest.as_ref().map(|digest| digest.as_slice()),
        outcome: transaction.outcome.as_deref(),
        lifetime: PhantomData,
    };
    Ok(statement.execute(connection)? == 1)
}

/// One resource: where it is believed to be, and where it goes.
struct Head<'a> {
    name: &'a ResourceName,
    old: StateTag,
    new: &'a Resource,
    position: i64,
}

/// In the order of locking.
fn heads(believed: &Believed) -> Vec<Head<'_>> {
    let mut heads: Vec<Head<'_>> = believed
        .world
        .writes()
        .versions
        .iter()
        .filter_map(|version| {
            Some(Head {
                name: &version.name,
                old: *believed.states.get(&version.name)?,
                new: &version.resource,
                position: i64::try_from(version.operation).ok()?,
            })
        })
        .collect();
    heads.sort_unstable_by_key(|head| head.name);
    heads
}

/// By id, as every batch inserts them.
fn transactions(believed: &Believed) -> Vec<(&Transaction, i64)> {
    let world = &believed.world;
    let written = world.writes().transactions.iter();
    let mut transactions: Vec<(&Transaction, i64)> = written
        .filter_map(|(id, stored)| {
            let position = i64::try_from(stored.operation?).ok()?;
            Some((world.transaction(*id)?, position))
        })
        .collect();
    transactions.sort_unstable_by_key(|(transaction, _)| transaction.id);
    transactions
}

fn column<'a, T>(rows: &[(&'a Transaction, i64)], value: impl Fn(&'a Transaction) -> T) -> Vec<T> {
    rows.iter()
        .map(|(transaction, _)| value(transaction))
        .collect()
}
