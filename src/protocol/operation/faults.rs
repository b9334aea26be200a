//! Faults of content, gathered with their pointers.

use crate::protocol::json;
use crate::protocol::problem::{FieldError, Problem, Slug};

/// Faults that are told at once; an answer must not be many times as long as its request.
const FAULTS_MAX: usize = 100;

/// Bytes of a name that is told back in a pointer, for the same reason.
const NAME_BYTES_TOLD_MAX: usize = 256;

/// Gathers faults, so that a client can mend them all at once.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) invalid: Vec<FieldError>,
    pub(super) unconditional: Vec<FieldError>,
}

impl Faults {
    pub(super) fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        if self.invalid.len() >= FAULTS_MAX {
            return;
        }
        self.invalid.push(FieldError {
            pointer: pointer.into(),
            detail: detail.into(),
        });
    }

    pub(super) fn into_result(self) -> Result<(), Problem> {
        if !self.invalid.is_empty() {
            let detail =
                "Nothing was changed. Mend every place in errors, then send the request again.";
            return Err(Problem::new(Slug::InvalidOperation, detail).with_errors(self.invalid));
        }
        if !self.unconditional.is_empty() {
            let detail = "Nothing was changed. Every change names the state it expects: add \"if_match\": \"<tag>\" \
                          with the tag you read, \"if_match\": \"*\" for any state, or for PUT and GET \
                          \"if_none_match\": \"*\" if it must not exist.";
            return Err(
                Problem::new(Slug::PreconditionRequired, detail).with_errors(self.unconditional)
            );
        }
        Ok(())
    }
}

/// `#/name`, with the name escaped as RFC 6901 §6 asks for; `#` for a name too long to be told back.
pub(super) fn pointer(name: &str) -> String {
    let mut pointer = String::from("#");
    if name.len() <= NAME_BYTES_TOLD_MAX {
        json::push_pointer_segment(&mut pointer, name);
    }
    pointer
}
