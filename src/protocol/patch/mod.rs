//! Patches of JSON documents: merge patches (RFC 7396), JSON Patch (RFC 6902) and increments, from text to text.
//!
//! What a patch does not touch keeps its spelling and its place: values are moved about as slices of their source in
//! `tree`, never converted, and removing a member leaves the order of the others alone (the `json-patch` crate swaps the
//! last one in). A patch is applied as a whole or not at all, and its work is bounded while it runs: `copy` can double a
//! document with each operation.
//!
//! This module must not know where documents are stored, what a condition is, or which status a failure becomes.

mod increment;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

use crate::protocol::json::{self, JSON_DEPTH_MAX, Json};
use std::borrow::Cow;

use shape::{Operation, Pointer};
pub use shape::{ShapeFault, check_shape};
use tree::{Node, Size};

/// The patch formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// `application/merge-patch+json`, RFC 7396.
    Merge,
    /// `application/json-patch+json`, RFC 6902.
    JsonPatch,
    /// `application/vnd.ifmatch.increment+json`: numbers to be added.
    Increment,
}

/// What kind of failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The patch was made for another document, or its result could not be stored. (A `409 patch-conflict`.)
    Unfit,
    /// An increment meets what is no number, or no object. (A `422 invalid-operation`.)
    NoNumber,
}

/// Why a patch could not be applied to this document; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct PatchFailure {
    /// What kind of failure.
    pub kind: FailureKind,
    /// Where in the patch, to be appended to the patch's own pointer in URI fragment form: `/3` for an operation of a JSON
    /// Patch, `/a/b` for a member of an increment, empty for the patch or its result as a whole.
    pub place: String,
    /// What failed, as a sentence for the client.
    pub detail: String,
}

impl PatchFailure {
    fn unfit(place: String, detail: String) -> Self {
        Self {
            kind: FailureKind::Unfit,
            place,
            detail,
        }
    }

    /// It is the patch or its result as a whole.
    fn whole(detail: String) -> Self {
        Self::unfit(String::new(), detail)
    }
}

/// Work that the patches of one operation may cause beyond reading them, in bytes copied or compared: some sixty copies
/// of a document of 1 MiB, under a second at worst.
const WORK_MAX: usize = 64 * 1024 * 1024;
/// Bytes of a target that are read for one unit of [`WORK_MAX`].
const READS_PER_WORK: usize = 8;
/// Array elements that move over for one unit of [`WORK_MAX`].
const SHIFTS_PER_WORK: usize = 2;

/// The work done by the patches of one operation, which share one bound.
#[derive(Debug, Default)]
pub struct Work(usize);

impl Work {
    /// Whether no more is done: any further patch fails.
    pub fn is_spent(&self) -> bool {
        self.0 > WORK_MAX
    }

    fn spend(&mut self, work: usize) -> Result<(), String> {
        self.0 = self.0.saturating_add(work);
        if self.is_spent() {
            return Err("This takes too much work; send the whole document instead.".to_owned());
        }
        Ok(())
    }
}

/// Applies `patch` to `target` (both JSON texts) and returns the result as compact JSON text. Numbers and strings keep
/// their spelling and members their order; new members come last, replaced ones stay in their place.
///
/// `test` compares as [`json::equal`]; numbers that are added to are written anew, as [`json`] spells sums. On the way a JSON Patch may build up to twice `max_bytes` (or twice the target's
/// size, if that is more) and no more levels than a result may have.
///
/// # Errors
/// An operation that RFC 6902 makes an error (a missing location, a failed `test`), every member that an increment cannot
/// be added to, a patch or target that is no JSON or no patch of its kind, a result over `max_bytes` or [`JSON_DEPTH_MAX`]
/// levels, a patch that takes excessive work, and the removal of the whole document. One failure at least; more than one
/// only of an increment.
pub fn apply_within(
    kind: PatchKind,
    target: &str,
    patch: &str,
    max_bytes: usize,
    work: &mut Work,
) -> Result<String, Vec<PatchFailure>> {
    let whole = |detail: String| vec![PatchFailure::whole(detail)];
    work.spend(target.len() / READS_PER_WORK).map_err(whole)?;
    let target = json::parse(target.as_bytes())
        .map_err(|fault| whole(format!("The target is not JSON: {fault}")))?;
    let patch = json::parse(patch.as_bytes())
        .map_err(|fault| whole(format!("The patch is not JSON: {fault}")))?;
    let mut result = Node::Source(&target);
    match kind {
        PatchKind::Merge => merge(&mut result, &patch),
        PatchKind::JsonPatch => {
            result = operations_apply(&target, &patch, max_bytes, work).map_err(|one| vec![one])?;
        }
        PatchKind::Increment => increment::add(&mut result, &patch, max_bytes, work)?,
    }
    let size = result.size();
    if size.bytes > max_bytes {
        return Err(whole(format!(
            "The result would be {} bytes long; at most {max_bytes} are allowed.",
            size.bytes
        )));
    }
    if size.levels > JSON_DEPTH_MAX {
        return Err(whole(format!(
            "The result would nest deeper than {JSON_DEPTH_MAX} levels."
        )));
    }
    let mut text = Vec::with_capacity(size.bytes);
    result.write(&mut text);
    String::from_utf8(text).map_err(|_| whole("The result is not UTF-8.".to_owned()))
}

