//! Rows as diesel loads them, and their conversion into the protocol's values.

use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use time::OffsetDateTime;
use uuid::Uuid;

use super::error::StoreError;
use crate::protocol::clock::Timestamp;
use crate::protocol::name::TransactionId;
use crate::protocol::state::{Resource, State, Transaction};
use crate::protocol::tag::{DocumentTag, StateTag};
use crate::protocol::world::Ground;

/// version, nonce, deleted, media_type, body, updated_at, transaction_id.
pub(super) type ResourceColumns = (
    BigInt,
    BigInt,
    Bool,
    Text,
    Nullable<Text>,
    Timestamptz,
    SqlUuid,
);
/// The same as Rust values.
pub(super) type ResourceRow = (i64, i64, bool, String, Option<String>, OffsetDateTime, Uuid);

/// id, state, version, nonce, created_at, expires_at, finished_at, reference, metadata, operation, digest, outcome, draft.
pub(super) type TransactionColumns = (
    SqlUuid,
    Text,
    BigInt,
    BigInt,
    Timestamptz,
    Timestamptz,
    Nullable<Timestamptz>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Binary>,
    Nullable<Text>,
    Nullable<Text>,
);
/// The same as Rust values.
pub(super) type TransactionRow = (
    Uuid,
    String,
    i64,
    i64,
    OffsetDateTime,
    OffsetDateTime,
    Option<OffsetDateTime>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<String>,
    Option<String>,
);

/// clock, purge_horizon, version_floor, epoch.
pub(super) type GroundColumns = (Timestamptz, Timestamptz, BigInt, BigInt);
/// The same as Rust values.
pub(super) type GroundRow = (OffsetDateTime, OffsetDateTime, i64, i64);

/// The columns of [`GroundRow`], in order, beside a tenant's row `t`.
macro_rules! ground_columns {
    () => {
        "clock_timestamp(), t.purge_horizon, t.version_floor, (SELECT b.epoch FROM buckets b WHERE b.bucket = t.bucket)"
    };
}
pub(super) use ground_columns;

/// What a tenant's commands are judged by.
pub(super) fn ground((now, purge_horizon, version_floor, epoch): GroundRow) -> Ground {
    Ground {
        now: Timestamp::from(now),
        purge_horizon: Timestamp::from(purge_horizon),
        version_floor,
        epoch,
    }
}

/// The columns of [`TransactionRow`], in order.
macro_rules! transaction_columns {
    () => {
        "x.id, x.state, x.version, x.nonce, x.created_at, x.expires_at, x.finished_at, x.reference, x.metadata, \
         x.operation, x.digest, x.outcome, x.draft"
    };
}
pub(super) use transaction_columns;

/// A head or version as the protocol sees it.
pub(super) fn resource(row: ResourceRow) -> Resource {
    let (version, nonce, deleted, media_type, body, updated_at, transaction) = row;
    Resource {
        tag: StateTag { version, nonce },
        deleted,
        media_type: media_type.into(),
        body: body.map(Into::into),
        updated_at: Timestamp::from(updated_at),
        transaction: TransactionId::from_uuid(transaction),
    }
}

/// A transaction as the protocol sees it.
pub(super) fn transaction(row: TransactionRow) -> Result<Transaction, StoreError> {
    let (
        id,
        state,
        version,
        nonce,
        created_at,
        expires_at,
        finished_at,
        reference,
        metadata,
        operation,
        digest,
        outcome,
        draft,
    ) = row;
    let digest = match digest.map(<[u8; 32]>::try_from) {
        None => None,
        Some(Ok(digest)) => Some(digest),
        Some(Err(_)) => return Err(StoreError::Corrupt("a digest is not 32 bytes long")),
    };
    Ok(Transaction {
        id: TransactionId::from_uuid(id),
        state: State::parse(&state)
            .ok_or(StoreError::Corrupt("a transaction's state is not known"))?,
        tag: DocumentTag { version, nonce },
        created_at: Timestamp::from(created_at),
        expires_at: Timestamp::from(expires_at),
        finished_at: finished_at.map(Timestamp::from),
        reference: reference.map(Into::into),
        metadata: metadata.map(Into::into),
        operation: operation.map(Into::into),
        digest,
        outcome: outcome.map(Into::into),
        draft: draft.map(Into::into),
    })
}
