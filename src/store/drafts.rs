//! What a resource in a draft is made of: the transaction and the resource, in one snapshot.

use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, SmallInt, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::error::StoreError;
use super::rows::{
    self, GroundColumns, GroundRow, ResourceColumns, ResourceRow, TransactionColumns,
    TransactionRow, ground_columns, transaction_columns,
};
use super::statement::statement;
use crate::protocol::name::{ResourceName, Tenant, TransactionId};
use crate::protocol::state::{Resource, Transaction};
use crate::protocol::world::Ground;

statement! {
    /// The ground, a transaction and a resource; of the latter two, what there is.
    ReadView {
        id: Uuid => SqlUuid,
        collection: &'a str => Text,
        key: &'a str => Text,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (GroundColumns, Nullable<TransactionColumns>, Nullable<ResourceColumns>) = concat!(
        "SELECT ", ground_columns!(), ", ", transaction_columns!(), ", r.version, r.nonce, r.deleted, r.media_type, r.body, ",
        "r.updated_at, r.transaction_id FROM tenants t ",
        "LEFT JOIN LATERAL (SELECT * FROM transactions w WHERE w.bucket = t.bucket AND w.tenant = t.tenant AND w.id = {} LIMIT 1) x ON true ",
        "LEFT JOIN LATERAL (SELECT * FROM resources h WHERE h.bucket = t.bucket AND h.tenant = t.tenant AND h.collection = {} ",
        "AND h.key = {} AND h.version > 0 LIMIT 1) r ON true WHERE t.bucket = {} AND t.tenant = {}")
}

/// What was found.
pub struct ViewFound {
    /// What is judged by.
    pub ground: Ground,
    /// The transaction, if there is one.
    pub transaction: Option<Transaction>,
    /// The newest state of the resource, its tombstone where it is deleted, if it ever was.
    pub resource: Option<Resource>,
}

/// A transaction and a resource with its body, in one snapshot and without locks.
///
/// # Errors
/// [`StoreError`]; `Corrupt` where the tenant has no row.
pub fn view_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    id: TransactionId,
    target: &ResourceName,
) -> Result<ViewFound, StoreError> {
    let statement = ReadView {
        id: id.uuid(),
        collection: target.collection.as_str(),
        key: target.key.as_str(),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    let found: Option<(GroundRow, Option<TransactionRow>, Option<ResourceRow>)> =
        statement.get_result(connection).optional()?;
    let (ground, transaction, resource) =
        found.ok_or(StoreError::Corrupt("the tenant has no row"))?;
    Ok(ViewFound {
        ground: rows::ground(ground),
        transaction: transaction.map(rows::transaction).transpose()?,
        resource: resource.map(rows::resource),
    })
}
