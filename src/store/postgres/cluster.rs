//! The cluster's directory at rest: making it once, its version, and what an earlier server that
//! was killed left in it.

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::SUPERUSER;
use super::account::Account;
use super::binaries::Binaries;
use super::error::{StartError, io_error};
use super::layout::{Places, SOCKET};

/// How long an orphan may take for each signal: a fast shutdown, an immediate one, the kernel's.
const ORPHAN_STEPS: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(10)),
    (Signal::SIGQUIT, Duration::from_secs(5)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];

/// The major version that made the cluster.
///
/// # Errors
/// [`StartError::NotACluster`].
pub(super) fn cluster_version(cluster: &Path) -> Result<u32, StartError> {
    std::fs::read_to_string(cluster.join("PG_VERSION"))
        .ok()
        .and_then(|text| text.trim().split('.').next()?.parse().ok())
        .ok_or_else(|| StartError::NotACluster {
            dir: cluster.to_owned(),
        })
}

/// Makes the cluster, unless there is one: in a sibling directory that gets its name only when it
/// is complete, so that a crash half way leaves nothing that looks like a cluster.
///
/// `sync` false skips the flush to disk: for tests.
///
/// # Errors
/// [`StartError::Initdb`], [`StartError::Program`], [`StartError::Io`].
pub(super) fn cluster_create(
    cluster: &Path,
    account: &Account,
    binaries: &Binaries,
    sync: Sync,
) -> Result<(), StartError> {
    if cluster.exists() {
        return Ok(());
    }
    tracing::info!(cluster = %cluster.display(), version = binaries.major, "creating the PostgreSQL cluster");
    let unfinished = cluster.with_extension("new");
    match std::fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(io_error("remove", &unfinished)(error));
        }
        _ => {}
    }
    std::fs::create_dir(&unfinished).map_err(io_error("create", &unfinished))?;
    account.own(&unfinished)?;
    let program = binaries.program("initdb");
    let mut command = account.command(&program);
    command.args([
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
    ]);
    command.arg(format!("--username={SUPERUSER}"));
    if matches!(sync, Sync::No) {
        command.arg("--no-sync");
    }
    let output = command
        .arg("-D")
        .arg(&unfinished)
        .output()
        .map_err(|source| StartError::Program { program, source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let reason = said
            .lines()
            .find(|line| line.contains("rror:") || line.contains("FATAL"));
        let reason = reason
            .or(said.lines().last())
            .unwrap_or("it gave no reason")
            .to_owned();
        return Err(StartError::Initdb {
            dir: cluster.to_owned(),
            reason,
        });
    }
    std::fs::rename(&unfinished, cluster).map_err(io_error("rename", &unfinished))?;
    let parent = cluster.parent().unwrap_or(cluster);
    File::open(parent)
        .and_then(|dir| dir.sync_all())
        .map_err(io_error("flush", parent))
}

/// Whether files are flushed to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sync {
    /// As durability demands.
    Yes,
    /// Tests only.
    No,
}

/// Clears what a killed server left behind: an orphaned postmaster is stopped, process-id and lock
/// files that name an unrelated process are removed. A file whose process is gone is left to
/// Postgres, which then also looks for backends that are still attached.
///
/// ## Concurrency
/// Called only while the data directory's lock is held, and while no postmaster of ours runs: so a
/// postmaster found on this directory is nobody's.
///
/// # Errors
/// [`StartError::Orphan`], [`StartError::Io`].
pub(super) fn leftovers_clear(places: &Places) -> Result<(), StartError> {
    let pid_file = places.cluster.join("postmaster.pid");
    if let Some(pid) = postmaster_pid_read(&pid_file).filter(|pid| is_alive(*pid)) {
        if is_postmaster_of(pid, &places.cluster) {
            tracing::warn!(
                pid,
                "stopping the PostgreSQL that an earlier server left behind"
            );
            orphan_stop(pid, &places.cluster)?;
        } else {
            tracing::warn!(pid, file = %pid_file.display(), "removing the process id file: the process is an unrelated one");
            remove(&pid_file)?;
        }
    }
    remove(&places.run.join(SOCKET))?;
    remove(&places.run.join(format!("{SOCKET}.lock")))
}

/// The process id in a `postmaster.pid`.
pub(super) fn postmaster_pid_read(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file)
        .ok()?
        .lines()
        .next()?
        .trim()
        .parse()
        .ok()
        .filter(|pid| *pid > 0)
}

fn remove(file: &Path) -> Result<(), StartError> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", file)(error)),
        _ => Ok(()),
    }
}

fn orphan_stop(pid: u32, cluster: &Path) -> Result<(), StartError> {
    for (signal, patience) in ORPHAN_STEPS {
        let deadline = Instant::now() + patience;
        // An error means that it is gone, which the loop sees.
        let _ = kill(raw(pid), signal);
        while Instant::now() < deadline {
            // A zombie nobody reaps has no working directory and counts as gone.
            if !is_alive(pid) || !is_postmaster_of(pid, cluster) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Err(StartError::Orphan {
        dir: cluster.to_owned(),
        pid,
    })
}

fn is_alive(pid: u32) -> bool {
    matches!(kill(raw(pid), None), Ok(()) | Err(Errno::EPERM))
}

/// Whether the process is a Postgres that works in this directory.
fn is_postmaster_of(pid: u32, cluster: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    if Path::new("/proc/self/cwd").exists() {
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        return name.starts_with("post")
            && process
                .join("cwd")
                .read_link()
                .is_ok_and(|dir| dir == cluster);
    }
    // No /proc (macOS): the command line names the directory, as we start it with `-D`.
    Command::new("ps")
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output()
        .is_ok_and(|output| {
            let line = String::from_utf8_lossy(&output.stdout);
            line.contains("postgres") && line.contains(&*cluster.to_string_lossy())
        })
}

/// Process ids are below 2^22 on every system we run on; the fallback names no process.
pub(super) fn raw(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}