/// RFC 7396 §2. Recursion ends with the patch's own depth.
fn merge<'t>(target: &mut Node<'t>, patch: &'t Json<'t>) {
    let Some(members) = patch.as_object() else {
        *target = Node::Source(patch);
        return;
    };
    let mut object = target.take_object();
    for (name, value) in members {
        if matches!(value.kind, json::Kind::Null) {
            object.remove(name);
        } else {
            // A missing member starts as any value that is no object: nulls in the patch for it must vanish.
            let mut merged = object
                .get_mut(name)
                .map_or(Node::Array(Vec::new()), std::mem::take);
            merge(&mut merged, value);
            object.insert(Cow::Borrowed(name.as_ref()), merged);
        }
    }
    *target = Node::Object(Box::new(object));
}

fn operations_apply<'t>(
    target: &'t Json<'t>,
    patch: &'t Json<'t>,
    max_bytes: usize,
    work: &mut Work,
) -> Result<Node<'t>, PatchFailure> {
    let operations = shape::operations(patch, "#").map_err(|faults| {
        let detail = faults.first().map_or_else(String::new, |fault| {
            format!("{}: {}", fault.pointer, fault.detail)
        });
        PatchFailure::whole(format!("This is no JSON Patch. {detail}"))
    })?;
    let root = Node::Source(target);
    let bytes = root.size().bytes;
    let mut document = Document {
        root,
        bytes,
        bytes_max: max_bytes.max(bytes).saturating_mul(2),
        work,
    };
    for (index, operation) in operations.iter().enumerate() {
        document
            .run(operation)
            .map_err(|detail| PatchFailure::unfit(format!("/{index}"), detail))?;
    }
    Ok(document.root)
}

/// A document under a JSON Patch, with what it has cost.
struct Document<'t, 'w> {
    root: Node<'t>,
    /// About the length of the document's compact text; separators and names are counted roughly.
    bytes: usize,
    bytes_max: usize,
    work: &'w mut Work,
}

type Done<T> = Result<T, String>;

