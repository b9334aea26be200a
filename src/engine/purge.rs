//! Forgetting what is old enough: in the background of a server, or all at once (`ifmatch gc`).
//!
//! Work is done in small transactions, and in the background a multiple of the time that each takes is rested after it.
//! What may be deleted when, and why nobody is harmed, is argued in [`crate::store::purge`].

use std::collections::HashMap;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use diesel::pg::PgConnection;
use uuid::Uuid;

use super::{Limits, Settings};
use crate::protocol::clock::Timestamp;
use crate::protocol::name::Tenant;
use crate::store::error::StoreError;
use crate::store::pool::{Opening, Outcome, Pool};
use crate::store::purge::{self, Head, Span};

/// How often a server purges: seldom enough to cost nothing while there is nothing to do.
pub(super) const INTERVAL_DEFAULT: Duration = Duration::from_secs(60);

/// Rows of one transaction of the purge: few enough that it takes milliseconds, enough to share a flush.
const CHUNK: usize = 1000;

/// Heads looked at by one statement.
const HEADS: usize = 500;

/// Times that a chunk took, rested after it: the purge works for a tenth of the time at most.
const REST: u32 = 9;

/// How far the horizon may lag when there is nothing to delete. Each move makes commits under way run once more.
const LAG_SECONDS_MAX: i64 = 3600;

/// Between two walks over all resources, in intervals of the purge: what they find becomes due slowly.
const WALK_INTERVALS: u32 = 60;

/// Attempts at a chunk that met another purge.
const ATTEMPTS_MAX: u32 = 5;

/// Which versions are kept, beside the newest. Where both are given, what either keeps is kept; where neither is, everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest of each resource, however old.
    pub newest: Option<i64>,
    /// For so many seconds after another took its place.
    pub seconds: Option<i64>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Open transactions whose expiry was recorded; they stay for the retention.
    pub expired: usize,
    /// Transactions.
    pub transactions: usize,
    /// Deleted resources, of which nothing is known any more.
    pub resources: usize,
    /// Versions, of these and of others.
    pub versions: usize,
}

/// Removes all that is due; answers with what that was.
///
/// # Errors
/// [`StoreError`]; what has been removed until then is.
pub fn purge(settings: &Settings) -> Result<Removed, StoreError> {
    let mut sweeper = Sweeper::new(settings);
    let pace = Pace {
        stop: None,
        until: None,
    };
    sweeper.sweep(&pace)?;
    Ok(sweeper.removed)
}

/// Starts the thread that purges, where the settings name an interval. It ends when `stop` is disconnected.
pub(super) fn start(settings: &Settings, stop: Receiver<()>) -> io::Result<Option<JoinHandle<()>>> {
    let Some(interval) = settings.purge_interval else {
        return Ok(None);
    };
    let mut sweeper = Sweeper::new(settings);
    let run = move || {
        // Several servers that were started together do not purge together.
        while is_over(&stop, interval.mul_f64(rand::random_range(0.75..1.25))) {
            let pace = Pace {
                stop: Some(&stop),
                until: Some(Instant::now() + interval),
            };
            sweeper.removed = Removed::default();
            match sweeper.sweep(&pace) {
                Ok(()) if sweeper.removed == Removed::default() => {}
                Ok(()) => tracing::info!(removed = ?sweeper.removed, "purged"),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the purge failed, and is tried again"
                ),
            }
        }
    };
    thread::Builder::new()
        .name("purge".to_owned())
        .spawn(run)
        .map(Some)
}

/// Whether the time passed before the server stopped.
fn is_over(stop: &Receiver<()>, time: Duration) -> bool {
    stop.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
}

/// How fast to go, and how long.
struct Pace<'a> {
    stop: Option<&'a Receiver<()>>,
    until: Option<Instant>,
}

