//! The private Postgres against real binaries: starts, stops, kills, awkward paths, clear errors.
//!
//! Every test has a cluster of its own. The ignored "test" is the server that others kill: they run
//! this very program again, with the data directory in an environment variable.

#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests are tests, too.

#[path = "private_postgres/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ifmatch::store::postgres::{PrivatePostgres, Settings, StartError};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};
use support::{
    DATA_DIR, Server, busy_client, check_refused, count, create_table, eventually, is_alive, psql,
    settings, signal, start, temp_dir,
};

#[test]
fn data_survives_stop_and_start() {
    let temp = temp_dir(0o755);
    let dir = temp.path().join("data");
    // What a first start leaves that was killed within initdb.
    std::fs::create_dir_all(dir.join("cluster.new/base")).unwrap();

    let postgres = start(&dir);
    create_table(&postgres);
    let pid = postgres.postmaster_pid().unwrap();
    postgres.stop();
    assert!(!is_alive(pid), "the postmaster ends with stop()");

    let mut postgres = start(&dir);
    assert_eq!(count(&postgres), Ok("1".to_owned()));
    postgres.shutdown();
    postgres.shutdown();
    assert_eq!(postgres.postmaster_pid(), None);
    assert!(!dir.join("cluster.new").exists());
}

#[test]
fn runs_durably_and_apart_without_settings_of_ours() {
    let temp = temp_dir(0o755);
    let data_dir = temp.path().to_owned();
    let postgres = PrivatePostgres::start(&Settings {
        data_dir,
        ..Settings::default()
    })
    .unwrap();
    for (setting, expected) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("shared_buffers", "256MB"),
        ("max_connections", "50"),
        ("server_encoding", "UTF8"),
        ("TimeZone", "UTC"),
    ] {
        assert_eq!(
            psql(&postgres, &format!("SHOW {setting}")),
            Ok(expected.to_owned()),
            "{setting}"
        );
    }
    // Ctrl-C at the terminal signals a process group: not the postmaster's.
    let pid = postgres.postmaster_pid().unwrap().to_string();
    let group = Command::new("ps")
        .args(["-o", "pgid=", "-p", &pid])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(group.stdout).unwrap().trim(), pid);
}

#[test]
fn path_with_spaces_and_commas() {
    let temp = temp_dir(0o755);
    for name in ["my data", "a,b \"c\" 100%", "größe"] {
        let postgres = start(&temp.path().join(name));
        create_table(&postgres);
        assert_eq!(count(&postgres), Ok("1".to_owned()), "{name}");
    }
}

#[test]
fn path_longer_than_a_socket_may_have() {
    let temp = temp_dir(0o755);
    let dir = temp.path().join("x".repeat(80)).join("y".repeat(80));
    let postgres = start(&dir);
    create_table(&postgres);
    assert_eq!(count(&postgres), Ok("1".to_owned()));
    let url = postgres.admin_url();
    assert!(!url.contains("yyy"), "{url}");
    postgres.stop();
    // The short directory is taken again.
    assert_eq!(start(&dir).admin_url(), url);
}

#[test]
fn relative_path_and_symbolic_link_are_the_same_directory() {
    let temp = temp_dir(0o755);
    let dir = temp.path().join("data");
    std::os::unix::fs::symlink("data", temp.path().join("link")).unwrap();
    let _postgres = start(&dir);
    let error = PrivatePostgres::start(&settings(&temp.path().join("link"))).unwrap_err();
    assert!(matches!(error, StartError::Locked { .. }), "{error}");
}

#[test]
fn second_server_is_refused() {
    let temp = temp_dir(0o755);
    let first = start(temp.path());
    let error = PrivatePostgres::start(&settings(temp.path())).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&*first.data_dir().to_string_lossy()),
        "{text}"
    );
    assert!(
        text.contains(&format!("process {}", std::process::id())),
        "{text}"
    );
    assert_eq!(
        psql(&first, "SELECT 1"),
        Ok("1".to_owned()),
        "the first is not disturbed"
    );
    first.stop();
    start(temp.path()).stop();
}

