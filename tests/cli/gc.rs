//! `ifmatch gc`: says what it removed, and may be killed at any time.

use std::process::{Output, Stdio};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use nix::sys::signal::Signal;

use super::program::{DataDir, Serve, check_refused, eventually, ifmatch, number, run};

/// Three thousand transactions of three days ago, and as many tombstones with a version each.
const FILL: &str = "
    INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, operation, digest,
      outcome, commit_number)
    SELECT t.bucket, t.tenant, (lpad(to_hex(floor(extract(epoch FROM now() - interval '3 days') * 1000)::bigint + n), 12, '0')
      || '70008' || lpad(to_hex(n), 15, '0'))::uuid, 'committed', 1, n, now() - interval '3 days', now() - interval '2 days',
      now() - interval '3 days', '[]', sha256(''), '[]', n FROM tenants t, generate_series(1, 30000) n;
    INSERT INTO resources SELECT t.bucket, t.tenant, 'many', 'k' || n, 2, n, true, 'application/json', NULL,
      now() - interval '3 days', t.id FROM transactions t, generate_series(1, 3000) n WHERE t.nonce = 1;
    INSERT INTO versions SELECT bucket, tenant, collection, key, v, nonce, v = 2, media_type, CASE WHEN v = 1 THEN '1' END,
      updated_at, transaction_id, 1 FROM resources, generate_series(1, 2) v WHERE collection = 'many';";

const HOUR: [&str; 2] = ["--retention", "3600"];

fn gc(url: &str, more: &[&str]) -> Output {
    ifmatch()
        .args(["gc", "--database-url", url])
        .args(HOUR)
        .args(more)
        .output()
        .unwrap()
}

#[track_caller]
fn check_removed(output: &Output, line: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*text), (Some(0), line), "{error}");
}

fn served() -> (DataDir, Serve, String, PgConnection) {
    let data = DataDir::new();
    let server = Serve::start(&data, &["--purge-interval", "0"]);
    let (url, store) = (data.url(), data.connect());
    (data, server, url, store)
}

#[test]
fn it_removes_what_is_due_and_says_so_on_one_line() {
    let (_data, server, url, mut store) = served();
    let mut client = server.client();
    client.put_new("/resources/a/b", "1");
    client
        .send("PUT", "/resources/a/b", &[("if-match", "*")], Some("2"))
        .expect(204);
    client.open_transaction();
    store
        .batch_execute(
            "UPDATE transactions SET expires_at = now() - interval '1 second' WHERE state = 'open'",
        )
        .unwrap();
    check_removed(
        &gc(&url, &["--keep-versions", "1"]),
        "removed 0 transactions, 0 deleted resources, 1 versions; 1 transactions had expired\n",
    );
    store.batch_execute(FILL).unwrap();
    check_removed(
        &gc(&url, &[]),
        "removed 30000 transactions, 3000 deleted resources, 6000 versions; 0 transactions had expired\n",
    );
    let none =
        "removed 0 transactions, 0 deleted resources, 0 versions; 0 transactions had expired\n";
    check_removed(&gc(&url, &[]), none);
    assert_eq!(client.get("/resources/a/b").expect(200).text(), "2");
}

#[test]
fn killed_in_the_midst_it_leaves_nothing_that_the_next_one_does_not_finish() {
    let (_data, server, url, mut store) = served();
    store.batch_execute(FILL).unwrap();
    let mut client = server.client();
    let ids = "SELECT count(*) AS number FROM transactions";
    let halves = "SELECT count(*) AS number FROM resources r WHERE (SELECT max(v.version) FROM versions v \
                  WHERE v.collection = r.collection AND v.key = r.key) IS DISTINCT FROM r.version";
    let uncovered =
        "SELECT count(*) AS number FROM tenants WHERE purge_horizon < now() - interval '2 days'";
    let mut killed = 0;
    for _ in 0..10 {
        let before = number(&mut store, ids);
        if before == 0 {
            break;
        }
        let mut child = ifmatch()
            .args(["gc", "--database-url", &url])
            .args(HOUR)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("it has begun", || number(&mut store, ids) < before);
        super::program::send(child.id(), Signal::SIGKILL);
        killed += usize::from(child.wait().unwrap().code().is_none());
        assert_eq!(
            number(&mut store, uncovered),
            0,
            "the horizon covers what is missing"
        );
        assert_eq!(
            number(&mut store, halves),
            0,
            "a tombstone goes with all its versions"
        );
    }
    assert!(killed > 0, "none was killed");
    assert!(gc(&url, &[]).status.success());
    for table in ["transactions", "resources", "versions"] {
        let rows = format!("SELECT count(*) AS number FROM {table}");
        assert_eq!(number(&mut store, &rows), 0, "{table}");
    }
    client.put_new("/resources/many/k1", "1");
    client.get("/resources/many/k1/versions/3").expect(200);
}

#[test]
fn it_works_on_a_data_directory_that_nobody_serves() {
    let data = DataDir::new();
    let output = run(&["gc", "--data-dir", data.text()]);
    let none =
        "removed 0 transactions, 0 deleted resources, 0 versions; 0 transactions had expired\n";
    check_removed(&output, none);
    let _server = Serve::start(&data, &[]);
    check_refused(
        &run(&["gc", "--data-dir", data.text()]),
        1,
        &["private Postgres"],
    );
}

#[test]
fn without_a_database_it_is_exit_1_and_a_wrong_setting_exit_2() {
    let nowhere = [
        "gc",
        "--database-url",
        "postgresql://nobody@127.0.0.1:1/none",
    ];
    check_refused(&run(&nowhere), 1, &["database"]);
    for (flag, value) in [
        ("--retention", "59"),
        ("--keep-versions", "0"),
        ("--keep-versions-for", "-1"),
        ("--keep-versions-for", "ever"),
    ] {
        let arguments = ["gc", &*format!("{flag}={value}")];
        check_refused(&run(&arguments), 2, &[flag]);
    }
    for (flag, value) in [("--open-transactions", "0"), ("--purge-interval", "x")] {
        check_refused(&run(&["serve", flag, value]), 2, &[flag, value]);
    }
}
