//! The short way of a batch: decide on what its clients believe, and write in one statement that finds out whether it
//! is so. Where it is not, nothing has been written, and the batch goes the long way.
//!
//! ## Concurrency
//! A statement whose connection broke may still be under way, or in a buffer somewhere. The long way locks the
//! resources and looks for the proof before it decides. What comes later than that lock does nothing: it finds another
//! state than it believes in, or a transaction under the id that it wants to insert.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::floor::Turn;
use super::open_limit::OpenLimit;
use super::schema_cache::SchemaCache;
use crate::protocol::belief::{Believed, believe};
use crate::protocol::clock::Timestamp;
use crate::protocol::command::{Command, Verdict};
use crate::protocol::name::Tenant;
use crate::protocol::schema::Schemas;
use crate::protocol::world::Ground;
use crate::store::believed::{believed_write_alone, believed_write_in_txn};
use crate::store::error::StoreError;
use crate::store::pool::{Opening, Outcome};
use crate::store::write::Proof;

/// How long the database's clock is reckoned from when it was read last.
const SIGHT_AGE_MAX: Duration = Duration::from_secs(1);

/// Batches that go the long way at most after beliefs were false time and again.
const DOUBT_MAX: u32 = 64;

/// What a committer has seen of a tenant, and how far it trusts its clients to be right.
pub(super) struct Believer {
    /// How many transactions may be open; common to all committers.
    pub(super) open: Arc<OpenLimit>,
    sight: Option<Sight>,
    /// What is known of schemas; shared by all committers.
    schemas: Arc<SchemaCache>,
    /// Batches still to go the long way.
    skip: u32,
    /// How many went, or go, the long way because of the last false belief; doubles while they follow each other.
    doubt: u32,
}

/// What came of an attempt.
pub(super) enum Attempt {
    /// All was as believed, and is committed.
    Applied(Vec<Verdict>),
    /// Nothing was written.
    Passed,
    /// The connection broke. The statement may have committed, may do so yet, or never.
    InDoubt(Box<Doubt>),
}

/// A belief of which it is not known whether it was applied.
pub(super) struct Doubt {
    /// What is there if it was.
    pub(super) proof: Proof,
    /// What its clients are told then.
    pub(super) verdicts: Vec<Verdict>,
}

/// What a tenant's commands are judged by, when it was read.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    tenant: Tenant,
    ground: Ground,
    /// Those of the ground's epoch.
    schemas: Arc<Schemas>,
    /// When the answer was here: later than the clock in `ground`, so that what is reckoned from it is never ahead of the database.
    at: Instant,
    /// The same by the system's clock, which goes on while the machine sleeps.
    at_system: SystemTime,
}

impl Sight {
    /// What has been read just now.
    pub(super) fn new(tenant: Tenant, ground: Ground, schemas: Arc<Schemas>) -> Self {
        Self {
            tenant,
            ground,
            schemas,
            at: Instant::now(),
            at_system: SystemTime::now(),
        }
    }

    /// How old it is at these times; `None` where it is too old, or either clock was moved.
    fn age(&self, now: Instant, now_system: SystemTime) -> Option<Duration> {
        let age = now.checked_duration_since(self.at)?;
        let age_system = now_system.duration_since(self.at_system).ok()?;
        (age < SIGHT_AGE_MAX && age_system < SIGHT_AGE_MAX).then_some(age)
    }
}

impl Believer {
    /// One that has seen nothing yet.
    pub(super) fn new(open: Arc<OpenLimit>, schemas: Arc<SchemaCache>) -> Self {
        Self {
            open,
            schemas,
            sight: None,
            skip: 0,
            doubt: 0,
        }
    }

    /// What all committers know: how many transactions may be opened, and schemas.
    pub(super) fn shared(&self) -> (Arc<OpenLimit>, Arc<SchemaCache>) {
        (self.open.clone(), self.schemas.clone())
    }

    /// Remembers what the long way has seen.
    pub(super) fn see(&mut self, sight: Sight) {
        self.sight = Some(sight);
    }

    /// Applies the batch where all of it is as its clients believe.
    ///
    /// # Errors
    /// [`StoreError::Busy`].
    pub(super) fn attempt(
        &mut self,
        turn: &mut Turn<'_>,
        commands: &[Command],
        body_bytes_max: usize,
    ) -> Result<Attempt, StoreError> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(Attempt::Passed);
        }
        let Some((tenant, believed)) = self.believe(commands, body_bytes_max) else {
            return Ok(Attempt::Passed);
        };
        match write(turn, &tenant, &believed) {
            Ok(true) => {
                self.doubt = 0;
                Ok(Attempt::Applied(believed.verdicts))
            }
            Ok(false) => {
                self.learn();
                Ok(Attempt::Passed)
            }
            Err(StoreError::InDoubt(error)) => {
                tracing::warn!(
                    error = &*error,
                    "a statement was not acknowledged; looking what became of it"
                );
                Ok(match Proof::of(tenant, &believed.world) {
                    Some(proof) => Attempt::InDoubt(Box::new(Doubt {
                        proof,
                        verdicts: believed.verdicts,
                    })),
                    None => Attempt::Passed,
                })
            }
            // Whoever has waited for a lock this long does not wait for it once more.
            Err(error @ StoreError::Busy(_)) => Err(error),
            // The long way meets any other error again, and tells of it.
            Err(_) => Ok(Attempt::Passed),
        }
    }

    /// What the commands do if they are right, as far as this committer knows the time.
    fn believe(&self, commands: &[Command], body_bytes_max: usize) -> Option<(Tenant, Believed)> {
        let sight = self.sight.as_ref()?;
        let age = sight.age(Instant::now(), SystemTime::now())?;
        if commands
            .iter()
            .any(|command| command.tenant != sight.tenant)
        {
            return None;
        }
        let passed = i64::try_from(age.as_micros()).ok()?;
        let now = Timestamp::from_micros(sight.ground.now.micros().saturating_add(passed));
        let ground = Ground {
            now,
            ..sight.ground
        };
        let believed = believe(commands, ground, &sight.schemas, body_bytes_max)?;
        Some((sight.tenant.clone(), believed))
    }

    /// Whoever was wrong is wrong again, most likely.
    fn learn(&mut self) {
        self.doubt = (2 * self.doubt).clamp(1, DOUBT_MAX);
        self.skip = self.doubt;
    }
}

/// Whether all was as believed, and so has been written and committed.
fn write(turn: &mut Turn<'_>, tenant: &Tenant, believed: &Believed) -> Result<bool, StoreError> {
    if believed.is_alone() {
        return turn.write_alone(|connection| believed_write_alone(connection, tenant, believed));
    }
    turn.write(Opening::Short, |connection| {
        Ok(match believed_write_in_txn(connection, tenant, believed)? {
            true => Outcome::Commit(true),
            false => Outcome::Rollback(false),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sight_is_not_trusted_after_a_sleep_or_a_step_of_the_clock() {
        let ground = Ground::at(Timestamp::from_micros(0));
        let sight = Sight::new(Tenant::default(), ground, Arc::default());
        let (now, now_system) = (sight.at, sight.at_system);
        let short = Duration::from_millis(900);
        assert_eq!(sight.age(now + short, now_system + short), Some(short));
        assert_eq!(sight.age(now + SIGHT_AGE_MAX, now_system + short), None);
        assert_eq!(sight.age(now + short, now_system + SIGHT_AGE_MAX), None);
        assert_eq!(sight.age(now + short, now_system - short), None);
    }
}
