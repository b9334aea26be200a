//! The way of a write: onto the commit queue, or to what it is refused for.

use std::time::Duration;

use tokio::sync::oneshot;

use super::committer::Job;
use super::{Engine, batch};
use crate::protocol::command::{Command, Verdict};
use crate::protocol::decide::decide;
use crate::protocol::problem::{Problem, Slug};

impl Engine {
    /// Every write: waits until the command is decided and, if it succeeded, committed; for no longer than `time`, where
    /// the client has less than the engine's time limit.
    ///
    /// # Errors
    /// The refusal. `unavailable` where the queue is full, the database is away, or the time limit has passed; then the
    /// command may still be applied, and the same request will tell.
    pub async fn submit(&self, command: Command, time: Option<Duration>) -> Verdict {
        let time_limit = time.map_or(self.shared.time_limit, |time| {
            time.min(self.shared.time_limit)
        });
        if command.is_refused_already() {
            return self.refuse(command, time_limit).await;
        }
        let (answer, verdict) = oneshot::channel();
        if self.shared.jobs.try_send(Job { command, answer }).is_err() {
            return Err(Problem::new(
                Slug::Unavailable,
                "Too many operations are waiting. Nothing was applied; send the same request again in a moment.",
            ));
        }
        match tokio::time::timeout(time_limit, verdict).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => Err(Problem::new(
                Slug::Unavailable,
                "The server is stopping. Send the same request again; it will tell.",
            )),
            Err(_) => Err(Problem::new(
                Slug::Unavailable,
                "The operation was not decided in time. Send the same request again: it tells what became of it.",
            )),
        }
    }

    /// Finds out which of its faults a command is refused for, from state read without locks: nothing is written.
    async fn refuse(&self, command: Command, time_limit: Duration) -> Verdict {
        let body_bytes_max = self.shared.limits.body_bytes_max;
        self.shared
            .reader
            .run(time_limit, move |connection| {
                let mut world = batch::read(connection, &command, body_bytes_max)?;
                Ok(decide(&mut world, &command))
            })
            .await?
    }
}
