//! What the tests of the private Postgres share: clusters, `psql`, and a server that can be killed.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ifmatch::store::postgres::{PrivatePostgres, Settings};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use tempfile::TempDir;

/// Tells the process that is to be killed where its data is.
pub(crate) const DATA_DIR: &str = "IFMATCH_TEST_DATA_DIR";

const PATIENCE: Duration = Duration::from_secs(30);

/// `helper_server` in a process of its own.
pub(crate) struct Server {
    child: Child,
    ready: PathBuf,
    _program: TempDir,
}

impl Server {
    pub(crate) fn spawn(dir: &Path, user: Option<&User>) -> Self {
        let ready = dir.join("ready");
        let _ = std::fs::remove_file(&ready);
        // A copy, as another user may not be able to reach the build's directory; made by another
        // process, as a file open for writing in this one (and its forks) cannot be executed.
        let place = temp_dir(0o755);
        let program = place.path().join("server");
        let original = std::env::current_exe().unwrap();
        let copied = Command::new("cp").args([&original, &program]).status();
        assert!(copied.unwrap().success());
        let mut command = Command::new(&program);
        command
            .args(["helper_server", "--exact", "--ignored", "--nocapture"])
            .env(DATA_DIR, dir)
            .current_dir("/");
        if let Some(user) = user {
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .env_remove("XDG_RUNTIME_DIR");
        }
        Self {
            child: command.spawn().unwrap(),
            ready,
            _program: place,
        }
    }

    pub(crate) fn postmaster(&mut self) -> u32 {
        eventually("the server is ready", || {
            assert_eq!(self.child.try_wait().unwrap(), None, "the server ended");
            self.ready.exists()
        });
        std::fs::read_to_string(&self.ready)
            .unwrap()
            .parse()
            .unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // A test that failed leaves no orphan.
        let file = self.ready.with_file_name("cluster").join("postmaster.pid");
        let orphan = std::fs::read_to_string(file).ok();
        if let Some(orphan) = orphan.and_then(|text| text.lines().next()?.parse().ok()) {
            let _ = kill(pid(orphan), Signal::SIGQUIT);
        }
    }
}

pub(crate) fn temp_dir(mode: u32) -> TempDir {
    tempfile::Builder::new()
        .prefix("ifmatch-")
        .permissions(Permissions::from_mode(mode))
        .tempdir_in("/tmp")
        .unwrap()
}

pub(crate) fn settings(dir: &Path) -> Settings {
    let extra = [
        ("fsync", "off"),
        ("shared_buffers", "16MB"),
        ("wal_buffers", "1MB"),
    ];
    Settings {
        data_dir: dir.to_owned(),
        pg_bin: None,
        extra: extra
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
    }
}

#[track_caller]
pub(crate) fn start(dir: &Path) -> PrivatePostgres {
    PrivatePostgres::start(&settings(dir)).unwrap_or_else(|error| panic!("{error}: {error:?}"))
}

#[track_caller]
pub(crate) fn check_refused(dir: &Path, expected: &str) {
    let text = PrivatePostgres::start(&settings(dir))
        .unwrap_err()
        .to_string();
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains('\n'), "one line: {text}");
}

pub(crate) fn create_table(postgres: &PrivatePostgres) {
    psql(postgres, "CREATE TABLE t AS SELECT 1 AS n").unwrap();
}

pub(crate) fn count(postgres: &PrivatePostgres) -> Result<String, String> {
    psql(postgres, "SELECT count(*) FROM t")
}

pub(crate) fn command_psql(postgres: &PrivatePostgres, sql: &str) -> Command {
    let mut command = Command::new(postgres.bin_dir().join("psql"));
    command.args([
        "-XAtq".as_ref(),
        "-d".as_ref(),
        OsStr::new(&postgres.admin_url()),
        "-c".as_ref(),
        OsStr::new(sql),
    ]);
    command
}

/// A client in the middle of a statement, and the process id of its backend.
pub(crate) fn busy_client(postgres: &PrivatePostgres) -> (Child, u32) {
    let mut command = command_psql(postgres, "SELECT pg_sleep(60)");
    let client = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut backend = None;
    eventually("the client is busy", || {
        let query = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'";
        backend = psql(postgres, query).ok().and_then(|pid| pid.parse().ok());
        backend.is_some()
    });
    (client, backend.unwrap())
}

pub(crate) fn psql(postgres: &PrivatePostgres, sql: &str) -> Result<String, String> {
    let output = command_psql(postgres, sql).output().unwrap();
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap())
}

pub(crate) fn signal(process: u32, signal: Signal) {
    kill(pid(process), signal).unwrap();
}

pub(crate) fn is_alive(process: u32) -> bool {
    kill(pid(process), None).is_ok()
}
