//! Lists of resources that contain a JSON value: by the index over all states, or through the collection by key.
//!
//! The index finds versions; those that are heads still are what is asked for. Where it finds more of them than
//! 5,000 (a tenth of a second), most of the collection has the value, or few resources have had it very often: then the collection is
//! read by key until the page is full. Either way what is listed is judged once more on the head itself, and all of it
//! is one statement, so one snapshot (decision 0009).

use std::marker::PhantomData;
use std::time::Duration;

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, SmallInt, Text};

use super::error::StoreError;
use super::pool::read_bounded_in_txn;
use super::read::{ResourcePage, behind, named};
use super::rows::{ResourceColumns, ResourceRow};
use super::statement::statement;
use crate::protocol::containment::{Containment, Lookup};
use crate::protocol::limits::CONTAINS_SECONDS_MAX;
use crate::protocol::name::{Collection, Key, Tenant};

/// By the scalars of a value that is an object or an array.
const SCALARS: u8 = 0;
/// By a value that is a scalar.
const SCALAR: u8 = 1;
/// Without the index.
const SHAPE: u8 = 2;

/// The expression of the index `versions_contains`.
macro_rules! indexed {
    () => {
        "(('{\"' || v.tenant || '/' || v.collection || '\":' || v.body || '}')::jsonb)"
    };
}

macro_rules! hits {
    ($condition:expr) => {
        concat!(
            "SELECT v.key, v.version FROM versions v WHERE v.body IS NOT NULL AND ",
            $condition,
            " AND v.key > {} AND v.key >= {} AND ({}::text IS NULL OR v.key < $5) LIMIT 5001"
        )
    };
}

/// Hits are looked at one by one where they are few; see the module.
macro_rules! page {
    ($hits:expr, $few:expr) => {
        concat!(
            "WITH hits AS MATERIALIZED (", $hits, "), ",
            "few AS MATERIALIZED (SELECT ", $few, " AS few FROM hits) ",
            "SELECT found, collection, key, version, nonce, deleted, media_type, body, updated_at, transaction_id FROM ( ",
            "SELECT u.*, count(*) OVER () AS found, ",
            "sum(octet_length(u.body)) OVER (ORDER BY u.key) - octet_length(u.body) AS before FROM (SELECT * FROM ( ",
            "SELECT r.* FROM hits h CROSS JOIN LATERAL (SELECT * FROM resources s WHERE s.bucket = {} AND s.tenant = {} ",
            "AND s.collection = {} AND s.key = h.key LIMIT 1) r WHERE (SELECT few FROM few) AND r.version = h.version ",
            "AND NOT r.deleted AND r.body::jsonb @> $2::jsonb ",
            "UNION ALL (SELECT r.* FROM resources r WHERE NOT (SELECT few FROM few) AND r.bucket = $6 AND r.tenant = $7 ",
            "AND r.collection = $8 AND NOT r.deleted AND r.key > $3 AND r.key >= $4 AND ($5 IS NULL OR r.key < $5) ",
            "AND r.body::jsonb @> $2::jsonb ORDER BY r.key LIMIT {})) b ORDER BY b.key LIMIT $9) u) p ",
            "WHERE before < {} ORDER BY key")
    };
}

statement! {
    /// A page of the resources of a collection that contain a value, by key.
    ReadContaining<FORM> {
        label: String => Text,
        value: &'a str => Text,
        after: &'a str => Text,
        from: &'a str => Text,
        to: Option<String> => Nullable<Text>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        limit: i64 => BigInt,
        bytes: i64 => BigInt,
    } -> (BigInt, Text, Text, ResourceColumns) = match FORM {
        SCALARS => page!(
            hits!(concat!(indexed!(), " @> jsonb_build_object({}, {}::jsonb)")), "count(*) <= 5000"),
        SCALAR => page!(
            hits!(concat!(
                "(", indexed!(), " @> jsonb_build_object({}, {}::jsonb) OR ",
                indexed!(), " @> jsonb_build_object($1, jsonb_build_array($2::jsonb)))")),
            "count(*) <= 5000"),
        // Nothing is looked up.
        _ => page!(
            concat!(
                "SELECT v.key, v.version FROM versions v WHERE false AND v.key = {} AND v.body = {} AND v.key > {} ",
                "AND v.key >= {} AND ({}::text IS NULL OR v.key < $5)"),
            "count(*) < 0"),
    }
}

