//! A JSON document being changed: a tree of slices of the documents it came from, opened up only where a change reaches in.

use crate::protocol::json::{self, Json, Kind};
use std::borrow::Cow;
use std::collections::HashMap;

/// A value: as it was read, or opened up to be changed within.
#[derive(Debug, Clone)]
pub(super) enum Node<'t> {
    /// A whole value of the target or the patch, untouched.
    Source(&'t Json<'t>),
    /// A number that was made here: its text.
    Number(String),
    /// An array that an operation has reached into.
    Array(Vec<Node<'t>>),
    /// An object that an operation has reached into.
    Object(Box<Object<'t>>),
}

/// What a value takes up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    /// Bytes of its compact text.
    pub(super) bytes: usize,
    /// Levels of arrays and objects; 0 for a scalar.
    pub(super) levels: usize,
}

/// Members in order, found by name in constant time; a removed one leaves a gap, so that no other moves.
#[derive(Debug, Clone, Default)]
pub(super) struct Object<'t> {
    slots: Vec<Option<(Cow<'t, str>, Node<'t>)>>,
    index: HashMap<Cow<'t, str>, usize>,
}

impl<'t> Object<'t> {
    fn open(members: &'t [(Cow<'t, str>, Json<'t>)]) -> Self {
        let mut object = Self::default();
        for (name, value) in members {
            object.insert(Cow::Borrowed(name.as_ref()), Node::Source(value));
        }
        object
    }

    fn members(&self) -> impl Iterator<Item = &(Cow<'t, str>, Node<'t>)> {
        self.slots.iter().flatten()
    }

    fn get(&self, name: &str) -> Option<&Node<'t>> {
        let (_, value) = self.slots.get(*self.index.get(name)?)?.as_ref()?;
        Some(value)
    }

    /// The member's value, to be changed.
    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Node<'t>> {
        let (_, value) = self.slots.get_mut(*self.index.get(name)?)?.as_mut()?;
        Some(value)
    }

    /// Sets a member, in its place if it exists and else as the last one; returns the value it had.
    pub(super) fn insert(&mut self, name: Cow<'t, str>, value: Node<'t>) -> Option<Node<'t>> {
        if let Some(place) = self.get_mut(&name) {
            return Some(std::mem::replace(place, value));
        }
        self.index.insert(name.clone(), self.slots.len());
        self.slots.push(Some((name, value)));
        None
    }

    /// Takes a member out; the others keep their order.
    pub(super) fn remove(&mut self, name: &str) -> Option<Node<'t>> {
        let (_, removed) = self.slots.get_mut(self.index.remove(name)?)?.take()?;
        // Gaps are closed before they outnumber the members, or copies of an emptied object would cost more than it shows.
        if self.slots.len() > 2 * self.index.len() {
            self.slots.retain(Option::is_some);
            let names = self.slots.iter().flatten().map(|(name, _)| name.clone());
            self.index = names.enumerate().map(|(at, name)| (name, at)).collect();
        }
        Some(removed)
    }
}

impl Default for Node<'_> {
    /// An empty array: what stays behind where a value is taken for a moment.
    fn default() -> Self {
        Node::Array(Vec::new())
    }
}

impl<'t> Node<'t> {
    /// Opens a source array or object up, one level.
    fn open(&mut self) {
        if let Node::Source(source) = self {
            match &source.kind {
                Kind::Array(elements) => {
                    *self = Node::Array(elements.iter().map(Node::Source).collect())
                }
                Kind::Object(members) => *self = Node::Object(Box::new(Object::open(members))),
                _ => {}
            }
        }
    }

