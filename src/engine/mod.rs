//! The work: commands through the commit queue, reads through reader threads.
//!
//! The engine knows the store and the protocol, and nothing of HTTP. It waits for nobody while it holds a
//! connection, and decides nothing itself: `protocol::decide` does.

mod batch;
mod believer;
mod committer;
mod contains;
mod drafts;
mod floor;
mod keys;
mod open_limit;
pub mod purge;
pub mod query;
mod reader;
mod schema_cache;
mod schemas;
mod submit;
mod wait;
mod watch;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use contains::ContainingQuery;
pub use query::{
    CollectionQuery, Page, ResourceQuery, ResourceScope, Service, TransactionQuery, Version,
    VersionQuery,
};
pub use schemas::SchemaSet;
pub use wait::Waited;

use crate::protocol::decide::answerable;
use crate::protocol::limits;
use crate::protocol::name::{Collection, ResourceName, Tenant, TransactionId};
use crate::protocol::problem::Problem;
use crate::protocol::state::{Resource, Transaction};
use crate::store::{pool::Pool, read};

use committer::Job;
use reader::Reader;
use schemas::Changer;
use watch::Watches;

/// What clients are told of, and held to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one request's content, and of one resource.
    pub body_bytes_max: usize,
    /// Seconds that a finished transaction is kept, and a deleted resource.
    pub retention_seconds: i64,
    /// Transactions that a tenant may have open at a time.
    pub open_transactions_max: usize,
    /// Which versions of resources are kept.
    pub keep: purge::Keep,
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
    /// Clients that may wait for transactions at once; one more is answered without waiting.
    pub waiters_max: usize,
    /// How long a command or a read may take, waiting included.
    pub time_limit: Duration,
    /// How long to wait for a connection.
    pub connection_timeout: Duration,
    /// How often to purge in the background; never where left out.
    pub purge_interval: Option<Duration>,
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
            waiters_max: limits::WAITERS_MAX,
            time_limit: Duration::from_secs(30),
            connection_timeout: Duration::from_secs(2),
            purge_interval: Some(purge::INTERVAL_DEFAULT),
            limits: Limits {
                body_bytes_max: limits::BODY_BYTES_MAX,
                retention_seconds: limits::RETENTION_SECONDS_DEFAULT,
                open_transactions_max: limits::OPEN_TRANSACTIONS_MAX,
                keep: purge::Keep::default(),
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
    watches: Watches,
    time_limit: Duration,
    limits: Limits,
    /// Never sent to: the purge ends when it is dropped.
    _stop: crossbeam_channel::Sender<()>,
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
        let reading = pool(settings.readers, false);
        let (watches, watcher) = Watches::start(&reading, settings.waiters_max)?;
        let committing = pool(settings.committers, true);
        let mut handles = committer::start(settings, &committing, &queue, &watches)?;
        let (reader, readers) = Reader::start(settings, &reading)?;
        handles.extend(readers);
        handles.push(watcher);
        let (changer, changers) = Changer::start(settings)?;
        handles.extend(changers);
        let (_stop, stop) = crossbeam_channel::bounded(0);
        handles.extend(purge::start(settings, stop)?);
        let shared = Shared {
            jobs,
            reader,
            changer,
            watches,
            time_limit: settings.time_limit,
            limits: settings.limits,
            _stop,
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
    /// `gone` where that version is not kept any more; `unavailable`, `internal-error`.
    pub async fn version_fetch(
        &self,
        tenant: &Tenant,
        name: &ResourceName,
        version: i64,
    ) -> Result<Option<Version>, Problem> {
        let (tenant, name) = (tenant.clone(), name.clone());
        self.read(move |connection| reader::version(connection, &tenant, &name, version))
            .await?
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
