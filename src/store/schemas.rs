//! Schemas of collections: read, announced as pending, and set.
//!
//! ## Concurrency
//! Every change that commits must know of updates the epoch of the bucket in the same transaction, after the schema's row:
//! the order of locking in every batch is resources, schemas by collection, then the bucket. So whoever has judged
//! bodies without the change does not commit (see [`super::write`]), and whoever commits after it has judged with it.
//! No lock is held while stored resources are checked: `broken_by` tells who broke a pending schema meanwhile.

mod statements;

use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use self::statements::{
    AnnounceSchema, BreakPending, DeleteNeverSet, ForgetBroken, LockSchema, NextEpoch, ReadChunk,
    ReadSchema, ReadSchemas, SchemaRow, UpdateSchema, WithdrawSchema,
};
use super::error::StoreError;
use crate::protocol::clock::Timestamp;
use crate::protocol::name::{Collection, Key, ResourceName, Tenant};
use crate::protocol::schema::{SchemaContent, StoredSchema};
use crate::protocol::tag::StateTag;
use crate::protocol::world::World;

/// A schema's row.
#[derive(Clone, Debug)]
pub struct SchemaHead {
    /// The database's clock when it was read.
    pub now: Timestamp,
    /// The version, which goes on across deletion; 0 where it was never set.
    pub version: i64,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// What is set.
    pub current: Option<StoredSchema>,
    /// The nonce of what is pending.
    pub pending: Option<i64>,
    /// Whether somebody has broken what is pending since it was announced.
    pub broken: bool,
    /// By which resource.
    pub broken_by: Option<Key>,
}

fn head(row: SchemaRow) -> SchemaHead {
    let (now, version, nonce, media_type, content, updated_at, pending, broken_by) = row;
    let updated_at = Timestamp::from(updated_at);
    SchemaHead {
        now: Timestamp::from(now),
        version,
        updated_at,
        current: content.map(|text| StoredSchema {
            tag: StateTag { version, nonce },
            updated_at,
            content: SchemaContent {
                text: text.into(),
                media_type: media_type.into(),
            },
        }),
        pending,
        broken: broken_by.is_some(),
        broken_by: broken_by.as_deref().and_then(Key::parse),
    }
}

/// A schema; `None` where there never was one.
///
/// # Errors
/// [`StoreError`].
pub fn schema_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
) -> Result<Option<SchemaHead>, StoreError> {
    let statement = ReadSchema {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        lifetime: PhantomData,
    };
    let found: Option<SchemaRow> = statement.get_result(connection).optional()?;
    Ok(found.map(head))
}

/// The same, locked until the transaction ends.
///
/// # Errors
/// [`StoreError`].
pub fn schema_lock_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
) -> Result<Option<SchemaHead>, StoreError> {
    let statement = LockSchema {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        lifetime: PhantomData,
    };
    let found: Option<SchemaRow> = statement.get_result(connection).optional()?;
    Ok(found.map(head))
}

/// What bodies of one collection are held to.
pub struct SchemaTexts {
    /// The collection.
    pub collection: Collection,
    /// What is set, and its tag.
    pub current: Option<(StateTag, String)>,
    /// What is pending, and its nonce.
    pub pending: Option<(i64, String)>,
}

/// The epoch of a tenant's bucket, and all schemas of the tenant in it, from one snapshot.
///
/// # Errors
/// [`StoreError`].
pub fn schemas_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
) -> Result<(i64, Vec<SchemaTexts>), StoreError> {
    type Texts = (
        String,
        i64,
        i64,
        Option<String>,
        Option<i64>,
        Option<String>,
    );
    let statement = ReadSchemas {
        tenant: tenant.as_str(),
        bucket: tenant.bucket(),
        lifetime: PhantomData,
    };
    let found: Vec<(i64, Option<Texts>)> = statement.load(connection)?;
    let epoch = found.first().map(|(epoch, _)| *epoch);
    let epoch = epoch.ok_or(StoreError::Corrupt("the bucket has no row"))?;
    let rows = found.into_iter().filter_map(|(_, row)| row);
    let texts = rows.map(
        |(collection, version, nonce, content, pending, pending_content)| {
            Ok(SchemaTexts {
                collection: Collection::parse(&collection).ok_or(StoreError::Corrupt(
                    "a collection's name has a form that none has",
                ))?,
                current: content.map(|text| (StateTag { version, nonce }, text)),
                pending: pending.zip(pending_content),
            })
        },
    );
    Ok((epoch, texts.collect::<Result<_, StoreError>>()?))
}

