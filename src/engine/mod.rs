//! The work: commands through the commit queue, reads through reader threads.
//!
//! The engine knows the store and the protocol, and nothing of HTTP. It waits for nobody while it holds a
//! connection, and decides nothing itself: `protocol::decide` does.

mod batch;
mod believer;
mod committer;
mod floor;
pub mod query;
mod reader;
mod schema_cache;
mod schemas;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

pub use query::{
    CollectionQuery, Page, ResourceQuery, ResourceScope, Service, TransactionQuery, Version,
    VersionQuery,
};
pub use schemas::SchemaSet;

use crate::protocol::command::{Command, Verdict};
use crate::protocol::decide::{answerable, decide};
use crate::protocol::limits;
use crate::protocol::name::{Collection, ResourceName, Tenant, TransactionId};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::{Resource, Transaction};
use crate::store::pool::Pool;
use crate::store::read;

use committer::Job;
use reader::Reader;
use schemas::Changer;

/// What clients are told of, and held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one request's content, and of one resource.
    pub body_bytes_max: usize,
    /// Seconds that a finished transaction is kept.
    pub retention_seconds: i64,
}

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A libpq URI or connection string.
    pub database_url: String,
    /// Threads that commit; each owns one connection.
    pub committers: usize,
    /// Threads that read; each uses one connection.
    pub readers: usize,
    /// Commands that may wait; one more is refused with `503`.
    pub queue_length: usize,
    /// How long a command or a read may take, waiting included.
    pub time_limit: Duration,
    /// How long to wait for a connection.
    pub connection_timeout: Duration,
    /// What clients are held to.
    pub limits: Limits,
}

impl Settings {
    /// The defaults over a database.
    pub fn new(database_url: impl Into<String>) -> Self {
        Self {
            database_url: database_url.into(),
            committers: 2,
            readers: 4,
            queue_length: 4096,
            time_limit: Duration::from_secs(30),
            connection_timeout: Duration::from_secs(2),
            limits: Limits {
                body_bytes_max: limits::BODY_BYTES_MAX,
                retention_seconds: limits::RETENTION_SECONDS_DEFAULT,
            },
        }
    }
}

/// The way to all state; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    jobs: crossbeam_channel::Sender<Job>,
    reader: Reader,
    changer: Changer,
    time_limit: Duration,
    limits: Limits,
}

/// The engine's threads. They end when every [`Engine`] is gone and what was queued is done.
pub struct Workers(Vec<JoinHandle<()>>);

impl Workers {
    /// Waits until all have ended.
    pub fn join(self) {
        for handle in self.0 {
            if handle.join().is_err() {
                tracing::error!("a worker thread ended by a panic");
            }
        }
    }
}