#[test]
fn killed_postmaster_comes_back() {
    let temp = temp_dir(0o755);
    let postgres = start(temp.path());
    create_table(&postgres);
    for round in 0..2 {
        let before = postgres.postmaster_pid().unwrap();
        let (mut client, _) = busy_client(&postgres);
        signal(before, Signal::SIGKILL);
        eventually("psql works again", || {
            count(&postgres) == Ok("1".to_owned())
        });
        assert_ne!(postgres.postmaster_pid(), Some(before), "round {round}");
        client.wait().unwrap();
    }
}

#[test]
fn killed_postmaster_comes_back_once_its_backends_have_ended() {
    let temp = temp_dir(0o755);
    let postgres = start(temp.path());
    create_table(&postgres);
    let (mut client, backend) = busy_client(&postgres);
    // It holds on to the shared memory, as it cannot see that its postmaster is gone.
    signal(backend, Signal::SIGSTOP);
    signal(postgres.postmaster_pid().unwrap(), Signal::SIGKILL);
    let log = temp.path().join("postgres.log");
    eventually("a new postmaster is refused", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains("pre-existing shared memory"))
    });
    signal(backend, Signal::SIGCONT);
    eventually("psql works again", || {
        count(&postgres) == Ok("1".to_owned())
    });
    client.wait().unwrap();
}