    /// The object to change; `None` for another kind.
    pub(super) fn object(&mut self) -> Option<&mut Object<'t>> {
        self.open();
        match self {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The array to change; `None` for another kind.
    pub(super) fn array(&mut self) -> Option<&mut Vec<Node<'t>>> {
        self.open();
        match self {
            Node::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Takes the object out; another kind of value counts as an empty one.
    pub(super) fn take_object(&mut self) -> Object<'t> {
        self.open();
        match std::mem::take(self) {
            Node::Object(object) => *object,
            _ => Object::default(),
        }
    }

    /// The number's text; `None` for another kind.
    pub(super) fn number(&self) -> Option<&str> {
        match self {
            Node::Number(text) => Some(text),
            Node::Source(source) if matches!(source.kind, Kind::Number) => Some(source.text),
            _ => None,
        }
    }

    /// What kind of value it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Node::Number(_) => "a number",
            Node::Array(_) => "an array",
            Node::Object(_) => "an object",
            Node::Source(source) => source.kind.name(),
        }
    }

    /// The value one reference token further in (RFC 6901 §4).
    pub(super) fn child(&mut self, token: &str) -> Option<&mut Node<'t>> {
        self.open();
        match self {
            Node::Object(object) => object.get_mut(token),
            Node::Array(elements) => elements.get_mut(super::shape::array_index(token)?),
            Node::Source(_) | Node::Number(_) => None,
        }
    }

    /// Whether it is equal to `other` as JSON ([`json::equal`]). Adds the bytes that had to be looked at to `cost`: a short
    /// number may equal one that is written with a million zeros.
    pub(super) fn equals(&self, other: &Json<'_>, cost: &mut usize) -> bool {
        match self {
            Node::Source(source) => {
                *cost = cost.saturating_add(source.text.len());
                json::equal(source, other)
            }
            Node::Number(text) => {
                *cost = cost.saturating_add(text.len());
                let kind = Kind::Number;
                json::equal(&Json { kind, text }, other)
            }
            Node::Array(elements) => other.as_array().is_some_and(|others| {
                elements.len() == others.len()
                    && elements.iter().zip(others).all(|(a, b)| a.equals(b, cost))
            }),
            Node::Object(object) => other.as_object().is_some_and(|others| {
                object.index.len() == others.len()
                    && others
                        .iter()
                        .all(|(name, b)| object.get(name).is_some_and(|a| a.equals(b, cost)))
            }),
        }
    }

    /// What the value takes up; visits all of it.
    pub(super) fn size(&self) -> Size {
        match self {
            Node::Source(source) => source_size(source),
            Node::Number(text) => Size {
                bytes: text.len(),
                levels: 0,
            },
            Node::Array(elements) => container(elements.iter().map(|element| (0, element.size()))),
            Node::Object(object) => container(
                object
                    .members()
                    .map(|(name, value)| (json::escaped_bytes(name) + 1, value.size())),
            ),
        }
    }

    /// Appends the compact text.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Source(source) => json::write_compact(source, out),
            Node::Number(text) => out.extend_from_slice(text.as_bytes()),
            Node::Array(elements) => {
                out.push(b'[');
                for (index, element) in elements.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    element.write(out);
                }
                out.push(b']');
            }
            Node::Object(object) => {
                out.push(b'{');
                for (index, (name, value)) in object.members().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    json::write_string(name, out);
                    out.push(b':');
                    value.write(out);
                }
                out.push(b'}');
            }
        }
    }
}

fn source_size(source: &Json<'_>) -> Size {
    match &source.kind {
        Kind::Array(elements) => {
            container(elements.iter().map(|element| (0, source_size(element))))
        }
        Kind::Object(members) => container(
            members
                .iter()
                .map(|(name, value)| (json::escaped_bytes(name) + 1, source_size(value))),
        ),
        _ => Size {
            bytes: source.text.len(),
            levels: 0,
        },
    }
}

/// The size of an array or object from what stands before each item (its name and colon) and the item.
fn container(items: impl Iterator<Item = (usize, Size)>) -> Size {
    let mut size = Size {
        bytes: 1,
        levels: 1,
    };
    for (before, item) in items {
        size.bytes += before + item.bytes + 1;
        size.levels = size.levels.max(item.levels + 1);
    }
    size.bytes = size.bytes.max(2);
    size
}
