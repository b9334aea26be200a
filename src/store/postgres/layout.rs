//! Where everything of one data directory lives, and the lock that makes it ours.
//!
//! ```text
//! <data_dir>/lock           held as long as a server uses the directory; holds its process id
//! <data_dir>/cluster        Postgres' own directory, or a symbolic link to it
//! <data_dir>/run            the unix socket
//! <data_dir>/postgres.log   what Postgres says
//! ```
//!
//! Where the account that Postgres runs as cannot enter the data directory (root's home, say),
//! `cluster` and `run` are in [`FALLBACK`]`/<hash>` and `<data_dir>/cluster` links there.

use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::account::Account;
use super::binaries::Binaries;
use super::error::{StartError, io_error};

/// Where clusters live whose data directory is out of reach for Postgres' account.
const FALLBACK: &str = "/var/lib/ifmatch";

/// The name of the socket in its directory; 5432 is fixed, as nothing listens on TCP.
pub(super) const SOCKET: &str = ".s.PGSQL.5432";

/// `sun_path` has 108 bytes on Linux and 104 elsewhere, one of which is the closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A data directory that exists and is locked.
#[derive(Debug)]
pub(super) struct DataDir {
    /// The absolute path, without symbolic links.
    pub(super) path: PathBuf,
    /// One, or two where the cluster lives elsewhere.
    locks: Vec<File>,
}

/// The resolved places of one data directory.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The cluster's directory; it may not exist yet. Never a link itself.
    pub(super) cluster: PathBuf,
    /// The socket's directory; exists, private to the account.
    pub(super) run: PathBuf,
    /// Postgres' log file.
    pub(super) log: PathBuf,
}

impl Drop for DataDir {
    /// Unlocks explicitly: closing leaves the lock to a child that another thread has forked and
    /// that has not yet reached its `exec`.
    fn drop(&mut self) {
        for lock in &self.locks {
            // Closing follows, which releases it too, a moment later at worst.
            let _ = lock.unlock();
        }
    }
}

impl DataDir {
    /// Creates the directory if need be and takes its lock.
    ///
    /// # Errors
    /// [`StartError::Locked`], [`StartError::Io`].
    pub(super) fn open(path: &Path) -> Result<Self, StartError> {
        create_dir(path)?;
        let path = path.canonicalize().map_err(io_error("resolve", path))?;
        let lock = lock(&path)?;
        Ok(Self {
            path,
            locks: vec![lock],
        })
    }

