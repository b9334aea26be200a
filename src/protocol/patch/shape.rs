//! The shape of patch documents, above all of a JSON Patch (RFC 6902 §3 and §4) and the JSON Pointers in it (RFC 6901).

use super::{PatchKind, increment};
use crate::protocol::json::{Json, push_pointer_segment};
use std::borrow::Cow;
use std::fmt;

/// What is wrong in a patch document, whatever it is applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeFault {
    /// Where, as a JSON Pointer in URI fragment form.
    pub pointer: String,
    /// What is wrong there and what to send.
    pub detail: String,
}

/// Faults after which no further operation is looked at: nobody reads more, and a patch has room for half a million.
pub(super) const FAULTS_MAX: usize = 100;

/// A JSON Pointer with its reference tokens unescaped.
pub(super) struct Pointer<'t> {
    pub(super) text: &'t str,
    pub(super) tokens: Vec<Cow<'t, str>>,
}

impl fmt::Display for Pointer<'_> {
    /// Quoted, and cut where it is too long for a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text.char_indices().nth(200) {
            Some((end, _)) => write!(f, "`{}…`", &self.text[..end]),
            None => write!(f, "`{}`", self.text),
        }
    }
}

pub(super) enum Operation<'t> {
    Add {
        path: Pointer<'t>,
        value: &'t Json<'t>,
    },
    Remove {
        path: Pointer<'t>,
    },
    Replace {
        path: Pointer<'t>,
        value: &'t Json<'t>,
    },
    Move {
        from: Pointer<'t>,
        path: Pointer<'t>,
    },
    Copy {
        from: Pointer<'t>,
        path: Pointer<'t>,
    },
    Test {
        path: Pointer<'t>,
        value: &'t Json<'t>,
    },
}

/// What is wrong with a patch document itself, whatever it is applied to: about the first hundred faults, in document
/// order; empty if it is well-formed. `base_pointer` is the document's own place in URI fragment form (`#`,
/// `#/changes/0/body`). Any JSON is a merge patch; members of a JSON Patch that RFC 6902 does not define are ignored, as it
/// demands.
#[must_use]
pub fn check_shape(kind: PatchKind, patch: &Json<'_>, base_pointer: &str) -> Vec<ShapeFault> {
    match kind {
        PatchKind::Merge => Vec::new(),
        PatchKind::JsonPatch => operations(patch, base_pointer).err().unwrap_or_default(),
        PatchKind::Increment => increment::check(patch, base_pointer),
    }
}

/// The operations of a patch document, or everything wrong with it.
pub(super) fn operations<'t>(
    patch: &'t Json<'t>,
    base_pointer: &str,
) -> Result<Vec<Operation<'t>>, Vec<ShapeFault>> {
    let Some(elements) = patch.as_array() else {
        let detail = "A JSON Patch is an array of operations (RFC 6902).".to_owned();
        return Err(vec![ShapeFault {
            pointer: base_pointer.to_owned(),
            detail,
        }]);
    };
    let mut operations = Vec::with_capacity(elements.len());
    let mut reader = Reader { faults: Vec::new() };
    for (index, element) in elements.iter().enumerate() {
        operations.extend(reader.operation(element, &format!("{base_pointer}/{index}")));
        if reader.faults.len() >= FAULTS_MAX {
            break;
        }
    }
    if reader.faults.is_empty() {
        Ok(operations)
    } else {
        Err(reader.faults)
    }
}

struct Reader {
    faults: Vec<ShapeFault>,
}

impl Reader {
    fn fault(&mut self, pointer: &str, member: Option<&str>, detail: &str) {
        let mut pointer = pointer.to_owned();
        if let Some(member) = member {
            push_pointer_segment(&mut pointer, member);
        }
        self.faults.push(ShapeFault {
            pointer,
            detail: detail.to_owned(),
        });
    }

    /// Reads one operation; every fault in it is recorded.
    fn operation<'t>(&mut self, element: &'t Json<'t>, at: &str) -> Option<Operation<'t>> {
        if element.as_object().is_none() {
            self.fault(at, None, "An operation is an object with `op` and `path`.");
            return None;
        }
        let op = self.op(element, at);
        let path = self.pointer(element, at, "path");
        match op? {
            "remove" => Some(Operation::Remove { path: path? }),
            op @ ("move" | "copy") => {
                let from = self.pointer(element, at, "from")?;
                let path = path?;
                if op == "copy" {
                    return Some(Operation::Copy { from, path });
                }
                if path.tokens.len() > from.tokens.len() && path.tokens.starts_with(&from.tokens) {
                    self.fault(
                        at,
                        Some("from"),
                        "A value cannot be moved into itself; send a `path` outside `from`.",
                    );
                    return None;
                }
                Some(Operation::Move { from, path })
            }
            op => {
                let Some(value) = element.get("value") else {
                    self.fault(at, None, &format!("`{op}` needs a `value`."));
                    return None;
                };
                let path = path?;
                Some(match op {
                    "add" => Operation::Add { path, value },
                    "replace" => Operation::Replace { path, value },
                    _ => Operation::Test { path, value },
                })
            }
        }
    }

    fn op<'t>(&mut self, element: &'t Json<'t>, at: &str) -> Option<&'t str> {
        const WANTED: &str = "send one of `add`, `remove`, `replace`, `move`, `copy`, `test`.";
        let Some(op) = element.get("op") else {
            self.fault(at, None, &format!("The operation has no `op`; {WANTED}"));
            return None;
        };
        match op.as_str() {
            Some(op @ ("add" | "remove" | "replace" | "move" | "copy" | "test")) => Some(op),
            _ => {
                self.fault(
                    at,
                    Some("op"),
                    &format!("This is no operation of RFC 6902; {WANTED}"),
                );
                None
            }
        }
    }

    fn pointer<'t>(
        &mut self,
        element: &'t Json<'t>,
        at: &str,
        member: &str,
    ) -> Option<Pointer<'t>> {
        let Some(value) = element.get(member) else {
            self.fault(
                at,
                None,
                &format!("The operation has no `{member}`; send a JSON Pointer."),
            );
            return None;
        };
        let pointer = value.as_str().and_then(pointer_read);
        if pointer.is_none() {
            let detail = "This is no JSON Pointer (RFC 6901); send a string that is empty or starts with `/`, with `~` only as `~0` or `~1`.";
            self.fault(at, Some(member), detail);
        }
        pointer
    }
}

/// Reads a JSON Pointer; `None` if RFC 6901 §3 does not allow it.
fn pointer_read(text: &str) -> Option<Pointer<'_>> {
    if text.is_empty() {
        return Some(Pointer {
            text,
            tokens: Vec::new(),
        });
    }
    let tokens: Option<Vec<_>> = text.strip_prefix('/')?.split('/').map(token_read).collect();
    Some(Pointer {
        text,
        tokens: tokens?,
    })
}

fn token_read(token: &str) -> Option<Cow<'_, str>> {
    let escapes_valid = token
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with(['0', '1']));
    if !escapes_valid {
        return None;
    }
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    Some(Cow::Owned(token.replace("~1", "/").replace("~0", "~")))
}

/// An array index as RFC 6901 §4 writes it: no leading zeros, no sign.
pub(super) fn array_index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || (token.len() > 1 && token.starts_with('0')) {
        return None;
    }
    token.parse().ok()
}
