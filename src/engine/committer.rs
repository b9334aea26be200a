//! Committer threads: each takes all that waits, up to a bound, and commits it as one batch.
//!
//! Batching is natural: nothing waits for company. While one batch works, the next one gathers (see [`super::floor`]).

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::Receiver;
use tokio::sync::oneshot;

use super::believer::Believer;
use super::floor::Floor;
use super::open_limit::OpenLimit;
use super::schema_cache::SchemaCache;
use super::watch::Watches;
use super::{Settings, batch};
use crate::protocol::command::{Command, Verdict};
use crate::store::pool::Pool;

/// Commands of one batch: enough to share a flush among all who wait, few enough that none waits long for the rest.
const BATCH_COMMANDS_MAX: usize = 256;

/// Resources of one batch: a large operation goes (nearly) alone, so that small ones do not wait behind several.
const BATCH_RESOURCES_MAX: usize = 500;

/// Bytes of the stack of a thread that judges bodies by schemas, which nest as `limits` allows.
pub(super) const JUDGE_STACK_BYTES: usize = 32 * 1024 * 1024;

/// A command and whom to tell.
pub(super) struct Job {
    pub(super) command: Command,
    pub(super) answer: oneshot::Sender<Verdict>,
}

/// Starts the committers.
pub(super) fn start(
    settings: &Settings,
    pool: &Pool,
    queue: &Receiver<Job>,
    watches: &Watches,
) -> io::Result<Vec<JoinHandle<()>>> {
    let floor = Floor::new(pool.clone());
    let open = Arc::new(OpenLimit::new(settings.limits.open_transactions_max));
    let schemas = Arc::new(SchemaCache::default());
    (0..settings.committers.max(1))
        .map(|number| {
            let (floor, queue) = (floor.clone(), queue.clone());
            let believer = Believer::new(open.clone(), schemas.clone());
            let (watches, body_bytes_max) = (watches.clone(), settings.limits.body_bytes_max);
            thread::Builder::new()
                .name(format!("committer-{number}"))
                .stack_size(JUDGE_STACK_BYTES)
                .spawn(move || run(&floor, &queue, believer, &watches, body_bytes_max))
        })
        .collect()
}

fn run(
    floor: &Floor,
    queue: &Receiver<Job>,
    mut believer: Believer,
    watches: &Watches,
    body_bytes_max: usize,
) {
    let mut left_over = None;
    while let Some(first) = left_over.take().or_else(|| queue.recv().ok()) {
        // Nobody waits for it any more and nothing has been done: it is dropped, as if it had been lost on the way.
        if first.answer.is_closed() {
            continue;
        }
        let mut turn = floor.turn();
        let (jobs, rest) = gather(first, queue);
        left_over = rest;
        let (commands, answers): (Vec<Command>, Vec<oneshot::Sender<Verdict>>) = jobs
            .into_iter()
            .map(|job| (job.command, job.answer))
            .unzip();
        let verdicts = batch::commit(&mut turn, &mut believer, &commands, body_bytes_max);
        let done = commands.iter().zip(&verdicts);
        watches.written(
            done.filter(|(_, verdict)| verdict.is_ok())
                .filter_map(|(command, _)| Some((&command.tenant, command.transaction()?))),
        );
        for (answer, verdict) in answers.into_iter().zip(verdicts) {
            // Whoever does not wait any more asks again; the commit stands.
            let _ = answer.send(verdict);
        }
    }
}

/// Takes what waits: commands of one tenant, up to the bounds. The one that did not fit comes first next time.
fn gather(first: Job, queue: &Receiver<Job>) -> (Vec<Job>, Option<Job>) {
    let weight = |job: &Job| job.command.weight();
    let mut resources = weight(&first);
    let mut jobs = vec![first];
    while jobs.len() < BATCH_COMMANDS_MAX {
        let Ok(job) = queue.try_recv() else {
            return (jobs, None);
        };
        if job.answer.is_closed() {
            continue;
        }
        resources += weight(&job);
        if resources > BATCH_RESOURCES_MAX
            || jobs
                .first()
                .is_some_and(|first| first.command.tenant != job.command.tenant)
        {
            return (jobs, Some(job));
        }
        jobs.push(job);
    }
    (jobs, None)
}