#[test]
fn shutdown_while_the_postmaster_cannot_come_back() {
    let temp = temp_dir(0o755);
    let postgres = start(temp.path());
    let pid = postgres.postmaster_pid().unwrap();
    let cluster = temp.path().join("cluster");
    std::fs::rename(cluster.join("global"), cluster.join("gone")).unwrap();
    signal(pid, Signal::SIGKILL);
    eventually("it has ended", || !is_alive(pid));
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    postgres.stop();
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[test]
fn orphan_is_stopped_and_its_data_kept() {
    let temp = temp_dir(0o755);
    let mut owner = Server::spawn(temp.path(), None);
    let orphan = owner.postmaster();
    owner.kill();
    assert!(is_alive(orphan), "the postmaster outlives its owner");

    let postgres = start(temp.path());
    assert_eq!(count(&postgres), Ok("1".to_owned()));
    assert_ne!(postgres.postmaster_pid(), Some(orphan));
}

#[test]
fn both_killed_at_once() {
    let temp = temp_dir(0o755);
    let mut owner = Server::spawn(temp.path(), None);
    let orphan = owner.postmaster();
    owner.kill();
    signal(orphan, Signal::SIGKILL);

    let postgres = start(temp.path());
    assert_eq!(count(&postgres), Ok("1".to_owned()));
}

#[test]
fn process_id_file_that_names_another_process() {
    let temp = temp_dir(0o755);
    let postgres = start(temp.path());
    create_table(&postgres);
    postgres.stop();
    let file = temp.path().join("cluster/postmaster.pid");
    let stale = format!(
        "{}\n{}\n1\n5432\n\n\n  1 2\nready\n",
        std::process::id(),
        temp.path().display()
    );
    std::fs::write(&file, stale).unwrap();
    let postgres = start(temp.path());
    assert_eq!(count(&postgres), Ok("1".to_owned()));
}

#[test]
fn no_programs() {
    let temp = temp_dir(0o755);
    let data_dir = temp.path().join("data");
    let settings = Settings {
        pg_bin: Some(temp.path().to_owned()),
        ..settings(&data_dir)
    };
    let text = PrivatePostgres::start(&settings).unwrap_err().to_string();
    assert!(
        text.contains("--pg-bin") && text.contains("initdb"),
        "{text}"
    );

    let error = StartError::BinariesNotFound {
        install: "sudo apt-get install postgresql",
    };
    assert!(
        error
            .to_string()
            .contains("sudo apt-get install postgresql")
    );
}

#[test]
fn cluster_of_another_version() {
    let temp = temp_dir(0o755);
    start(temp.path()).stop();
    std::fs::write(temp.path().join("cluster/PG_VERSION"), "8\n").unwrap();
    check_refused(temp.path(), "was made by PostgreSQL 8");
    std::fs::remove_file(temp.path().join("cluster/PG_VERSION")).unwrap();
    check_refused(temp.path(), "not a PostgreSQL cluster");
}

#[test]
fn wrong_setting_is_named_in_the_error() {
    let temp = temp_dir(0o755);
    let mut settings = settings(temp.path());
    settings
        .extra
        .push(("shared_buffers".to_owned(), "many".to_owned()));
    let text = PrivatePostgres::start(&settings).unwrap_err().to_string();
    assert!(
        text.contains("shared_buffers") && text.contains("postgres.log"),
        "{text}"
    );
    // Nothing is left that would hinder the next start.
    start(temp.path()).stop();
}

#[test]
fn place_that_cannot_be_created() {
    check_refused(Path::new("/dev/null/data"), "cannot create /dev/null/data");
}

#[test]
fn root_with_a_directory_out_of_reach() {
    if !Uid::effective().is_root() {
        return;
    }
    let temp = temp_dir(0o700);
    let dir = temp.path().join("data");
    let postgres = start(&dir);
    create_table(&postgres);
    postgres.stop();
    let cluster = dir.join("cluster").read_link().unwrap();
    let home = cluster.parent().unwrap().to_owned();
    assert_eq!(home.parent(), Some(Path::new("/var/lib/ifmatch")));

    // A copy of the directory is the same cluster: refused while that is in use.
    let copy = temp.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::os::unix::fs::symlink(&cluster, copy.join("cluster")).unwrap();
    let postgres = start(&dir);
    assert_eq!(count(&postgres), Ok("1".to_owned()));
    check_refused(&copy, "is in use by another server");
    postgres.stop();

    std::fs::remove_dir_all(&home).unwrap();
    check_refused(&dir, "which is missing");
}

#[test]
fn root_with_a_cluster_restored_by_root() {
    if !Uid::effective().is_root() {
        return;
    }
    let temp = temp_dir(0o755);
    let original = temp.path().join("original");
    let postgres = start(&original);
    create_table(&postgres);
    postgres.stop();
    let restored = temp.path().join("restored");
    let copied = Command::new("cp")
        .arg("-R")
        .args([&original, &restored])
        .status()
        .unwrap();
    assert!(copied.success());
    assert_eq!(count(&start(&restored)), Ok("1".to_owned()));
}

#[test]
fn ordinary_user() {
    let Some(user) = User::from_name("nobody")
        .unwrap()
        .filter(|_| Uid::effective().is_root())
    else {
        return; // Every other test already runs as one.
    };
    let temp = temp_dir(0o755);
    let dir = temp.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::os::unix::fs::chown(&dir, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    let mut owner = Server::spawn(&dir, Some(&user));
    owner.postmaster();
    owner.kill();

    // A second one of the same user takes over, with no right to do more than he may.
    let mut owner = Server::spawn(&dir, Some(&user));
    owner.postmaster();
    owner.kill();
    // And root, who keeps the cluster's owner.
    assert_eq!(count(&start(&dir)), Ok("1".to_owned()));
}

/// Not a test: the server that is killed. Says that it is ready by a file.
#[test]
#[ignore = "run by other tests in a process of its own"]
fn helper_server() {
    let Some(dir) = std::env::var_os(DATA_DIR).map(PathBuf::from) else {
        return;
    };
    let postgres = start(&dir);
    if count(&postgres).is_err() {
        create_table(&postgres);
    }
    let pid = postgres.postmaster_pid().unwrap();
    std::fs::write(dir.join("ready.new"), pid.to_string()).unwrap();
    std::fs::rename(dir.join("ready.new"), dir.join("ready")).unwrap();
    std::thread::sleep(Duration::from_secs(120));
}
