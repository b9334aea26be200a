//! Too much, too slow, too large: refused at once and clearly, without harm to others or to the next request.

mod connections;
mod content;
mod queue;
