//! What is forgotten, and when: the purge horizon, transactions, and (in `resources`) tombstones and old versions.
//!
//! ## Concurrency
//! **First the ground, then the rows.** [`ground_move_in_txn`] moves the horizon and the version floor and takes the
//! bucket into a new epoch; rows that these cover are deleted in transactions that begin after that one has committed.
//! So whoever has a snapshot in which a row is missing has the horizon (or floor) that covers it in that snapshot too.
//! A commit may still have read the ground before it moved, then waited for a row, and found it deleted: its epoch is the
//! old one, it does nothing, and judges again. One that has read the ground since needs no such guard.
//!
//! **Deleting waits for nobody.** Rows that somebody has locked are passed over (SKIP LOCKED), and come again the next time.
//! No deletion touches the bucket's row: a committer that holds it may wait for a deletion (it inserts an id, or takes a
//! reference or a name, whose old row is being deleted), never the other way round. Moving the ground waits, for the
//! tenant's row and then for the bucket's, but holds nothing that a committer waits for but these.
//!
//! **Several purge at once** as if they were one: what the one has locked the other passes over; the ground only grows.

mod resources;

use std::iter::repeat_n;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use super::keys::keys_purge_in_txn;
use super::statement::statement;
use crate::protocol::clock::Timestamp;
use crate::protocol::name::{Tenant, TransactionId};

pub use self::resources::{
    Head, HeadPage, Span, head_page, tombstones_purge_in_txn, versions_purge_in_txn,
};

statement! {
    /// All tenants.
    ReadTenants {} -> Text = "SELECT tenant FROM tenants ORDER BY bucket, tenant"
}

