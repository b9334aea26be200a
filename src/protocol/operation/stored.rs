//! Reading back what an operation was normalised to.

use super::faults::Faults;
use super::{Change, change};
use crate::protocol::json;

/// The changes of a stored operation, as they were when it was made; `None` where the text is no operation.
pub fn stored_changes(text: &str) -> Option<Vec<Change>> {
    // Within its document, where each body's depth counts by itself.
    let document = format!("{{\"changes\":{text}}}");
    let document = json::parse_operation(document.as_bytes()).ok()?;
    let mut faults = Faults::default();
    let changes = change::parse_changes(document.get("changes")?, &mut faults);
    faults.into_result().ok()?;
    Some(changes)
}
