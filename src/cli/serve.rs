//! `ifmatch serve`: migrate, listen, say so, and stop when told to.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::{Database, Failure, ServeArguments, log_to_stderr};
use crate::engine::{Engine, Limits, Settings};
use crate::http::{self, HttpSettings};

pub(super) fn serve(arguments: &ServeArguments) -> Result<(), Failure> {
    log_to_stderr(&arguments.database)?;
    let listener = listen(&arguments.listen)?;
    let database = Database::open(&arguments.database)?;
    let result = database
        .migrate(&arguments.database)
        .and_then(|_| run(arguments, listener, &database.url));
    database.close();
    result
}

/// Binds before anything else is started: a wrong address is said at once.
fn listen(text: &str) -> Result<TcpListener, Failure> {
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .map_err(|error| {
            Failure::Setting(format!(
                "--listen {text}: {error}; give an address and a port, as in 127.0.0.1:8080"
            ))
        })?
        .collect();
    if let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        return Err(Failure::Setting(format!(
            "--listen {text}: {} is not a loopback address; without authentication, which this release does not have, only \
             loopback addresses are served",
            open.ip()
        )));
    }
    TcpListener::bind(addresses.as_slice())
        .map_err(|error| Failure::Run(format!("cannot listen on {text}: {error}")))
}

fn run(
    arguments: &ServeArguments,
    listener: TcpListener,
    database_url: &str,
) -> Result<(), Failure> {
    let address = listener
        .local_addr()
        .map_err(|error| Failure::run("cannot listen", &error))?;
    let settings = Settings {
        committers: arguments.committers,
        readers: arguments.readers,
        queue_length: arguments.queue,
        limits: Limits {
            body_bytes_max: arguments.max_body,
            retention_seconds: arguments.database.retention,
            open_transactions_max: arguments.open_transactions,
            keep: arguments.keep.keep(),
        },
        purge_interval: Some(arguments.purge_interval)
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
        ..Settings::new(database_url)
    };
    let (engine, workers) =
        Engine::start(&settings).map_err(|error| Failure::run("cannot start threads", &error))?;
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let http = HttpSettings {
        workers: arguments.workers.unwrap_or(cores),
        shutdown_timeout: Duration::from_secs(arguments.shutdown_timeout),
        ..HttpSettings::default()
    };
    let waited_for = engine.clone();
    let served = actix_web::rt::System::new().block_on(async move {
        let server = http::serve(engine, http, listener)?;
        let handle = server.handle();
        let (mut terminate, mut interrupt) = (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        );
        actix_web::rt::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping: no new connections; what has begun is finished");
            // They are answered while there is time for it.
            waited_for.stop_waiting();
            handle.stop(true).await;
        });
        tracing::info!("only loopback addresses are served: there is no authentication yet");
        // Whoever started us may have closed standard output; that is no reason not to serve.
        let _ = writeln!(std::io::stdout(), "ifmatch listens on http://{address}");
        server.await
    });
    served.map_err(|error| Failure::run("cannot serve HTTP", &error))?;
    // The server is gone and with it every engine handle; the committers finish what was queued.
    workers.join();
    Ok(())
}
