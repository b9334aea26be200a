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
