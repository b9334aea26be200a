//! How many transactions of a tenant are open.

use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, SmallInt, Text};

use super::error::StoreError;
use super::statement::statement;
use crate::protocol::name::Tenant;

statement! {
    /// Counts open transactions, up to a limit, by the index that has them alone.
    CountOpen {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        limit: i64 => BigInt,
    } -> BigInt =
        "SELECT count(*) FROM (SELECT FROM transactions WHERE bucket = {} AND tenant = {} AND state = 'open' \
         AND expires_at > clock_timestamp() LIMIT {}) o"
}

/// How many transactions of the tenant are open and have not expired; at most `limit`, which bounds what the count reads.
///
/// # Errors
/// [`StoreError`].
pub fn open_count(
    connection: &mut PgConnection,
    tenant: &Tenant,
    limit: usize,
) -> Result<usize, StoreError> {
    let statement = CountOpen {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    let found: i64 = statement.get_result(connection)?;
    Ok(usize::try_from(found).unwrap_or(usize::MAX))
}
