//! The short way of a batch: decide on what its clients believe, and write in one statement that finds out whether it
//! is so. Where it is not, nothing has been written, and the batch goes the long way.

use std::time::{Duration, Instant};

use super::batch::settle;
use crate::protocol::belief::{Believed, believe};
use crate::protocol::clock::Timestamp;
use crate::protocol::command::{Command, Verdict};
use crate::protocol::name::Tenant;
use crate::store::believed::{believed_write_alone, believed_write_in_txn};
use crate::store::error::StoreError;
use crate::store::pool::{Outcome, Pool};
use crate::store::write::Proof;

/// How long the database's clock is reckoned from when it was read last.
const SIGHT_AGE_MAX: Duration = Duration::from_secs(1);

/// Batches that go the long way at most after beliefs were false time and again.
const DOUBT_MAX: u32 = 64;

/// What a committer has seen of a tenant, and how far it trusts its clients to be right.
#[derive(Debug, Default)]
pub(super) struct Believer {
    sight: Option<Sight>,
    /// Batches still to go the long way.
    skip: u32,
    /// How many that will be after the next false belief.
    doubt: u32,
}

/// The database's clock and a tenant's purge horizon when they were read.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) tenant: Tenant,
    pub(super) now: Timestamp,
    pub(super) purge_horizon: Timestamp,
    /// When the answer was here: later than `now`, so that what is reckoned from it is never ahead of the database.
    pub(super) at: Instant,
}

impl Believer {
    /// Remembers what the long way has seen.
    pub(super) fn see(&mut self, sight: Sight) {
        self.sight = Some(sight);
    }

    /// The verdicts, where all of the batch could be applied as believed. `None`: nothing was written.
    ///
    /// # Errors
    /// [`StoreError::InDoubt`] where it could not be found out whether it was.
    pub(super) fn attempt(
        &mut self,
        pool: &Pool,
        commands: &[Command],
        body_bytes_max: usize,
    ) -> Result<Option<Vec<Verdict>>, StoreError> {
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(None);
        }
        let sight = self.sight.as_ref();
        let Some(sight) = sight.filter(|sight| sight.at.elapsed() < SIGHT_AGE_MAX) else {
            return Ok(None);
        };
        if commands
            .iter()
            .any(|command| command.tenant != sight.tenant)
        {
            return Ok(None);
        }
        let passed = i64::try_from(sight.at.elapsed().as_micros()).unwrap_or(i64::MAX);
        let now = Timestamp::from_micros(sight.now.micros().saturating_add(passed));
        let Some(believed) = believe(commands, now, sight.purge_horizon, body_bytes_max) else {
            return Ok(None);
        };
        let written = write(pool, &sight.tenant.clone(), &believed)?;
        self.learn(written);
        Ok(written.then_some(believed.verdicts))
    }

    fn learn(&mut self, written: bool) {
        if written {
            self.doubt = 0;
        } else {
            self.doubt = (2 * self.doubt).clamp(1, DOUBT_MAX);
            self.skip = self.doubt;
        }
    }
}

/// Whether all was as believed, and so has been written and committed.
fn write(pool: &Pool, tenant: &Tenant, believed: &Believed) -> Result<bool, StoreError> {
    let alone = pool
        .write_alone(|connection| believed_write_alone(connection, tenant, believed).transpose());
    let result = match alone {
        Ok(None) => pool.write(|connection| {
            Ok(match believed_write_in_txn(connection, tenant, believed)? {
                true => Outcome::Commit(true),
                false => Outcome::Rollback(false),
            })
        }),
        Ok(Some(written)) => Ok(written),
        Err(error) => Err(error),
    };
    match result {
        Err(StoreError::InDoubt(error)) => {
            let doubt = StoreError::InDoubt(error);
            let proof = Proof::of(tenant.clone(), &believed.world);
            settle(pool, proof.as_ref(), &doubt).ok_or(doubt)
        }
        // The long way meets the same error again, and tells of it.
        Err(_) => Ok(false),
        Ok(written) => Ok(written),
    }
}
