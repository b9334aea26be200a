//! One change of a schema, on a thread that may take its time.

use std::thread;
use std::time::Duration;

use diesel::pg::PgConnection;

use crate::engine::reader::problem_of;
use crate::protocol::clock::Timestamp;
use crate::protocol::decide::{judge_schema_delete, judge_schema_put};
use crate::protocol::limits;
use crate::protocol::name::{Key, ResourceName};
use crate::protocol::problem::{FieldError, Problem, Slug};
use crate::protocol::schema::{Effort, Schema, SchemaCommand, SchemaContent};
use crate::protocol::tag::StateTag;
use crate::store::error::StoreError;
use crate::store::pool::{Opening, Outcome, Pool};
use crate::store::read;
use crate::store::schemas::{self, SchemaHead};

/// Resources that one statement reads to be checked: no snapshot is old, and no answer large.
const CHUNK_ROWS: i64 = 500;

/// Bytes of them.
const CHUNK_BYTES: i64 = 8 * 1024 * 1024;

/// How often what is stored is checked, where it is broken and mended meanwhile.
const CHECKS_MAX: u32 = 3;

/// How often a transaction that lost against another runs again.
const ATTEMPTS_MAX: u32 = 12;

/// What a PUT of a schema has done.
#[derive(Clone, Copy, Debug)]
pub struct SchemaSet {
    /// Whether there was none before.
    pub created: bool,
    /// Names the new state.
    pub tag: StateTag,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// Why a change ends without having been done.
pub(super) enum Failure {
    Refused(Problem),
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(problem) => problem,
            Failure::Store(error) => problem_of(&error),
        }
    }
}

/// A write transaction, again where it lost against another.
fn write<T>(
    pool: &Pool,
    mut work: impl FnMut(&mut PgConnection) -> Result<Outcome<T>, StoreError>,
) -> Result<T, StoreError> {
    let mut attempt = 1;
    loop {
        match pool.write(Opening::Full, &mut work, || {}) {
            Err(error) if error.is_transient() && attempt < ATTEMPTS_MAX => {
                attempt += 1;
                thread::sleep(Duration::from_micros(rand::random_range(0..=8_000)));
            }
            result => return result,
        }
    }
}

fn state(head: Option<&SchemaHead>) -> Option<(StateTag, Timestamp)> {
    head?.current.as_ref().map(|current| current.state())
}

/// Sets a schema; `wanted` is asked now and then whether to go on.
pub(super) fn put(
    pool: &Pool,
    command: &SchemaCommand,
    content: &Result<SchemaContent, Problem>,
    wanted: &dyn Fn() -> bool,
) -> Result<SchemaSet, Failure> {
    let (tenant, collection) = (&command.tenant, &command.collection);
    let head = pool.read(|connection| schemas::schema_fetch(connection, tenant, collection))?;
    let sent = judge_schema_put(command, content, state(head.as_ref()))?;
    let schema = Schema::compile(&sent.text).map_err(|faults| {
        let detail = "Nothing was changed. The content is no JSON Schema 2020-12 that can be used here; mend every place in errors.";
        Problem::new(Slug::InvalidOperation, detail).with_errors(faults)
    })?;
    write(pool, |connection| {
        let announced = (command.nonce, &*sent.text);
        schemas::schema_announce_in_txn(connection, tenant, collection, announced)?;
        Ok(Outcome::Commit(()))
    })?;
    let set = check_and_set(pool, command, (content, sent), &schema, wanted);
    if set.is_err() {
        // Where this fails too, what is left pending costs time only, until the next PUT or DELETE.
        let withdrawn = write(pool, |connection| {
            schemas::schema_withdraw_in_txn(connection, tenant, collection, command.nonce)
                .map(Outcome::Commit)
        });
        if let Err(error) = withdrawn {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a schema stays pending"
            );
        }
    }
    set
}

/// What came of the attempt to set what is pending.
enum Finish {
    Set(SchemaSet),
    /// Somebody has broken it.
    Broken(Option<Key>),
    Refused(Problem),
}

fn check_and_set(
    pool: &Pool,
    command: &SchemaCommand,
    content: (&Result<SchemaContent, Problem>, &SchemaContent),
    schema: &Schema,
    wanted: &dyn Fn() -> bool,
) -> Result<SchemaSet, Failure> {
    let (tenant, collection) = (&command.tenant, &command.collection);
    for check in 1..=CHECKS_MAX {
        let conflicts = check_stored(pool, command, schema, wanted)?;
        if !conflicts.is_empty() {
            return Err(conflict(command, conflicts).into());
        }
        match write(pool, |connection| {
            finish_in_txn(connection, command, content)
        })? {
            Finish::Set(set) => return Ok(set),
            Finish::Refused(problem) => return Err(problem.into()),
            Finish::Broken(key) if check == CHECKS_MAX => {
                let name = key.map(|key| path_of(command, key)).unwrap_or_default();
                let error = FieldError {
                    pointer: format!("{name}#"),
                    detail: "It was written while the schema was being checked, and broke it."
                        .to_owned(),
                };
                return Err(conflict(command, vec![error]).into());
            }
            Finish::Broken(_) => write(pool, |connection| {
                schemas::schema_mend_in_txn(connection, tenant, collection, command.nonce)
                    .map(Outcome::Commit)
            })?,
        }
    }
    Err(conflict(command, Vec::new()).into())
}

fn path_of(command: &SchemaCommand, key: Key) -> String {
    let collection = command.collection.clone();
    ResourceName { collection, key }.path()
}