statement! {
    /// The horizon as it is, and as it may be.
    ReadHorizon {
        retention_seconds: f64 => Double,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (Timestamptz, Timestamptz) =
        "SELECT purge_horizon, clock_timestamp() - make_interval(secs => {}) FROM tenants WHERE bucket = {} AND tenant = {}"
}

statement! {
    /// The floor as it is.
    ReadFloor {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> BigInt = "SELECT version_floor FROM tenants WHERE bucket = {} AND tenant = {}"
}

statement! {
    /// Whether any transaction has an id in this range.
    AnyTransaction {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        from: Uuid => SqlUuid,
        to: Uuid => SqlUuid,
    } -> Bool =
        "SELECT EXISTS (SELECT FROM transactions WHERE bucket = {} AND tenant = {} AND id >= {} AND id < {})"
}

statement! {
    /// Moves the horizon and the floor, never back.
    MoveGround {
        retention_seconds: f64 => Double,
        floor: i64 => BigInt,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
    } -> (Timestamptz, BigInt) =
        "UPDATE tenants SET purge_horizon = greatest(purge_horizon, clock_timestamp() - make_interval(secs => {})), \
         version_floor = greatest(version_floor, {}) WHERE bucket = {} AND tenant = {} RETURNING purge_horizon, version_floor"
}

statement! {
    /// Begins a new epoch.
    NextEpoch {
        bucket: i16 => SmallInt,
    } -> () = "UPDATE buckets SET epoch = epoch + 1 WHERE bucket = {}"
}

statement! {
    /// Calls expired what has expired.
    RecordExpired {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        limit: i64 => BigInt,
    } -> () =
        "WITH due AS MATERIALIZED (SELECT bucket, tenant, id FROM transactions WHERE bucket = {} AND tenant = {} AND state = 'open' \
           AND expires_at <= clock_timestamp() ORDER BY id LIMIT {} FOR UPDATE SKIP LOCKED) \
         UPDATE transactions t SET state = 'expired', finished_at = t.expires_at FROM due \
         WHERE t.bucket = due.bucket AND t.tenant = due.tenant AND t.id = due.id AND t.state = 'open'"
}

statement! {
    /// A chunk of transactions by id, and which of them may go: told by the states that may, not by those that may not.
    ReadOldTransactions {
        retention_seconds: f64 => Double,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        after: Uuid => SqlUuid,
        before: Uuid => SqlUuid,
        limit: i64 => BigInt,
    } -> (SqlUuid, Nullable<Bool>) =
        "SELECT id, state IN ('committed', 'cancelled', 'expired') AND finished_at <= clock_timestamp() - make_interval(secs => {}) \
         FROM transactions WHERE bucket = {} AND tenant = {} AND id > {} AND id < {} ORDER BY id LIMIT {}"
}

statement! {
    /// Those of them that may go still, and that nobody else has locked.
    LockOldTransactions {
        ids: &'a [Uuid] => Array<SqlUuid>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        retention_seconds: f64 => Double,
    } -> SqlUuid =
        "SELECT l.id FROM unnest({}) AS u(id) CROSS JOIN LATERAL (SELECT w.id FROM transactions w WHERE w.bucket = {} \
         AND w.tenant = {} AND w.id = u.id AND w.state IN ('committed', 'cancelled', 'expired') \
         AND w.finished_at <= clock_timestamp() - make_interval(secs => {}) FOR UPDATE SKIP LOCKED) l"
}

statement! {
    /// Deletes transactions, which are locked.
    DeleteTransactions {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        ids: &'a [Uuid] => Array<SqlUuid>,
    } -> () =
        "DELETE FROM transactions t USING unnest({}, {}, {}) AS u(bucket, tenant, id) WHERE t.bucket = u.bucket \
         AND t.tenant = u.tenant AND t.id = u.id"
}

/// Every tenant.
///
/// # Errors
/// [`StoreError`].
pub fn tenants_fetch(connection: &mut PgConnection) -> Result<Vec<Tenant>, StoreError> {
    let statement = ReadTenants {
        lifetime: PhantomData,
    };
    let found: Vec<String> = statement.load(connection)?;
    let parsed = found.iter().map(|name| Tenant::parse(name));
    parsed
        .map(|tenant| {
            tenant.ok_or(StoreError::Corrupt(
                "a tenant's name has a form that none has",
            ))
        })
        .collect()
}

/// Where a tenant's horizon is.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    /// As it is stored.
    pub stored: Timestamp,
    /// As it may be now: one retention ago.
    pub due: Timestamp,
    /// Whether there is a transaction between the two.
    pub covers_more: bool,
}

/// Where the horizon is, and whether it is worth to be moved.
///
/// # Errors
/// [`StoreError`]; `Corrupt` where the tenant has no row.
pub fn horizon_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    retention_seconds: i64,
) -> Result<Horizon, StoreError> {
    let statement = ReadHorizon {
        retention_seconds: seconds(retention_seconds),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    let found: Option<(OffsetDateTime, OffsetDateTime)> =
        statement.get_result(connection).optional()?;
    let (stored, due) = found.ok_or(StoreError::Corrupt("the tenant has no row"))?;
    let (stored, due) = (Timestamp::from(stored), Timestamp::from(due));
    let statement = AnyTransaction {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        from: behind(stored),
        to: behind(due),
        lifetime: PhantomData,
    };
    let covers_more = statement.get_result(connection)?;
    Ok(Horizon {
        stored,
        due,
        covers_more,
    })
}

/// The greatest version of any tombstone that was purged, or more.
///
/// # Errors
/// [`StoreError`]; `Corrupt` where the tenant has no row.
pub fn floor_fetch(connection: &mut PgConnection, tenant: &Tenant) -> Result<i64, StoreError> {
    let statement = ReadFloor {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    let found: Option<i64> = statement.get_result(connection).optional()?;
    found.ok_or(StoreError::Corrupt("the tenant has no row"))
}

/// Moves the horizon to one retention ago and the floor to `floor`, neither ever back, and begins an epoch: answers with
/// both. See the module's Concurrency: deletions come after this has committed.
///
/// # Errors
/// [`StoreError`]; `Corrupt` where the tenant has no row.
pub fn ground_move_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    retention_seconds: i64,
    floor: i64,
) -> Result<(Timestamp, i64), StoreError> {
    let statement = MoveGround {
        retention_seconds: seconds(retention_seconds),
        floor,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        lifetime: PhantomData,
    };
    let moved: Option<(OffsetDateTime, i64)> = statement.get_result(connection).optional()?;
    let (horizon, floor) = moved.ok_or(StoreError::Corrupt("the tenant has no row"))?;
    NextEpoch {
        bucket: tenant.bucket(),
        lifetime: PhantomData,
    }
    .execute(connection)?;
    Ok((Timestamp::from(horizon), floor))
}

/// Records the expiry of up to `limit` open transactions whose time has run out; answers with how many they were.
///
/// ## Concurrency
/// Whoever is committing one holds its lock, so that it is passed over; whoever comes later finds it over, which it is by
/// the clock already.
///
/// # Errors
/// [`StoreError`].
pub fn expired_record_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    limit: usize,
) -> Result<usize, StoreError> {
    let statement = RecordExpired {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    Ok(statement.execute(connection)?)
}

/// What became of a chunk of transactions.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// The last id that was looked at; `None` where there are no more.
    pub last: Option<Uuid>,
    /// How many were deleted.
    pub removed: usize,
}