    /// The cluster as it stands: its directory, or nothing if none was ever made.
    ///
    /// # Errors
    /// [`StartError::ClusterMissing`], [`StartError::Io`].
    pub(super) fn existing_cluster(&self) -> Result<Option<PathBuf>, StartError> {
        let link = self.path.join("cluster");
        match link.canonicalize() {
            Ok(cluster) => Ok(Some(cluster)),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(io_error("inspect", &link)(error))
            }
            Err(_) => match link.read_link() {
                Ok(target) => Err(StartError::ClusterMissing { link, target }),
                // A first start that ended between the cluster and the link to it.
                Err(_) => Ok(Some(self.fallback().join("cluster")).filter(|dir| dir.is_dir())),
            },
        }
    }

    /// Decides where the cluster and the socket are, and takes the second lock where the cluster
    /// is elsewhere: a copied data directory still links to the same cluster.
    ///
    /// # Errors
    /// [`StartError::Unreachable`], [`StartError::Locked`], [`StartError::NoSocketDirectory`],
    /// [`StartError::Owner`], [`StartError::Io`].
    pub(super) fn places(
        &mut self,
        existing: Option<PathBuf>,
        account: &Account,
        binaries: &Binaries,
    ) -> Result<Places, StartError> {
        let reachable = account.can_enter(&self.path, binaries)?;
        let cluster = match existing {
            Some(cluster) => cluster,
            None if reachable => self.path.join("cluster"),
            None => self.fallback().join("cluster"),
        };
        let home = cluster.parent().unwrap_or(&self.path).to_owned();
        if home != self.path {
            tracing::info!(
                cluster = %cluster.display(), account = account.name(),
                "the cluster lives outside of the data directory, where PostgreSQL's account can reach it"
            );
            create_dir(&home)?;
            self.locks.push(lock(&home)?);
        }
        if !account.can_enter(&home, binaries)? {
            return Err(StartError::Unreachable {
                account: account.name(),
                path: home,
            });
        }
        let run = self.run_directory(&home, account, binaries)?;
        Ok(Places {
            cluster,
            run,
            log: self.path.join("postgres.log"),
        })
    }

    /// Links `<data_dir>/cluster` to a cluster that lives elsewhere; once, and only when it exists.
    pub(super) fn link_cluster(&self, cluster: &Path) -> Result<(), StartError> {
        let link = self.path.join("cluster");
        if link.exists() {
            return Ok(());
        }
        std::os::unix::fs::symlink(cluster, &link).map_err(io_error("create", &link))
    }

    fn fallback(&self) -> PathBuf {
        Path::new(FALLBACK).join(hash(&self.path))
    }

    /// `<home>/run`, or a directory with a short name where that one would not do.
    fn run_directory(
        &self,
        home: &Path,
        account: &Account,
        binaries: &Binaries,
    ) -> Result<PathBuf, StartError> {
        let run = home.join("run");
        if usable_as_socket_directory(&run) {
            private_dir(&run, account)?;
            return Ok(run);
        }
        let own_runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
        let runtime = match account {
            Account::Own => own_runtime.map(PathBuf::from),
            Account::Other { .. } => Some(PathBuf::from("/run")),
        };
        let parents = runtime
            .into_iter()
            .chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
        for parent in parents.filter(|parent| parent.is_absolute() && parent.is_dir()) {
            let short = parent.join(format!("ifmatch-{}", hash(&self.path)));
            if !usable_as_socket_directory(&short) || !account.can_enter(&parent, binaries)? {
                continue;
            }
            match private_dir(&short, account) {
                Ok(()) => return Ok(short),
                Err(error) => tracing::warn!(%error, "not used for PostgreSQL's socket"),
            }
        }
        Err(StartError::NoSocketDirectory { dir: run })
    }
}

/// Short enough for the kernel, and plain enough for libpq and Postgres, which both split lists of
/// directories at commas.
fn usable_as_socket_directory(dir: &Path) -> bool {
    let length = dir.as_os_str().len() + 1 + SOCKET.len();
    length <= SOCKET_PATH_BYTES_MAX
        && dir
            .to_str()
            .is_some_and(|dir| !dir.contains([',', '"', '\\']) && dir.trim() == dir)
}

/// Creates a directory that only the account (and root) can enter. One that exists must be a real
/// directory of the account's or our own: the temporary directory is open to everybody.
fn private_dir(dir: &Path, account: &Account) -> Result<(), StartError> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(io_error("create", dir)(error));
        }
        _ => {}
    }
    let about = dir.symlink_metadata().map_err(io_error("inspect", dir))?;
    let own = nix::unistd::Uid::effective().as_raw();
    if !about.is_dir() || (about.uid() != account.uid() && about.uid() != own) {
        return Err(StartError::Owner {
            dir: dir.to_owned(),
            owner: about.uid(),
        });
    }
    account.own(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(io_error("protect", dir))
}

/// Creates a directory others may pass through; one that exists is left as it is.
fn create_dir(dir: &Path) -> Result<(), StartError> {
    if dir.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(dir).map_err(io_error("create", dir))?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(io_error("protect", dir))
}

fn lock(dir: &Path) -> Result<File, StartError> {
    let path = dir.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let pid = file
                .read_to_string(&mut holder)
                .ok()
                .and_then(|_| holder.trim().parse().ok());
            return Err(StartError::Locked {
                dir: dir.to_owned(),
                pid,
            });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io_error("write", &path))?;
    Ok(file)
}

/// 16 hexadecimal digits that stand for an absolute path.
fn hash(path: &Path) -> String {
    let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
