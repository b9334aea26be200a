//! Migrations, built into the binary and run forward under a lock.

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::error::StoreError;
use super::statement::statement;
use crate::protocol::name::Tenant;
use std::marker::PhantomData;

use diesel::sql_types::{Double, SmallInt, Text};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number, the same in every release: servers that start together migrate one after the other.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7205759403792796)";

statement! {
    /// Creates a tenant, whose purge horizon begins one retention before its time.
    InsertTenant {
        bucket: i16 => SmallInt,
        tenant: &'a str => Text,
        retention_seconds: f64 => Double,
    } -> () =
        "INSERT INTO tenants (bucket, tenant, created_at, purge_horizon) \
         SELECT {}, {}, clock_timestamp(), clock_timestamp() - make_interval(secs => {}) ON CONFLICT DO NOTHING"
}

/// Brings the schema up to this release and makes the tenant `default`; answers with the migrations run.
///
/// # Errors
/// A line for the operator, and the cause.
pub fn migrate(database_url: &str, retention_seconds: i64) -> Result<Vec<String>, MigrateError> {
    let mut connection = PgConnection::establish(database_url).map_err(MigrateError::Connect)?;
    let mut run = Vec::new();
    connection.transaction(|connection| {
        // In one transaction with its lock: nothing of a session outlives it, and a failure leaves nothing behind.
        connection
            .batch_execute(LOCK)
            .map_err(|error| MigrateError::Run(Box::new(error)))?;
        for version in connection
            .run_pending_migrations(MIGRATIONS)
            .map_err(MigrateError::Run)?
        {
            run.push(version.to_string());
        }
        let tenant = Tenant::default();
        #[allow(clippy::cast_precision_loss)]
        let statement = InsertTenant {
            bucket: tenant.bucket(),
            tenant: tenant.as_str(),
            retention_seconds: retention_seconds as f64,
            lifetime: PhantomData,
        };
        statement
            .execute(connection)
            .map_err(|error| MigrateError::Run(Box::new(error)))?;
        Ok(run)
    })
}

/// Takes every migration back, newest first. For tests: every migration has a `down.sql` that works.
///
/// # Errors
/// As [`migrate`].
pub fn revert_all(database_url: &str) -> Result<(), MigrateError> {
    let mut connection = PgConnection::establish(database_url).map_err(MigrateError::Connect)?;
    connection
        .revert_all_migrations(MIGRATIONS)
        .map_err(MigrateError::Run)?;
    Ok(())
}

/// How many migrations this release has.
pub fn known() -> usize {
    MigrationSource::<Pg>::migrations(&MIGRATIONS).map_or(0, |migrations| migrations.len())
}

/// Why a migration did not run.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database could not be reached.
    #[error("cannot connect to the database")]
    Connect(#[source] ConnectionError),
    /// It refused.
    #[error("cannot bring the database's schema up to this release")]
    Run(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It broke on the way.
    #[error("cannot bring the database's schema up to this release")]
    Database(#[from] diesel::result::Error),
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        Self::Unreachable(Some(Box::new(error)))
    }
}
