//! What the keys of a batch's commands stand for.

use std::collections::BTreeMap;

use diesel::pg::PgConnection;

use super::batch::transactions_settled;
use crate::protocol::command::Command;
use crate::protocol::key::{KeyAnswer, KeyUse};
use crate::protocol::name::{Tenant, TransactionId};
use crate::protocol::world::World;
use crate::store::error::StoreError;
use crate::store::keys;

/// Reads what the keys of the commands stand for.
///
/// ## Concurrency
/// Nothing is locked. It comes after everything else was locked and read: a copy of a request that has changed what this
/// batch has read is found by its key, and a copy that commits only now has not. Who writes the same key first is found
/// out by the insert.
///
/// # Errors
/// [`StoreError`].
pub(super) fn keys_load(
    connection: &mut PgConnection,
    tenant: &Tenant,
    commands: &[Command],
    world: &mut World,
) -> Result<(), StoreError> {
    let mut wanted = BTreeMap::new();
    for command in commands {
        if let Some(key) = &command.key {
            *wanted.entry(&key.name).or_insert(false) |= command.representation;
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let found = keys::keys_fetch(connection, tenant, &wanted)?;
    let made = found.iter().filter(|(_, found)| found.written.is_none());
    let ids: Vec<TransactionId> = made.map(|(_, found)| found.transaction).collect();
    let transactions = match ids.is_empty() {
        true => Vec::new(),
        false => transactions_settled(connection, tenant, &ids)?.transactions,
    };
    for (name, found) in found {
        let answer = match found.written {
            Some((name, resource)) => KeyAnswer::Written(name, resource),
            None => {
                let mut made = transactions.iter();
                let made = made.find(|transaction| transaction.id == found.transaction);
                // Both were purged between the two statements.
                let made = made.ok_or(StoreError::Conflict(diesel::result::Error::NotFound))?;
                KeyAnswer::Transaction(Box::new(made.clone()))
            }
        };
        let used = KeyUse {
            fingerprint: found.fingerprint,
            transaction: found.transaction,
            created: found.created,
            answer,
        };
        world.load_key(name, used);
    }
    Ok(())
}
