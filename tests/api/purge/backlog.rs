//! A large backlog goes bit by bit, and nobody waits for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;

use super::{STAR, purged, scene};
use crate::support::{Stop, cluster};

/// So many committed transactions that may go, with ids from three days ago on, and ten open ones among them.
pub(super) fn fill(store: &mut PgConnection, rows: usize) {
    let sql = format!(
        "INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, operation, \
           digest, outcome, commit_number) \
         SELECT t.bucket, t.tenant, (lpad(to_hex(floor(extract(epoch FROM now() - interval '3 days') * 1000)::bigint + n), 12, '0') \
           || '70008' || lpad(to_hex(n), 15, '0'))::uuid, 'committed', 1, n, now() - interval '3 days', now() - interval '2 days', \
           now() - interval '3 days', '[]', sha256(''), '[]', n FROM tenants t, generate_series(1, {rows}) n; \
         INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at) \
         SELECT t.bucket, t.tenant, (lpad(to_hex(floor(extract(epoch FROM now() - interval '3 days') * 1000)::bigint + n * 100), 12, '0') \
           || '70009' || lpad(to_hex(n), 15, '0'))::uuid, 'open', 1, n, now() - interval '3 days', now() + interval '1 day' \
           FROM tenants t, generate_series(1, 10) n"
    );
    store.batch_execute(&sql).unwrap();
}

#[test]
fn fifty_thousand_transactions_go_while_a_writer_goes_on() {
    let (server, mut store) = scene();
    fill(&mut store, 50_000);
    server.client().put_new("/resources/a/b", "0");
    let (stop, written) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = server.client();
            while !stop.load(Ordering::Relaxed) {
                client
                    .send("PUT", "/resources/a/b", &STAR, Some("1"))
                    .expect(204);
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _stop = Stop(&stop);
        assert_eq!(purged(&server.database_url).transactions, 50_000);
    });
    let versions = cluster::number(&mut store, "SELECT count(*) AS number FROM versions");
    assert_eq!(
        usize::try_from(versions).unwrap(),
        1 + written.load(Ordering::Relaxed)
    );
    assert!(versions > 1, "it went on");
    let left = "SELECT count(*) AS number FROM transactions WHERE state = 'open'";
    assert_eq!(cluster::number(&mut store, left), 10);
}

/// The purge holds no lock that a commit of other rows waits for but while it moves the horizon: what it deletes is
/// locked in another transaction than the bucket.
#[test]
fn a_purge_that_is_held_up_holds_up_nobody_else() {
    let (server, mut store) = scene();
    fill(&mut store, 100);
    let mut client = server.client();
    client.put_new("/resources/a/b", "0");
    // A version that somebody has locked: the purge of its tombstone waits for it, in the midst of its work.
    client.put_new("/resources/a/gone", "0");
    client
        .send("DELETE", "/resources/a/gone", &STAR, None)
        .expect(204);
    store
        .batch_execute("UPDATE resources SET updated_at = now() - interval '2 hours' WHERE deleted")
        .unwrap();
    let mut holder = cluster::connect(&server.database_url);
    holder
        .batch_execute("BEGIN; SELECT FROM versions WHERE key = 'gone' FOR UPDATE")
        .unwrap();
    std::thread::scope(|scope| {
        let purge = scope.spawn(|| purged(&server.database_url));
        crate::support::eventually("it waits", || cluster::blocked(&mut store) == 1);
        for _ in 0..10 {
            client
                .send("PUT", "/resources/a/b", &STAR, Some("1"))
                .expect(204);
            let (path, tag) = client.open_transaction();
            client.apply(&path, &tag, "[{\"method\": \"PUT\", \"target\": \"/resources/a/b\", \"if_match\": \"*\", \"body\": 2}]").expect(200);
        }
        holder.batch_execute("COMMIT").unwrap();
        let removed = purge.join().unwrap();
        assert_eq!((removed.transactions, removed.resources), (100, 1));
    });
}
