//! What the tests stand on: one private cluster a run, one database a test, a server on a port of its own, and a
//! client that sees every byte of what the server says.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]

pub mod client;
pub mod cluster;
pub mod server;

/// Tells threads to stop when it is dropped, though the test fails: a scope waits for its threads.
pub struct Stop<'a>(pub &'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}