impl Engine {
    /// Starts the threads. Connections are made when they are needed.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(settings: &Settings) -> std::io::Result<(Self, Workers)> {
        let pool = |size: usize, commits: bool| {
            let size = u32::try_from(size).unwrap_or(u32::MAX);
            let timeout = settings.connection_timeout;
            Pool::new(&settings.database_url, size, timeout, commits)
        };
        let (jobs, queue) = crossbeam_channel::bounded(settings.queue_length);
        let mut handles = committer::start(settings, &pool(settings.committers, true), &queue)?;
        let (reader, readers) = Reader::start(settings, &pool(settings.readers, false))?;
        handles.extend(readers);
        let (changer, changers) = Changer::start(settings)?;
        handles.extend(changers);
        let shared = Shared {
            jobs,
            reader,
            changer,
            time_limit: settings.time_limit,
            limits: settings.limits,
        };
        Ok((
            Self {
                shared: Arc::new(shared),
            },
            Workers(handles),
        ))
    }

    /// What clients are held to.
    pub fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    /// Every write: waits until the command is decided and, if it succeeded, committed.
    ///
    /// # Errors
    /// The refusal. `unavailable` where the queue is full, the database is away, or the time limit has passed; then the
    /// command may still be applied, and the same request will tell.
    pub async fn submit(&self, command: Command) -> Verdict {
        if command.is_refused_already() {
            return self.refuse(command).await;
        }
        let (answer, verdict) = oneshot::channel();
        if self.shared.jobs.try_send(Job { command, answer }).is_err() {
            return Err(Problem::new(
                Slug::Unavailable,
                "Too many operations are waiting. Nothing was applied; send the same request again in a moment.",
            ));
        }
        match tokio::time::timeout(self.shared.time_limit, verdict).await {
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
    async fn refuse(&self, command: Command) -> Verdict {
        let body_bytes_max = self.shared.limits.body_bytes_max;
        self.shared
            .reader
            .run(self.shared.time_limit, move |connection| {
                let mut world = batch::read(connection, &command, body_bytes_max)?;
                Ok(decide(&mut world, &command))
            })
            .await?
    }

    /// One resource with its body, and whether its collection has a schema; a tombstone where it was deleted; `None` where
    /// it never existed.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn resource_fetch(
        &self,
        tenant: &Tenant,
        name: &ResourceName,
    ) -> Result<Option<(Resource, bool)>, Problem> {
        let mut found = self.named(tenant, vec![name.clone()]).await?;
        Ok(found.pop().flatten())
    }

    /// A page of what a resource was, newest first, without bodies; `None` where it never existed.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn version_list(
        &self,
        tenant: &Tenant,
        query: VersionQuery,
    ) -> Result<Option<Page<Resource>>, Problem> {
        let tenant = tenant.clone();
        self.read(move |connection| reader::version_page(connection, &tenant, &query))
            .await
    }

    /// One state that a resource had, or the deletion that was its end; `None` where it has no version of that number.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn version_fetch(
        &self,
        tenant: &Tenant,
        name: &ResourceName,
        version: i64,
    ) -> Result<Option<Version>, Problem> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.read(move |connection| reader::version(connection, &tenant, &name, version))
            .await
    }

    /// A page of resources, all from one state.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn resource_list(
        &self,
        tenant: &Tenant,
        query: ResourceQuery,
    ) -> Result<Page<(ResourceName, Resource)>, Problem> {
        let after = query.after.unwrap_or_default();
        let limit = query.limit;
        let (collection, prefix) = match query.scope {
            ResourceScope::Named(names) => return self.existing(tenant, names).await,
            ResourceScope::Collection {
                collection,
                prefix,
                keys: Some(keys),
            } => {
                let prefix = prefix.unwrap_or_default();
                let names = keys
                    .into_iter()
                    .filter(|key| key.as_str().starts_with(&prefix) && *key.as_str() > *after)
                    .map(|key| ResourceName {
                        collection: collection.clone(),
                        key,
                    })
                    .collect();
                return self.existing(tenant, names).await;
            }
            ResourceScope::Collection {
                collection,
                prefix,
                keys: None,
            } => (collection, prefix.unwrap_or_default()),
        };
        let tenant = tenant.clone();
        self.read(move |connection| {
            reader::resource_page(connection, &tenant, &collection, (&after, &prefix), limit)
        })
        .await
    }

    /// Those of the named resources that exist, each once, by name, on one page.
    async fn existing(
        &self,
        tenant: &Tenant,
        mut names: Vec<ResourceName>,
    ) -> Result<Page<(ResourceName, Resource)>, Problem> {
        names.sort_unstable();
        names.dedup();
        let found = self.named(tenant, names.clone()).await?;
        let found = names.into_iter().zip(found);
        let exists = |(name, found): (_, Option<(Resource, bool)>)| {
            let (resource, _) = found.filter(|(resource, _)| !resource.deleted)?;
            Some((name, resource))
        };
        Ok(Page {
            items: found.filter_map(exists).collect(),
            next: None,
        })
    }

    /// Named resources in their order, tombstones included, in one snapshot.
    async fn named(
        &self,
        tenant: &Tenant,
        names: Vec<ResourceName>,
    ) -> Result<Vec<Option<(Resource, bool)>>, Problem> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let time_limit = self.shared.time_limit;
        self.shared
            .reader
            .named(time_limit, tenant.clone(), names)
            .await
    }

    /// A page of collections that hold a resource.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn collection_list(
        &self,
        tenant: &Tenant,
        query: CollectionQuery,
    ) -> Result<Page<Collection>, Problem> {
        let tenant = tenant.clone();
        self.read(move |connection| reader::collection_page(connection, &tenant, &query))
            .await
    }

    /// One transaction; `None` where the id was never used.
    ///
    /// # Errors
    /// `transaction-cancelled`, `transaction-expired`, `gone`; `unavailable`, `internal-error`.
    pub async fn transaction_fetch(
        &self,
        tenant: &Tenant,
        id: TransactionId,
    ) -> Result<Option<Transaction>, Problem> {
        let tenant = tenant.clone();
        let mut opened = self
            .read(move |connection| batch::transactions_settled(connection, &tenant, &[id]))
            .await?;
        let found = opened.transactions.pop();
        answerable(
            id,
            found.as_ref(),
            opened.ground.now,
            opened.ground.purge_horizon,
        )?;
        Ok(found)
    }

    /// A page of transactions, newest first, without those that are gone.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn transaction_list(
        &self,
        tenant: &Tenant,
        query: TransactionQuery,
    ) -> Result<Page<Transaction>, Problem> {
        let tenant = tenant.clone();
        self.read(move |connection| reader::transaction_page(connection, &tenant, &query))
            .await
    }

    /// What the service document tells.
    ///
    /// # Errors
    /// `unavailable`, `internal-error`.
    pub async fn service(&self, tenant: &Tenant) -> Result<Service, Problem> {
        let tenant = tenant.clone();
        let purge_horizon = self
            .read(move |connection| read::purge_horizon_fetch(connection, &tenant))
            .await?;
        Ok(Service { purge_horizon })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn ready(&self) -> Result<(), Problem> {
        let tenant = Tenant::default();
        self.read(move |connection| read::purge_horizon_fetch(connection, &tenant))
            .await
            .map(|_| ())
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut diesel::pg::PgConnection) -> Result<T, crate::store::error::StoreError>
        + Send
        + 'static,
    ) -> Result<T, Problem> {
        self.shared.reader.run(self.shared.time_limit, work).await
    }
}
