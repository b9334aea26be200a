//! One running postmaster: spawning it, waiting until it accepts connections, ending it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::account::Account;
use super::binaries::Binaries;
use super::cluster::{leftovers_clear, postmaster_pid_read, raw};
use super::error::{StartError, io_error};
use super::layout::Places;

/// How the private cluster differs from Postgres' defaults. Durability (`fsync`,
/// `synchronous_commit`, `full_page_writes`) is stated although it is the default: nothing else in
/// the cluster's files may switch it off.
const SETTINGS: [(&str, &str); 18] = [
    ("listen_addresses", ""),
    ("port", "5432"),
    ("unix_socket_permissions", "0700"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("max_connections", "50"),
    ("shared_buffers", "256MB"),
    ("wal_buffers", "16MB"),
    ("max_wal_size", "4GB"),
    ("checkpoint_timeout", "15min"),
    ("checkpoint_completion_target", "0.9"),
    ("autovacuum", "on"),
    ("logging_collector", "off"),
    ("log_min_messages", "warning"),
    ("lc_messages", "C"),
    ("log_timezone", "UTC"),
    ("timezone", "UTC"),
];

/// The log begins anew past this size, one older file is kept: enough to see what went wrong last,
/// too little to fill a disk.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How often a waiting loop looks.
const POLL: Duration = Duration::from_millis(10);

/// How often a long recovery is reported.
const REPORT: Duration = Duration::from_secs(10);

/// A fast shutdown writes a checkpoint; after this long, recovery at the next start is quicker.
const FAST_SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// An immediate shutdown writes nothing; Postgres itself kills its processes after 5 s.
const IMMEDIATE_SHUTDOWN_MAX: Duration = Duration::from_secs(6);

/// Everything needed to start a postmaster, and to start it again.
#[derive(Debug, Clone)]
pub(super) struct Recipe {
    /// The programs.
    pub(super) binaries: Binaries,
    /// Whom it runs as.
    pub(super) account: Account,
    /// Where it works.
    pub(super) places: Places,
    /// Settings that win over ours.
    pub(super) extra: Vec<(String, String)>,
}

/// A postmaster that is our child. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Postmaster {
    child: Child,
}

/// How the wait for readiness ended.
#[derive(Debug)]
pub(super) enum Launch {
    /// It accepts connections.
    Ready(Postmaster),
    /// Backends of a killed postmaster are still attached to the directory; they end by themselves.
    Busy,
    /// The wait was cancelled; the postmaster has been ended.
    Cancelled,
}

impl Recipe {
    /// Starts a postmaster and waits until it accepts connections. There is no limit of time while
    /// it lives: the recovery of a large database may take minutes, and is reported in the log.
    ///
    /// # Errors
    /// [`StartError::Exited`] and those of [`leftovers_clear`].
    pub(super) fn launch(&self, cancelled: impl Fn() -> bool) -> Result<Launch, StartError> {
        leftovers_clear(&self.places)?;
        let (log, log_start) = self.log_open()?;
        let started = Instant::now();
        let mut postmaster = self.spawn(log)?;
        let mut report_at = started + REPORT;
        loop {
            if let Some(status) = postmaster.try_wait() {
                return self.explain(status, log_start);
            }
            if self.is_ready(postmaster.pid()) {
                return Ok(Launch::Ready(postmaster));
            }
            if cancelled() {
                return Ok(Launch::Cancelled);
            }
            if Instant::now() > report_at {
                report_at += REPORT;
                tracing::info!(
                    seconds = started.elapsed().as_secs(),
                    "PostgreSQL is still starting, probably recovering from a crash"
                );
            }
            std::thread::sleep(POLL);
        }
    }

    fn spawn(&self, log: File) -> Result<Postmaster, StartError> {
        let program = self.binaries.program("postgres");
        let failed = |source| StartError::Program {
            program: program.clone(),
            source,
        };
        let mut command = self.account.command(&program);
        command
            .arg("-D")
            .arg(&self.places.cluster)
            .arg("-k")
            .arg(&self.places.run);
        let extra = self
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.into_iter().chain(extra) {
            command
                .arg("-c")
                .arg(OsString::from(format!("{name}={value}")));
        }
        // A group of its own: Ctrl-C at the terminal reaches us only, and we stop it in order.
        command
            .process_group(0)
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log);
        Ok(Postmaster {
            child: command.spawn().map_err(failed)?,
        })
    }

    /// What `pg_ctl` looks at: the eighth line of the process id file.
    fn is_ready(&self, pid: u32) -> bool {
        let file = self.places.cluster.join("postmaster.pid");
        postmaster_pid_read(&file) == Some(pid)
            && std::fs::read_to_string(file).is_ok_and(|text| {
                text.lines()
                    .nth(7)
                    .is_some_and(|status| status.trim() == "ready")
            })
    }

    fn log_open(&self) -> Result<(File, u64), StartError> {
        let path = &self.places.log;
        if path.metadata().is_ok_and(|log| log.len() > LOG_BYTES_MAX) {
            std::fs::rename(path, path.with_extension("log.1"))
                .map_err(io_error("rename", path))?;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(io_error("open", path))?;
        let length = log.metadata().map_err(io_error("inspect", path))?.len();
        Ok((log, length))
    }

    fn explain(&self, status: ExitStatus, log_start: u64) -> Result<Launch, StartError> {
        let said = read_from(&self.places.log, log_start);
        if said.contains("pre-existing shared memory block") {
            return Ok(Launch::Busy);
        }
        let reason = said
            .lines()
            .find_map(|line| {
                line.split_once("FATAL:")
                    .or_else(|| line.split_once("PANIC:"))
            })
            .map(|(_, reason)| reason.trim().to_owned())
            .or_else(|| said.lines().last().map(str::to_owned))
            .unwrap_or_else(|| status.to_string());
        Err(StartError::Exited {
            reason,
            log: self.places.log.clone(),
        })
    }
}

impl Postmaster {
    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub(super) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends it: a fast shutdown (clients are cut, a checkpoint is written), then an immediate one
    /// (recovery at the next start; nothing committed is lost), then the kernel's.
    pub(super) fn stop(&mut self) {
        for (signal, patience) in [
            (Signal::SIGINT, FAST_SHUTDOWN_MAX),
            (Signal::SIGQUIT, IMMEDIATE_SHUTDOWN_MAX),
        ] {
            // Not reaped yet, so the id is still this child's.
            if self.try_wait().is_some() {
                return;
            }
            let _ = kill(raw(self.pid()), signal);
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if self.try_wait().is_some() {
                    return;
                }
                std::thread::sleep(POLL);
            }
            tracing::warn!(%signal, seconds = patience.as_secs(), "PostgreSQL has not ended");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn read_from(path: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    // Only for a message: what cannot be read is not there.
    let _ = File::open(path)
        .and_then(|mut file| file.seek(SeekFrom::Start(start)).map(|_| file))
        .and_then(|file| file.take(1 << 20).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}
