//! Whom Postgres runs as: the user we are, or, since Postgres refuses root, an unprivileged account.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User};

use super::binaries::Binaries;
use super::error::{StartError, io_error};

/// In the order of preference; `_postgres` is what macOS ships.
const NAMES: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// The account that Postgres and `initdb` run as.
#[derive(Debug, Clone)]
pub(super) enum Account {
    /// We are an ordinary user: just run.
    Own,
    /// We are root: drop to this one.
    Other {
        /// For messages.
        name: String,
        /// User id, never 0.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl Account {
    /// Chooses the account. As root an existing cluster keeps its owner, unless that is root.
    ///
    /// # Errors
    /// [`StartError::NoAccount`]; [`StartError::Owner`] when we are an ordinary user and the
    /// cluster is somebody else's.
    pub(super) fn choose(cluster: Option<&Path>) -> Result<Self, StartError> {
        let owner = match cluster {
            Some(dir) => {
                let about = dir.metadata().map_err(io_error("inspect", dir))?;
                Some((dir, about.uid(), about.gid()))
            }
            None => None,
        };
        let own = Uid::effective();
        if !own.is_root() {
            return match owner {
                Some((dir, owner, _)) if owner != own.as_raw() => Err(StartError::Owner {
                    dir: dir.to_owned(),
                    owner,
                }),
                _ => Ok(Self::Own),
            };
        }
        if let Some((_, uid, gid)) = owner.filter(|(_, uid, _)| *uid != 0) {
            let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            let name = user
                .as_ref()
                .map_or_else(|| uid.to_string(), |user| user.name.clone());
            let gid = user.map_or(gid, |user| user.gid.as_raw());
            return Ok(Self::Other { name, uid, gid });
        }
        NAMES
            .into_iter()
            .filter_map(|name| User::from_name(name).ok().flatten())
            .find(|user| !user.uid.is_root())
            .map(|user| Self::Other {
                name: user.name,
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
            })
            .ok_or(StartError::NoAccount)
    }

    /// The user id that Postgres runs as.
    pub(super) fn uid(&self) -> u32 {
        match self {
            Self::Own => Uid::effective().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// A command that runs as this account, away from our working directory, and without the `PG…`
    /// variables, which would change ports and defaults behind our back. The standard library drops
    /// root's supplementary groups together with the user id.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir("/")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Gives one file or directory to the account; nothing to do for an ordinary user.
    pub(super) fn own(&self, path: &Path) -> Result<(), StartError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => std::os::unix::fs::lchown(path, Some(*uid), Some(*gid))
                .map_err(io_error("change the owner of", path)),
        }
    }

    /// Gives a cluster and everything in it to the account, if it has come to belong to root (a
    /// restored backup, say). Symbolic links themselves change hands, not what they point to.
    pub(super) fn own_cluster(&self, dir: &Path) -> Result<(), StartError> {
        let owner = dir.metadata().map_err(io_error("inspect", dir))?.uid();
        if owner == self.uid() {
            Ok(())
        } else {
            self.own_below(&dir.canonicalize().map_err(io_error("inspect", dir))?)
        }
    }

    fn own_below(&self, dir: &Path) -> Result<(), StartError> {
        for entry in dir.read_dir().map_err(io_error("list", dir))? {
            let entry = entry.map_err(io_error("list", dir))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.own_below(&entry.path())?;
            } else {
                self.own(&entry.path())?;
            }
        }
        self.own(dir)
    }

    /// Whether the account can enter `dir`, found by trying: modes, access lists, network file
    /// systems and all.
    ///
    /// # Errors
    /// [`StartError::Unreachable`] when it cannot even run Postgres; [`StartError::Program`].
    pub(super) fn can_enter(&self, dir: &Path, binaries: &Binaries) -> Result<bool, StartError> {
        let Self::Other { name, .. } = self else {
            return Ok(true);
        };
        let program = binaries.program("postgres");
        let probe = |from: &Path| {
            self.command(&program)
                .arg("--version")
                .current_dir(from)
                .output()
                .map(|_| ())
        };
        match (probe(Path::new("/")), probe(dir)) {
            (Ok(()), Ok(())) => Ok(true),
            (Ok(()), Err(_)) => Ok(false),
            (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(StartError::Unreachable {
                    account: name.clone(),
                    path: program,
                })
            }
            (Err(source), _) => Err(StartError::Program { program, source }),
        }
    }

    /// The name for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Own => Uid::effective().to_string(),
            Self::Other { name, .. } => name.clone(),
        }
    }
}
