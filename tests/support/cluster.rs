//! One private cluster for the whole run, and databases cloned from a migrated template.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use ifmatch::protocol::limits;
use ifmatch::store::migrate;
use ifmatch::store::postgres::{PrivatePostgres, Settings};

struct Cluster {
    postgres: PrivatePostgres,
    /// Ends the cluster and removes its directory once this process is gone, however it ends: statics are not dropped.
    _watch: Child,
}

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    let directory = tempfile::Builder::new()
        .prefix("ifmatch-test-")
        .permissions(std::fs::Permissions::from_mode(0o755))
        .tempdir_in("/tmp")
        .unwrap()
        .keep();
    let off = |name: &str| (name.to_owned(), "off".to_owned());
    let settings = Settings {
        data_dir: directory.clone(),
        pg_bin: std::env::var_os("IFMATCH_PG_BIN").map(Into::into),
        extra: vec![
            off("fsync"),
            off("full_page_writes"),
            ("shared_buffers".into(), "64MB".into()),
            ("max_connections".into(), "400".into()),
        ],
    };
    let postgres = PrivatePostgres::start(&settings).unwrap();
    let script = "cat >/dev/null; kill -QUIT \"$1\" 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 \"$1\" 2>/dev/null || break; \
                  sleep 0.2; done; rm -rf \"$2\"";
    let mut watch = Command::new("sh")
        .args([
            "-c",
            script,
            "sh",
            &postgres.postmaster_pid().unwrap().to_string(),
            directory.to_str().unwrap(),
        ])
        .stdin(Stdio::piped())
        // A signal to the tests' process group must not end the one that cleans up after it.
        .process_group(0)
        .spawn()
        .unwrap();
    watch.stdin.as_mut().unwrap().flush().unwrap();
    let mut admin = PgConnection::establish(&postgres.admin_url()).unwrap();
    admin
        .batch_execute("CREATE DATABASE template_ifmatch")
        .unwrap();
    migrate::migrate(
        &postgres.database_url("template_ifmatch"),
        limits::RETENTION_SECONDS_DEFAULT,
    )
    .unwrap();
    Cluster {
        postgres,
        _watch: watch,
    }
});

static COUNT: AtomicUsize = AtomicUsize::new(0);
static CLONING: Mutex<()> = Mutex::new(());

/// A database of this test's own, migrated and empty; its URI.
pub fn database() -> String {
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    create(&name, "template_ifmatch");
    CLUSTER.postgres.database_url(&name)
}

/// A database without any table.
pub fn empty_database() -> String {
    let name = format!("empty_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    create(&name, "template1");
    CLUSTER.postgres.database_url(&name)
}

fn create(name: &str, template: &str) {
    let _alone = CLONING.lock().unwrap();
    let mut admin = PgConnection::establish(&CLUSTER.postgres.admin_url()).unwrap();
    admin
        .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
        .unwrap();
}

/// A connection for a test to look into a database, or to disturb it.
pub fn connect(database_url: &str) -> PgConnection {
    PgConnection::establish(database_url).unwrap()
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
}

/// The number that a statement answers with, in a column of that name.
pub fn number(store: &mut PgConnection, sql: &str) -> i64 {
    diesel::sql_query(sql)
        .get_result::<Number>(store)
        .unwrap()
        .number
}

/// How many sessions of this database wait for a lock.
pub fn blocked(store: &mut PgConnection) -> i64 {
    let sql = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    number(store, sql)
}

/// How many other sessions this database has. What Postgres counts is told by a session when it ends at the latest.
pub fn others(store: &mut PgConnection) -> i64 {
    let sql = "SELECT count(*) AS number FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    number(store, sql)
}