impl<'t> Document<'t, '_> {
    fn run(&mut self, operation: &Operation<'t>) -> Done<()> {
        match operation {
            Operation::Add { path, value } => self.add_measured(path, Node::Source(value)),
            Operation::Remove { path } => {
                let removed = self.remove(path)?;
                self.shrink(path, &removed);
                Ok(())
            }
            Operation::Replace { path, value } => self.replace(path, Node::Source(value)),
            Operation::Move { from, path } if from.text == path.text => self.find(from).map(|_| ()),
            Operation::Move { from, path } => self.move_value(from, path),
            Operation::Copy { from, path } => {
                let size = self.find(from)?.size();
                self.spend(size.bytes)?;
                self.grow(path, size)?;
                let copy = self.find(from)?.clone();
                self.add(path, copy)
            }
            Operation::Test { path, value } => self.test(path, value),
        }
    }

    fn test(&mut self, path: &Pointer<'t>, value: &'t Json<'t>) -> Done<()> {
        let found = self.find(path)?;
        let mut cost = value.text.len();
        let same = found.equals(value, &mut cost);
        self.spend(cost)?;
        if same {
            Ok(())
        } else {
            Err(format!(
                "The value at {path} is not equal to the one tested for."
            ))
        }
    }

    fn move_value(&mut self, from: &Pointer<'t>, path: &Pointer<'t>) -> Done<()> {
        let moved = self.remove(from)?;
        if path.tokens.len() > from.tokens.len() {
            let size = moved.size();
            self.spend(size.bytes)?;
            depth_check(path, size)?;
        }
        self.bytes = self
            .bytes
            .saturating_sub(name_bytes(from))
            .saturating_add(name_bytes(path));
        self.add(path, moved)
    }

    fn replace(&mut self, path: &Pointer<'t>, value: Node<'t>) -> Done<()> {
        self.grow(path, value.size())?;
        let place = self.find(path)?;
        let replaced = std::mem::replace(place, value);
        self.shrink(path, &replaced);
        Ok(())
    }

    fn add_measured(&mut self, path: &Pointer<'t>, value: Node<'t>) -> Done<()> {
        self.grow(path, value.size())?;
        self.add(path, value)
    }

    /// Puts a value already counted where `path` says, RFC 6902 §4.1.
    fn add(&mut self, path: &Pointer<'t>, value: Node<'t>) -> Done<()> {
        let Some((last, parents)) = path.tokens.split_last() else {
            let replaced = std::mem::replace(&mut self.root, value);
            self.shrink(path, &replaced);
            return Ok(());
        };
        let parent = self.descend(parents, path)?;
        if let Some(object) = parent.object() {
            if let Some(replaced) = object.insert(last.clone(), value) {
                self.shrink(path, &replaced);
            }
            return Ok(());
        }
        let array = parent.array().ok_or_else(|| missing(path))?;
        let index = if last == "-" {
            Some(array.len())
        } else {
            shape::array_index(last)
        };
        let index = index
            .filter(|index| *index <= array.len())
            .ok_or_else(|| no_element(path, array.len()))?;
        array.insert(index, value);
        let shifted = array.len() - index;
        self.spend(shifted / SHIFTS_PER_WORK)
    }

    fn remove(&mut self, path: &Pointer<'t>) -> Done<Node<'t>> {
        let Some((last, parents)) = path.tokens.split_last() else {
            return Err("The whole document cannot be removed by a patch.".to_owned());
        };
        let parent = self.descend(parents, path)?;
        if let Some(object) = parent.object() {
            return object.remove(last).ok_or_else(|| missing(path));
        }
        let array = parent.array().ok_or_else(|| missing(path))?;
        let index = shape::array_index(last)
            .filter(|index| *index < array.len())
            .ok_or_else(|| missing(path))?;
        let removed = array.remove(index);
        let shifted = array.len() - index;
        self.spend(shifted / SHIFTS_PER_WORK)?;
        Ok(removed)
    }

    fn find(&mut self, path: &Pointer<'t>) -> Done<&mut Node<'t>> {
        self.descend(&path.tokens, path)
    }

    /// The value `tokens` lead to, which are `path` or the head of it.
    fn descend(&mut self, tokens: &[Cow<'t, str>], path: &Pointer<'t>) -> Done<&mut Node<'t>> {
        let mut place = &mut self.root;
        for token in tokens {
            place = place.child(token).ok_or_else(|| missing(path))?;
        }
        Ok(place)
    }

    /// Accounts for a new value at `path` before it is there.
    fn grow(&mut self, path: &Pointer<'t>, size: Size) -> Done<()> {
        depth_check(path, size)?;
        self.bytes = self
            .bytes
            .saturating_add(size.bytes)
            .saturating_add(name_bytes(path));
        if self.bytes > self.bytes_max {
            return Err(format!(
                "The document would grow over {} bytes.",
                self.bytes_max
            ));
        }
        Ok(())
    }

    /// Accounts for a value that is no longer at `path`.
    fn shrink(&mut self, path: &Pointer<'t>, removed: &Node<'t>) {
        self.bytes = self
            .bytes
            .saturating_sub(removed.size().bytes)
            .saturating_sub(name_bytes(path));
    }

    fn spend(&mut self, work: usize) -> Done<()> {
        self.work.spend(work)
    }
}

/// What stands around a value at `path` in its parent: a name, a colon, a comma. For an element it is a little too much.
fn name_bytes(path: &Pointer<'_>) -> usize {
    path.tokens
        .last()
        .map_or(0, |name| json::escaped_bytes(name) + 2)
}

fn depth_check(path: &Pointer<'_>, size: Size) -> Done<()> {
    if path.tokens.len() + size.levels > JSON_DEPTH_MAX {
        return Err(format!(
            "The document would nest deeper than {JSON_DEPTH_MAX} levels."
        ));
    }
    Ok(())
}

fn missing(path: &Pointer<'_>) -> String {
    format!("There is nothing at {path}, or no array or object around it.")
}

fn no_element(path: &Pointer<'_>, length: usize) -> String {
    format!(
        "{path} does not name a place in the array, which has {length} elements; `-` is its end."
    )
}
