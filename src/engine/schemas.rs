//! Changes of schemas: announced, checked against what is stored, then set (docs/decisions/0010-schema-changes.md).
//!
//! ## Concurrency
//! From the announcement on, every commit has judged its bodies by the new schema too, and one that breaks it says so
//! in the schema's row: the announcement begins an epoch, and what was judged in another one does not commit. So what is
//! stored is read in chunks, each by a statement of its own, and no lock is held while it is looked at. Setting the schema
//! locks its row, where it finds out whether it still is the one announced and nobody has broken it.

mod change;

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use tokio::sync::oneshot;

use self::change::Failure;
pub use self::change::SchemaSet;
use super::committer::JUDGE_STACK_BYTES;
use super::{Engine, Settings};
use crate::protocol::name::{Collection, Tenant};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::schema::{SchemaCommand, SchemaContent, StoredSchema};
use crate::store::pool::Pool;
use crate::store::schemas::schema_fetch;

/// Changes of schemas that work at once; others wait.
const CHANGERS: usize = 2;

/// Changes that may wait; one more is refused.
const QUEUE_LENGTH: usize = 64;

/// How long a change may take: a collection of some ten million resources is checked in that time.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(600);

type Work = Box<dyn FnOnce(&Pool) + Send>;

/// The way to the threads that change schemas.
pub(super) struct Changer {
    work: Sender<Work>,
}

impl Changer {
    /// Starts the threads.
    pub(super) fn start(settings: &Settings) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (work, queue): (Sender<Work>, Receiver<Work>) =
            crossbeam_channel::bounded(QUEUE_LENGTH);
        let size = u32::try_from(CHANGERS).unwrap_or(1);
        let timeout = settings.connection_timeout;
        let pool = Pool::new(&settings.database_url, size, timeout, true);
        let handles = (0..CHANGERS)
            .map(|number| {
                let (pool, queue) = (pool.clone(), queue.clone());
                thread::Builder::new()
                    .name(format!("schemas-{number}"))
                    .stack_size(JUDGE_STACK_BYTES)
                    .spawn(move || queue.iter().for_each(|work| work(&pool)))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok((Self { work }, handles))
    }

    /// Sets a schema.
    pub(super) async fn put(
        &self,
        command: SchemaCommand,
        content: Result<SchemaContent, Problem>,
    ) -> Result<SchemaSet, Problem> {
        self.run(move |pool, wanted| change::put(pool, &command, &content, wanted))
            .await
    }

    /// Deletes a schema.
    pub(super) async fn delete(
        &self,
        command: SchemaCommand,
        content: Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.run(move |pool, _| change::delete(pool, &command, &content))
            .await
    }

    async fn run<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Pool, &dyn Fn() -> bool) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, result) = oneshot::channel::<Result<T, Problem>>();
        let deadline = Instant::now() + CHANGE_TIME_MAX;
        let work: Work = Box::new(move |pool| {
            let done = change(pool, &|| !answer.is_closed() && Instant::now() < deadline);
            let _ = answer.send(done.map_err(Problem::from));
        });
        let unavailable = |detail: &str| Problem::new(Slug::Unavailable, detail);
        self.work.try_send(work).map_err(|_| {
            unavailable("Too many changes of schemas are waiting. Nothing was changed; send the same request again in a moment.")
        })?;
        let stopping =
            |_| unavailable("The server is stopping. Send the same request again; it will tell.");
        result.await.map_err(stopping)?
    }
}

impl Engine {
    /// The schema of a collection; `None` where it has none.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn schema_fetch(
        &self,
        tenant: &Tenant,
        collection: &Collection,
    ) -> Result<Option<StoredSchema>, Problem> {
        let (tenant, collection) = (tenant.clone(), collection.clone());
        let found = self
            .read(move |connection| schema_fetch(connection, &tenant, &collection))
            .await?;
        Ok(found.and_then(|head| head.current))
    }

    /// Sets a schema, once every stored resource of its collection was found to satisfy it.
    ///
    /// # Errors
    /// The refusal; `unavailable`, where the same request will tell.
    pub async fn schema_put(
        &self,
        command: SchemaCommand,
        content: Result<SchemaContent, Problem>,
    ) -> Result<SchemaSet, Problem> {
        self.shared.changer.put(command, content).await
    }

    /// Deletes a schema.
    ///
    /// # Errors
    /// As [`Engine::schema_put`].
    pub async fn schema_delete(
        &self,
        command: SchemaCommand,
        content: Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.shared.changer.delete(command, content).await
    }
}
