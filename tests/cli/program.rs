//! The built program as a process of its own, over a data directory that is removed with it.

use std::fs::{File, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::client::Client;

const PATIENCE: Duration = Duration::from_secs(60);

/// The program, whatever settings the test run itself has in its environment.
pub(super) fn ifmatch() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ifmatch"));
    for (name, _) in std::env::vars_os() {
        let ours = name.to_string_lossy().starts_with("IFMATCH_") && name != "IFMATCH_PG_BIN";
        if ours || name == "DATABASE_URL" || name == "CLICOLOR_FORCE" {
            command.env_remove(&name);
        }
    }
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(super) fn run(arguments: &[&str]) -> Output {
    ifmatch().args(arguments).output().unwrap()
}

/// A data directory. What a failed test leaves running in it is ended with it.
pub(super) struct DataDir(TempDir);

impl DataDir {
    pub(super) fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("ifmatch-cli-")
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in("/tmp");
        Self(directory.unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn text(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// The postmaster's process, while there is one.
    pub(super) fn postmaster(&self) -> Option<u32> {
        let file = std::fs::read_to_string(self.path().join("cluster/postmaster.pid")).ok()?;
        let process = file.lines().next()?.parse().ok()?;
        is_running(process).then_some(process)
    }

    /// Straight to Postgres, while it runs.
    pub(super) fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url()).unwrap()
    }

    /// The URI of its database, while that runs.
    pub(super) fn url(&self) -> String {
        let file = std::fs::read_to_string(self.path().join("cluster/postmaster.pid")).unwrap();
        let host = file.lines().nth(4).unwrap().replace('/', "%2F");
        format!("postgresql://ifmatch@{host}:5432/postgres")
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Some(orphan) = self.postmaster() {
            send(orphan, Signal::SIGQUIT);
            eventually("the postmaster has ended", || !is_running(orphan));
        }
    }
}

/// `ifmatch serve`; killed when dropped.
pub(super) struct Serve {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// The line that it printed when it was ready.
    pub(super) line: String,
    pub(super) address: SocketAddr,
}

impl Serve {
    /// On a free port, over a data directory, until it accepts requests.
    #[track_caller]
    pub(super) fn start(data: &DataDir, more: &[&str]) -> Self {
        Self::spawn(
            ifmatch()
                .args([
                    "serve",
                    "--listen",
                    "127.0.0.1:0",
                    "--data-dir",
                    data.text(),
                ])
                .args(more),
            data,
        )
    }

    #[track_caller]
    pub(super) fn spawn(command: &mut Command, data: &DataDir) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(data.path().join("stderr.log"))
            .unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line
            .trim_end()
            .strip_prefix("ifmatch listens on http://")
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!(
                "{line:?}; {:?}; {}",
                child.wait(),
                std::fs::read_to_string(data.path().join("stderr.log")).unwrap()
            );
        };
        Self {
            child,
            stdout,
            line,
            address,
        }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.address)
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits for its end; how it ended, and what it printed after the first line.
    #[track_caller]
    pub(super) fn wait(&mut self) -> (ExitStatus, String) {
        let mut more = String::new();
        self.stdout.read_to_string(&mut more).unwrap();
        let mut status = None;
        eventually("the server has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), more)
    }

    /// Ends it as nobody should.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn send(process: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(process).unwrap()), signal);
}

/// Whether a process is there and more than a zombie that its parent has not asked for.
pub(super) fn is_running(process: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(format!("/proc/{process}/stat")) else {
        // No such process, or no /proc.
        return kill(Pid::from_raw(i32::try_from(process).unwrap()), None).is_ok()
            && !Path::new("/proc/self").exists();
    };
    !text
        .rsplit_once(')')
        .is_some_and(|(_, state)| state.trim_start().starts_with('Z'))
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The number that a statement answers with, in a column of that name.
pub(super) fn number(store: &mut PgConnection, sql: &str) -> i64 {
    diesel::sql_query(sql)
        .get_result::<Number>(store)
        .unwrap()
        .number
}

/// Checks an unhappy end: nothing on stdout, one line on stderr, which names what is wrong.
#[track_caller]
pub(super) fn check_refused(output: &Output, code: i32, words: &[&str]) {
    let (out, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert_eq!(out, "", "nothing on standard output");
    assert!(
        error.ends_with('\n') && error.lines().count() == 1,
        "one line: {error}"
    );
    assert!(error.starts_with("ifmatch: "), "{error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
}

/// Waits until something is so.
#[track_caller]
pub(super) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