statement! {
    /// Those of some resources of a collection that contain a value, by key.
    ReadNamedContaining {
        keys: &'a [&'a str] => Array<Text>,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        value: &'a str => Text,
    } -> (Text, Text, ResourceColumns) =
        "SELECT r.collection, r.key, r.version, r.nonce, r.deleted, r.media_type, r.body, r.updated_at, r.transaction_id \
         FROM unnest({}) AS u(key) CROSS JOIN LATERAL (SELECT * FROM resources s WHERE s.bucket = {} AND s.tenant = {} \
           AND s.collection = {} AND s.key = u.key LIMIT 1) r \
         WHERE NOT r.deleted AND r.body::jsonb @> {}::jsonb ORDER BY r.key"
}

/// Which of the resources of a collection are listed.
pub struct Part<'a> {
    /// Keys behind this one.
    pub after: &'a str,
    /// Keys that begin so.
    pub prefix: &'a str,
    /// Resources at most.
    pub limit: usize,
    /// Bytes of their bodies at most, but for the first.
    pub bytes: usize,
}

/// A page of the resources of a collection that contain a value, in the order of keys; `None` where it could not be
/// found in [`CONTAINS_SECONDS_MAX`].
///
/// # Errors
/// [`StoreError`].
pub fn containing_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    value: &Containment,
    part: &Part<'_>,
) -> Result<Option<ResourcePage>, StoreError> {
    let asked = (tenant, collection, value);
    let found = bounded(connection, |connection| match value.lookup() {
        Lookup::Scalars => containing::<SCALARS>(asked, part).load(connection),
        Lookup::Scalar => containing::<SCALAR>(asked, part).load(connection),
        Lookup::Shape => containing::<SHAPE>(asked, part).load(connection),
    })?;
    let Some(rows): Option<Vec<(i64, String, String, ResourceRow)>> = found else {
        return Ok(None);
    };
    let found = rows.first().map_or(0, |(found, ..)| *found);
    let cut = i64::try_from(rows.len()).is_ok_and(|sent| sent < found);
    let rows = rows.into_iter();
    let rows = rows.map(|(_, collection, key, row)| (collection, key, row));
    let items = named(rows.collect())?;
    Ok(Some(ResourcePage { items, cut }))
}

fn containing<'a, const FORM: u8>(
    (tenant, collection, value): (&'a Tenant, &'a Collection, &'a Containment),
    part: &Part<'a>,
) -> ReadContaining<'a, FORM> {
    ReadContaining {
        label: format!("{tenant}/{collection}"),
        value: value.text(),
        after: part.after,
        from: part.prefix,
        to: behind(part.prefix),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        limit: i64::try_from(part.limit).unwrap_or(i64::MAX),
        bytes: i64::try_from(part.bytes).unwrap_or(i64::MAX),
        lifetime: PhantomData,
    }
}

/// Those of the named resources of a collection that contain a value, in the order of keys; `None` as
/// [`containing_page`].
///
/// # Errors
/// [`StoreError`].
pub fn containing_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    value: &Containment,
    keys: &[Key],
) -> Result<Option<ResourcePage>, StoreError> {
    let keys: Vec<&str> = keys.iter().map(Key::as_str).collect();
    let statement = ReadNamedContaining {
        keys: &keys,
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        value: value.text(),
        lifetime: PhantomData,
    };
    let found: Option<Vec<(String, String, ResourceRow)>> =
        bounded(connection, |connection| statement.load(connection))?;
    let page = |rows| {
        Ok(ResourcePage {
            items: named(rows)?,
            cut: false,
        })
    };
    found.map(page).transpose()
}

fn bounded<T>(
    connection: &mut PgConnection,
    work: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
) -> Result<Option<T>, StoreError> {
    let time = Duration::from_secs(CONTAINS_SECONDS_MAX);
    match read_bounded_in_txn(connection, time, work) {
        Err(StoreError::Busy(_)) => Ok(None),
        found => found.map(Some),
    }
}