/// Looks at up to `limit` transactions with ids above `after` and not newer than `horizon`, which has been committed, and
/// deletes those whose end is one retention ago too.
///
/// # Errors
/// [`StoreError`].
pub fn transactions_purge_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    (after, horizon): (Uuid, Timestamp),
    retention_seconds: i64,
    limit: usize,
) -> Result<Chunk, StoreError> {
    let (bucket, name) = (tenant.bucket(), tenant.as_str());
    let retention_seconds = seconds(retention_seconds);
    let statement = ReadOldTransactions {
        retention_seconds,
        bucket,
        tenant: name,
        after,
        before: behind(horizon),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    let found: Vec<(Uuid, Option<bool>)> = statement.load(connection)?;
    let last = found.last().map(|(id, _)| *id);
    let due: Vec<Uuid> = found
        .into_iter()
        .filter_map(|(id, due)| (due == Some(true)).then_some(id))
        .collect();
    if due.is_empty() {
        return Ok(Chunk { last, removed: 0 });
    }
    let statement = LockOldTransactions {
        ids: &due,
        bucket,
        tenant: name,
        retention_seconds,
        lifetime: PhantomData,
    };
    let ids: Vec<Uuid> = statement.load(connection)?;
    let purged: Vec<TransactionId> = ids.iter().copied().map(TransactionId::from_uuid).collect();
    keys_purge_in_txn(connection, tenant, &purged)?;
    let statement = DeleteTransactions {
        buckets: repeat_n(bucket, ids.len()).collect(),
        tenants: repeat_n(name, ids.len()).collect(),
        ids: &ids,
        lifetime: PhantomData,
    };
    let removed = statement.execute(connection)?;
    Ok(Chunk { last, removed })
}

/// The least id that is newer than `time`: ids count in milliseconds, and are ordered by them.
fn behind(time: Timestamp) -> Uuid {
    let millis = time.micros().div_euclid(1000).saturating_add(1);
    let millis = u128::try_from(millis).unwrap_or_default();
    Uuid::from_u128(millis.min((1 << 48) - 1) << 80)
}

/// As `make_interval` takes it. No retention comes near the 2⁵³ seconds that are exact.
#[allow(clippy::cast_precision_loss)]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::name::TransactionId;

    #[test]
    fn the_bound_of_ids_is_the_one_that_answers_go_by() {
        for micros in [
            0,
            999,
            1000,
            1001,
            1_792_400_000_123_000,
            1_792_400_000_123_999,
        ] {
            let millis = u128::try_from(micros / 1000).unwrap();
            let last = Uuid::from_u128((millis << 80) | 0x7fff_bfff_ffff_ffff_ffff);
            let next = Uuid::from_u128(((millis + 1) << 80) | 0x7000_8000_0000_0000_0000);
            let bound = behind(Timestamp::from_micros(micros));
            assert!(last < bound && bound <= next, "{micros}");
            for (id, gone) in [(last, true), (next, false)] {
                let horizon = Timestamp::from_micros(micros);
                let answer = crate::protocol::decide::answerable(
                    TransactionId::from_uuid(id),
                    None,
                    horizon,
                    horizon,
                );
                assert_eq!(answer.is_err(), gone, "{micros}: {id}");
            }
        }
        assert_eq!(behind(Timestamp::from_micros(-1)), Uuid::nil());
    }
}
