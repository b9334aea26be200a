//! Why the private Postgres could not be started, one line each, for the person at the terminal.
//!
//! `Display` never repeats the source: the chain is printed once, by whoever reports the error.

use std::io;
use std::path::{Path, PathBuf};

/// Why [`PrivatePostgres::start`](super::PrivatePostgres::start) gave up. None of these is worth
/// repeating without a change made by the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No directory with both `initdb` and `postgres` was found.
    #[error(
        "no PostgreSQL found (looked in PATH, pg_config --bindir and the usual places); install it with `{install}`, name its directory with --pg-bin, or set DATABASE_URL"
    )]
    BinariesNotFound {
        /// The command that installs Postgres on this platform.
        install: &'static str,
    },
    /// The directory the operator named lacks a program.
    #[error(
        "{} has no executable `{program}`: --pg-bin must name a directory that holds both `initdb` and `postgres`",
        dir.display()
    )]
    BinariesIncomplete {
        /// The directory that was named.
        dir: PathBuf,
        /// The first program missing in it.
        program: &'static str,
    },
    /// A program of Postgres could not be run, or answered with nonsense.
    #[error("cannot run {}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another server uses the data directory.
    #[error("{} is in use by another server{}", dir.display(), by_process(*pid))]
    Locked {
        /// The directory whose lock is held.
        dir: PathBuf,
        /// The process id of the holder, where it could be read.
        pid: Option<u32>,
    },
    /// The cluster was made by another major version of Postgres.
    #[error(
        "{} was made by PostgreSQL {cluster}, but the programs in {} are PostgreSQL {programs}: install PostgreSQL {cluster}, or move the data with pg_upgrade",
        dir.display(),
        bin.display()
    )]
    Version {
        /// The cluster directory.
        dir: PathBuf,
        /// The major version that made the cluster.
        cluster: u32,
        /// The directory of the programs.
        bin: PathBuf,
        /// The major version of the programs.
        programs: u32,
    },
    /// Started as root, and there is no account to run Postgres as.
    #[error(
        "started as root, but PostgreSQL refuses to run as root and there is neither an account `postgres` nor `nobody`: create one, or start as an ordinary user"
    )]
    NoAccount,
    /// The account that Postgres runs as cannot enter a directory, or run a program in it.
    #[error(
        "account `{account}`, which PostgreSQL runs as, cannot reach {}: allow it with chmod o+x on the directories above, or choose another place",
        path.display()
    )]
    Unreachable {
        /// The name of the account.
        account: String,
        /// What it cannot reach.
        path: PathBuf,
    },
    /// A directory belongs to somebody else.
    #[error("{} belongs to user id {owner}, not to the user that runs this server", dir.display())]
    Owner {
        /// The directory.
        dir: PathBuf,
        /// The user id of its owner.
        owner: u32,
    },
    /// The data directory points to a cluster that is gone: making a new, empty one would hide it.
    #[error(
        "{} points to {}, which is missing: restore it, or remove the link to begin with an empty database",
        link.display(),
        target.display()
    )]
    ClusterMissing {
        /// The symbolic link in the data directory.
        link: PathBuf,
        /// Where it points.
        target: PathBuf,
    },
    /// The cluster directory exists but holds no cluster.
    #[error("{} is not a PostgreSQL cluster: its PG_VERSION is missing or unreadable", dir.display())]
    NotACluster {
        /// The directory.
        dir: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb could not create a cluster in {}: {reason}", dir.display())]
    Initdb {
        /// The cluster directory that was to be made.
        dir: PathBuf,
        /// The last line `initdb` wrote.
        reason: String,
    },
    /// No directory is short enough, and reachable, for the unix socket.
    #[error("no directory for PostgreSQL's unix socket: {} is too long (at most 107 bytes with the socket's name) or cannot be used, nor can the temporary directory", dir.display())]
    NoSocketDirectory {
        /// The directory that would have been used.
        dir: PathBuf,
    },
    /// The postmaster ended before it accepted connections.
    #[error("PostgreSQL ended while starting: {reason} (see {})", log.display())]
    Exited {
        /// The line of its log that says most.
        reason: String,
        /// The log file.
        log: PathBuf,
    },
    /// An orphan of an earlier server could not be stopped.
    #[error("process {pid}, a PostgreSQL left behind on {}, does not end", dir.display())]
    Orphan {
        /// The cluster directory.
        dir: PathBuf,
        /// The process id of the orphan.
        pid: u32,
    },
    /// The file system refused something.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The verb, such as "create" or "open".
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the thread that watches over PostgreSQL")]
    Thread(#[source] io::Error),
}

/// Wraps an I/O error with what was being done to which path: `.map_err(io_error("open", path))`.
pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Io {
        doing,
        path: path.to_owned(),
        source,
    }
}

fn by_process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})"))
        .unwrap_or_default()
}
