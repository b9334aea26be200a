//! Reader threads: a bounded queue of reads, each one statement on a connection of its own; reads of named resources
//! that wait together share one.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use diesel::pg::PgConnection;
use tokio::sync::oneshot;

use super::Settings;
use super::query::{CollectionQuery, Page, TransactionQuery, Version, VersionQuery};
use crate::protocol::decide::version_purged;
use crate::protocol::limits;
use crate::protocol::name::{Collection, ResourceName, Tenant, TransactionId};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::{Resource, Transaction};
use crate::store::error::StoreError;
use crate::store::pool::Pool;
use crate::store::read::Described;
use crate::store::{history, read};

/// Resources whose reads share a statement: enough to share its cost, few enough that their bodies fit.
const NAMES_MAX: usize = 64;

/// What a reader does.
enum Work {
    /// Named resources.
    Named(Named),
    /// Anything else.
    Other(Box<dyn FnOnce(&Pool) + Send>),
}

/// The read of named resources, all of one state of the database.
struct Named {
    tenant: Tenant,
    names: Vec<ResourceName>,
    deadline: Instant,
    answer: oneshot::Sender<Result<Vec<Option<Described>>, Problem>>,
}

impl Named {
    fn is_wanted(&self) -> bool {
        Instant::now() < self.deadline && !self.answer.is_closed()
    }
}

/// The way to the reader threads.
pub(super) struct Reader {
    work: Sender<Work>,
}

impl Reader {
    /// Starts the threads.
    pub(super) fn start(
        settings: &Settings,
        pool: &Pool,
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (work, queue) = crossbeam_channel::bounded::<Work>(settings.queue_length);
        let handles = (0..settings.readers.max(1))
            .map(|number| {
                let (pool, queue) = (pool.clone(), queue.clone());
                thread::Builder::new()
                    .name(format!("reader-{number}"))
                    .spawn(move || serve(&pool, &queue))
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok((Self { work }, handles))
    }

    /// Runs a read and waits for what it found.
    ///
    /// # Errors
    /// `unavailable` where the queue is full, the database is away or the time limit has passed; `internal-error`.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        time_limit: Duration,
        work: impl FnMut(&mut PgConnection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, result) = oneshot::channel();
        let deadline = Instant::now() + time_limit;
        self.enqueue(Work::Other(Box::new(move |pool| {
            if Instant::now() < deadline && !answer.is_closed() {
                let _ = answer.send(pool.read(work).map_err(|error| problem_of(&error)));
            }
        })))?;
        in_time(time_limit, result).await
    }

    /// Reads resources by their names, in one snapshot; the answers are in the order of the names.
    ///
    /// # Errors
    /// As [`Reader::run`].
    pub(super) async fn named(
        &self,
        time_limit: Duration,
        tenant: Tenant,
        names: Vec<ResourceName>,
    ) -> Result<Vec<Option<Described>>, Problem> {
        let (answer, result) = oneshot::channel();
        self.enqueue(Work::Named(Named {
            tenant,
            names,
            deadline: Instant::now() + time_limit,
            answer,
        }))?;
        in_time(time_limit, result).await
    }

    fn enqueue(&self, work: Work) -> Result<(), Problem> {
        if self.work.try_send(work).is_err() {
            return Err(Problem::new(
                Slug::Unavailable,
                "Too many reads are waiting. Send the same request again in a moment.",
            ));
        }
        Ok(())
    }
}

async fn in_time<T>(
    time_limit: Duration,
    result: oneshot::Receiver<Result<T, Problem>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(time_limit, result).await {
        Ok(Ok(result)) => result,
        _ => Err(Problem::new(
            Slug::Unavailable,
            "The database did not answer in time. Send the same request again in a moment.",
        )),
    }
}

fn serve(pool: &Pool, queue: &Receiver<Work>) {
    let mut left_over = None;
    while let Some(work) = left_over.take().or_else(|| queue.recv().ok()) {
        match work {
            Work::Other(work) => work(pool),
            Work::Named(first) => {
                let (reads, rest) = gather(first, queue);
                left_over = rest;
                answer_named(pool, reads);
            }
        }
    }
}

/// Takes the reads of named resources that wait, of one tenant; what did not fit comes first next time.
fn gather(first: Named, queue: &Receiver<Work>) -> (Vec<Named>, Option<Work>) {
    let mut names = first.names.len();
    let mut reads = vec![first];
    while names < NAMES_MAX {
        match queue.try_recv() {
            Ok(Work::Named(read))
                if read.tenant == reads[0].tenant && names + read.names.len() <= NAMES_MAX =>
            {
                names += read.names.len();
                reads.push(read);
            }
            Ok(work) => return (reads, Some(work)),
            Err(_) => break,
        }
    }
    (reads, None)
}

/// One statement for all; each is answered from the one snapshot that was taken after it had been asked.
fn answer_named(pool: &Pool, reads: Vec<Named>) {
    let reads: Vec<Named> = reads.into_iter().filter(Named::is_wanted).collect();
    let Some(tenant) = reads.first().map(|read| read.tenant.clone()) else {
        return;
    };
    let found = pool.read(|connection| {
        let names: Vec<&ResourceName> = reads.iter().flat_map(|read| &read.names).collect();
        read::resources_fetch(connection, &tenant, &names)
    });
    match found {
        Ok(found) => {
            let mut found = found.into_iter();
            for read in reads {
                let resources = found.by_ref().take(read.names.len()).collect();
                let _ = read.answer.send(Ok(resources));
            }
        }
        Err(error) => {
            let problem = problem_of(&error);
            for read in reads {
                let _ = read.answer.send(Err(problem.clone()));
            }
        }
    }
}

/// What clients are told when the store fails. The chain of causes goes to the log, here and only here.
pub(super) fn problem_of(error: &StoreError) -> Problem {
    tracing::error!(error = error as &dyn std::error::Error, "the store failed");
    match error {
        StoreError::Unreachable(_) => Problem::new(
            Slug::Unavailable,
            "The database is not reachable. Nothing was applied; send the same request again in a moment.",
        ),
        StoreError::Conflict(_) | StoreError::Busy(_) => Problem::new(
            Slug::Unavailable,
            "The operation met others for too long. Send the same request again in a moment; it tells what became of it.",
        ),
        StoreError::InDoubt(_) => Problem::new(
            Slug::Unavailable,
            "The database was lost while it committed. Send the same request again: it tells what became of it.",
        ),
        StoreError::Failed(_) | StoreError::Corrupt(_) => Problem::new(
            Slug::InternalError,
            "The server failed. Nothing was applied; send the same request again, or ask its operator.",
        ),
    }
}

pub(super) fn resource_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    collection: &Collection,
    (after, prefix): (&str, &str),
    limit: usize,
) -> Result<Page<(ResourceName, Resource)>, StoreError> {
    // One more than asked for tells whether there is more; a page cut for its size has a row less than that.
    let bounds = (limit + 1, limits::PAGE_BYTES_MAX);
    let found = read::resource_page(connection, tenant, collection, (after, prefix), bounds)?;
    Ok(page(found.items, limit, found.cut, |(name, _)| {
        name.key.as_str().to_owned()
    }))
}

