//! The way to Postgres breaks at every message: clients are told the truth, and nothing is applied twice.

mod proxy;
mod scene;

mod alone;
mod away;
mod commits;
mod keys;
mod messages;
mod sessions;
