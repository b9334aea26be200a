//! A purge that has little to do reads little, and one that has much reads each row a few times, also in tables that were
//! never analysed.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;

use super::{backlog, purge_with};
use crate::support::cluster::{self, number};
use crate::support::eventually;

/// What all sessions that have ended have read of the tables and their indexes.
fn rows_read(store: &mut PgConnection) -> i64 {
    eventually("sessions have ended", || cluster::others(store) == 0);
    number(
        store,
        "SELECT (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables)::bigint
              + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes)::bigint AS number",
    )
}

const ROWS: i64 = 10_000;

/// Live resources with two versions each, tombstones, and open transactions beside the backlog.
const FILL: &str = "
    ALTER TABLE resources SET (autovacuum_enabled = off);
    ALTER TABLE versions SET (autovacuum_enabled = off);
    ALTER TABLE transactions SET (autovacuum_enabled = off);
    INSERT INTO resources SELECT t.bucket, t.tenant, 'many', 'k' || n, 3, n, n % 2 = 0, 'application/json',
      CASE WHEN n % 2 = 1 THEN '1' END, now() - interval '3 days', lpad(to_hex(n), 32, '0')::uuid
      FROM tenants t, generate_series(1, 10000) n;
    INSERT INTO versions SELECT bucket, tenant, collection, key, v, nonce, false, media_type, '1', updated_at, transaction_id, 1
      FROM resources, generate_series(1, 3) v;";

#[test]
fn rows_are_found_by_their_keys() {
    let database = cluster::database();
    let mut store = cluster::connect(&database);
    store.batch_execute(FILL).unwrap();
    backlog::fill(&mut store, 10_000);
    drop(store);
    let mut store = cluster::connect(&database);
    let before = rows_read(&mut store);
    let removed = purge_with(&database, |limits| limits.keep.newest = Some(2));
    let read = rows_read(&mut store) - before;
    assert_eq!((removed.transactions, removed.resources), (10_000, 5000));
    assert_eq!(removed.versions, 15_000 + 5000);
    // Transactions, heads, and versions of each: some ten times, in chunks that have nothing to do with each other.
    assert!(read < 40 * ROWS, "{read} rows were read");
    let before = rows_read(&mut store);
    purge_with(&database, |_| {});
    let read = rows_read(&mut store) - before;
    // What is left of it is looked at once: half of the heads, and index entries of what was deleted.
    assert!(read < 4 * ROWS, "{read} rows were read");
}
