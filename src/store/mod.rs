//! Postgres: connections, statements, migrations, and the private cluster.
//!
//! SQL is written here and nowhere else. It knows the protocol's values, and nothing of HTTP; it decides nothing:
//! what a command does is `protocol::decide`'s to say.

pub mod believed;
pub mod contains;
pub mod drafts;
pub mod error;
pub mod history;
pub mod keys;
pub mod lock;
pub mod migrate;
pub mod open;
pub mod pool;
pub mod postgres;
pub mod purge;
pub mod read;
mod rows;
pub mod schemas;
mod statement;
pub mod watch;
pub mod write;
