//! Reader threads: a bounded queue of reads, each one statement on a connection of its own; reads of single resources
//! that wait together share one.

use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use diesel::pg::PgConnection;
use tokio::sync::oneshot;

use super::Settings;
use super::query::{
    CollectionQuery, Page, ResourceQuery, ResourceScope, TransactionQuery, Version, VersionQuery,
};
use crate::protocol::limits;
use crate::protocol::name::{Collection, ResourceName, Tenant, TransactionId};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::{Resource, Transaction};
use crate::store::error::StoreError;
use crate::store::pool::Pool;
use crate::store::{history, read};

/// Reads of single resources that share a statement: enough to share its cost, few enough that their bodies fit.
const POINTS_MAX: usize = 64;

/// What a reader does.
enum Work {
    /// One resource.
    Point(Point),
    /// Anything else.
    Other(Box<dyn FnOnce(&Pool) + Send>),
}

/// The read of one resource.
struct Point {
    tenant: Tenant,
    name: ResourceName,
    deadline: Instant,
    answer: oneshot::Sender<Result<Option<Resource>, Problem>>,
}

impl Point {
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

    /// Reads one resource.
    ///
    /// # Errors
    /// As [`Reader::run`].
    pub(super) async fn point(
        &self,
        time_limit: Duration,
        tenant: Tenant,
        name: ResourceName,
    ) -> Result<Option<Resource>, Problem> {
        let (answer, result) = oneshot::channel();
        self.enqueue(Work::Point(Point {
            tenant,
            name,
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
            Work::Point(first) => {
                let (points, rest) = gather(first, queue);
                left_over = rest;
                answer_points(pool, points);
            }
        }
    }
}

/// Takes the reads of single resources that wait, of one tenant; what did not fit comes first next time.
fn gather(first: Point, queue: &Receiver<Work>) -> (Vec<Point>, Option<Work>) {
    let mut points = vec![first];
    while points.len() < POINTS_MAX {
        match queue.try_recv() {
            Ok(Work::Point(point)) if point.tenant == points[0].tenant => points.push(point),
            Ok(work) => return (points, Some(work)),
            Err(_) => break,
        }
    }
    (points, None)
}

/// One statement for all; each is answered from the one snapshot that was taken after it had been asked.
fn answer_points(pool: &Pool, points: Vec<Point>) {
    let points: Vec<Point> = points.into_iter().filter(Point::is_wanted).collect();
    let Some(tenant) = points.first().map(|point| point.tenant.clone()) else {
        return;
    };
    let found = pool.read(|connection| {
        let names: Vec<&ResourceName> = points.iter().map(|point| &point.name).collect();
        read::resources_fetch_each(connection, &tenant, &names)
    });
    match found {
        Ok(found) => {
            for (point, resource) in points.into_iter().zip(found) {
                let _ = point.answer.send(Ok(resource));
            }
        }
        Err(error) => {
            let problem = problem_of(&error);
            for point in points {
                let _ = point.answer.send(Err(problem.clone()));
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
    query: &ResourceQuery,
) -> Result<Page<(ResourceName, Resource)>, StoreError> {
    let after = query.after.as_deref().unwrap_or_default();
    match &query.scope {
        ResourceScope::Named(names) => {
            let names: Vec<_> = names
                .iter()
                .map(|name| (&name.collection, &name.key))
                .collect();
            Ok(Page {
                items: read::resources_fetch(connection, tenant, &names)?,
                next: None,
            })
        }
        ResourceScope::Collection {
            collection,
            prefix,
            keys: Some(keys),
        } => {
            let prefix = prefix.as_deref().unwrap_or_default();
            let names: Vec<_> = keys
                .iter()
                .filter(|key| key.as_str().starts_with(prefix) && key.as_str() > after)
                .map(|key| (collection, key))
                .collect();
            Ok(Page {
                items: read::resources_fetch(connection, tenant, &names)?,
                next: None,
            })
        }
        ResourceScope::Collection {
            collection,
            prefix,
            keys: None,
        } => {
            let place = (after, prefix.as_deref().unwrap_or_default());
            // One more than asked for tells whether there is more; a page cut for its size has a row less than that.
            let bounds = (query.limit + 1, limits::PAGE_BYTES_MAX);
            let found = read::resource_page(connection, tenant, collection, place, bounds)?;
            Ok(page(found.items, query.limit, found.cut, |(name, _)| {
                name.key.as_str().to_owned()
            }))
        }
    }
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
    let filter = (query.state, query.reference.as_deref());
    let found = read::transaction_page(connection, tenant, filter, after, query.limit + 1)?;
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
) -> Result<Option<Version>, StoreError> {
    let found = history::version_fetch(connection, tenant, name, version)?;
    Ok(found.map(|found| Version {
        state: found.state,
        predecessor: found.predecessor,
        successor: found.successor,
    }))
}

/// Cuts what was read to `limit`; there is more where something was cut here or before.
fn page<T>(mut items: Vec<T>, limit: usize, cut: bool, position: impl Fn(&T) -> String) -> Page<T> {
    let more = cut || items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(position);
    Page { items, next }
}
