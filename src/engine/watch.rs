//! Waiting for transactions: any number of waiters, one thread and one statement for all of them.
//!
//! Whoever waits has an entry here, and neither a thread nor a connection. A committer tells which transactions it has
//! written; what other servers commit is found by asking for the versions of all transactions that are waited for, a
//! thousand a statement. Either way the thread reads what has changed, once for all who wait for it, and hands it out:
//! what a waiter is told is always from a read.
//!
//! ## Concurrency
//! A waiter registers first and reads then, so a commit that its read does not see is told to its entry, or found by
//! the next look. What the looks compare with is the oldest version that any waiter of the entry knows, so that nobody
//! is forgotten because another has read later.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tokio::sync::watch;

use crate::protocol::clock::Timestamp;
use crate::protocol::name::{Tenant, TransactionId};
use crate::protocol::state::{State, Transaction};
use crate::store::pool::Pool;
use crate::store::watch::transactions_changed_fetch;
use crate::store::{error::StoreError, read};

/// How long until the next look at what other servers have committed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks take at most this part of the time, however many transactions are waited for.
const LOOK_SHARE: u32 = 5;

/// Transactions whose versions are asked for by one statement.
const LOOK_IDS_MAX: usize = 1000;

/// Transactions that are read by one statement; each may be as large as an operation.
const READ_IDS_MAX: usize = 50;

type Place = (Tenant, TransactionId);

/// What a waiter is told.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// Nothing yet.
    None,
    /// The transaction as it was read, and the database's clock then.
    Is(Arc<Transaction>, Timestamp),
    /// It could not be read here, or it seems to have expired: the waiter reads by itself.
    Ask,
    /// The server is stopping.
    Stop,
}

/// One transaction that is waited for.
struct Entry {
    /// What was read last, and which of the reads that was.
    news: watch::Sender<(u64, News)>,
    waiters: usize,
    /// The oldest version that any of the waiters knows, once one of them has read it.
    known: Option<i64>,
    /// Whether it is to be read.
    due: bool,
}

#[derive(Default)]
struct Entries {
    all: HashMap<Place, Entry>,
    due: Vec<Place>,
    /// Reads that have begun.
    reads: u64,
    stopping: bool,
}

impl Entries {
    fn ask_for(&mut self, place: &Place) {
        if let Some(entry) = self.all.get_mut(place)
            && !std::mem::replace(&mut entry.due, true)
        {
            self.due.push(place.clone());
        }
    }
}

#[derive(Default)]
struct Registry {
    /// Waiters; a committer looks at nothing else while there are none.
    count: AtomicUsize,
    /// Those of them that have read, and wait for something else.
    waiting: AtomicUsize,
    entries: Mutex<Entries>,
}

impl Registry {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing that is done under the lock can leave it half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where waiters register, and commits are told.
#[derive(Clone)]
pub(super) struct Watches {
    registry: Arc<Registry>,
    wake: Sender<()>,
    waiters_max: usize,
}

impl Watches {
    /// Starts the thread, which uses one connection of the pool at a time, and only while somebody waits.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn start(pool: &Pool, waiters_max: usize) -> io::Result<(Self, JoinHandle<()>)> {
        let (wake, wakes) = crossbeam_channel::bounded(1);
        let registry = Arc::new(Registry::default());
        let (seen, pool) = (Arc::clone(&registry), pool.clone());
        let handle = thread::Builder::new()
            .name("watcher".to_owned())
            .spawn(move || run(&seen, &wakes, &pool))?;
        let watches = Self {
            registry,
            wake,
            waiters_max,
        };
        Ok((watches, handle))
    }

    /// A place among those who wait for a transaction; `None` where there are too many, or the server is stopping.
    pub(super) fn watch(&self, tenant: &Tenant, id: TransactionId) -> Option<Watch> {
        let place = (tenant.clone(), id);
        let mut entries = self.registry.entries();
        let count = self.registry.count.load(Ordering::SeqCst);
        if entries.stopping || count >= self.waiters_max {
            return None;
        }
        self.registry.count.store(count + 1, Ordering::SeqCst);
        let entry = entries.all.entry(place.clone()).or_insert_with(|| Entry {
            news: watch::Sender::new((0, News::None)),
            waiters: 0,
            known: None,
            due: false,
        });
        entry.waiters += 1;
        let news = entry.news.subscribe();
        drop(entries);
        if count == 0 {
            self.wake();
        }
        Some(Watch {
            watches: self.clone(),
            place,
            news,
            waits: false,
        })
    }

    /// Tells that transactions have been written, and the commit acknowledged.
    pub(super) fn written<'a>(&self, written: impl Iterator<Item = (&'a Tenant, TransactionId)>) {
        if self.registry.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut entries = self.registry.entries();
        for (tenant, id) in written {
            entries.ask_for(&(tenant.clone(), id));
        }
        let due = !entries.due.is_empty();
        drop(entries);
        if due {
            self.wake();
        }
    }

    /// Ends all waiting, and lets nobody wait from now on.
    pub(super) fn stop(&self) {
        let mut entries = self.registry.entries();
        entries.stopping = true;
        for entry in entries.all.values() {
            entry.news.send_replace((u64::MAX, News::Stop));
        }
    }

    /// How many have read, and wait for something else.
    pub(super) fn waiting(&self) -> usize {
        self.registry.waiting.load(Ordering::SeqCst)
    }

    fn wake(&self) {
        // Where a call waits already, it is for this one too.
        let _ = self.wake.try_send(());
    }
}

/// One waiter's place; free again when it is dropped.
pub(super) struct Watch {
    watches: Watches,
    place: Place,
    news: watch::Receiver<(u64, News)>,
    /// Whether it has read, and waits for something else.
    waits: bool,
}