impl Pace<'_> {
    /// Rests after work that began at `began`; whether to go on.
    fn rest(&self, began: Instant) -> bool {
        let Some(stop) = self.stop else {
            return true;
        };
        is_over(stop, REST * began.elapsed())
            && self.until.is_none_or(|until| Instant::now() < until)
    }
}

/// Where a tenant's rows were left.
#[derive(Default)]
struct Place {
    /// The last id that was looked at.
    id: Uuid,
    /// The last name that was looked at, in a walk that has not ended.
    name: Option<(String, String)>,
    /// When the last walk began.
    walked: Option<Instant>,
}

/// What purges.
struct Sweeper {
    pool: Pool,
    limits: Limits,
    walk_interval: Option<Duration>,
    places: HashMap<Tenant, Place>,
    removed: Removed,
}

impl Sweeper {
    fn new(settings: &Settings) -> Self {
        let timeout = settings.connection_timeout;
        Self {
            pool: Pool::new(&settings.database_url, 1, timeout, true),
            limits: settings.limits,
            walk_interval: settings
                .purge_interval
                .map(|interval| interval * WALK_INTERVALS),
            places: HashMap::new(),
            removed: Removed::default(),
        }
    }

    /// One transaction; again where it met another purge.
    fn write<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let work = |connection: &mut PgConnection| work(connection).map(Outcome::Commit);
            match self.pool.write(Opening::Full, work, || {}) {
                Err(error) if error.is_transient() && attempt < ATTEMPTS_MAX => {}
                result => return result,
            }
        }
    }

    fn sweep(&mut self, pace: &Pace<'_>) -> Result<(), StoreError> {
        let tenants = self.pool.read(purge::tenants_fetch)?;
        for tenant in &tenants {
            let mut place = self.places.remove(tenant).unwrap_or_default();
            let result = self.tenant_sweep(tenant, &mut place, pace);
            self.places.insert(tenant.clone(), place);
            if !result? {
                break;
            }
        }
        Ok(())
    }

    /// Whether to go on with other tenants.
    fn tenant_sweep(
        &mut self,
        tenant: &Tenant,
        place: &mut Place,
        pace: &Pace<'_>,
    ) -> Result<bool, StoreError> {
        Ok(self.expired_record(tenant, pace)?
            && self.transactions_purge(tenant, place, pace)?
            && self.walk(tenant, place, pace)?)
    }

    fn expired_record(&mut self, tenant: &Tenant, pace: &Pace<'_>) -> Result<bool, StoreError> {
        loop {
            let began = Instant::now();
            let found =
                self.write(|connection| purge::expired_record_in_txn(connection, tenant, CHUNK))?;
            self.removed.expired += found;
            if found < CHUNK {
                return Ok(true);
            }
            if !pace.rest(began) {
                return Ok(false);
            }
        }
    }

    fn transactions_purge(
        &mut self,
        tenant: &Tenant,
        place: &mut Place,
        pace: &Pace<'_>,
    ) -> Result<bool, StoreError> {
        let horizon = self.horizon_move(tenant)?;
        let retention = self.limits.retention_seconds;
        loop {
            let began = Instant::now();
            let chunk = self.write(|connection| {
                let from = (place.id, horizon);
                purge::transactions_purge_in_txn(connection, tenant, from, retention, CHUNK)
            })?;
            self.removed.transactions += chunk.removed;
            // From the beginning the next time: some may not have been due, or locked.
            place.id = chunk.last.unwrap_or_default();
            if chunk.last.is_none() {
                return Ok(true);
            }
            if !pace.rest(began) {
                return Ok(false);
            }
        }
    }

    /// Moves the horizon where that is worth it; answers with where it is.
    fn horizon_move(&self, tenant: &Tenant) -> Result<Timestamp, StoreError> {
        let retention = self.limits.retention_seconds;
        let horizon = self
            .pool
            .read(|connection| purge::horizon_fetch(connection, tenant, retention))?;
        let lags = horizon.stored.plus_seconds(LAG_SECONDS_MAX) < horizon.due;
        if !horizon.covers_more && !lags {
            return Ok(horizon.stored);
        }
        let moved =
            self.write(|connection| purge::ground_move_in_txn(connection, tenant, retention, 0))?;
        Ok(moved.0)
    }

    /// Goes on with the walk over all resources, or begins one if it is time.
    fn walk(
        &mut self,
        tenant: &Tenant,
        place: &mut Place,
        pace: &Pace<'_>,
    ) -> Result<bool, StoreError> {
        if place.name.is_none() {
            let rested = place.walked.zip(self.walk_interval);
            if rested.is_some_and(|(walked, interval)| walked.elapsed() < interval) {
                return Ok(true);
            }
            place.walked = Some(Instant::now());
        }
        let mut name = place.name.take().unwrap_or_default();
        loop {
            let began = Instant::now();
            let retention = self.limits.retention_seconds;
            let page = self.pool.read(|connection| {
                let after = (name.0.as_str(), name.1.as_str());
                purge::head_page(connection, tenant, after, retention, HEADS)
            })?;
            let Some(last) = page.heads.last() else {
                return Ok(true);
            };
            name = (last.collection.clone(), last.key.clone());
            if !pace.rest(began) || !self.page_purge(tenant, &page, pace)? {
                place.name = Some(name);
                return Ok(false);
            }
        }
    }

    fn page_purge(
        &mut self,
        tenant: &Tenant,
        page: &purge::HeadPage,
        pace: &Pace<'_>,
    ) -> Result<bool, StoreError> {
        let spans: Vec<Span<'_>> = page
            .heads
            .iter()
            .filter_map(|head| self.span(head, page.now))
            .collect();
        loop {
            let began = Instant::now();
            let found = match spans.is_empty() {
                true => 0,
                false => self.write(|connection| {
                    purge::versions_purge_in_txn(connection, tenant, &spans, CHUNK)
                })?,
            };
            self.removed.versions += found;
            if found == 0 {
                break;
            }
            if !pace.rest(began) {
                return Ok(false);
            }
        }
        let buried: Vec<&Head> = page.heads.iter().filter(|head| head.buried).collect();
        self.tombstones_purge(tenant, &buried, pace)
    }

    /// What may go of a resource's versions, beside the newest. A tombstone that may go takes all along: that many of them
    /// go in chunks before leaves little for the transaction that it goes in.
    fn span<'a>(&self, head: &'a Head, now: time::OffsetDateTime) -> Option<Span<'a>> {
        let (keep, keep_for) = (self.limits.keep.newest, self.limits.keep.seconds);
        let (newest, seconds) = match (head.buried, keep, keep_for) {
            (true, ..) => (1, 0),
            (false, None, None) => return None,
            (false, ..) => (keep.unwrap_or(1).max(1), keep_for.unwrap_or(0)),
        };
        let before = Timestamp::from(now).plus_seconds(-seconds).to_datetime();
        let last = head.version.saturating_sub(newest);
        (last > 0).then_some(Span { head, last, before })
    }

    fn tombstones_purge(
        &mut self,
        tenant: &Tenant,
        buried: &[&Head],
        pace: &Pace<'_>,
    ) -> Result<bool, StoreError> {
        let began = Instant::now();
        let Some(greatest) = buried.iter().map(|head| head.version).max() else {
            return Ok(true);
        };
        let retention = self.limits.retention_seconds;
        // First the floor, then what it covers. It is a maximum: as more and more is covered, it is moved ever more seldom.
        let floor = self
            .pool
            .read(|connection| purge::floor_fetch(connection, tenant))?;
        if floor < greatest {
            self.write(|connection| {
                purge::ground_move_in_txn(connection, tenant, retention, greatest)
            })?;
        }
        let (resources, versions) = self.write(|connection| {
            purge::tombstones_purge_in_txn(connection, tenant, buried, greatest, retention)
        })?;
        self.removed.resources += resources;
        self.removed.versions += versions;
        Ok(pace.rest(began))
    }
}
