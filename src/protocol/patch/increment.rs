//! Increments, `application/vnd.ifmatch.increment+json` (contract §4): each number is added to the number at the same
//! member, exactly; a member that does not exist counts as 0; objects nest.
//!
//! An increment is an object of numbers and of such objects. It never replaces a value of another kind: that is a failure,
//! and all of them are named. What it does not name keeps its place and its spelling.

use super::shape::{FAULTS_MAX, ShapeFault};
use super::tree::{Node, Object};
use super::{FailureKind, PatchFailure, Work};
use crate::protocol::json::{self, Json, Kind, push_pointer_segment};
use std::borrow::Cow;

/// Bytes of a place that is told back: with a hundred of them, an answer must not be many times as long as its request.
const PLACE_BYTES_MAX: usize = 1024;

type Members<'t> = [(Cow<'t, str>, Json<'t>)];

/// What is wrong with an increment itself; see [`super::check_shape`].
pub(super) fn check(increment: &Json<'_>, base_pointer: &str) -> Vec<ShapeFault> {
    let mut faults = Vec::new();
    match increment.as_object() {
        Some(members) => check_members(members, base_pointer, &mut Vec::new(), &mut faults),
        None => faults.push(ShapeFault {
            pointer: base_pointer.to_owned(),
            detail: format!(
                "An increment is an object of numbers to add, not {}.",
                increment.kind.name()
            ),
        }),
    }
    faults
}

/// Recursion ends with the increment's own depth.
fn check_members<'t>(
    members: &'t Members<'t>,
    base_pointer: &str,
    path: &mut Vec<&'t str>,
    faults: &mut Vec<ShapeFault>,
) {
    for (name, value) in members {
        if faults.len() >= FAULTS_MAX {
            return;
        }
        path.push(name);
        match &value.kind {
            Kind::Number => {}
            Kind::Object(members) => check_members(members, base_pointer, path, faults),
            other => faults.push(ShapeFault {
                pointer: format!("{base_pointer}{}", place(path)),
                detail: format!(
                    "Here is {}; send a number to add, or an object of such.",
                    other.name()
                ),
            }),
        }
        path.pop();
    }
}

/// The path as a pointer without its root; where it would be too long, the ancestor that fits.
fn place(path: &[&str]) -> String {
    let mut place = String::new();
    for name in path {
        let fitting = place.len();
        if name.len() <= PLACE_BYTES_MAX {
            push_pointer_segment(&mut place, name);
        }
        if name.len() > PLACE_BYTES_MAX || place.len() > PLACE_BYTES_MAX {
            place.truncate(fitting);
            break;
        }
    }
    place
}

/// Adds `increment` to `target`, which may have been changed in part where it fails.
///
/// # Errors
/// Every member that cannot be added to, up to a hundred; at last a sum beyond what can be stored, or too much of it all.
pub(super) fn add<'t>(
    target: &mut Node<'t>,
    increment: &'t Json<'t>,
    max_bytes: usize,
    work: &mut Work,
) -> Result<(), Vec<PatchFailure>> {
    if let Some(fault) = check(increment, "#").into_iter().next() {
        let detail = format!("This is no increment. {}: {}", fault.pointer, fault.detail);
        return Err(vec![PatchFailure::whole(detail)]);
    }
    let mut addition = Addition {
        path: Vec::new(),
        failures: Vec::new(),
        room: max_bytes,
        work,
    };
    if let Err(last) = addition.value(target, increment) {
        addition.failures.push(last);
    }
    if addition.failures.is_empty() {
        Ok(())
    } else {
        Err(addition.failures)
    }
}

/// An increment on its way through a document.
struct Addition<'t, 'w> {
    path: Vec<&'t str>,
    failures: Vec<PatchFailure>,
    /// Bytes that further sums may take up.
    room: usize,
    work: &'w mut Work,
}

impl<'t> Addition<'t, '_> {
    /// An error ends the whole; a value of another kind is one failure of many.
    fn value(
        &mut self,
        target: &mut Node<'t>,
        increment: &'t Json<'t>,
    ) -> Result<(), PatchFailure> {
        match &increment.kind {
            Kind::Object(members) => match target.object() {
                Some(object) => self.members(object, members),
                None => {
                    self.refuse(target.kind(), "an object");
                    Ok(())
                }
            },
            _ => match target.number() {
                Some(number) => {
                    *target = Node::Number(self.sum(number, increment.text)?);
                    Ok(())
                }
                None => {
                    self.refuse(target.kind(), "a number");
                    Ok(())
                }
            },
        }
    }

    fn members(
        &mut self,
        object: &mut Object<'t>,
        members: &'t Members<'t>,
    ) -> Result<(), PatchFailure> {
        for (name, value) in members {
            self.path.push(name);
            match object.get_mut(name) {
                Some(member) => self.value(member, value)?,
                None => {
                    let mut member = match value.kind {
                        Kind::Object(_) => Node::Object(Box::default()),
                        _ => Node::Number("0".to_owned()),
                    };
                    self.value(&mut member, value)?;
                    object.insert(Cow::Borrowed(name.as_ref()), member);
                }
            }
            self.path.pop();
            if self.failures.len() >= FAULTS_MAX {
                break;
            }
        }
        Ok(())
    }

    fn sum(&mut self, number: &str, increment: &str) -> Result<String, PatchFailure> {
        let mut cost = 0;
        let sum = json::sum(number, increment, &mut cost);
        let unfit = |detail: &str| PatchFailure::unfit(place(&self.path), detail.to_owned());
        let sum = sum.ok_or_else(|| {
            unfit("The sum would be a number that the database cannot hold: its size must be below 1e131072.")
        })?;
        self.work.spend(cost).map_err(|detail| unfit(&detail))?;
        self.room = self.room.checked_sub(sum.len()).ok_or_else(|| {
            unfit("With this sum the result would be longer than a document may be.")
        })?;
        Ok(sum)
    }

    fn refuse(&mut self, found: &str, wanted: &str) {
        self.failures.push(PatchFailure {
            kind: FailureKind::NoNumber,
            place: place(&self.path),
            detail: format!(
                "The resource has {found} here, not {wanted}; an increment replaces nothing."
            ),
        });
    }
}

#[cfg(test)]
mod tests;
