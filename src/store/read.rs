//! Reads: one statement each, so that each is one snapshot; none waits behind a write.

use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, SmallInt, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::error::StoreError;
use super::lock::{Opened, name_of};
use super::rows::{
    self, GroundColumns, ResourceColumns, ResourceRow, TransactionColumns, TransactionRow,
    ground_columns, transaction_columns,
};
use super::statement::statement;
use crate::protocol::clock::Timestamp;
use crate::protocol::name::{Collection, ResourceName, Tenant, TransactionId};
use crate::protocol::state::{Resource, State, Transaction};

statement! {
    /// The clock, the purge horizon, and the transactions with these ids.
    ReadTransactions {
        ids: &'a [Uuid] => Array<SqlUuid>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (GroundColumns, Nullable<TransactionColumns>) = concat!(
        "SELECT ", ground_columns!(), ", ", transaction_columns!(), " FROM tenants t LEFT JOIN LATERAL (",
        "SELECT l.* FROM unnest({}) AS u(id) CROSS JOIN LATERAL (SELECT * FROM transactions r WHERE r.bucket = t.bucket ",
        "AND r.tenant = t.tenant AND r.id = u.id LIMIT 1) l) x ON true WHERE t.bucket = {} AND t.tenant = {}")
}

statement! {
    /// One resource.
    ReadResource {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        key: &'a str => Text,
    } -> (Bool, ResourceColumns) =
        "SELECT EXISTS (SELECT FROM schemas s WHERE s.bucket = r.bucket AND s.tenant = r.tenant \
           AND s.collection = r.collection AND s.content IS NOT NULL), \
         version, nonce, deleted, media_type, body, updated_at, transaction_id FROM resources r \
         WHERE bucket = {} AND tenant = {} AND collection = {} AND key = {} AND version > 0"
}

