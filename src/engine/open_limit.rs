//! How many transactions a tenant may have open: room is taken before a batch creates some.
//!
//! Counting costs, so what was counted is remembered, and what is created since is subtracted. Nobody is told of what was
//! finished since, or created by other servers: after [`COUNT_AGE_MAX`], or when no room is left, the count is made again.
//! So several servers together may exceed the limit by what they create within that time, and one server by one batch
//! that another committer has not committed yet.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;

use crate::protocol::name::Tenant;
use crate::store::error::StoreError;
use crate::store::open::open_count;

/// How long a count is believed.
const COUNT_AGE_MAX: Duration = Duration::from_secs(10);

/// How long a tenant that was full is refused without another count; as long as refusals ask to wait.
const FULL_AGE_MAX: Duration = Duration::from_secs(1);

/// The room of every tenant, as far as it is known.
pub(super) struct OpenLimit {
    max: usize,
    rooms: Mutex<HashMap<Tenant, Room>>,
}

#[derive(Clone, Copy)]
struct Room {
    left: usize,
    full: bool,
    counted: Instant,
}

impl OpenLimit {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            rooms: Mutex::new(HashMap::new()),
        }
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<Tenant, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for up to `wanted` transactions; answers with for how many there is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn take(
        &self,
        connection: &mut PgConnection,
        tenant: &Tenant,
        wanted: usize,
    ) -> Result<usize, StoreError> {
        if wanted == 0 {
            return Ok(0);
        }
        if let Some(known) = self.take_known(tenant, wanted) {
            return Ok(known);
        }
        let left = self.max - open_count(connection, tenant, self.max)?.min(self.max);
        let taken = wanted.min(left);
        let room = Room {
            left: left - taken,
            full: left == 0,
            counted: Instant::now(),
        };
        self.rooms().insert(tenant.clone(), room);
        Ok(taken)
    }

    /// The same without a count; `None` where one is needed.
    fn take_known(&self, tenant: &Tenant, wanted: usize) -> Option<usize> {
        let mut rooms = self.rooms();
        let room = rooms.get_mut(tenant)?;
        let age = room.counted.elapsed();
        if room.full && age < FULL_AGE_MAX {
            return Some(0);
        }
        if age >= COUNT_AGE_MAX {
            return None;
        }
        room.left = room.left.checked_sub(wanted)?;
        Some(wanted)
    }

    /// Gives back what was taken and not used.
    pub(super) fn give_back(&self, tenant: &Tenant, unused: usize) {
        if let Some(room) = self.rooms().get_mut(tenant) {
            room.left = room.left.saturating_add(unused).min(self.max);
        }
    }
}
