//! ifmatch: exactly-once, all-or-nothing changes to several resources over standard HTTP.
//!
//! Layers, each knowing only those below it: [`cli`], [`http`], [`engine`], [`store`], [`protocol`].

pub mod cli;
pub mod engine;
pub mod http;
pub mod protocol;
pub mod store;
