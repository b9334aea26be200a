//! HTTP: URIs, header fields in and out, negotiation, documents, problems.
//!
//! A handler extracts, asks the engine once, and presents. What a request does to a given state is
//! decided in [`crate::protocol`]; this layer must not know of SQL, connections or commits. It is the
//! only one besides [`crate::protocol::problem`] that knows status codes. Modules in reading order:
//! `app` (which URI has which handlers), `call` (one request), `query`, `content`, `digest` and `keys`
//! (what it says), `resources`, `versions`, `schemas`, `transactions`, `drafts`, `lists`, `service`, `description`, `docs`, `health`
//! (handlers), `document`, `respond`, `problems` (answers), `access_log`.

mod access_log;
mod app;
mod call;
mod content;
mod description;
mod digest;
mod docs;
mod document;
mod drafts;
mod health;
mod keys;
mod lists;
mod problems;
mod query;
mod resources;
mod respond;
mod schemas;
mod service;
mod transactions;
mod versions;
mod waiting;

use std::net::TcpListener;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Server, ServiceRequest};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpServer};

pub use description::{openapi_json, openapi_yaml};

use crate::engine::Engine;

/// For how long an idle connection is kept: longer than proxies usually do, so that they close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What an operator can set.
#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    /// Threads that serve connections.
    pub workers: usize,
    /// How long a client may take for the header of a request.
    pub header_timeout: Duration,
    /// How long a client may take for the content of a request.
    pub body_timeout: Duration,
    /// How long a graceful stop waits for requests under way; whole seconds count.
    pub shutdown_timeout: Duration,
}

impl Default for HttpSettings {
    /// A thread for each core; slow clients get as long as a slow mobile connection needs.
    fn default() -> Self {
        Self {
            workers: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// Serves `engine` on `listener` until the returned server's handle is stopped.
///
/// No signal is handled here: whoever calls this stops it with `Server::handle().stop(graceful)`.
///
/// # Errors
/// Whatever the operating system says where the listener cannot be used.
pub fn serve(
    engine: Engine,
    settings: HttpSettings,
    listener: TcpListener,
) -> std::io::Result<Server> {
    let bounds = content::Bounds {
        bytes_max: engine.limits().body_bytes_max,
        timeout: settings.body_timeout,
    };
    let server = HttpServer::new(move || {
        let read_content = move |request: ServiceRequest, next: Next<BoxBody>| {
            content::read_first(bounds, request, next)
        };
        // The last one wrapped is the outermost.
        App::new()
            .configure(|config| app::routes(config, &engine))
            .wrap(from_fn(read_content))
            .wrap(from_fn(access_log::log))
    })
    .workers(settings.workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(settings.header_timeout)
    .shutdown_timeout(settings.shutdown_timeout.as_secs())
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}