pub(super) fn collection_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    query: &CollectionQuery,
) -> Result<Page<Collection>, StoreError> {
    let after = query.after.as_deref().unwrap_or_default();
    let prefix = query.prefix.as_deref().unwrap_or_default();
    let found = read::collection_page(connection, tenant, (after, prefix), query.limit + 1)?;
    Ok(page(found, query.limit, false, |collection| {
        collection.as_str().to_owned()
    }))
}

pub(super) fn transaction_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    query: &TransactionQuery,
) -> Result<Page<Transaction>, StoreError> {
    let after = query
        .after
        .as_deref()
        .and_then(TransactionId::parse_segment);
    if let Some(reference) = &query.reference {
        // At most one has it; whatever else is asked for, that one is or is not.
        let found = read::referenced_fetch(connection, tenant, reference)?;
        let fits = |found: &Transaction| {
            query.state.is_none_or(|state| found.state == state)
                && after.is_none_or(|after| found.id < after)
        };
        return Ok(Page {
            items: found.filter(fits).into_iter().collect(),
            next: None,
        });
    }
    let found = read::transaction_page(connection, tenant, query.state, after, query.limit + 1)?;
    Ok(page(found, query.limit, false, |transaction| {
        transaction.id.to_string()
    }))
}

pub(super) fn version_page(
    connection: &mut PgConnection,
    tenant: &Tenant,
    query: &VersionQuery,
) -> Result<Option<Page<Resource>>, StoreError> {
    // No version has the greatest number.
    let before = query.after.unwrap_or(i64::MAX);
    let found = history::version_page(connection, tenant, &query.name, before, query.limit + 1)?;
    let cut = |items| {
        page(items, query.limit, false, |state: &Resource| {
            state.tag.version.to_string()
        })
    };
    Ok(found.map(cut))
}

pub(super) fn version(
    connection: &mut PgConnection,
    tenant: &Tenant,
    name: &ResourceName,
    version: i64,
) -> Result<Result<Option<Version>, Problem>, StoreError> {
    let mut newest = 0;
    loop {
        if let Some(found) = history::version_fetch(connection, tenant, name, version)? {
            return Ok(Ok(Some(Version {
                state: found.state,
                predecessor: found.predecessor,
                successor: found.successor,
            })));
        }
        // There was a newer one before the last look, so this one had been there, and has been purged.
        if (1..newest).contains(&version) {
            return Ok(Err(version_purged(name, version)));
        }
        newest = history::newest_fetch(connection, tenant, name)?.unwrap_or_default();
        if version >= newest {
            return Ok(Ok(None));
        }
    }
}

/// Cuts what was read to `limit`; there is more where something was cut here or before.
pub(super) fn page<T>(
    mut items: Vec<T>,
    limit: usize,
    cut: bool,
    position: impl Fn(&T) -> String,
) -> Page<T> {
    let more = cut || items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(position);
    Page { items, next }
}
