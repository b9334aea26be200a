//! Tombstones that are old enough go with all their versions; versions of what exists, as far as they need not be kept.
//!
//! ## Concurrency
//! A version that is not the newest never changes and nobody locks it; more come only on top. So what may go by one
//! snapshot may go for ever, and no head need be locked for it. A tombstone is locked, and looked at again under that lock.

use std::iter::repeat_n;
use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, SmallInt, Text, Timestamptz};
use time::OffsetDateTime;

use super::seconds;
use crate::protocol::name::Tenant;
use crate::store::error::StoreError;
use crate::store::statement::statement;

statement! {
    /// A page of heads by name, without their bodies, and whether each is a tombstone that may go.
    ReadHeads {
        retention_seconds: f64 => Double,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        key: &'a str => Text,
        limit: i64 => BigInt,
    } -> (Text, Text, BigInt, Bool, Timestamptz) =
        "SELECT collection, key, version, deleted AND updated_at <= clock_timestamp() - make_interval(secs => {}), \
         clock_timestamp() FROM resources WHERE bucket = {} AND tenant = {} AND (collection, key) > ({}, {}) AND version > 0 \
         ORDER BY collection, key LIMIT {}"
}

statement! {
    /// The oldest versions of heads: those up to a number that were followed by another before a time. What is younger
    /// than one that stays stays too, so a head whose oldest version stays is not looked into.
    ReadOldVersions {
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
        lasts: &'a [i64] => Array<BigInt>,
        befores: &'a [OffsetDateTime] => Array<Timestamptz>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        limit: i64 => BigInt,
    } -> (BigInt, BigInt) =
        "SELECT u.position, v.version FROM unnest({}, {}, {}, {}) WITH ORDINALITY AS u(collection, key, last, before, position) \
         CROSS JOIN (SELECT {}::smallint AS bucket, {} AS tenant) p \
         CROSS JOIN LATERAL (SELECT s.version FROM versions s WHERE s.bucket = p.bucket AND s.tenant = p.tenant \
           AND s.collection = u.collection AND s.key = u.key ORDER BY s.version LIMIT 1) a \
         CROSS JOIN LATERAL (SELECT s.updated_at FROM versions s WHERE s.bucket = p.bucket AND s.tenant = p.tenant \
           AND s.collection = u.collection AND s.key = u.key AND s.version > a.version ORDER BY s.version LIMIT 1) b \
         CROSS JOIN LATERAL (SELECT s.version FROM (SELECT * FROM versions o WHERE o.bucket = p.bucket AND o.tenant = p.tenant \
             AND o.collection = u.collection AND o.key = u.key AND o.version <= u.last AND a.version <= u.last \
             AND b.updated_at <= u.before ORDER BY o.version LIMIT 100) s \
           WHERE (SELECT n.updated_at FROM versions n WHERE n.bucket = s.bucket AND n.tenant = s.tenant \
             AND n.collection = s.collection AND n.key = s.key AND n.version > s.version ORDER BY n.version LIMIT 1) <= u.before) v \
         ORDER BY u.position, v.version LIMIT {}"
}

statement! {
    /// Deletes versions.
    DeleteVersions {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
        versions: &'a [i64] => Array<BigInt>,
    } -> () =
        "DELETE FROM versions v USING unnest({}, {}, {}, {}, {}) AS u(bucket, tenant, collection, key, version) WHERE v.bucket = u.bucket AND v.tenant = u.tenant \
         AND v.collection = u.collection AND v.key = u.key AND v.version = u.version"
}

statement! {
    /// Locks those of these names that are tombstones, old enough and not above the floor, and that nobody else has locked.
    LockTombstones {
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        floor: i64 => BigInt,
        retention_seconds: f64 => Double,
    } -> BigInt =
        "SELECT u.position FROM unnest({}, {}) WITH ORDINALITY AS u(collection, key, position) \
         CROSS JOIN LATERAL (SELECT FROM resources h WHERE h.bucket = {} AND h.tenant = {} \
           AND h.collection = u.collection AND h.key = u.key AND h.deleted AND h.version > 0 AND h.version <= {} \
           AND h.updated_at <= clock_timestamp() - make_interval(secs => {}) FOR UPDATE SKIP LOCKED) r"
}

statement! {
    /// Deletes all versions of these names.
    DeleteAllVersions {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
    } -> () =
        "DELETE FROM versions v USING unnest({}, {}, {}, {}) AS u(bucket, tenant, collection, key) WHERE v.bucket = u.bucket AND v.tenant = u.tenant \
         AND v.collection = u.collection AND v.key = u.key"
}

statement! {
    /// Deletes heads, which are locked.
    DeleteHeads {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: &'a [&'a str] => Array<Text>,
        keys: &'a [&'a str] => Array<Text>,
    } -> () =
        "DELETE FROM resources r USING unnest({}, {}, {}, {}) AS u(bucket, tenant, collection, key) WHERE r.bucket = u.bucket AND r.tenant = u.tenant \
         AND r.collection = u.collection AND r.key = u.key"
}