fn conflict(command: &SchemaCommand, errors: Vec<FieldError>) -> Problem {
    let name = command.collection.as_str();
    let detail = format!(
        "Nothing was changed. Resources of {name} break the schema; errors names up to {} of them. Mend them or the \
         schema, then send it again.",
        limits::SCHEMA_CONFLICTS_MAX
    );
    Problem::new(Slug::SchemaConflict, detail).with_errors(errors)
}

/// Looks at all resources of the collection, and once more at those that break the schema.
fn check_stored(
    pool: &Pool,
    command: &SchemaCommand,
    schema: &Schema,
    wanted: &dyn Fn() -> bool,
) -> Result<Vec<FieldError>, Failure> {
    loop {
        let found = broken_found(pool, command, schema, wanted)?;
        let all = found.len() < limits::SCHEMA_CONFLICTS_MAX;
        let still = still_broken(pool, command, schema, &found)?;
        // Where all that were found are mended, those behind them have not been looked at.
        if all || !still.is_empty() {
            return Ok(still);
        }
    }
}

/// The first resources of the collection that break the schema, in the order of keys.
fn broken_found(
    pool: &Pool,
    command: &SchemaCommand,
    schema: &Schema,
    wanted: &dyn Fn() -> bool,
) -> Result<Vec<ResourceName>, Failure> {
    let (tenant, collection) = (&command.tenant, &command.collection);
    let (mut after, mut found) = (String::new(), Vec::new());
    while found.len() < limits::SCHEMA_CONFLICTS_MAX {
        if !wanted() {
            let detail = "The resources of the collection could not be checked in time. Nothing was changed; send the same request again.";
            return Err(Problem::new(Slug::Unavailable, detail).into());
        }
        let bounds = (CHUNK_ROWS, CHUNK_BYTES);
        let chunk = pool.read(|connection| {
            schemas::chunk_fetch(connection, tenant, collection, &after, bounds)
        })?;
        let Some((last, _)) = chunk.last() else {
            break;
        };
        last.key.as_str().clone_into(&mut after);
        let broken = chunk
            .into_iter()
            .filter(|(name, body)| broken_place(schema, name, body).is_some());
        found.extend(broken.map(|(name, _)| name));
    }
    found.truncate(limits::SCHEMA_CONFLICTS_MAX);
    Ok(found)
}

/// Which of these break the schema still, and where.
fn still_broken(
    pool: &Pool,
    command: &SchemaCommand,
    schema: &Schema,
    found: &[ResourceName],
) -> Result<Vec<FieldError>, Failure> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<&ResourceName> = found.iter().collect();
    let now = pool.read(|connection| read::resources_fetch(connection, &command.tenant, &names))?;
    let still = found.iter().zip(now).filter_map(|(name, found)| {
        let (resource, _) = found?;
        broken_place(schema, name, resource.body.as_deref()?)
    });
    Ok(still.collect())
}

/// The first place of a stored resource that breaks a schema.
fn broken_place(schema: &Schema, name: &ResourceName, body: &str) -> Option<FieldError> {
    let base = format!("{}#", name.path());
    let violations = schema.violations(body, &base, &mut Effort::default());
    violations.into_iter().next()
}

/// Sets what is pending, if it still is ours and nobody has broken it.
fn finish_in_txn(
    connection: &mut PgConnection,
    command: &SchemaCommand,
    (content, sent): (&Result<SchemaContent, Problem>, &SchemaContent),
) -> Result<Outcome<Finish>, StoreError> {
    let (tenant, collection) = (&command.tenant, &command.collection);
    let head = schemas::schema_lock_in_txn(connection, tenant, collection)?;
    if let Err(problem) = judge_schema_put(command, content, state(head.as_ref())) {
        return Ok(Outcome::Rollback(Finish::Refused(problem)));
    }
    let Some(head) = head.filter(|head| head.pending == Some(command.nonce)) else {
        let detail = "Nothing was changed. Another change of this schema came in between; read it, decide again, and send it.";
        let problem = Problem::new(Slug::SchemaConflict, detail);
        return Ok(Outcome::Rollback(Finish::Refused(problem)));
    };
    if head.broken {
        return Ok(Outcome::Rollback(Finish::Broken(head.broken_by)));
    }
    let next = (command.nonce, Some(sent));
    let (tag, updated_at) =
        schemas::schema_write_in_txn(connection, tenant, collection, &head, next)?;
    Ok(Outcome::Commit(Finish::Set(SchemaSet {
        created: head.current.is_none(),
        tag,
        updated_at,
    })))
}

/// Deletes a schema.
pub(super) fn delete(
    pool: &Pool,
    command: &SchemaCommand,
    content: &Result<(), Problem>,
) -> Result<(), Failure> {
    let (tenant, collection) = (&command.tenant, &command.collection);
    let deleted = write(pool, |connection| {
        let head = schemas::schema_lock_in_txn(connection, tenant, collection)?;
        if let Err(problem) = judge_schema_delete(command, content, state(head.as_ref())) {
            return Ok(Outcome::Rollback(Err(problem)));
        }
        let head = head.ok_or(StoreError::Corrupt("a schema that exists has no row"))?;
        let next = (command.nonce, None);
        schemas::schema_write_in_txn(connection, tenant, collection, &head, next)?;
        Ok(Outcome::Commit(Ok(())))
    })?;
    deleted.map_err(Failure::Refused)
}
