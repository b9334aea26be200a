//! One batch: lock, read, decide, write, commit; and what happens when that fails.
//!
//! ## Concurrency
//! All that a batch judges is locked before it is judged and stays locked until COMMIT, so every condition of every
//! command holds in the very state that the command changes. A name that has no row and cannot be created by any
//! command of the batch is not locked: then all names are read once more in one snapshot, after the locks, and that
//! snapshot is what is judged; should it show a row that was not locked, the batch begins anew.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;

use super::believer::{Attempt, Believer, Doubt, Sight};
use super::drafts::drafts_of;
use super::floor::Turn;
use super::keys::keys_load;
use super::open_limit::OpenLimit;
use super::schema_cache::SchemaCache;
use crate::protocol::command::{Command, Verdict};
use crate::protocol::decide::decide;
use crate::protocol::name::{ResourceName, Tenant, TransactionId};
use crate::protocol::operation::Change;
use crate::protocol::state::{Resource, State, Transaction};
use crate::protocol::world::World;
use crate::store::error::StoreError;
use crate::store::lock::{self, Opened, Use, Uses};
use crate::store::pool::{Opening, Outcome};
use crate::store::{read, write};

/// How often a batch that lost against another runs again before its clients are told to.
const ATTEMPTS_MAX: u32 = 12;

/// How long to ask what became of a COMMIT that was not acknowledged; less than a client waits.
const SETTLE_TIME: Duration = Duration::from_secs(25);

/// Commits a batch of commands of one tenant; as many verdicts, in the same order.
pub(super) fn commit(
    turn: &mut Turn<'_>,
    believer: &mut Believer,
    commands: &[Command],
    body_bytes_max: usize,
) -> Vec<Verdict> {
    let applied = match believer.attempt(turn, commands, body_bytes_max) {
        Ok(Attempt::Applied(verdicts)) => return verdicts,
        Ok(Attempt::Passed) => attempt_repeatedly(turn, believer, commands, body_bytes_max, None),
        // Whatever goes wrong now, it may have been applied: nobody is told that nothing was, and nothing is divided.
        Ok(Attempt::InDoubt(doubt)) => {
            attempt_repeatedly(turn, believer, commands, body_bytes_max, Some(&doubt))
                .map_err(|error| StoreError::InDoubt(Box::new(error)))
        }
        Err(error) => Err(error),
    };
    let error = match applied {
        Ok(verdicts) => return verdicts,
        Err(error) => error,
    };
    if commands.len() > 1
        && matches!(
            error,
            StoreError::Failed(_)
                | StoreError::Corrupt(_)
                | StoreError::Conflict(_)
                | StoreError::Busy(_)
        )
    {
        // One of them made the database refuse, or waits for a lock; by themselves, its neighbours are not harmed.
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            commands = commands.len(),
            "a batch is divided"
        );
        return commands
            .iter()
            .flat_map(|command| {
                commit(
                    turn,
                    believer,
                    std::slice::from_ref(command),
                    body_bytes_max,
                )
            })
            .collect();
    }
    let problem = super::reader::problem_of(&error);
    commands.iter().map(|_| Err(problem.clone())).collect()
}

fn attempt_repeatedly(
    turn: &mut Turn<'_>,
    believer: &mut Believer,
    commands: &[Command],
    body_bytes_max: usize,
    doubt: Option<&Doubt>,
) -> Result<Vec<Verdict>, StoreError> {
    let mut attempt = 0;
    let (open, schemas) = believer.shared();
    loop {
        attempt += 1;
        let mut written = Written::default();
        let bounds = (&*open, &*schemas, body_bytes_max);
        let result = turn.write(Opening::Full, |connection| {
            run_in_txn(connection, commands, bounds, doubt, &mut written)
        });
        if let Some(sight) = written.sight.take() {
            believer.see(sight);
        }
        match result {
            Err(StoreError::InDoubt(error)) => {
                let doubt = StoreError::InDoubt(error);
                match settle(turn, written.proof.as_ref(), &doubt) {
                    Some(true) => return Ok(written.verdicts),
                    Some(false) if attempt < ATTEMPTS_MAX => {}
                    Some(false) | None => return Err(doubt),
                }
            }
            Err(error) if error.is_transient() && attempt < ATTEMPTS_MAX => {
                let ceiling = 1u64 << attempt.min(6);
                thread::sleep(Duration::from_micros(rand::random_range(0..=ceiling * 500)));
            }
            Err(error) => return Err(error),
            Ok(()) => return Ok(written.verdicts),
        }
    }
}

/// What a run has decided, kept outside of it: COMMIT may fail in a way that leaves it standing.
#[derive(Default)]
struct Written {
    verdicts: Vec<Verdict>,
    proof: Option<write::Proof>,
    sight: Option<Sight>,
}

