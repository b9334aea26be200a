//! References: who holds one, and how an expired holder lets go of it.

use super::transaction::next_tag;
use crate::protocol::command::{Command, NewTransaction};
use crate::protocol::state::{State, Transaction};
use crate::protocol::world::World;

/// The transaction that holds the reference of a new one.
pub(super) fn holder<'w>(world: &'w World, new: &NewTransaction) -> Option<&'w Transaction> {
    new.reference
        .as_ref()
        .and_then(|reference| world.reference_holder(reference))
}

/// Records the expiry of the transaction that still has this reference in the store.
pub(super) fn free_reference(world: &mut World, command: &Command, new: &NewTransaction) {
    let expired = new
        .reference
        .as_ref()
        .and_then(|reference| world.expired_holder(reference))
        .cloned();
    if let Some(mut expired) = expired {
        expired.state = State::Expired;
        expired.finished_at = Some(expired.expires_at);
        expired.tag = next_tag(&expired, command);
        world.write_transaction(expired, None);
    }
}
