//! The statements of a batch's writes.

use diesel::sql_types::{
    Array, BigInt, Binary, Bool, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::store::statement::statement;

statement! {
    /// Brings heads to their newest state; their rows are there and locked.
    UpdateHeads {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
        versions: Vec<i64> => Array<BigInt>,
        nonces: Vec<i64> => Array<BigInt>,
        deleted: Vec<bool> => Array<Bool>,
        media_types: Vec<&'a str> => Array<Text>,
        bodies: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        times: Vec<OffsetDateTime> => Array<Timestamptz>,
        transactions: Vec<Uuid> => Array<SqlUuid>,
    } -> () =
        "UPDATE resources r SET version = u.version, nonce = u.nonce, deleted = u.deleted, media_type = u.media_type, \
         body = u.body, updated_at = u.updated_at, transaction_id = u.transaction_id \
         FROM unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(bucket, tenant, collection, key, version, nonce, deleted, media_type, body, \
         updated_at, transaction_id) \
         WHERE r.bucket = u.bucket AND r.tenant = u.tenant AND r.collection = u.collection AND r.key = u.key"
}

statement! {
    /// Removes the names that were only locked.
    DeletePlaceholders {
        buckets: Vec<i16> => Array<SmallInt>,
        tenants: Vec<&'a str> => Array<Text>,
        collections: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
    } -> () =
        "DELETE FROM resources r USING unnest({}, {}, {}, {}) AS u(bucket, tenant, collection, key) \
         WHERE r.bucket = u.bucket AND r.tenant = u.tenant AND r.collection = u.collection AND r.key = u.key AND r.version = 0"
}

/// The forms of statements that write transactions: ids that we have made for new ones, ids that clients have made for
/// them, and transactions that have a row, which is locked.
pub(in crate::store) mod form {
    /// Nobody else can have taken the id.
    pub(in crate::store) const OURS: u8 = 0;
    /// It had no row when it was looked up. Should it have one by now, that may be locked by a batch which waits for
    /// us: so it is not touched, and found missing in the count.
    pub(in crate::store) const NAMED: u8 = 1;
    /// Its row is locked already.
    pub(in crate::store) const KNOWN: u8 = 2;
}

/// The insert of transactions that both statements below end in; `n` is their one row of the bucket.
macro_rules! insert_transactions {
    ($commit_number:literal, named) => {
        concat!(
            insert_transactions!($commit_number, ours),
            "ON CONFLICT (bucket, tenant, id) DO NOTHING"
        )
    };
    ($commit_number:literal, known) => {
        concat!(
            insert_transactions!($commit_number, ours),
            "ON CONFLICT (bucket, tenant, id) DO UPDATE SET state = excluded.state, version = excluded.version, ",
            "nonce = excluded.nonce, expires_at = excluded.expires_at, finished_at = excluded.finished_at, ",
            "operation = excluded.operation, digest = excluded.digest, outcome = excluded.outcome, draft = excluded.draft, ",
            "commit_number = excluded.commit_number ",
            "WHERE transactions.state = 'open' AND transactions.version < excluded.version"
        )
    };
    ($commit_number:literal, ours) => {
        concat!(
            "INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, ",
            "reference, metadata, operation, digest, outcome, draft, commit_number) ",
            "SELECT n.bucket, u.tenant, u.id, u.state, u.version, u.nonce, u.created_at, u.expires_at, u.finished_at, ",
            "u.reference, u.metadata, u.operation, u.digest, u.outcome, u.draft, ", $commit_number,
            " FROM n, unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(tenant, id, state, version, nonce, ",
            "created_at, expires_at, finished_at, reference, metadata, operation, digest, outcome, draft, position) ",
        )
    };
}

/// What comes before it where commit numbers are taken.
macro_rules! insert_versions {
    () => {
        concat!(
            "WITH n AS (UPDATE buckets SET last_commit = last_commit + {} WHERE bucket = {} AND epoch = {} ",
            "RETURNING bucket, last_commit - {} + 1 AS first_commit), ",
            "v AS (INSERT INTO versions (bucket, tenant, collection, key, version, nonce, deleted, media_type, body, updated_at, ",
            "transaction_id, commit_number) SELECT n.bucket, u.tenant, u.collection, u.key, u.version, u.nonce, u.deleted, ",
            "u.media_type, u.body, u.updated_at, u.transaction_id, n.first_commit + u.position ",
            "FROM n, unnest({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}) AS u(tenant, collection, key, version, nonce, deleted, ",
            "media_type, body, updated_at, transaction_id, position)) "
        )
    };
}

statement! {
    /// Takes commit numbers, and writes the versions and transactions that carry them: in one form.
    WriteCommitted<FORM> {
        taken: i64 => BigInt,
        bucket: i16 => SmallInt,
        epoch: i64 => BigInt,
        count: i64 => BigInt,
        version_tenants: Vec<&'a str> => Array<Text>,
        collections: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
        versions: Vec<i64> => Array<BigInt>,
        nonces: Vec<i64> => Array<BigInt>,
        deleted: Vec<bool> => Array<Bool>,
        media_types: Vec<&'a str> => Array<Text>,
        bodies: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        times: Vec<OffsetDateTime> => Array<Timestamptz>,
        writers: Vec<Uuid> => Array<SqlUuid>,
        version_positions: Vec<i64> => Array<BigInt>,
        tenants: Vec<&'a str> => Array<Text>,
        ids: Vec<Uuid> => Array<SqlUuid>,
        states: Vec<&'a str> => Array<Text>,
        tx_versions: Vec<i64> => Array<BigInt>,
        tx_nonces: Vec<i64> => Array<BigInt>,
        created: Vec<OffsetDateTime> => Array<Timestamptz>,
        expires: Vec<OffsetDateTime> => Array<Timestamptz>,
        finished: Vec<Option<OffsetDateTime>> => Array<Nullable<Timestamptz>>,
        references: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        metadata: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        operations: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        digests: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        outcomes: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        drafts: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        positions: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    } -> () = match FORM {
        form::OURS => concat!(insert_versions!(), insert_transactions!("n.first_commit + u.position", ours)),
        form::NAMED => concat!(insert_versions!(), insert_transactions!("n.first_commit + u.position", named)),
        _ => concat!(insert_versions!(), insert_transactions!("n.first_commit + u.position", known)),
    }
}

statement! {
    /// Writes transactions none of which is applied by it: created, renewed, cancelled, expired.
    WriteUncommitted<FORM> {
        bucket: i16 => SmallInt,
        tenants: Vec<&'a str> => Array<Text>,
        ids: Vec<Uuid> => Array<SqlUuid>,
        states: Vec<&'a str> => Array<Text>,
        tx_versions: Vec<i64> => Array<BigInt>,
        tx_nonces: Vec<i64> => Array<BigInt>,
        created: Vec<OffsetDateTime> => Array<Timestamptz>,
        expires: Vec<OffsetDateTime> => Array<Timestamptz>,
        finished: Vec<Option<OffsetDateTime>> => Array<Nullable<Timestamptz>>,
        references: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        metadata: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        operations: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        digests: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        outcomes: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        drafts: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        positions: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    } -> () = match FORM {
        form::OURS => concat!("WITH n AS (SELECT bucket FROM buckets WHERE bucket = {}) ", insert_transactions!("NULL", ours)),
        form::NAMED => concat!("WITH n AS (SELECT bucket FROM buckets WHERE bucket = {}) ", insert_transactions!("NULL", named)),
        _ => concat!("WITH n AS (SELECT bucket FROM buckets WHERE bucket = {}) ", insert_transactions!("NULL", known)),
    }
}

statement! {
    /// Holds the bucket's row, as whoever takes commit numbers does; none where the epoch is another.
    LockBucket {
        bucket: i16 => SmallInt,
        epoch: i64 => BigInt,
    } -> SmallInt = "SELECT bucket FROM buckets WHERE bucket = {} AND epoch = {} FOR UPDATE"
}

statement! {
    /// Version and nonce of a transaction's row; waits for whoever is writing it. They are no part of the WHERE, which
    /// is judged before the wait.
    ProbeTransaction {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        id: Uuid => SqlUuid,
    } -> (BigInt, BigInt) =
        "SELECT version, nonce FROM transactions WHERE bucket = {} AND tenant = {} AND id = {} FOR UPDATE"
}

statement! {
    /// A row that is never committed: it waits for whoever is inserting the same id.
    InsertProbe {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        id: Uuid => SqlUuid,
        now: OffsetDateTime => Timestamptz,
        later: OffsetDateTime => Timestamptz,
    } -> () =
        "INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at) \
         VALUES ({}, {}, {}, 'open', 0, 0, {}, {}) ON CONFLICT DO NOTHING"
}