/// Makes a schema pending and begins another epoch.
///
/// # Errors
/// [`StoreError`].
pub fn schema_announce_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    (nonce, text): (i64, &str),
) -> Result<(), StoreError> {
    AnnounceSchema {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        content: text,
        nonce,
        lifetime: PhantomData,
    }
    .execute(connection)?;
    epoch_begin_in_txn(connection, tenant)
}

/// Writes the next state of a schema whose row is locked and was `head`, and begins another epoch; `None` deletes it.
///
/// # Errors
/// [`StoreError`].
pub fn schema_write_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    head: &SchemaHead,
    (nonce, content): (i64, Option<&SchemaContent>),
) -> Result<(StateTag, Timestamp), StoreError> {
    let version = head.version + 1;
    let updated_at = head.now.max(head.updated_at);
    UpdateSchema {
        version,
        nonce,
        deleted: content.is_none(),
        media_type: content.map_or("", |content| &content.media_type),
        content: content.map(|content| &*content.text),
        updated_at: updated_at.to_datetime(),
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        lifetime: PhantomData,
    }
    .execute(connection)?;
    epoch_begin_in_txn(connection, tenant)?;
    Ok((StateTag { version, nonce }, updated_at))
}

/// Takes back what is pending under this nonce, if it still is.
///
/// # Errors
/// [`StoreError`].
pub fn schema_withdraw_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    nonce: i64,
) -> Result<(), StoreError> {
    let (bucket, tenant_name) = (tenant.bucket(), tenant.as_str());
    let withdrawn = WithdrawSchema {
        bucket,
        tenant: tenant_name,
        collection: collection.as_str(),
        nonce,
        lifetime: PhantomData,
    }
    .execute(connection)?;
    if withdrawn == 0 {
        return Ok(());
    }
    DeleteNeverSet {
        bucket,
        tenant: tenant_name,
        collection: collection.as_str(),
        lifetime: PhantomData,
    }
    .execute(connection)?;
    epoch_begin_in_txn(connection, tenant)
}

/// Says that nobody has broken what is pending under this nonce.
///
/// # Errors
/// [`StoreError`].
pub fn schema_mend_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    nonce: i64,
) -> Result<(), StoreError> {
    ForgetBroken {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        nonce,
        lifetime: PhantomData,
    }
    .execute(connection)?;
    Ok(())
}

fn epoch_begin_in_txn(connection: &mut PgConnection, tenant: &Tenant) -> Result<(), StoreError> {
    NextEpoch {
        bucket: tenant.bucket(),
        lifetime: PhantomData,
    }
    .execute(connection)?;
    Ok(())
}

/// Takes down which pending schemas the batch breaks. One that is not pending any more is another epoch's.
///
/// ## Concurrency
/// A statement each, in the order of collections: one for all of them would lock their rows in an order of its own.
///
/// # Errors
/// [`StoreError`].
pub(super) fn pending_break_in_txn(
    connection: &mut PgConnection,
    tenant: &Tenant,
    world: &World,
) -> Result<(), StoreError> {
    for (collection, (nonce, name)) in &world.writes().broken {
        let statement = BreakPending {
            key: name.key.as_str(),
            bucket: tenant.bucket(),
            tenant: tenant.as_str(),
            collection: collection.as_str(),
            nonce: *nonce,
            lifetime: PhantomData,
        };
        statement.execute(connection)?;
    }
    Ok(())
}

/// Up to `limit` resources of a collection with keys after `after`, with their bodies, in the order of keys; fewer where
/// they are larger than `bytes` together.
///
/// # Errors
/// [`StoreError`].
pub fn chunk_fetch(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    after: &str,
    (limit, bytes): (i64, i64),
) -> Result<Vec<(ResourceName, String)>, StoreError> {
    let statement = ReadChunk {
        bucket: tenant.bucket(),
        tenant: tenant.as_str(),
        collection: collection.as_str(),
        after,
        limit,
        bytes,
        lifetime: PhantomData,
    };
    let found: Vec<(String, String)> = statement.load(connection)?;
    found
        .into_iter()
        .map(|(key, body)| Ok((super::lock::name_of(collection.as_str(), &key)?, body)))
        .collect()
}
