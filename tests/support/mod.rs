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
pub mod many;
pub mod server;

/// Tells threads to stop when it is dropped, though the test fails: a scope waits for its threads.
pub struct Stop<'a>(pub &'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// How long a test waits for what must come.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// Waits until a condition holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            std::time::Instant::now() < deadline,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
