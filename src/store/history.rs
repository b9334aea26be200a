//! The history of a resource: every state it ever had, and who wrote each.
//!
//! Rows of `versions` are never updated, so what is read of one holds for ever. Which of its neighbours exist does not.

use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use super::rows::{self, ResourceColumns, ResourceRow};
use super::statement::statement;
use crate::protocol::name::{ResourceName, Tenant};
use crate::protocol::state::Resource;

/// version, nonce, deleted, media_type, updated_at, transaction_id: a version without its body.
type HeadColumns = (BigInt, BigInt, Bool, Text, Timestamptz, SqlUuid);
/// The same as Rust values.
type HeadRow = (i64, i64, bool, String, OffsetDateTime, Uuid);

statement! {
    /// A page of a history, newest first; one empty row where the resource has no such version, none where it never was.
    ReadVersions {
        before: i64 => BigInt,
        limit: i64 => BigInt,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        key: &'a str => Text,
    } -> Nullable<HeadColumns> =
        "SELECT v.version, v.nonce, v.deleted, v.media_type, v.updated_at, v.transaction_id FROM resources r \
         LEFT JOIN LATERAL (SELECT s.version, s.nonce, s.deleted, s.media_type, s.updated_at, s.transaction_id \
           FROM versions s WHERE s.bucket = r.bucket AND s.tenant = r.tenant AND s.collection = r.collection \
           AND s.key = r.key AND s.version < {} ORDER BY s.version DESC LIMIT {}) v ON true \
         WHERE r.bucket = {} AND r.tenant = {} AND r.collection = {} AND r.key = {} AND r.version > 0 \
         ORDER BY v.version DESC"
}

statement! {
    /// One version, and the versions beside it that are no deletions.
    ReadVersion {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        key: &'a str => Text,
        version: i64 => BigInt,
    } -> (ResourceColumns, Nullable<BigInt>, Nullable<BigInt>) =
        "SELECT v.version, v.nonce, v.deleted, v.media_type, v.body, v.updated_at, v.transaction_id, \
           (SELECT p.version FROM versions p WHERE p.bucket = v.bucket AND p.tenant = v.tenant \
            AND p.collection = v.collection AND p.key = v.key AND p.version < v.version AND NOT p.deleted \
            ORDER BY p.version DESC LIMIT 1), \
           (SELECT s.version FROM versions s WHERE s.bucket = v.bucket AND s.tenant = v.tenant \
            AND s.collection = v.collection AND s.key = v.key AND s.version > v.version AND NOT s.deleted \
            ORDER BY s.version LIMIT 1) \
         FROM versions v WHERE v.bucket = {} AND v.tenant = {} AND v.collection = {} AND v.key = {} AND v.version = {}"
}

statement! {
    /// The number of the newest version.
    ReadNewest {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        key: &'a str => Text,
    } -> BigInt =
        "SELECT version FROM resources WHERE bucket = {} AND tenant = {} AND collection = {} AND key = {} AND version > 0"
}

/// The number of the newest version of a resource, its deletion counted; `None` where it never existed.
///
/// # Errors
/// [`StoreError`].
pub fn newest_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    name: &ResourceName,
) -> Result<Option<i64>, StoreError> {
    let statement = ReadNewest {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: name.collection.as_str(),
        key: name.key.as_str(),
        lifetime: PhantomData,
    };
    Ok(statement.get_result(connection).optional()?)
}

/// One state that a resource had.
pub struct VersionFound {
    /// The state; without a body where it is a deletion.
    pub state: Resource,
    /// The version of the state before.
    pub predecessor: Option<i64>,
    /// The version of the state after.
    pub successor: Option<i64>,
}

/// Up to `limit` versions below `before`, newest first, without their bodies; `None` where the resource never existed.
///
/// # Errors
/// [`StoreError`].
pub fn version_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    name: &ResourceName,
    before: i64,
    limit: usize,
) -> Result<Option<Vec<Resource>>, StoreError> {
    let statement = ReadVersions {
        before,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: name.collection.as_str(),
        key: name.key.as_str(),
        lifetime: PhantomData,
    };
    let found: Vec<Option<HeadRow>> = statement.load(connection)?;
    let exists = !found.is_empty();
    Ok(exists.then(|| found.into_iter().flatten().map(without_body).collect()))
}

fn without_body(row: HeadRow) -> Resource {
    let (version, nonce, deleted, media_type, updated_at, transaction) = row;
    rows::resource((
        version,
        nonce,
        deleted,
        media_type,
        None,
        updated_at,
        transaction,
    ))
}

/// One version with its body and its neighbours; `None` where there is none of that number.
///
/// # Errors
/// [`StoreError`].
pub fn version_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    name: &ResourceName,
    version: i64,
) -> Result<Option<VersionFound>, StoreError> {
    let statement = ReadVersion {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: name.collection.as_str(),
        key: name.key.as_str(),
        version,
        lifetime: PhantomData,
    };
    let found: Option<(ResourceRow, Option<i64>, Option<i64>)> =
        statement.get_result(connection).optional()?;
    Ok(found.map(|(row, predecessor, successor)| VersionFound {
        state: rows::resource(row),
        predecessor,
        successor,
    }))
}
