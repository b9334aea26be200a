//! The program as its users run it: what it prints, how it ends, and what survives when it is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/client.rs"]
#[allow(dead_code, unreachable_pub)]
mod client;
#[path = "cli/crashes.rs"]
mod crashes;
#[path = "cli/drafts.rs"]
mod drafts;
#[path = "cli/gc.rs"]
mod gc;
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/load.rs"]
mod load;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/serving.rs"]
mod serving;
#[path = "cli/settings.rs"]
mod settings;
