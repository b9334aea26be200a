//! Finds Postgres' programs on this machine and asks them for their version.
//!
//! Must not know of data directories: which version is wanted is told by the caller.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::StartError;

/// Both are needed: one makes the cluster, the other runs it.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// A directory that holds Postgres' programs, and their version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    /// The directory.
    pub(super) dir: PathBuf,
    /// The major version, such as 15.
    pub(super) major: u32,
}

impl Binaries {
    /// The path of one program.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Finds the programs: the directory the operator named, or else the first of the usual places
    /// whose major version is `wanted` (that of an existing cluster), or else the first place.
    ///
    /// # Errors
    /// [`StartError::BinariesNotFound`], [`StartError::BinariesIncomplete`], [`StartError::Program`].
    pub(super) fn find(named: Option<&Path>, wanted: Option<u32>) -> Result<Self, StartError> {
        if let Some(dir) = named {
            return Self::in_named_directory(dir);
        }
        choose(
            places().into_iter().filter_map(|dir| complete(&dir)),
            wanted,
        )
    }

    fn in_named_directory(dir: &Path) -> Result<Self, StartError> {
        let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
        match missing_program(&dir) {
            Some(program) => Err(StartError::BinariesIncomplete { dir, program }),
            None => Ok(Self {
                major: major_version(&dir)?,
                dir,
            }),
        }
    }
}

/// Takes the first directory of the wanted version, or else the first whose programs run at all.
fn choose(
    dirs: impl Iterator<Item = PathBuf>,
    wanted: Option<u32>,
) -> Result<Binaries, StartError> {
    let mut first = None;
    let mut failure = None;
    for dir in dirs {
        match major_version(&dir) {
            Ok(major) if wanted.is_none_or(|wanted| wanted == major) => {
                return Ok(Binaries { dir, major });
            }
            Ok(major) => first = first.or(Some(Binaries { dir, major })),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    first.ok_or_else(|| {
        failure.unwrap_or_else(|| StartError::BinariesNotFound {
            install: install_command(),
        })
    })
}

/// The directory, if it has every program; where they are links, as in /usr/local/bin, the
/// directory they point to, which has the other programs too.
fn complete(dir: &Path) -> Option<PathBuf> {
    if missing_program(dir).is_some() {
        return None;
    }
    let program = dir.join("postgres").canonicalize().ok()?;
    let real = program
        .parent()
        .filter(|real| missing_program(real).is_none());
    Some(real.unwrap_or(dir).to_owned())
}

fn missing_program(dir: &Path) -> Option<&'static str> {
    PROGRAMS
        .into_iter()
        .find(|program| !is_executable(&dir.join(program)))
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// Every place worth a look, best first; most don't exist.
fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| {
            std::env::split_paths(&path)
                .filter(|dir| dir.is_absolute())
                .collect()
        })
        .unwrap_or_default();
    places.extend(pg_config_bindir());
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/usr", "pgsql-"),
    ] {
        places.extend(newest_first(Path::new(parent), prefix));
    }
    places
}

fn pg_config_bindir() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let dir = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(dir.trim())).filter(|dir| dir.is_absolute())
}

/// `parent/<prefix>…/bin` for every directory of that name, the highest version number first.
fn newest_first(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?;
            Some((
                leading_number(rest.trim_start_matches('@')).unwrap_or(0),
                entry.path().join("bin"),
            ))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

fn major_version(dir: &Path) -> Result<u32, StartError> {
    let program = dir.join("postgres");
    let failed = |source| StartError::Program {
        program: program.clone(),
        source,
    };
    let output = Command::new(&program)
        .arg("--version")
        .current_dir("/")
        .output()
        .map_err(failed)?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| failed(io::Error::other("it does not tell its version")))
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` → 15; also `17beta1` → 17.
fn parse_major(version: &str) -> Option<u32> {
    leading_number(version.split_once("(PostgreSQL)")?.1.trim_start())
}

/// The number that `text` begins with.
fn leading_number(text: &str) -> Option<u32> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}

/// The command that installs Postgres here.
fn install_command() -> &'static str {
    let installed = |program: &str| Path::new("/usr/bin").join(program).exists();
    if cfg!(target_os = "macos") {
        "brew install postgresql@17"
    } else if installed("apt-get") {
        "sudo apt-get install postgresql"
    } else if installed("dnf") {
        "sudo dnf install postgresql-server"
    } else if Path::new("/sbin/apk").exists() {
        "sudo apk add postgresql"
    } else if installed("pacman") {
        "sudo pacman -S postgresql"
    } else {
        "your package manager (the package is mostly called postgresql-server)"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (text, expected) in [
            (
                "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n",
                Some(15),
            ),
            ("postgres (PostgreSQL) 17beta1\n", Some(17)),
            ("postgres (PostgreSQL) 9.6.24", Some(9)),
            ("postgres (EnterpriseDB) 15", None),
            ("", None),
        ] {
            assert_eq!(parse_major(text), expected, "{text:?}");
        }
    }

    #[test]
    fn nothing_found_names_the_command() {
        let error = choose(std::iter::empty(), None).unwrap_err().to_string();
        assert!(error.contains("install"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
