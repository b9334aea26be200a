//! Whose turn at the database it is.
//!
//! Committers take the bucket's counter one after the other anyway. So one batch works at a time while the next one
//! gathers, and it leaves the floor when all that is left to do is COMMIT: the flush of one batch overlaps the work of
//! the next. More operations then share what every batch costs. A batch that takes long is not waited for.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use diesel::QueryResult;
use diesel::pg::PgConnection;

use crate::store::error::StoreError;
use crate::store::pool::{Opening, Outcome, Pool};

/// How long a batch waits for the floor: small operations do not wait for large ones.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// The committers' common way to the database.
#[derive(Clone)]
pub(super) struct Floor {
    pool: Pool,
    /// Holds one token while nobody has the floor.
    free: Receiver<()>,
    back: Sender<()>,
}

/// One batch's way to the database; with the floor, as long as its work has not been done.
pub(super) struct Turn<'a> {
    pool: &'a Pool,
    back: Option<&'a Sender<()>>,
}

impl Floor {
    pub(super) fn new(pool: Pool) -> Self {
        let (back, free) = bounded(1);
        let floor = Self { pool, free, back };
        let _ = floor.back.try_send(());
        floor
    }

    /// Waits for the floor, not for ever.
    pub(super) fn turn(&self) -> Turn<'_> {
        let taken = self.free.recv_timeout(WAIT_MAX).is_ok();
        Turn {
            pool: &self.pool,
            back: taken.then_some(&self.back),
        }
    }
}

impl Turn<'_> {
    /// [`Pool::write`]; the floor is left before COMMIT.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn write<T>(
        &mut self,
        opening: Opening,
        work: impl FnMut(&mut PgConnection) -> Result<Outcome<T>, StoreError>,
    ) -> Result<T, StoreError> {
        let pool = self.pool;
        pool.write(opening, work, || self.end())
    }

    /// [`Pool::write_alone`]; the floor is left at once, since the statement commits by itself.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn write_alone<T>(
        &mut self,
        statement: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        self.end();
        self.pool.write_alone(statement)
    }

    fn end(&mut self) {
        if let Some(back) = self.back.take() {
            let _ = back.try_send(());
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is connected to until something is written.
    fn floor() -> Floor {
        Floor::new(Pool::new("postgres://nowhere", 1, WAIT_MAX, true))
    }

    #[test]
    fn one_batch_has_the_floor_and_others_do_not_wait_for_ever() {
        let floor = floor();
        let first = floor.turn();
        assert!(first.back.is_some());
        assert!(floor.turn().back.is_none(), "it works beside the first");
        drop(first);
        assert!(floor.turn().back.is_some());
    }

    #[test]
    fn a_floor_that_was_left_is_left_once() {
        let floor = floor();
        let mut first = floor.turn();
        first.end();
        let second = floor.turn();
        assert!(second.back.is_some());
        first.end();
        drop(first);
        assert!(floor.turn().back.is_none(), "the second still has it");
        drop(second);
        assert_eq!(floor.free.len(), 1);
    }

    #[test]
    fn a_statement_that_commits_by_itself_leaves_it_at_once() {
        let floor = floor();
        let mut lone = floor.turn();
        let written = lone.write_alone(|_| Ok(()));
        assert!(written.is_err(), "there is no database");
        assert!(floor.turn().back.is_some());
    }
}
