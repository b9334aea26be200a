//! What tells, after the connection broke, whether a batch has committed.

use std::marker::PhantomData;

use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::statements::{InsertProbe, ProbeTransaction};
use crate::protocol::name::{Tenant, TransactionId};
use crate::protocol::state::{State, Transaction};
use crate::protocol::world::World;
use crate::store::error::StoreError;

/// What proves that a batch has committed: one transaction as the batch left it.
#[derive(Debug)]
pub struct Proof {
    tenant: Tenant,
    transaction: Transaction,
    inserted: bool,
}

impl Proof {
    /// The best proof of a batch: a transaction that nobody can change any more, else one that the batch created.
    pub fn of(tenant: Tenant, world: &World) -> Option<Self> {
        let rank = |proof: &Proof| match (proof.transaction.state, proof.inserted) {
            (State::Committed | State::Cancelled, _) => 0,
            (_, true) => 1,
            (_, false) => 2,
        };
        let written = world.writes().transactions.iter();
        let proofs = written.filter_map(|(id, stored)| {
            let transaction = world.transaction(*id)?.clone();
            Some(Self {
                tenant: tenant.clone(),
                transaction,
                inserted: stored.stored_version == 0,
            })
        });
        proofs.min_by_key(rank)
    }
}

/// Whether the batch that left this proof has committed. Nothing is changed.
///
/// ## Concurrency
/// The insert waits for a commit under way on the same id, the locking read for one on the same row; a plain
/// read might see neither. Both are undone by the caller's ROLLBACK.
///
/// # Errors
/// [`StoreError`].
pub fn proof_probe_in_txn(
    connection: &mut PgConnection,
    proof: &Proof,
) -> Result<bool, StoreError> {
    let Proof {
        tenant,
        transaction,
        inserted,
    } = proof;
    let (bucket, tenant, id) = (tenant.bucket(), tenant.as_str(), transaction.id.uuid());
    InsertProbe {
        bucket,
        tenant,
        id,
        now: transaction.created_at.to_datetime(),
        later: transaction.expires_at.to_datetime(),
        lifetime: PhantomData,
    }
    .execute(connection)?;
    let probe = ProbeTransaction {
        bucket,
        tenant,
        id,
        lifetime: PhantomData,
    };
    let found: Option<(i64, i64)> = probe.get_result(connection).optional()?;
    // Version 0 is the row just inserted. One that the batch created may have gone on since, if its answer got out by
    // another way; that it exists is proof enough, unless a client made the id.
    let (version, nonce) = found.unwrap_or_default();
    let created = *inserted && transaction.state == State::Open;
    Ok(if created {
        version > 0
    } else {
        (version, nonce) == (transaction.tag.version, transaction.tag.nonce)
    })
}

impl Proof {
    /// The id of the transaction that is looked for.
    pub fn id(&self) -> TransactionId {
        self.transaction.id
    }

    /// Whether a transaction, as it was found, is as the batch left it.
    pub fn is(&self, found: &Transaction) -> bool {
        found.tag == self.transaction.tag
    }
}