/// A head as the purge sees it.
#[derive(Clone, Debug)]
pub struct Head {
    /// Its collection.
    pub collection: String,
    /// Its key.
    pub key: String,
    /// The number of its newest version.
    pub version: i64,
    /// Whether it is a tombstone that is older than the retention.
    pub buried: bool,
}

/// A page of heads.
#[derive(Clone, Debug)]
pub struct HeadPage {
    /// By name.
    pub heads: Vec<Head>,
    /// The clock when they were read; the epoch where there are none.
    pub now: OffsetDateTime,
}

/// Up to `limit` heads behind the name `after`.
///
/// # Errors
/// [`StoreError`].
pub fn head_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    (collection, key): (&str, &str),
    retention_seconds: i64,
    limit: usize,
) -> Result<HeadPage, StoreError> {
    let statement = ReadHeads {
        retention_seconds: seconds(retention_seconds),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection,
        key,
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    let found: Vec<(String, String, i64, bool, OffsetDateTime)> = statement.load(connection)?;
    let now = found
        .first()
        .map_or(OffsetDateTime::UNIX_EPOCH, |(.., now)| *now);
    let heads = found
        .into_iter()
        .map(|(collection, key, version, buried, _)| Head {
            collection,
            key,
            version,
            buried,
        })
        .collect();
    Ok(HeadPage { heads, now })
}

/// Which versions of one resource may go.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// The resource.
    pub head: &'a Head,
    /// None above this number; less than the newest version.
    pub last: i64,
    /// None that was the newest at this time or later.
    pub before: OffsetDateTime,
}

/// Deletes up to `limit` of the versions that may go, oldest first; answers with how many there were to be deleted, 0 when
/// none is left.
///
/// # Errors
/// [`StoreError`].
pub fn versions_purge_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    spans: &[Span<'_>],
    limit: usize,
) -> Result<usize, StoreError> {
    let (collections, keys) = names(spans.iter().map(|span| span.head));
    let (lasts, befores): (Vec<i64>, Vec<OffsetDateTime>) =
        spans.iter().map(|span| (span.last, span.before)).unzip();
    let statement = ReadOldVersions {
        collections: &collections,
        keys: &keys,
        lasts: &lasts,
        befores: &befores,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        limit: i64::try_from(limit).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    };
    let found: Vec<(i64, i64)> = statement.load(connection)?;
    let (mut collections, mut keys, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    for (position, version) in &found {
        let place = usize::try_from(position - 1).ok();
        let span = place.and_then(|index| spans.get(index));
        let span = span.ok_or(StoreError::Corrupt("a version has no name"))?;
        collections.push(span.head.collection.as_str());
        keys.push(span.head.key.as_str());
        versions.push(*version);
    }
    if !versions.is_empty() {
        // In the order of names and numbers: others who delete the same wait for us, and find them gone.
        let statement = DeleteVersions {
            buckets: repeat_n(tenant.bucket(), versions.len()).collect(),
            tenants: repeat_n(tenant.as_str(), versions.len()).collect(),
            collections: &collections,
            keys: &keys,
            versions: &versions,
            lifetime: PhantomData,
        };
        statement.execute(connection)?;
    }
    Ok(found.len())
}

/// Deletes those of `heads` that are old tombstones still and not above `floor`, which has been committed, with all their
/// versions. Answers with how many tombstones and versions they were.
///
/// # Errors
/// [`StoreError`].
pub fn tombstones_purge_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    heads: &[&Head],
    floor: i64,
    retention_seconds: i64,
) -> Result<(usize, usize), StoreError> {
    let (collections, keys) = names(heads.iter().copied());
    let (bucket, name) = (tenant.bucket(), tenant.as_str());
    let statement = LockTombstones {
        collections: &collections,
        keys: &keys,
        bucket,
        tenant: name,
        floor,
        retention_seconds: seconds(retention_seconds),
        lifetime: PhantomData,
    };
    let locked: Vec<i64> = statement.load(connection)?;
    let locked = locked.iter().filter_map(|position| {
        let place = usize::try_from(position - 1).ok()?;
        heads.get(place).copied()
    });
    let (collections, keys) = names(locked);
    if keys.is_empty() {
        return Ok((0, 0));
    }
    let versions = DeleteAllVersions {
        buckets: repeat_n(bucket, keys.len()).collect(),
        tenants: repeat_n(name, keys.len()).collect(),
        collections: &collections,
        keys: &keys,
        lifetime: PhantomData,
    }
    .execute(connection)?;
    let removed = DeleteHeads {
        buckets: repeat_n(bucket, keys.len()).collect(),
        tenants: repeat_n(name, keys.len()).collect(),
        collections: &collections,
        keys: &keys,
        lifetime: PhantomData,
    }
    .execute(connection)?;
    Ok((removed, versions))
}

fn names<'a>(heads: impl Iterator<Item = &'a Head>) -> (Vec<&'a str>, Vec<&'a str>) {
    heads
        .map(|head| (head.collection.as_str(), head.key.as_str()))
        .unzip()
}
