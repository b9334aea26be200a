//! The contract over real HTTP, against real Postgres.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod description;
mod docs;
mod epochs;
mod faults;
mod history;
mod input;
mod lists;
mod matrix;
mod migrations;
mod overload;
mod races;
mod regressions;
mod representations;
mod retries;
mod schemas;
mod transactions;
