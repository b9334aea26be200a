//! The statements about schemas.

use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text, Timestamptz};
use time::OffsetDateTime;

use crate::store::statement::statement;

/// clock, version, nonce, media_type, content, updated_at, pending_nonce, broken_by.
pub(super) type SchemaColumns = (
    Timestamptz,
    BigInt,
    BigInt,
    Text,
    Nullable<Text>,
    Timestamptz,
    Nullable<BigInt>,
    Nullable<Text>,
);
/// The same as Rust values.
pub(super) type SchemaRow = (
    OffsetDateTime,
    i64,
    i64,
    String,
    Option<String>,
    OffsetDateTime,
    Option<i64>,
    Option<String>,
);

/// The columns of [`SchemaRow`], in order.
macro_rules! schema_columns {
    () => {
        "clock_timestamp(), version, nonce, media_type, content, updated_at, pending_nonce, broken_by"
    };
}

statement! {
    /// One schema.
    ReadSchema {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
    } -> SchemaColumns = concat!(
        "SELECT ", schema_columns!(), " FROM schemas WHERE bucket = {} AND tenant = {} AND collection = {}")
}

statement! {
    /// The same, locked.
    LockSchema {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
    } -> SchemaColumns = concat!(
        "SELECT ", schema_columns!(), " FROM schemas WHERE bucket = {} AND tenant = {} AND collection = {} FOR UPDATE")
}

statement! {
    /// The epoch, and all that bodies are held to in it: collection, version, nonce, content, pending nonce and content.
    ReadSchemas {
        tenant: &'a str => Text,
        bucket: i16 => SmallInt,
    } -> (BigInt, Nullable<(Text, BigInt, BigInt, Nullable<Text>, Nullable<BigInt>, Nullable<Text>)>) =
        "SELECT b.epoch, s.collection, s.version, s.nonce, s.content, s.pending_nonce, s.pending_content \
         FROM buckets b LEFT JOIN schemas s ON s.bucket = b.bucket AND s.tenant = {} \
         AND (s.content IS NOT NULL OR s.pending_content IS NOT NULL) WHERE b.bucket = {}"
}

statement! {
    /// Makes a schema pending, in the place of another that may be.
    AnnounceSchema {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        content: &'a str => Text,
        nonce: i64 => BigInt,
    } -> () =
        "INSERT INTO schemas AS s (bucket, tenant, collection, version, nonce, deleted, media_type, content, updated_at, \
         pending_content, pending_nonce) VALUES ({}, {}, {}, 0, 0, true, '', NULL, clock_timestamp(), {}, {}) \
         ON CONFLICT (bucket, tenant, collection) DO UPDATE SET pending_content = excluded.pending_content, \
         pending_nonce = excluded.pending_nonce, broken_by = NULL"
}

statement! {
    /// Writes the state of a schema whose row is locked; nothing is pending then.
    UpdateSchema {
        version: i64 => BigInt,
        nonce: i64 => BigInt,
        deleted: bool => Bool,
        media_type: &'a str => Text,
        content: Option<&'a str> => Nullable<Text>,
        updated_at: OffsetDateTime => Timestamptz,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
    } -> () =
        "UPDATE schemas SET version = {}, nonce = {}, deleted = {}, media_type = {}, content = {}, updated_at = {}, \
         pending_content = NULL, pending_nonce = NULL, broken_by = NULL \
         WHERE bucket = {} AND tenant = {} AND collection = {}"
}

statement! {
    /// Takes a pending schema back.
    WithdrawSchema {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        nonce: i64 => BigInt,
    } -> () =
        "UPDATE schemas SET pending_content = NULL, pending_nonce = NULL, broken_by = NULL \
         WHERE bucket = {} AND tenant = {} AND collection = {} AND pending_nonce = {}"
}

statement! {
    /// Removes the row of a schema that was never set.
    DeleteNeverSet {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
    } -> () =
        "DELETE FROM schemas WHERE bucket = {} AND tenant = {} AND collection = {} AND version = 0 \
         AND pending_nonce IS NULL"
}

statement! {
    /// Says that nobody has broken a pending schema: it is about to be checked again.
    ForgetBroken {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        nonce: i64 => BigInt,
    } -> () =
        "UPDATE schemas SET broken_by = NULL WHERE bucket = {} AND tenant = {} AND collection = {} AND pending_nonce = {}"
}

statement! {
    /// Begins another epoch.
    NextEpoch {
        bucket: i16 => SmallInt,
    } -> () = "UPDATE buckets SET epoch = epoch + 1 WHERE bucket = {}"
}

statement! {
    /// Takes down that pending schemas are broken.
    BreakPending {
        key: &'a str => Text,
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        nonce: i64 => BigInt,
    } -> () =
        "UPDATE schemas SET broken_by = {} WHERE bucket = {} AND tenant = {} AND collection = {} AND pending_nonce = {}"
}

statement! {
    /// Resources of a collection to be checked, by key, of at most so many rows and (but for the first row) so many bytes.
    ReadChunk {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        collection: &'a str => Text,
        after: &'a str => Text,
        limit: i64 => BigInt,
        bytes: i64 => BigInt,
    } -> (Text, Text) =
        "SELECT key, body FROM ( \
           SELECT r.*, sum(octet_length(r.body)) OVER (ORDER BY r.key) - octet_length(r.body) AS before FROM ( \
             SELECT key, body FROM resources WHERE bucket = {} AND tenant = {} AND collection = {} AND NOT deleted \
             AND key > {} ORDER BY key LIMIT {}) r) p WHERE before < {} ORDER BY key"
}
