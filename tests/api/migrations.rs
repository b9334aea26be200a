//! The schema forward and back, and what a first start leaves in it.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use ifmatch::protocol::limits;
use ifmatch::store::migrate;

use crate::support::cluster;
use crate::support::server::Server;

const RETENTION: i64 = limits::RETENTION_SECONDS_DEFAULT;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Truth {
    #[diesel(sql_type = Bool)]
    truth: bool,
}

#[test]
fn an_empty_database_is_brought_up_to_this_release() {
    let url = cluster::empty_database();
    assert_eq!(tables(&mut cluster::connect(&url)), [""; 0]);
    let run = migrate::migrate(&url, RETENTION).unwrap();
    assert_eq!(run.len(), migrate::known(), "{run:?}");
    assert_eq!(
        tables(&mut cluster::connect(&url)),
        [
            "buckets",
            "keys",
            "resources",
            "schemas",
            "tenants",
            "transactions",
            "versions"
        ]
    );
    let server = Server::over(&url, |_| {}, |_| {});
    server
        .client()
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201);
}

#[test]
fn migrating_twice_changes_nothing() {
    let url = cluster::empty_database();
    migrate::migrate(&url, RETENTION).unwrap();
    let mut store = cluster::connect(&url);
    let rows = "SELECT concat(bucket, ' ', tenant, ' ', created_at, ' ', purge_horizon) AS line FROM tenants";
    let (schema, tenants) = (schema(&mut store), lines(&mut store, rows));
    // Another retention does not move the horizon that is stored.
    assert_eq!(migrate::migrate(&url, 1).unwrap(), [""; 0]);
    assert_eq!(self::schema(&mut store), schema);
    assert_eq!(lines(&mut store, rows), tenants);
    assert_eq!(tenants.len(), 1);
}

#[test]
fn going_back_leaves_nothing_and_forward_makes_the_same_again() {
    let url = cluster::empty_database();
    migrate::migrate(&url, RETENTION).unwrap();
    let mut store = cluster::connect(&url);
    let before = schema(&mut store);
    assert!(
        before
            .iter()
            .any(|line| line.contains("transactions_reference")),
        "{before:#?}"
    );
    migrate::revert_all(&url).unwrap();
    assert_eq!(tables(&mut store), [""; 0]);
    assert_eq!(schema(&mut store), [""; 0]);
    assert_eq!(
        migrate::migrate(&url, RETENTION).unwrap().len(),
        migrate::known()
    );
    assert_eq!(schema(&mut store), before);
}

#[test]
fn going_back_works_with_data_too() {
    let server = Server::start();
    let mut client = server.client();
    client
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201);
    client
        .send("POST", "/transactions", &[], Some(r#"{"reference": "r"}"#))
        .expect(201);
    migrate::revert_all(&server.database_url).unwrap();
    assert_eq!(tables(&mut cluster::connect(&server.database_url)), [""; 0]);
    migrate::migrate(&server.database_url, RETENTION).unwrap();
    client
        .get("/resources/accounts/a")
        .expect_problem(404, "not-found");
}

#[test]
fn servers_that_start_together_migrate_one_after_the_other() {
    let url = cluster::empty_database();
    let run: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| migrate::migrate(&url, RETENTION).unwrap().len()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(run.iter().filter(|count| **count > 0).count(), 1, "{run:?}");
    assert_eq!(run.iter().sum::<usize>(), migrate::known());
}

#[test]
fn a_first_start_makes_the_tenant_and_its_horizon() {
    let url = cluster::empty_database();
    let mut store = cluster::connect(&url);
    let before = lines(&mut store, "SELECT clock_timestamp()::text AS line").remove(0);
    migrate::migrate(&url, 3600).unwrap();
    assert_eq!(
        lines(&mut store, "SELECT tenant AS line FROM tenants"),
        ["default"]
    );
    assert_eq!(
        lines(
            &mut store,
            "SELECT concat(count(*), ' ', sum(last_commit)) AS line FROM buckets"
        ),
        ["256 0"]
    );
    let between = format!(
        "SELECT bool_and(created_at BETWEEN timestamptz '{before}' AND clock_timestamp() \
         AND purge_horizon + interval '3600 seconds' BETWEEN timestamptz '{before}' AND clock_timestamp()) AS truth FROM tenants"
    );
    assert!(
        diesel::sql_query(between)
            .get_result::<Truth>(&mut store)
            .unwrap()
            .truth,
        "the horizon is now less the retention"
    );
    for table in ["resources", "versions", "transactions", "keys"] {
        assert_eq!(
            lines(
                &mut store,
                &format!("SELECT count(*)::text AS line FROM {table}")
            ),
            ["0"],
            "{table}"
        );
    }
    let shown = Server::over(&url, |_| {}, |_| {})
        .client()
        .get("/")
        .expect(200)
        .json();
    let stored = "SELECT to_char(purge_horizon AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS line FROM tenants";
    assert_eq!(
        shown["purge_horizon"].as_str(),
        lines(&mut store, stored).first().map(String::as_str)
    );
}

#[test]
fn a_database_that_cannot_be_reached_is_an_error_with_its_cause() {
    let error =
        migrate::migrate("postgresql://nobody@%2Fnowhere:5432/none", RETENTION).unwrap_err();
    assert!(
        matches!(error, migrate::MigrateError::Connect(_)),
        "{error:?}"
    );
    assert!(std::error::Error::source(&error).is_some());
}

fn lines(store: &mut PgConnection, sql: &str) -> Vec<String> {
    diesel::sql_query(sql)
        .load::<Line>(store)
        .unwrap()
        .into_iter()
        .map(|line| line.line)
        .collect()
}

/// Our tables: all but the one in which diesel keeps what has been run.
fn tables(store: &mut PgConnection) -> Vec<String> {
    let sql = "SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public' AND tablename <> '__diesel_schema_migrations' \
               ORDER BY tablename::text COLLATE \"C\"";
    lines(store, sql)
}

/// Columns, constraints, indexes and storage parameters, a line each.
fn schema(store: &mut PgConnection) -> Vec<String> {
    let ours = "n.nspname = 'public' AND c.relname NOT LIKE '\\_\\_diesel%'";
    let sql = format!(
        "SELECT line FROM (
           SELECT concat(c.relname, ' ', a.attname, ' ', format_type(a.atttypid, a.atttypmod), ' ', a.attnotnull, ' ', a.attcollation) AS line
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE {ours} AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
           UNION ALL SELECT concat(c.relname, ' ', o.conname, ' ', pg_get_constraintdef(o.oid))
             FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours}
           UNION ALL SELECT pg_get_indexdef(c.oid)
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours} AND c.relkind = 'i'
           UNION ALL SELECT concat(c.relname, ' ', c.relkind, ' ', array_to_string(c.reloptions, ','))
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ours}
           UNION ALL SELECT p.proname::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'
           UNION ALL SELECT t.typname::text FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
             WHERE n.nspname = 'public' AND t.typname NOT LIKE '%diesel%'
         ) all_of_it ORDER BY line COLLATE \"C\""
    );
    lines(store, &sql)
}
