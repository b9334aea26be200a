//! Drafts: what the commit of one may use, and how a resource looks through one.

use diesel::pg::PgConnection;

use super::{Engine, batch};
use crate::protocol::command::{Action, Command, PutContent};
use crate::protocol::decide::{answerable, draft_view};
use crate::protocol::draft::Shown;
use crate::protocol::name::{ResourceName, Tenant, TransactionId};
use crate::protocol::operation::{Change, stored_changes};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::{State, Transaction};
use crate::protocol::tag::DraftTag;
use crate::protocol::world::World;
use crate::store::drafts;
use crate::store::error::StoreError;

/// The drafts that the commands commit, as they are: with the changes that commands before them in the batch may add.
/// Whoever else adds any waits for the lock on the transaction.
pub(super) fn drafts_of<'c>(
    world: &World,
    commands: &'c [Command],
) -> Result<Vec<(&'c Command, Vec<Change>)>, StoreError> {
    let mut drafts = Vec::new();
    for commit in commands {
        if !matches!(commit.action, Action::Commit) {
            continue;
        }
        let stored = world.transaction(commit.id);
        let stored = stored.filter(|stored| stored.state == State::Open);
        let stored = stored.and_then(|stored| stored.operation.as_deref());
        let mut changes = match stored.map(stored_changes) {
            None => Vec::new(),
            Some(Some(changes)) => changes,
            Some(None) => return Err(StoreError::Corrupt("a draft is no operation")),
        };
        for other in commands.iter().filter(|other| other.id == commit.id) {
            match &other.action {
                Action::Draft {
                    content: Ok(change),
                    ..
                } => changes.push(change.clone()),
                Action::Put(Ok(PutContent {
                    operation: Some(operation),
                    draft: true,
                    ..
                })) => changes.extend(operation.changes.iter().cloned()),
                _ => {}
            }
        }
        drafts.push((commit, changes));
    }
    Ok(drafts)
}

impl Engine {
    /// A resource as the draft of an open transaction leaves it; its tag in the draft, where the draft touches it.
    ///
    /// # Errors
    /// `not-found`, `transaction-finished`, `patch-conflict`, `transaction-cancelled`, `transaction-expired`, `gone`;
    /// `unavailable`, `internal-error`.
    pub async fn draft_fetch(
        &self,
        tenant: &Tenant,
        id: TransactionId,
        target: &ResourceName,
    ) -> Result<(Shown, Option<DraftTag>), Problem> {
        let (tenant, target) = (tenant.clone(), target.clone());
        let body_bytes_max = self.limits().body_bytes_max;
        self.read(move |connection| view(connection, &tenant, id, &target, body_bytes_max))
            .await?
    }
}

/// A resource through the draft of a transaction; its tag in the draft, where the draft touches it.
///
/// # Errors
/// [`StoreError`]; within, the refusal.
fn view(
    connection: &mut PgConnection,
    tenant: &Tenant,
    id: TransactionId,
    target: &ResourceName,
    body_bytes_max: usize,
) -> Result<Result<(Shown, Option<DraftTag>), Problem>, StoreError> {
    // Both of one snapshot: the changes of a draft that was committed must not be applied to what they made.
    let found = drafts::view_fetch(connection, tenant, id, target)?;
    let (mut ground, mut transaction) = (found.ground, found.transaction);
    let expiring = |found: &Transaction| {
        found.state == State::Open && found.state_at(ground.now) == State::Expired
    };
    if transaction.as_ref().is_some_and(expiring) {
        let mut settled = batch::transactions_settled(connection, tenant, &[id])?;
        (ground, transaction) = (settled.ground, settled.transactions.pop());
    }
    if let Err(problem) = answerable(id, transaction.as_ref(), ground.now, ground.purge_horizon) {
        return Ok(Err(problem));
    }
    let Some(transaction) = transaction else {
        let detail = format!("{} does not exist.", id.path());
        return Ok(Err(Problem::new(Slug::NotFound, detail)));
    };
    Ok(draft_view(
        &transaction,
        target,
        found.resource.as_ref(),
        body_bytes_max,
    ))
}
