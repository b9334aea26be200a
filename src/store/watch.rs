//! What waiters ask again and again: which of many transactions are not as they were.

use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, SmallInt, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::error::StoreError;
use super::statement::statement;
use crate::protocol::name::{Tenant, TransactionId};

statement! {
    /// Those of these transactions that have another version than the one that goes with each, or no row any more: one
    /// index probe a transaction, and no row sent while nothing changes.
    ReadChanged {
        ids: &'a [Uuid] => Array<SqlUuid>,
        versions: &'a [i64] => Array<BigInt>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> SqlUuid =
        "SELECT u.id FROM unnest({}, {}) AS u(id, version) LEFT JOIN LATERAL (SELECT t.version FROM transactions t \
           WHERE t.bucket = {} AND t.tenant = {} AND t.id = u.id LIMIT 1) x ON true \
         WHERE x.version IS DISTINCT FROM u.version"
}

/// Those of these transactions whose version is another than the one given with each.
///
/// # Errors
/// [`StoreError`].
pub fn transactions_changed_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    known: &[(TransactionId, i64)],
) -> Result<Vec<TransactionId>, StoreError> {
    let (ids, versions): (Vec<Uuid>, Vec<i64>) = known
        .iter()
        .map(|(id, version)| (id.uuid(), *version))
        .unzip();
    let statement = ReadChanged {
        ids: &ids,
        versions: &versions,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    let found: Vec<Uuid> = statement.load(connection)?;
    Ok(found.into_iter().map(TransactionId::from_uuid).collect())
}
