//! A server in this process, on a port of its own.

use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use ifmatch::engine::{Engine, Settings};
use ifmatch::http::{self, HttpSettings};

use super::client::{Client, OBSERVER};
use super::cluster;

/// A running server; stopped when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub database_url: String,
    engine: Option<Engine>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Over a fresh database.
    pub fn start() -> Self {
        Self::with(|_| {}, |_| {})
    }

    /// Over a fresh database, with other settings.
    pub fn with(engine: impl FnOnce(&mut Settings), http: impl FnOnce(&mut HttpSettings)) -> Self {
        Self::over(&cluster::database(), engine, http)
    }

    /// Over a given database.
    pub fn over(
        database_url: &str,
        engine: impl FnOnce(&mut Settings),
        http: impl FnOnce(&mut HttpSettings),
    ) -> Self {
        // Every answer that any test gets is held against the API description.
        let _ = OBSERVER.set(crate::description::observe);
        let mut settings = Settings::new(database_url);
        settings.readers = 2;
        // Nothing happens that a test has not asked for.
        settings.purge_interval = None;
        // A machine that stands still for some seconds is no finding. Whoever takes Postgres away sets less.
        settings.connection_timeout = Duration::from_secs(10);
        engine(&mut settings);
        let mut http_settings = HttpSettings {
            workers: 2,
            shutdown_timeout: Duration::from_secs(1),
            ..HttpSettings::default()
        };
        http(&mut http_settings);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let (engine, workers) = Engine::start(&settings).unwrap();
            let shown = engine.clone();
            actix_web::rt::System::new().block_on(async move {
                let server = http::serve(engine, http_settings, listener).unwrap();
                sender.send((server.handle(), shown)).unwrap();
                server.await.unwrap();
            });
            workers.join();
        });
        let (handle, engine) = receiver.recv().unwrap();
        Self {
            address,
            database_url: database_url.to_owned(),
            engine: Some(engine),
            handle,
            thread: Some(thread),
        }
    }

    /// How many clients wait for transactions.
    pub fn waiters(&self) -> usize {
        self.engine.as_ref().map_or(0, Engine::waiters)
    }

    /// Stops as the program does when it is told to: what has begun is finished.
    pub fn stop_gracefully(mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop_waiting();
        }
        drop(self.handle.stop(true));
        self.thread.take().map(JoinHandle::join);
    }

    /// A client with a connection of its own.
    pub fn client(&self) -> Client {
        Client::new(self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its threads end when every handle of the engine is gone.
        self.engine = None;
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
