//! Connections: an r2d2 pool that knows which of them are broken.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use diesel::prelude::*;

use super::error::StoreError;

/// A connection, and whether it has failed.
pub struct Session {
    connection: PgConnection,
    broken: bool,
}

/// Makes sessions for r2d2.
#[derive(Debug)]
pub struct SessionManager {
    database_url: String,
    commits: bool,
}

impl r2d2::ManageConnection for SessionManager {
    type Connection = Session;
    type Error = ConnectionError;

    fn connect(&self) -> Result<Session, ConnectionError> {
        let mut connection = PgConnection::establish(&self.database_url)?;
        if self.commits {
            connection
                .batch_execute(COMMITTER_SESSION)
                .map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
        }
        Ok(Session {
            connection,
            broken: false,
        })
    }

    fn is_valid(&self, session: &mut Session) -> Result<(), ConnectionError> {
        session
            .connection
            .batch_execute("SELECT 1")
            .map_err(|error| ConnectionError::BadConnection(error.to_string()))
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.broken || std::thread::panicking()
    }
}

/// Logs what r2d2 meets in the background, at a level that does not drown the log while Postgres is away.
#[derive(Debug)]
struct PoolErrors;

impl r2d2::HandleError<ConnectionError> for PoolErrors {
    fn handle_error(&self, error: ConnectionError) {
        tracing::debug!(error = %error, "a database connection could not be made");
    }
}

/// A pool of sessions.
#[derive(Clone)]
pub struct Pool {
    sessions: r2d2::Pool<SessionManager>,
}

impl Pool {
    /// A pool of `size` sessions; nobody waits longer than `timeout` for one. Connects later. `commits` where they
    /// are to write.
    pub fn new(database_url: &str, size: u32, timeout: Duration, commits: bool) -> Self {
        let sessions = r2d2::Pool::builder()
            .max_size(size.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(timeout)
            .error_handler(Box::new(PoolErrors))
            .build_unchecked(SessionManager {
                database_url: database_url.to_owned(),
                commits,
            });
        Self { sessions }
    }

    /// Runs `work` outside a transaction. Connections found broken are replaced and `work` runs again, so it must
    /// only read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn read<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut attempts = self.sessions.max_size() + 1;
        loop {
            let mut session = self.sessions.get()?;
            let result = work(&mut session.connection);
            session.broken = matches!(result, Err(StoreError::Unreachable(_)));
            attempts -= 1;
            if !session.broken || attempts == 0 {
                return result;
            }
        }
    }

    /// Runs one statement that is a transaction by itself; once.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InDoubt`] where the connection broke, since the statement may have committed.
    pub fn write_alone<T>(
        &self,
        statement: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
    ) -> Result<T, StoreError> {
        let mut session = self.sessions.get()?;
        statement(&mut session.connection).map_err(|error| match StoreError::from(error) {
            StoreError::Unreachable(source) => {
                session.broken = true;
                StoreError::InDoubt(source.unwrap_or_else(|| "the connection broke".into()))
            }
            error => error,
        })
    }

    /// Runs `work` in one Postgres transaction and commits. `work` must be repeatable: it runs again where the
    /// connection turns out to be broken before COMMIT was sent.
    ///
    /// `flushing` is called when all that is left to do is COMMIT. This is the only place that opens a write transaction.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::InDoubt`] where COMMIT was sent and not answered.
    pub fn write<T>(
        &self,
        opening: Opening,
        mut work: impl FnMut(&mut PgConnection) -> Result<Outcome<T>, StoreError>,
        mut flushing: impl FnMut(),
    ) -> Result<T, StoreError> {
        let mut attempts = self.sessions.max_size() + 1;
        loop {
            let mut session = self.sessions.get()?;
            let result = transact(&mut session.connection, opening, &mut work, &mut flushing);
            session.broken = matches!(
                result,
                Err(StoreError::Unreachable(_) | StoreError::InDoubt(_))
            );
            attempts -= 1;
            if !matches!(result, Err(StoreError::Unreachable(_))) || attempts == 0 {
                return result;
            }
        }
    }
}

/// What a session of committers is told once: rows are found by their keys. On tables that were never analysed the
/// planner takes a bucket for one row, and joins a thousand keys by reading the whole bucket for each. Only speed
/// depends on it.
const COMMITTER_SESSION: &str = concat!(
    "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off; ",
    "SET jit = off; SET plan_cache_mode = force_generic_plan"
);

/// How a transaction begins. A lock that a stuck session holds must not hold up every command behind it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With what the session was told once.
    Short,
    /// Everything that statements need for their plans is said again: a pooler may have handed out another session.
    Full,
}

impl Opening {
    fn sql(self) -> &'static str {
        match self {
            Opening::Short => {
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '5s'"
            }
            Opening::Full => concat!(
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = '5s'; ",
                "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; ",
                "SET LOCAL enable_material = off; SET LOCAL jit = off; SET LOCAL plan_cache_mode = force_generic_plan"
            ),
        }
    }
}

/// Runs one statement that reads, and may have to read a lot: it is ended after `time`, and planned to use keys and
/// indexes whatever is known of the tables.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Busy`] where the time was up.
pub fn read_bounded_in_txn<T>(
    connection: &mut PgConnection,
    time: Duration,
    statement: impl FnOnce(&mut PgConnection) -> QueryResult<T>,
) -> Result<T, StoreError> {
    connection.batch_execute(&format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL jit = off; \
         SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan",
        time.as_millis()
    ))?;
    let found = statement(connection).map_err(StoreError::from);
    match connection.batch_execute("ROLLBACK") {
        Ok(()) => found,
        Err(error) => found.and(Err(StoreError::Unreachable(Some(Box::new(error))))),
    }
}

/// How a transaction ends.
pub enum Outcome<T> {
    /// COMMIT.
    Commit(T),
    /// ROLLBACK: there was nothing to be written.
    Rollback(T),
}

fn transact<T>(
    connection: &mut PgConnection,
    opening: Opening,
    work: &mut impl FnMut(&mut PgConnection) -> Result<Outcome<T>, StoreError>,
    flushing: &mut impl FnMut(),
) -> Result<T, StoreError> {
    connection.batch_execute(opening.sql())?;
    match work(connection) {
        Ok(Outcome::Commit(value)) => {
            flushing();
            match connection.batch_execute("COMMIT") {
                Ok(()) => Ok(value),
                // Who still answers has refused the COMMIT, and nothing was stored; who does not may have committed.
                Err(error) => Err(match connection.batch_execute("ROLLBACK") {
                    Ok(()) => StoreError::from(error),
                    Err(_) => StoreError::InDoubt(Box::new(error)),
                }),
            }
        }
        Ok(Outcome::Rollback(value)) => {
            connection.batch_execute("ROLLBACK")?;
            Ok(value)
        }
        Err(error) => match connection.batch_execute("ROLLBACK") {
            Ok(()) => Err(error),
            Err(_) => Err(StoreError::Unreachable(Some(Box::new(error)))),
        },
    }
}