fn run_in_txn(
    connection: &mut PgConnection,
    commands: &[Command],
    (open, schemas, body_bytes_max): (&OpenLimit, &SchemaCache, usize),
    doubt: Option<&Doubt>,
    written: &mut Written,
) -> Result<Outcome<()>, StoreError> {
    *written = Written::default();
    let Some(tenant) = commands.first().map(|command| command.tenant.clone()) else {
        return Ok(Outcome::Rollback(()));
    };
    let ids = ids_of(connection, &tenant, commands)?;
    let opened = lock::transactions_lock_in_txn(connection, &tenant, &ids)?;
    let schemas = schemas.in_epoch(connection, &tenant, opened.ground.epoch)?;
    written.sight = Some(Sight::new(tenant.clone(), opened.ground, schemas.clone()));
    let mut world = world_of(opened, body_bytes_max).with_schemas(schemas);
    let drafts = drafts_of(&world, commands)?;
    let uses = uses_of(commands, &drafts);
    let placeholders = lock::placeholders_insert_in_txn(connection, &tenant, world.now, &uses)?;
    for (name, resource) in lock_all(connection, &tenant, &uses)? {
        world.load_resource(name, resource);
    }
    if let Some(doubt) = doubt
        && is_proved(connection, &tenant, &doubt.proof)?
    {
        written.verdicts.clone_from(&doubt.verdicts);
        return Ok(Outcome::Rollback(()));
    }
    keys_load(connection, &tenant, commands, &mut world)?;
    let unused: Vec<TransactionId> = ids
        .iter()
        .copied()
        .filter(|id| world.transaction(*id).is_none())
        .collect();
    let wanted = commands.iter().filter(|command| command.may_open()).count();
    world.open_room = open.take(connection, &tenant, wanted)?;
    written.verdicts = commands
        .iter()
        .map(|command| decide(&mut world, command))
        .collect();
    open.give_back(&tenant, world.open_room);
    let refused = |id: &TransactionId| {
        let verdicts = commands.iter().zip(&written.verdicts);
        verdicts
            .into_iter()
            .any(|(command, verdict)| command.id == *id && verdict.is_err())
    };
    let refused: Vec<TransactionId> = unused.into_iter().filter(refused).collect();
    still_unused(connection, &tenant, world.epoch, &refused)?;
    if world.writes().transactions.is_empty() && world.writes().keys.is_empty() {
        return Ok(Outcome::Rollback(()));
    }
    write::world_write_in_txn(connection, &tenant, &world, &placeholders, &ids)?;
    written.proof = write::Proof::of(tenant, &world);
    Ok(Outcome::Commit(()))
}

/// Whether what was in doubt has been applied. Asked under the locks of what it writes, so that it is not half way.
fn is_proved(
    connection: &mut PgConnection,
    tenant: &Tenant,
    proof: &write::Proof,
) -> Result<bool, StoreError> {
    let found = read::transactions_fetch(connection, tenant, &[proof.id()])?;
    Ok(found.transactions.iter().any(|found| proof.is(found)))
}

