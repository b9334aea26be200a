//! The contract over real HTTP, against real Postgres.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/mod.rs"]
mod support;

mod description;
mod docs;
mod drafts;
mod epochs;
mod faults;
mod history;
mod input;
mod keys;
mod lists;
mod matrix;
mod media;
mod migrations;
mod overload;
mod purge;
mod races;
mod regressions;
mod representations;
mod retries;
mod schemas;
mod transactions;
mod waiting;
