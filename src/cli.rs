//! The command line: arguments, configuration, start and stop (contract §11).

mod gc;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::protocol::limits;
use crate::store::migrate;
use crate::store::postgres::{self, PrivatePostgres};

/// Exactly-once, all-or-nothing changes to several resources over standard HTTP.
#[derive(Debug, Parser)]
#[command(name = "ifmatch", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve HTTP; migrates the database first
    Serve(ServeArguments),
    /// Bring the database's schema up to this release
    Migrate(DatabaseArguments),
    /// Remove what need not be kept any more, all at once; a server does the same bit by bit
    Gc(GcArguments),
    /// Print the API description
    Openapi {
        /// As JSON instead of YAML
        #[arg(long)]
        json: bool,
    },
}

/// Which database.
#[derive(Clone, Debug, Args)]
struct DatabaseArguments {
    /// A Postgres to use, as a libpq URI; without it, a private one runs in --data-dir
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Where the private Postgres keeps its data
    #[arg(
        long,
        env = "IFMATCH_DATA_DIR",
        default_value = "./.ifmatch",
        value_name = "DIR",
        conflicts_with = "database_url"
    )]
    data_dir: PathBuf,
    /// Where the private Postgres's programs (initdb, postgres) are; searched for if left out
    #[arg(long, env = "IFMATCH_PG_BIN", value_name = "DIR")]
    pg_bin: Option<PathBuf>,
    /// Seconds that a finished transaction is kept, and a deleted resource
    #[arg(long, env = "IFMATCH_RETENTION", default_value_t = limits::RETENTION_SECONDS_DEFAULT, value_name = "SECONDS",
          value_parser = clap::value_parser!(i64).range(limits::RETENTION_SECONDS_MIN..=3_153_600_000))]
    retention: i64,
    /// What to log: a level, or directives such as info,ifmatch::engine=debug
    #[arg(
        long,
        env = "IFMATCH_LOG",
        default_value = "info,actix_http=off,actix_server=warn",
        value_name = "FILTER"
    )]
    log: String,
    /// Log as JSON, one object a line
    #[arg(long, env = "IFMATCH_LOG_JSON")]
    log_json: bool,
}

/// What is kept of the past, beside `--retention`.
#[derive(Clone, Debug, Args)]
struct KeepArguments {
    /// Newest versions of each resource to be kept, the current one counted; all if neither this nor --keep-versions-for is given
    #[arg(long, env = "IFMATCH_KEEP_VERSIONS", value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    keep_versions: Option<i64>,
    /// Seconds that a version is kept after the next took its place; with --keep-versions, what either keeps is kept
    #[arg(long, env = "IFMATCH_KEEP_VERSIONS_FOR", value_name = "SECONDS",
          value_parser = clap::value_parser!(i64).range(0..=3_153_600_000))]
    keep_versions_for: Option<i64>,
}

/// What to remove, and where.
#[derive(Clone, Debug, Args)]
struct GcArguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    keep: KeepArguments,
}

/// How to serve.
#[derive(Clone, Debug, Args)]
struct ServeArguments {
    #[command(flatten)]
    database: DatabaseArguments,
    #[command(flatten)]
    keep: KeepArguments,
    /// Address and port; only loopback addresses are served while there is no authentication
    #[arg(
        long,
        env = "IFMATCH_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS:PORT"
    )]
    listen: String,
    /// Bytes of content that a request may have
    #[arg(long, env = "IFMATCH_MAX_BODY", default_value_t = limits::BODY_BYTES_MAX, value_name = "BYTES",
          value_parser = parse_max_body)]
    max_body: usize,
    /// Threads that commit; 1 where a disk flush takes milliseconds
    #[arg(long, env = "IFMATCH_COMMITTERS", default_value_t = 2, value_name = "N", value_parser = parse_threads)]
    committers: usize,
    /// Threads that read
    #[arg(long, env = "IFMATCH_READERS", default_value_t = 4, value_name = "N", value_parser = parse_threads)]
    readers: usize,
    /// Threads that speak HTTP; as many as there are cores if left out
    #[arg(long, env = "IFMATCH_WORKERS", value_name = "N", value_parser = parse_threads)]
    workers: Option<usize>,
    /// Operations that may wait for a committer; one more is refused with 503
    #[arg(long, env = "IFMATCH_QUEUE", default_value_t = 4096, value_name = "N", value_parser = parse_queue)]
    queue: usize,
    /// Transactions that may be open at a time; one more is refused with 429
    #[arg(long, env = "IFMATCH_OPEN_TRANSACTIONS", default_value_t = limits::OPEN_TRANSACTIONS_MAX, value_name = "N",
          value_parser = parse_open_transactions)]
    open_transactions: usize,
    /// Seconds between two purges in the background; 0 for none, where ifmatch gc is run instead
    #[arg(long, env = "IFMATCH_PURGE_INTERVAL", default_value_t = 60, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=86_400))]
    purge_interval: u64,
    /// Seconds that requests under way may take to finish once the server is told to stop
    #[arg(long, env = "IFMATCH_SHUTDOWN_TIMEOUT", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(0..=3600))]
    shutdown_timeout: u64,
}