impl Watch {
    /// Says which version the waiter has read: it wants to hear of any other.
    pub(super) fn knows(&mut self, version: i64) {
        if !std::mem::replace(&mut self.waits, true) {
            self.watches.registry.waiting.fetch_add(1, Ordering::SeqCst);
        }
        let mut entries = self.watches.registry.entries();
        if let Some(entry) = entries.all.get_mut(&self.place) {
            entry.known = Some(entry.known.map_or(version, |known| known.min(version)));
        }
    }

    /// Waits for news.
    pub(super) async fn news(&mut self) -> News {
        self.news_from(0).await
    }

    /// Has the transaction read, in company with all others that are to be read now; waits for what was found.
    pub(super) async fn read(&mut self) -> News {
        let read = self.ask();
        self.news_from(read).await
    }

    /// The number of the first read that begins from now on.
    fn ask(&self) -> u64 {
        let mut entries = self.watches.registry.entries();
        entries.ask_for(&self.place);
        let read = entries.reads + 1;
        drop(entries);
        self.watches.wake();
        read
    }

    async fn news_from(&mut self, first: u64) -> News {
        loop {
            if matches!(self.news.borrow().1, News::Stop) {
                return News::Stop;
            }
            if self.news.changed().await.is_err() {
                return News::Stop;
            }
            let (read, news) = self.news.borrow_and_update().clone();
            if read >= first {
                return news;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut entries = self.watches.registry.entries();
        if let Some(entry) = entries.all.get_mut(&self.place) {
            entry.waiters -= 1;
            if entry.waiters == 0 {
                entries.all.remove(&self.place);
            }
        }
        self.watches.registry.count.fetch_sub(1, Ordering::SeqCst);
        if self.waits {
            self.watches.registry.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Ends when nobody can wait or wake any more.
fn run(registry: &Registry, wakes: &Receiver<()>, pool: &Pool) {
    let mut next_look = Instant::now();
    loop {
        if registry.count.load(Ordering::SeqCst) == 0 {
            if wakes.recv().is_err() {
                return;
            }
            next_look = Instant::now() + LOOK_EVERY;
        } else if wakes.recv_deadline(next_look) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        if Instant::now() >= next_look {
            let begun = Instant::now();
            look(registry, pool);
            next_look = Instant::now() + LOOK_EVERY.max(begun.elapsed() * (LOOK_SHARE - 1));
        }
        while let Some((number, (tenant, ids))) = take_due(registry) {
            read_due(registry, pool, number, (&tenant, &ids));
        }
    }
}

/// Finds out which transactions others have written.
fn look(registry: &Registry, pool: &Pool) {
    let mut known: HashMap<Tenant, Vec<(TransactionId, i64)>> = HashMap::new();
    for ((tenant, id), entry) in &registry.entries().all {
        if let Some(version) = entry.known.filter(|_| !entry.due) {
            let of_tenant = known.entry(tenant.clone()).or_default();
            of_tenant.push((*id, version));
        }
    }
    for (tenant, known) in &known {
        for some in known.chunks(LOOK_IDS_MAX) {
            match pool.read(|connection| transactions_changed_fetch(connection, tenant, some)) {
                Ok(changed) => {
                    let mut entries = registry.entries();
                    for id in changed {
                        entries.ask_for(&(tenant.clone(), id));
                    }
                }
                // Who waits goes on waiting: the database may be back before its time is up.
                Err(error) => return warn(&error),
            }
        }
    }
}

/// Takes some of what is to be read, of one tenant, and the number that this read has.
fn take_due(registry: &Registry) -> Option<(u64, (Tenant, Vec<TransactionId>))> {
    let mut entries = registry.entries();
    let tenant = entries.due.last()?.0.clone();
    let mut ids = Vec::new();
    while ids.len() < READ_IDS_MAX
        && let Some(place) = entries.due.pop_if(|(other, _)| *other == tenant)
    {
        if let Some(entry) = entries.all.get_mut(&place) {
            // A commit that is told from now on may not be in what is read now.
            entry.due = false;
            ids.push(place.1);
        }
    }
    entries.reads += 1;
    Some((entries.reads, (tenant, ids)))
}

fn read_due(
    registry: &Registry,
    pool: &Pool,
    number: u64,
    (tenant, ids): (&Tenant, &[TransactionId]),
) {
    if ids.is_empty() {
        return;
    }
    let read = pool.read(|connection| read::transactions_fetch(connection, tenant, ids));
    let mut found = HashMap::new();
    match read {
        Ok(opened) => {
            let now = opened.ground.now;
            for transaction in opened.transactions {
                let (id, version) = (transaction.id, transaction.tag.version);
                let expiring =
                    transaction.state == State::Open && transaction.state_at(now) == State::Expired;
                // Whether nobody is committing it is found out under its lock, which this thread does not wait for.
                let news = match expiring {
                    true => News::Ask,
                    false => News::Is(Arc::new(transaction), now),
                };
                found.insert(id, (version, news));
            }
        }
        Err(error) => warn(&error),
    }
    let mut entries = registry.entries();
    for id in ids {
        if let Some(entry) = entries.all.get_mut(&(tenant.clone(), *id)) {
            let (version, news) = found
                .remove(id)
                .map_or((None, News::Ask), |(version, news)| (Some(version), news));
            entry.known = version.or(entry.known);
            let stopped = matches!(entry.news.borrow().1, News::Stop);
            if !stopped {
                entry.news.send_replace((number, news));
            }
        }
    }
}

fn warn(error: &StoreError) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "transactions that are waited for could not be read"
    );
}
