//! `ifmatch gc`: removes all that need not be kept, and says what it was.

use std::io::Write;

use super::{Database, Failure, GcArguments, KeepArguments, log_to_stderr};
use crate::engine::Settings;
use crate::engine::purge::{Keep, purge};

impl KeepArguments {
    pub(super) fn keep(&self) -> Keep {
        Keep {
            newest: self.keep_versions,
            seconds: self.keep_versions_for,
        }
    }
}

pub(super) fn gc(arguments: &GcArguments) -> Result<(), Failure> {
    log_to_stderr(&arguments.database)?;
    let database = Database::open(&arguments.database)?;
    let result = database
        .migrate(&arguments.database)
        .and_then(|_| run(arguments, &database.url));
    database.close();
    result
}

fn run(arguments: &GcArguments, database_url: &str) -> Result<(), Failure> {
    let mut settings = Settings::new(database_url);
    settings.limits.retention_seconds = arguments.database.retention;
    settings.limits.keep = arguments.keep.keep();
    let removed = purge(&settings).map_err(|error| Failure::run("cannot remove", &error))?;
    // Whoever started us may have closed standard output; it is removed all the same.
    let _ = writeln!(
        std::io::stdout(),
        "removed {} transactions, {} deleted resources, {} versions; {} transactions had expired",
        removed.transactions,
        removed.resources,
        removed.versions,
        removed.expired
    );
    Ok(())
}