fn parse_within(text: &str, least: usize, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("must be a whole number from {least} to {most}")),
    }
}

fn parse_max_body(text: &str) -> Result<usize, String> {
    parse_within(text, 1024, 64 << 20)
}

fn parse_threads(text: &str) -> Result<usize, String> {
    parse_within(text, 1, 64)
}

fn parse_queue(text: &str) -> Result<usize, String> {
    parse_within(text, 1, 1_000_000)
}

fn parse_open_transactions(text: &str) -> Result<usize, String> {
    parse_within(text, 1, 10_000_000)
}

/// Why the program ends unhappily, and with which code: 2 for a wrong setting, 1 for anything else.
#[derive(Debug)]
enum Failure {
    Setting(String),
    Run(String),
}

impl Failure {
    /// A failure with the chain of its causes on one line.
    fn run(context: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut line = format!("{context}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            line.push_str(&format!(
                ": {}",
                cause.to_string().trim_end().replace('\n', "; ")
            ));
            source = cause.source();
        }
        Self::Run(line)
    }
}

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return end(&Failure::Setting(one_line(&error.to_string()))),
    };
    let result = match arguments.command {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Migrate(arguments) => migrate(&arguments),
        Command::Gc(arguments) => gc::gc(&arguments),
        Command::Openapi { json } => openapi(json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&failure),
    }
}

fn end(failure: &Failure) -> ExitCode {
    let (line, code) = match failure {
        Failure::Setting(line) => (line, 2),
        Failure::Run(line) => (line, 1),
    };
    eprintln!("ifmatch: {line}");
    ExitCode::from(code)
}

/// The first sentence of clap's message; the rest of it is advice on many lines.
fn one_line(message: &str) -> String {
    let paragraph = message.split("\n\n").next().unwrap_or(message);
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned() + " (see ifmatch --help)"
}

fn openapi(json: bool) -> Result<(), Failure> {
    use std::io::Write;
    let text = if json {
        crate::http::openapi_json()
    } else {
        crate::http::openapi_yaml()
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::run("cannot print", &error))
}

fn migrate(arguments: &DatabaseArguments) -> Result<(), Failure> {
    log_to_stderr(arguments)?;
    let database = Database::open(arguments)?;
    let run = database.migrate(arguments)?;
    for version in &run {
        println!("{version}");
    }
    database.close();
    Ok(())
}

fn log_to_stderr(arguments: &DatabaseArguments) -> Result<(), Failure> {
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.log)
        .map_err(|error| Failure::Setting(format!("--log {}: {error}", arguments.log)))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let result = if arguments.log_json {
        builder.json().try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
    result.map_err(|error| Failure::Run(format!("cannot log: {error}")))
}

/// The database in use: a private one that stops with us, or somebody else's.
struct Database {
    url: String,
    private: Option<PrivatePostgres>,
}

impl Database {
    fn open(arguments: &DatabaseArguments) -> Result<Self, Failure> {
        if let Some(url) = &arguments.database_url {
            return Ok(Self {
                url: url.clone(),
                private: None,
            });
        }
        let settings = postgres::Settings {
            data_dir: arguments.data_dir.clone(),
            pg_bin: arguments.pg_bin.clone(),
            extra: Vec::new(),
        };
        let private = PrivatePostgres::start(&settings)
            .map_err(|error| Failure::run("the private Postgres does not start", &error))?;
        Ok(Self {
            url: private.admin_url(),
            private: Some(private),
        })
    }

    fn migrate(&self, arguments: &DatabaseArguments) -> Result<Vec<String>, Failure> {
        migrate::migrate(&self.url, arguments.retention)
            .map_err(|error| Failure::run("the database is not usable", &error))
    }

    fn close(self) {
        if let Some(private) = self.private {
            private.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_wrong_setting_is_one_line() {
        let error = Arguments::try_parse_from(["ifmatch", "serve", "--max-body", "x"]).unwrap_err();
        let line = one_line(&error.to_string());
        assert!(
            line.contains("--max-body") && !line.contains('\n'),
            "{line}"
        );
    }
}