statement! {
    /// Several resources, by the places of their names, counted from 1.
    ReadEach {
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (BigInt, Bool, ResourceColumns) =
        "SELECT u.position, EXISTS (SELECT FROM schemas s WHERE s.bucket = r.bucket AND s.tenant = r.tenant \
           AND s.collection = r.collection AND s.content IS NOT NULL), r.version, r.nonce, r.deleted, r.media_type, r.body, r.updated_at, r.transaction_id \
         FROM unnest({}, {}) WITH ORDINALITY AS u(collection, key, position) \
         CROSS JOIN LATERAL (SELECT * FROM resources h WHERE h.collection = u.collection AND h.key = u.key \
           AND h.bucket = {} AND h.tenant = {} LIMIT 1) r WHERE r.version > 0"
}

statement! {
    /// A page of a collection, by key, of at most so many rows and (but for the first row) so many bytes.
    ReadPage {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        after: &'a str => Text,
        from: &'a str => Text,
        to: Option<String> => Nullable<Text>,
        limit: i64 => BigInt,
        bytes: i64 => BigInt,
    } -> (BigInt, Text, Text, ResourceColumns) =
        "SELECT found, collection, key, version, nonce, deleted, media_type, body, updated_at, transaction_id FROM ( \
           SELECT r.*, count(*) OVER () AS found, \
             sum(octet_length(r.body)) OVER (ORDER BY r.key) - octet_length(r.body) AS before FROM ( \
             SELECT * FROM resources WHERE bucket = {} AND tenant = {} AND collection = {} AND NOT deleted \
             AND key > {} AND key >= {} AND ({}::text IS NULL OR key < $6) ORDER BY key LIMIT {}) r) p \
         WHERE before < {} ORDER BY key"
}

statement! {
    /// The collections that hold a resource: a loose scan, one index probe a collection.
    ReadCollections {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        after: &'a str => Text,
        from: &'a str => Text,
        to: Option<String> => Nullable<Text>,
        limit: i64 => BigInt,
    } -> Text =
        "WITH RECURSIVE p AS (SELECT {}::smallint AS bucket, {} AS tenant, {} COLLATE \"C\" AS after, \
           {} COLLATE \"C\" AS first, {}::text COLLATE \"C\" AS last), \
         c AS ( \
           SELECT (SELECT r.collection FROM resources r WHERE r.bucket = p.bucket AND r.tenant = p.tenant \
                   AND r.collection > p.after AND r.collection >= p.first ORDER BY r.collection LIMIT 1) FROM p \
           UNION ALL \
           SELECT (SELECT r.collection FROM resources r WHERE r.bucket = p.bucket AND r.tenant = p.tenant \
                   AND r.collection > c.collection ORDER BY r.collection LIMIT 1) FROM c, p WHERE c.collection IS NOT NULL) \
         SELECT c.collection FROM c CROSS JOIN p CROSS JOIN LATERAL (SELECT FROM resources r WHERE r.bucket = p.bucket \
           AND r.tenant = p.tenant AND r.collection = c.collection AND NOT r.deleted LIMIT 1) r \
         WHERE c.collection IS NOT NULL AND (p.last IS NULL OR c.collection < p.last) \
         ORDER BY c.collection LIMIT {}"
}

statement! {
    /// A page of transactions, newest first, without those that are gone. The cursor is a condition of the index
    /// whatever its value: "none, or older than it" would be looked at row by row. So is the state "open", which has an
    /// index of its own.
    ReadTransactionPage<FORM> {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        state: Option<&'a str> => Nullable<Text>,
        before: Uuid => SqlUuid,
        limit: i64 => BigInt,
    } -> TransactionColumns = match FORM {
        form::OPEN => concat!(
            "SELECT ", transaction_columns!(), " FROM transactions x WHERE x.bucket = {} AND x.tenant = {} ",
            "AND x.state = 'open' AND x.expires_at > clock_timestamp() AND {}::text = 'open' AND x.id < {} ",
            "ORDER BY x.id DESC LIMIT {}"),
        _ => concat!(
            "SELECT ", transaction_columns!(), " FROM transactions x WHERE x.bucket = {} AND x.tenant = {} ",
            "AND x.state IN ('open', 'committed') AND NOT (x.state = 'open' AND x.expires_at <= clock_timestamp()) ",
            "AND ({}::text IS NULL OR x.state = $3) AND x.id < {} ",
            "ORDER BY x.id DESC LIMIT {}"),
    }
}

/// The forms of a page of transactions.
mod form {
    /// Open ones only.
    pub(super) const OPEN: u8 = 0;
    /// In any state, or in one that is told.
    pub(super) const ANY: u8 = 1;
}

statement! {
    /// The transaction that has this reference, if it is not gone.
    ReadReferenced {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        reference: &'a str => Text,
    } -> TransactionColumns = concat!(
        "SELECT ", transaction_columns!(), " FROM transactions x WHERE x.bucket = {} AND x.tenant = {} AND x.reference = {} ",
        "AND x.state IN ('open', 'committed') AND NOT (x.state = 'open' AND x.expires_at <= clock_timestamp())")
}

/// The clock, the purge horizon and the transactions with these ids, without locks.
///
/// # Errors
/// [`StoreError`]; `Corrupt` where the tenant has no row.
pub fn transactions_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    ids: &[TransactionId],
) -> Result<Opened, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let statement = ReadTransactions {
        ids: &ids,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    super::lock::opened(statement.load(connection)?)
}

/// A resource, and whether its collection has a schema.
pub type Described = (Resource, bool);

/// Each of these resources with its body, in their order; its tombstone where it is deleted.
///
/// # Errors
/// [`StoreError`].
pub fn resources_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    names: &[&ResourceName],
) -> Result<Vec<Option<Described>>, StoreError> {
    if let [name] = names {
        return Ok(vec![resource_fetch(connection, tenant, name)?]);
    }
    let (collections, keys): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(|name| (name.collection.as_str(), name.key.as_str()))
        .unzip();
    let statement = ReadEach {
        collections: &collections,
        keys: &keys,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    let found: Vec<(i64, bool, ResourceRow)> = statement.load(connection)?;
    let mut resources = vec![None; names.len()];
    for (position, described, row) in found {
        let place = usize::try_from(position - 1).ok();
        let place = place.and_then(|index| resources.get_mut(index));
        *place.ok_or(StoreError::Corrupt("a row was not asked for"))? =
            Some((rows::resource(row), described));
    }
    Ok(resources)
}

/// One resource with its body; its tombstone where it is deleted.
///
/// # Errors
/// [`StoreError`].
fn resource_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    name: &ResourceName,
) -> Result<Option<Described>, StoreError> {
    let statement = ReadResource {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: name.collection.as_str(),
        key: name.key.as_str(),
        lifetime: PhantomData,
    };
    let found: Option<(bool, ResourceRow)> = statement.get_result(connection).optional()?;
    Ok(found.map(|(described, row)| (rows::resource(row), described)))
}

