//! The thread that keeps a postmaster running, and ends it when asked to.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::StartError;
use super::postmaster::{Launch, Postmaster, Recipe};

/// How often the postmaster is looked at: the most that an outage is longer for it.
const LOOK: Duration = Duration::from_millis(50);

/// The first pause before another attempt; it doubles from one to the next.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause between attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A postmaster that ran this long was well: the next pause is a short one again.
const STEADY: Duration = Duration::from_secs(10);

/// How long the first start waits for backends of a killed postmaster to end.
const BUSY_MAX: Duration = Duration::from_secs(60);

/// The handle of the thread.
#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// True once shutdown began; never false again.
    stopping: Mutex<bool>,
    changed: Condvar,
    /// 0 while none runs.
    pid: AtomicU32,
}

impl Supervisor {
    /// Starts the postmaster, and then the thread that watches over it.
    ///
    /// # Errors
    /// Those of [`Recipe::launch`], and [`StartError::Thread`].
    pub(super) fn start(recipe: Recipe) -> Result<Self, StartError> {
        let postmaster = first_launch(&recipe)?;
        let shared = Arc::new(Shared::default());
        shared.pid.store(postmaster.pid(), Ordering::Release);
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("postgres-supervisor".to_owned())
            .spawn(move || watch(&theirs, &recipe, postmaster))
            .map_err(StartError::Thread)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// The process id of the running postmaster; none while it is being restarted.
    pub(super) fn pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::Acquire)).filter(|pid| *pid != 0)
    }

    /// Ends the postmaster and the thread; does nothing the second time.
    pub(super) fn stop(&mut self) {
        *self
            .shared
            .stopping
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that watches over PostgreSQL had panicked");
        }
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps, but not past the beginning of shutdown; tells whether that has come.
    fn pause(&self, duration: Duration) -> bool {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(stopping, duration, |stopping| !*stopping);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn first_launch(recipe: &Recipe) -> Result<Postmaster, StartError> {
    let deadline = Instant::now() + BUSY_MAX;
    let mut pause = PAUSE_MIN;
    loop {
        match recipe.launch(|| false)? {
            Launch::Ready(postmaster) => return Ok(postmaster),
            Launch::Busy | Launch::Cancelled if Instant::now() < deadline => {
                tracing::info!("waiting for the processes of a killed PostgreSQL to end");
            }
            Launch::Busy | Launch::Cancelled => {
                return Err(StartError::Exited {
                    reason: "processes of a killed PostgreSQL are still attached to the cluster"
                        .to_owned(),
                    log: recipe.places.log.clone(),
                });
            }
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Until shutdown: wait for the postmaster to end, start another.
fn watch(shared: &Shared, recipe: &Recipe, first: Postmaster) {
    let mut postmaster = first;
    let mut pause = PAUSE_MIN;
    loop {
        let since = Instant::now();
        let status = loop {
            if shared.pause(LOOK) {
                shared.pid.store(0, Ordering::Release);
                postmaster.stop();
                return;
            }
            if let Some(status) = postmaster.try_wait() {
                break status;
            }
        };
        shared.pid.store(0, Ordering::Release);
        if since.elapsed() > STEADY {
            pause = PAUSE_MIN;
        }
        tracing::error!(%status, "PostgreSQL ended unexpectedly, restarting it");
        match relaunch(shared, recipe, &mut pause) {
            Some(next) => postmaster = next,
            None => return,
        }
        shared.pid.store(postmaster.pid(), Ordering::Release);
        tracing::info!(pid = postmaster.pid(), "PostgreSQL is back");
    }
}

/// Tries until it succeeds; nothing when shutdown began.
fn relaunch(shared: &Shared, recipe: &Recipe, pause: &mut Duration) -> Option<Postmaster> {
    loop {
        if shared.pause(*pause) {
            return None;
        }
        *pause = (*pause * 2).min(PAUSE_MAX);
        match recipe.launch(|| shared.is_stopping()) {
            Ok(Launch::Ready(postmaster)) => return Some(postmaster),
            Ok(Launch::Cancelled) => return None,
            Ok(Launch::Busy) => {
                tracing::info!("waiting for the processes of the ended PostgreSQL to end")
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "PostgreSQL does not start");
            }
        }
    }
}
