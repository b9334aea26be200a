//! What keys of clients stand for. Rows are written with what the request did, never updated, and purged with it.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use super::lock::name_of;
use super::statement::statement;
use crate::protocol::clock::Timestamp;
use crate::protocol::key::{KeyAnswer, KeyName, KeyUse};
use crate::protocol::name::{ResourceName, Tenant, TransactionId};
use crate::protocol::state::Resource;
use crate::protocol::tag::StateTag;
use crate::protocol::world::World;

/// What a direct write said of the version that it made: collection, key, version, nonce, deleted, updated_at.
type WrittenColumns = (Text, Text, BigInt, BigInt, Bool, Timestamptz);
/// The same as Rust values.
type WrittenRow = (String, String, i64, i64, bool, OffsetDateTime);
/// Position, fingerprint, transaction, created, what was written, media type and body of that version.
type KeyRow = (
    i64,
    Vec<u8>,
    Uuid,
    bool,
    Option<WrittenRow>,
    Option<String>,
    Option<String>,
);

statement! {
    /// What these keys stand for, with the versions that they made; bodies where they are wanted.
    ReadKeys {
        principals: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
        bodies: Vec<bool> => Array<Bool>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (BigInt, Binary, SqlUuid, Bool, Nullable<WrittenColumns>, Nullable<Text>, Nullable<Text>) =
        "SELECT u.position, k.fingerprint, k.transaction_id, k.created, k.collection, k.resource_key, k.version, k.nonce, \
         k.deleted, k.updated_at, v.media_type, CASE WHEN u.body THEN v.body END \
         FROM unnest({}, {}, {}) WITH ORDINALITY AS u(principal, key, body, position) \
         CROSS JOIN LATERAL (SELECT * FROM keys h WHERE h.principal = u.principal AND h.key = u.key \
           AND h.bucket = {} AND h.tenant = {} LIMIT 1) k \
         LEFT JOIN LATERAL (SELECT * FROM versions w WHERE w.bucket = k.bucket AND w.tenant = k.tenant \
           AND w.collection = k.collection AND w.key = k.resource_key AND w.version = k.version LIMIT 1) v ON true"
}

statement! {
    /// Writes what keys stand for; those that stand for something already are left alone, and missing in the count.
    InsertKeys {
        tenant: &'a str => Text,
        principals: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
        fingerprints: Vec<&'a [u8]> => Array<Binary>,
        transactions: Vec<Uuid> => Array<SqlUuid>,
        created: Vec<bool> => Array<Bool>,
        collections: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        resource_keys: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        versions: Vec<Option<i64>> => Array<Nullable<BigInt>>,
        nonces: Vec<Option<i64>> => Array<Nullable<BigInt>>,
        deleted: Vec<Option<bool>> => Array<Nullable<Bool>>,
        times: Vec<Option<OffsetDateTime>> => Array<Nullable<Timestamptz>>,
        bucket: i16 => SmallInt,
    } -> () =
        "INSERT INTO keys (bucket, tenant, principal, key, fingerprint, transaction_id, created, collection, resource_key, \
         version, nonce, deleted, updated_at) SELECT a.bucket, {}, u.* \
         FROM buckets a, unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u WHERE a.bucket = {} \
         ON CONFLICT (bucket, tenant, principal, key) DO NOTHING"
}

statement! {
    /// Forgets the keys that stand for these transactions.
    DeleteKeys {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        transactions: Vec<Uuid> => Array<SqlUuid>,
    } -> () = "DELETE FROM keys WHERE bucket = {} AND tenant = {} AND transaction_id = ANY({})"
}

/// What these keys stand for, those that stand for anything. The body of what a direct write made is read where the
/// key is mapped to `true`; what a POST answered with is the id of its transaction alone.
///
/// # Errors
/// [`StoreError`].
pub fn keys_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    wanted: &BTreeMap<&KeyName, bool>,
) -> Result<Vec<(KeyName, Found)>, StoreError> {
    let statement = ReadKeys {
        principals: wanted.keys().map(|name| &*name.principal).collect(),
        keys: wanted.keys().map(|name| &*name.text).collect(),
        bodies: wanted.values().copied().collect(),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    let names: Vec<&KeyName> = wanted.keys().copied().collect();
    let rows: Vec<KeyRow> = statement.load(connection)?;
    rows.into_iter()
        .map(|row| {
            let place = usize::try_from(row.0 - 1).ok();
            let name = place.and_then(|index| names.get(index));
            let name = name.ok_or(StoreError::Corrupt("a key was not asked for"))?;
            Ok(((*name).clone(), found(row)?))
        })
        .collect()
}

/// A key as it is stored.
pub struct Found {
    /// Of the first request with the key.
    pub fingerprint: [u8; 32],
    /// The transaction that it was, or was answered with.
    pub transaction: TransactionId,
    /// Whether that was created by it.
    pub created: bool,
    /// What a direct write made; without media type and body where that version is there no more.
    pub written: Option<(ResourceName, Resource)>,
}

fn found(row: KeyRow) -> Result<Found, StoreError> {
    let (_, fingerprint, transaction, created, written, media_type, body) = row;
    let transaction = TransactionId::from_uuid(transaction);
    let written = match written {
        None => None,
        Some((collection, key, version, nonce, deleted, updated_at)) => {
            let resource = Resource {
                tag: StateTag { version, nonce },
                deleted,
                media_type: media_type.unwrap_or_default().into(),
                body: body.map(Into::into),
                updated_at: Timestamp::from(updated_at),
                transaction,
            };
            Some((name_of(&collection, &key)?, resource))
        }
    };
    Ok(Found {
        fingerprint: fingerprint
            .try_into()
            .map_err(|_| StoreError::Corrupt("a fingerprint is not 32 bytes long"))?,
        transaction,
        created,
        written,
    })
}

/// Writes the keys of a batch.
///
/// ## Concurrency
/// It is the last statement of its transaction, in the order of keys: whoever waits for a key waits for a COMMIT. A key
/// that stood for nothing when it was looked up and does now is left alone: the batch runs again, and finds it.
///
/// # Errors
/// [`StoreError::Conflict`] where one of them stands for something already.
pub(super) fn keys_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
) -> Result<(), StoreError> {
    let keys = world.writes().keys.iter();
    let rows: Vec<(&KeyName, &KeyUse)> = keys
        .filter_map(|name| Some((name, world.key(name)?)))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let written: Vec<Option<(&ResourceName, &Resource)>> = rows
        .iter()
        .map(|(_, used)| match &used.answer {
            KeyAnswer::Written(name, resource) => Some((name, resource)),
            KeyAnswer::Transaction(_) => None,
        })
        .collect();
    let statement = InsertKeys {
        tenant: tenant.as_str(),
        principals: rows.iter().map(|(name, _)| &*name.principal).collect(),
        keys: rows.iter().map(|(name, _)| &*name.text).collect(),
        fingerprints: rows
            .iter()
            .map(|(_, used)| used.fingerprint.as_slice())
            .collect(),
        transactions: rows
            .iter()
            .map(|(_, used)| used.transaction.uuid())
            .collect(),
        created: rows.iter().map(|(_, used)| used.created).collect(),
        collections: column(&written, |name, _| name.collection.as_str()),
        resource_keys: column(&written, |name, _| name.key.as_str()),
        versions: column(&written, |_, made| made.tag.version),
        nonces: column(&written, |_, made| made.tag.nonce),
        deleted: column(&written, |_, made| made.deleted),
        times: column(&written, |_, made| made.updated_at.to_datetime()),
        bucket: tenant.bucket(),
        lifetime: PhantomData,
    };
    if statement.execute(connection)? == rows.len() {
        return Ok(());
    }
    Err(StoreError::Conflict(diesel::result::Error::NotFound))
}

fn column<'a, T>(
    written: &[Option<(&'a ResourceName, &'a Resource)>],
    value: impl Fn(&'a ResourceName, &'a Resource) -> T,
) -> Vec<Option<T>> {
    let values = written.iter();
    values
        .map(|made| made.map(|(name, resource)| value(name, resource)))
        .collect()
}

/// Forgets the keys that stand for these transactions, which are purged in the same Postgres transaction; how many.
///
/// # Errors
/// [`StoreError`].
pub fn keys_purge_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    transactions: &[TransactionId],
) -> Result<usize, StoreError> {
    let statement = DeleteKeys {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        transactions: transactions.iter().map(TransactionId::uuid).collect(),
        lifetime: PhantomData,
    };
    Ok(statement.execute(connection)?)
}
