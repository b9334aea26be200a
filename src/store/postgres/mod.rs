//! The private Postgres: what `ifmatch serve` runs when it is given no `DATABASE_URL`.
//!
//! It finds the programs, makes a cluster once, runs it on a unix socket only, restarts it when it
//! dies, and ends it with the server. Either process may be killed at any moment: nothing that was
//! committed is lost, and the next start clears what was left. Tests use the same code.
//!
//! Threads and the standard library only; must not know of connections, schemas, or the async
//! runtime. Modules in reading order: `binaries` and `account` (with what, as whom), `layout`
//! (where), `cluster` (at rest), `postmaster` (running), `supervisor` (kept running).

mod account;
mod binaries;
mod cluster;
mod error;
mod layout;
mod postmaster;
mod supervisor;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use account::Account;
use binaries::Binaries;
use cluster::{Sync, cluster_create, cluster_version};
pub use error::StartError;
use layout::DataDir;
use postmaster::Recipe;
use supervisor::Supervisor;

/// The cluster's superuser, and the only user.
const SUPERUSER: &str = "ifmatch";

/// What the private Postgres is started with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The directory that holds everything; made if need be. One server at a time.
    pub data_dir: PathBuf,
    /// The directory of `initdb` and `postgres`; none: they are looked for in PATH,
    /// `pg_config --bindir` and the usual places of Debian, Homebrew and the RPM packages.
    pub pg_bin: Option<PathBuf>,
    /// Settings of Postgres (`-c name=value`) that win over ours; tests switch `fsync` off here.
    pub extra: Vec<(String, String)>,
}

/// A running Postgres of our own. Dropping it shuts it down.
#[derive(Debug)]
pub struct PrivatePostgres {
    supervisor: Supervisor,
    binaries: Binaries,
    socket_dir: PathBuf,
    /// Held until the postmaster has ended: fields are dropped after [`Drop::drop`] ran.
    data_dir: DataDir,
}

impl PrivatePostgres {
    /// Starts it; blocks until it accepts connections, however long a recovery takes. Makes the
    /// cluster on the first start, stops a postmaster that a killed server left behind.
    ///
    /// # Errors
    /// [`StartError`], with nothing left running.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        let mut data_dir = DataDir::open(&settings.data_dir)?;
        let existing = data_dir.existing_cluster()?;
        let made_by = existing.as_deref().map(cluster_version).transpose()?;
        let binaries = Binaries::find(settings.pg_bin.as_deref(), made_by)?;
        if let (Some(dir), Some(cluster)) = (&existing, made_by)
            && cluster != binaries.major
        {
            return Err(StartError::Version {
                dir: dir.clone(),
                cluster,
                bin: binaries.dir,
                programs: binaries.major,
            });
        }
        let account = Account::choose(existing.as_deref())?;
        let places = data_dir.places(existing, &account, &binaries)?;
        cluster_create(
            &places.cluster,
            &account,
            &binaries,
            sync_of(&settings.extra),
        )?;
        account.own_cluster(&places.cluster)?;
        data_dir.link_cluster(&places.cluster)?;
        let socket_dir = places.run.clone();
        let recipe = Recipe {
            binaries: binaries.clone(),
            account,
            places,
            extra: settings.extra.clone(),
        };
        let supervisor = Supervisor::start(recipe)?;
        let started = Self {
            supervisor,
            binaries,
            socket_dir,
            data_dir,
        };
        tracing::info!(
            pid = started.postmaster_pid(), version = started.binaries.major,
            data_dir = %started.data_dir().display(), "PostgreSQL is running"
        );
        Ok(started)
    }

    /// The connection URI of one database, for libpq: the unix socket's directory, percent-encoded,
    /// as the host. It stays the same across restarts.
    #[must_use]
    pub fn database_url(&self, database: &str) -> String {
        let host = percent_encode(self.socket_dir.as_os_str().as_encoded_bytes());
        format!(
            "postgresql://{SUPERUSER}@{host}:5432/{}",
            percent_encode(database.as_bytes())
        )
    }

    /// The URI of the database `postgres`, which always exists: for creating others.
    #[must_use]
    pub fn admin_url(&self) -> String {
        self.database_url("postgres")
    }

    /// The postmaster's process id; none while it is being restarted, or after shutdown.
    #[must_use]
    pub fn postmaster_pid(&self) -> Option<u32> {
        self.supervisor.pid()
    }

    /// The directory of the programs in use, which mostly has `psql` and `pg_dump` too.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.dir
    }

    /// The data directory: absolute, symbolic links resolved.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir.path
    }

    /// Shuts down and releases the data directory.
    pub fn stop(mut self) {
        self.shutdown();
    }

    /// Shuts down: fast (clients are cut off, a checkpoint is written) within 10 s, else
    /// immediately, which costs a recovery at the next start and no data. Blocks until the
    /// postmaster has ended. The second call does nothing. The directory stays locked until drop.
    pub fn shutdown(&mut self) {
        self.supervisor.stop();
        // Empty now, and made again when needed; if not, it does no harm.
        let _ = std::fs::remove_dir(&self.socket_dir);
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// A cluster that will run without `fsync` need not be flushed when it is made.
fn sync_of(extra: &[(String, String)]) -> Sync {
    let off = extra
        .iter()
        .any(|(name, value)| name == "fsync" && value == "off");
    if off { Sync::No } else { Sync::Yes }
}

/// Everything but RFC 3986's unreserved characters becomes `%XX`.
fn percent_encode(bytes: &[u8]) -> String {
    let mut encoded = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
