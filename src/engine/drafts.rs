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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::protocol::clock::Timestamp;
    use crate::protocol::condition::{Conditions, TagList};
    use crate::protocol::decide::decide;
    use crate::protocol::operation::{ChangeMethod, Operation};
    use crate::protocol::world::Ground;

    fn command(action: Action) -> Command {
        let star = Conditions {
            if_match: Some(TagList::Star),
            ..Conditions::default()
        };
        Command {
            tenant: Tenant::default(),
            id: TransactionId::from_uuid(uuid::Uuid::from_u128(7)),
            nonce: 7,
            representation: false,
            strict: false,
            conditions: Ok(star),
            key: None,
            action,
        }
    }

    fn put(key: &str) -> Change {
        Change {
            method: ChangeMethod::Put,
            target: ResourceName::parse_path(&format!("/resources/a/{key}")).unwrap(),
            conditions: Conditions {
                if_none_match: Some(TagList::Star),
                ..Conditions::default()
            },
            media_type: "application/json".into(),
            body: Some("1".into()),
        }
    }

    fn save(key: &str, draft: bool) -> Command {
        command(Action::Put(Ok(PutContent {
            operation: Some(Operation::new(vec![put(key)])),
            draft,
            new: Default::default(),
        })))
    }

    #[test]
    fn a_commit_locks_what_is_drafted_before_it_in_its_own_batch_too() {
        let ground = Ground::at(Timestamp::from_micros(1_800_000_000_000_000));
        let mut world = World::new(ground, 1 << 20);
        let id = command(Action::Commit).id;
        decide(&mut world, &command(Action::Create(Ok(Default::default())))).ok();
        decide(&mut world, &save("stored", true)).unwrap();
        assert!(world.transaction(id).is_some());
        let recorded = put("recorded");
        let mut other = save("other", true);
        other.id = TransactionId::from_uuid(uuid::Uuid::from_u128(8));
        let commands = [
            command(Action::Draft {
                method: ChangeMethod::Put,
                target: recorded.target.clone(),
                content: Ok(recorded),
            }),
            save("saved", true),
            save("applied", false),
            other,
            command(Action::Commit),
        ];
        let drafts = drafts_of(&world, &commands).unwrap();
        let keys = |changes: &[Change]| -> Vec<String> {
            let keys = changes.iter().map(|change| change.target.key.to_string());
            keys.collect()
        };
        assert_eq!(drafts.len(), 1);
        let (commit, changes) = &drafts[0];
        assert_eq!(keys(changes), ["stored", "recorded", "saved"]);
        assert!(
            changes
                .iter()
                .map(|change| commit.access(change))
                .all(|access| access.writes)
        );
        // Those that only record it leave it to others.
        let accesses = commands[..2].iter().flat_map(Command::accesses);
        assert!(
            accesses
                .into_iter()
                .all(|access| !access.writes && !access.may_create)
        );
    }
}