/// The transactions that the commands are about, those that have their references included, in the order of locking.
fn ids_of(
    connection: &mut PgConnection,
    tenant: &Tenant,
    commands: &[Command],
) -> Result<Vec<TransactionId>, StoreError> {
    let mut ids: Vec<TransactionId> = commands.iter().filter_map(Command::transaction).collect();
    let references: Vec<&str> = commands
        .iter()
        .filter_map(Command::reference)
        .map(|reference| &**reference)
        .collect();
    if !references.is_empty() {
        // Whoever takes one of them meanwhile is found out by the unique index, and the batch runs again.
        ids.extend(lock::references_fetch(connection, tenant, &references)?);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Makes sure that ids which had no row, and whose commands are refused, have none still.
///
/// An id without a row is not locked. While the batch waited for resources, a copy of the same request may have
/// committed; judged by what that copy left behind, "nothing was recorded" would be a lie. One more look tells: with
/// the same operation the copy held the locks that this batch has now, so it has committed by now or never does.
/// A row may also have been purged while the batch waited for it: then the horizon is in another epoch.
fn still_unused(
    connection: &mut PgConnection,
    tenant: &Tenant,
    epoch: i64,
    ids: &[TransactionId],
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let found = read::transactions_fetch(connection, tenant, ids)?;
    if found.transactions.is_empty() && found.ground.epoch == epoch {
        return Ok(());
    }
    Err(StoreError::Conflict(diesel::result::Error::NotFound))
}

/// The state that one command is refused on, read without locks.
pub(super) fn read(
    connection: &mut PgConnection,
    command: &Command,
    body_bytes_max: usize,
) -> Result<World, StoreError> {
    let commands = std::slice::from_ref(command);
    let ids = ids_of(connection, &command.tenant, commands)?;
    let opened = transactions_settled(connection, &command.tenant, &ids)?;
    let mut world = world_of(opened, body_bytes_max);
    let drafts = drafts_of(&world, commands)?;
    let uses = uses_of(commands, &drafts);
    if !uses.is_empty() {
        for (name, resource) in lock::resources_read(connection, &command.tenant, &uses)? {
            world.load_resource(name, resource);
        }
    }
    keys_load(connection, &command.tenant, commands, &mut world)?;
    Ok(world)
}

/// Transactions as they are; where one seems to have expired, as they are once nobody is committing it.
///
/// A commit that began before the expiry may still be under way; a plain read would call expired what then commits.
/// Whoever takes the lock after us judges by a later clock.
///
/// # Errors
/// [`StoreError`].
pub(super) fn transactions_settled(
    connection: &mut PgConnection,
    tenant: &Tenant,
    ids: &[TransactionId],
) -> Result<Opened, StoreError> {
    loop {
        let opened = read::transactions_fetch(connection, tenant, ids)?;
        let expiring = |transaction: &Transaction| {
            transaction.state == State::Open
                && transaction.state_at(opened.ground.now) == State::Expired
        };
        if !opened.transactions.iter().any(expiring) {
            return Ok(opened);
        }
        let locked = lock::transactions_lock_in_txn(connection, tenant, ids)?;
        if locked.transactions.len() >= opened.transactions.len() {
            return Ok(locked);
        }
        // One was purged while its lock was waited for, and the horizon may be as it was before: read it anew.
    }
}

fn world_of(opened: Opened, body_bytes_max: usize) -> World {
    let mut world = World::new(opened.ground, body_bytes_max);
    for transaction in opened.transactions {
        world.load_transaction(transaction);
    }
    world
}

fn uses_of<'a>(commands: &'a [Command], drafts: &'a [(&Command, Vec<Change>)]) -> Uses<'a> {
    let mut uses = Uses::new();
    let applied = drafts.iter().flat_map(|(commit, changes)| {
        let accesses = changes.iter().map(|change| commit.access(change));
        accesses.collect::<Vec<_>>()
    });
    for access in commands.iter().flat_map(Command::accesses).chain(applied) {
        let usage = uses.entry(access.name).or_default();
        usage.writes |= access.writes;
        usage.may_create |= access.may_create;
        usage.reads_body |= access.reads_body;
    }
    uses
}

/// Locks and reads all names; see the module's Concurrency.
fn lock_all(
    connection: &mut PgConnection,
    tenant: &Tenant,
    uses: &Uses<'_>,
) -> Result<Vec<(ResourceName, Resource)>, StoreError> {
    let exists = |(_, resource): &(ResourceName, Resource)| resource.tag.version > 0;
    if uses.is_empty() {
        return Ok(Vec::new());
    }
    let locked = lock::resources_lock_in_txn(connection, tenant, uses)?;
    if locked.len() == uses.len() {
        return Ok(locked.into_iter().filter(exists).collect());
    }
    let seen = lock::resources_read(connection, tenant, uses)?;
    let held: HashSet<&ResourceName> = locked.iter().map(|(name, _)| name).collect();
    // A name that may be created had a row when its placeholder was not inserted: a tombstone that has been purged since.
    // Without a lock on the name, what is asserted to be absent might be created before this batch commits.
    let unheld = |(name, usage): (&&ResourceName, &Use)| usage.may_create && !held.contains(*name);
    if !uses.iter().any(unheld) && seen.iter().all(|(name, _)| held.contains(name)) {
        return Ok(seen);
    }
    // Locking it now would be out of order: the batch begins anew, and locks it in its place.
    Err(StoreError::Conflict(diesel::result::Error::NotFound))
}

/// Finds out whether a COMMIT that was not acknowledged has happened.
///
/// `None` where it could not be found out in time. One transaction of the batch tells for all: they were one Postgres
/// transaction.
fn settle(turn: &mut Turn<'_>, proof: Option<&write::Proof>, doubt: &StoreError) -> Option<bool> {
    let Some(proof) = proof else {
        // Keys alone: whoever writes them once more waits for that COMMIT, and finds out.
        return Some(false);
    };
    tracing::warn!(
        error = doubt as &dyn std::error::Error,
        "a COMMIT was not acknowledged; asking what became of it"
    );
    let deadline = Instant::now() + SETTLE_TIME;
    loop {
        let probe = turn.write(Opening::Full, |connection| {
            write::proof_probe_in_txn(connection, proof).map(Outcome::Rollback)
        });
        match probe {
            Ok(committed) => {
                tracing::info!(committed, "the COMMIT in doubt is settled");
                return Some(committed);
            }
            Err(error) if Instant::now() >= deadline => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the COMMIT in doubt could not be settled in time"
                );
                return None;
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}
