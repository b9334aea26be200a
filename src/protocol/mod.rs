//! The contract as functions of their arguments: names, tags, conditions, operations, decisions, problems.
//!
//! Nothing here does I/O, reads a clock, or knows of actix or diesel. Listed in reading order.

pub mod belief;
pub mod clock;
pub mod command;
pub mod condition;
pub mod containment;
pub mod cursor;
pub mod decide;
pub mod draft;
pub mod json;
pub mod key;
pub mod limits;
pub mod media;
pub mod name;
pub mod operation;
pub mod patch;
pub mod prefer;
pub mod problem;
pub mod schema;
pub mod state;
pub mod tag;
pub mod world;