/// Up to `limit` resources of a collection with keys after `after` that begin with `prefix`, in the order of keys,
/// and fewer where their bodies are larger than `bytes` together.
///
/// # Errors
/// [`StoreError`].
pub fn resource_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    (after, prefix): (&str, &str),
    (limit, bytes): (usize, usize),
) -> Result<ResourcePage, StoreError> {
    let statement = ReadPage {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        after,
        from: prefix,
        to: behind(prefix),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    let rows: Vec<(i64, String, String, ResourceRow)> = statement.load(connection)?;
    let found = rows.first().map_or(0, |(found, ..)| *found);
    let cut = i64::try_from(rows.len()).is_ok_and(|sent| sent < found);
    let items = named(
        rows.into_iter()
            .map(|(_, collection, key, row)| (collection, key, row))
            .collect(),
    )?;
    Ok(ResourcePage { items, cut })
}

/// A page of resources.
pub struct ResourcePage {
    /// In the order of their keys.
    pub items: Vec<(ResourceName, Resource)>,
    /// Whether it was cut because of its size.
    pub cut: bool,
}

/// The first string behind all that begin with `prefix`: keys are ASCII, so its last byte plus one is a character.
pub(super) fn behind(prefix: &str) -> Option<String> {
    let mut bytes = prefix.as_bytes().to_vec();
    let last = bytes.last_mut()?;
    *last = last.checked_add(1).filter(u8::is_ascii)?;
    String::from_utf8(bytes).ok()
}

pub(super) fn named(
    found: Vec<(String, String, ResourceRow)>,
) -> Result<Vec<(ResourceName, Resource)>, StoreError> {
    found
        .into_iter()
        .map(|(collection, key, row)| Ok((name_of(&collection, &key)?, rows::resource(row))))
        .collect()
}

/// Up to `limit` collections after `after` that begin with `prefix` and hold a resource.
///
/// # Errors
/// [`StoreError`].
pub fn collection_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    (after, prefix): (&str, &str),
    limit: usize,
) -> Result<Vec<Collection>, StoreError> {
    let statement = ReadCollections {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        after,
        from: prefix,
        to: behind(prefix),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    let found: Vec<String> = statement.load(connection)?;
    found
        .iter()
        .map(|name| {
            Collection::parse(name).ok_or(StoreError::Corrupt(
                "a collection's name has a form that none has",
            ))
        })
        .collect()
}

/// Up to `limit` transactions older than `after`, newest first, that are in `state`.
///
/// # Errors
/// [`StoreError`].
pub fn transaction_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    state: Option<State>,
    after: Option<TransactionId>,
    limit: usize,
) -> Result<Vec<Transaction>, StoreError> {
    if state == Some(State::Open) {
        return page::<{ form::OPEN }>(connection, tenant, state, after, limit);
    }
    page::<{ form::ANY }>(connection, tenant, state, after, limit)
}

fn page<const FORM: u8>(
    connection: &mut PgConnection,
    tenant: &Tenant,
    state: Option<State>,
    after: Option<TransactionId>,
    limit: usize,
) -> Result<Vec<Transaction>, StoreError> {
    let statement = ReadTransactionPage::<FORM> {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        state: state.map(State::as_str),
        // No id of a transaction is the greatest UUID: it is of no version (RFC 9562 §5.10).
        before: after.map_or(Uuid::max(), |id| id.uuid()),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    let found: Vec<TransactionRow> = statement.load(connection)?;
    found.into_iter().map(rows::transaction).collect()
}

/// The transaction that has this reference, while it is open or committed.
///
/// # Errors
/// [`StoreError`].
pub fn referenced_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    reference: &str,
) -> Result<Option<Transaction>, StoreError> {
    let statement = ReadReferenced {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        reference,
        lifetime: PhantomData,
    };
    let found: Option<TransactionRow> = statement.get_result(connection).optional()?;
    found.map(rows::transaction).transpose()
}

/// The tenant's purge horizon.
///
/// # Errors
/// [`StoreError`]; `Corrupt` where the tenant has no row.
pub fn purge_horizon_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
) -> Result<Timestamp, StoreError> {
    Ok(transactions_fetch(connection, tenant, &[])?
        .ground
        .purge_horizon)
}
