//! Schemas of collections: JSON Schema 2020-12, compiled once, and what bodies break of them.
//!
//! Formats are asserted, nothing is ever fetched, and the work is bounded: a schema by what it unfolds to (see
//! `shape`), a body by that times its size. Numbers are judged exactly. This module must not know where schemas are
//! stored, nor which status a violation becomes.

mod references;
mod shape;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator};
use serde_json::{Map, Number, Value};

use super::clock::Timestamp;
use super::condition::{ConditionFault, Conditions};
use super::json::{self, Json, Kind, push_pointer_segment};
use super::limits;
use super::name::{Collection, Tenant};
use super::problem::FieldError;
use super::tag::StateTag;
use shape::Shape;

/// Characters of what is said about one place: names and values of a schema may be long.
const DETAIL_CHARS_MAX: usize = 300;

/// A schema that bodies are held to.
pub struct Schema {
    /// `None` for one that this release cannot read: no body satisfies it.
    compiled: Option<(Validator, Shape)>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = self.compiled.as_ref().map(|(_, shape)| shape);
        formatter.debug_tuple("Schema").field(&shape).finish()
    }
}

/// What may still be judged of the bodies of one operation.
#[derive(Clone, Copy, Debug)]
pub struct Effort(u64);

impl Default for Effort {
    fn default() -> Self {
        Self(limits::SCHEMA_JUDGEMENTS_MAX)
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// The places (`#/properties/a`) that are no JSON Schema 2020-12, or not one within the bounds; one at least.
    pub fn compile(text: &str) -> Result<Self, Vec<FieldError>> {
        let whole = |detail: String| {
            vec![FieldError {
                pointer: "#".to_owned(),
                detail,
            }]
        };
        if text.len() > limits::SCHEMA_BYTES_MAX {
            let most = limits::SCHEMA_BYTES_MAX;
            return Err(whole(format!(
                "A schema has {most} bytes at most; this one has {}.",
                text.len()
            )));
        }
        let json = json::parse(text.as_bytes()).map_err(|fault| {
            vec![FieldError {
                pointer: fault.pointer,
                detail: fault.detail,
            }]
        })?;
        let schema = Instance::of(&json).map_err(|fault| vec![fault])?;
        if schema.depth > limits::SCHEMA_DEPTH_MAX {
            let most = limits::SCHEMA_DEPTH_MAX;
            return Err(whole(format!("A schema nests {most} levels deep at most.")));
        }
        shape::check_keywords(&schema.value)?;
        let meta = jsonschema::draft202012::meta::validator();
        let errors = places("#", meta.iter_errors(&schema.value));
        if !errors.is_empty() {
            return Err(errors);
        }
        let shape = shape::unfold(&schema.value)?;
        let patterns = PatternOptions::regex()
            .size_limit(limits::SCHEMA_PATTERN_COMPILED_BYTES_MAX)
            .dfa_size_limit(limits::SCHEMA_PATTERN_COMPILED_BYTES_MAX);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(patterns)
            .offline()
            .build(&schema.value)
            .map_err(|error| {
                let mut fault = place("#", &error);
                fault.detail = cut(&format!("This cannot be used: {error}"));
                vec![fault]
            })?;
        Ok(Self {
            compiled: Some((validator, shape)),
        })
    }

    /// One that is stored, but that this release cannot read: it is not passed over.
    pub fn unreadable() -> Self {
        Self { compiled: None }
    }

    /// What `body` breaks: nothing, or some places. Pointers begin with `base`.
    pub fn violations(&self, body: &str, base: &str, effort: &mut Effort) -> Vec<FieldError> {
        let whole = |detail: String| {
            vec![FieldError {
                pointer: base.to_owned(),
                detail,
            }]
        };
        let Some((validator, shape)) = &self.compiled else {
            return whole("The collection's schema cannot be read by this release: put it again, or delete it.".to_owned());
        };
        let json = match json::parse(body.as_bytes()) {
            Ok(json) => json,
            Err(fault) => return whole(fault.detail),
        };
        let instance = match Instance::of(&json) {
            Ok(instance) => instance,
            Err(mut fault) => {
                fault.pointer.replace_range(..1, base);
                return vec![fault];
            }
        };
        let work = shape.size.saturating_mul(instance.weight);
        if work > effort.0 || shape.recursion(instance.depth) > limits::SCHEMA_RECURSION_MAX {
            return whole("There is too much in it, or it nests too deeply, to be judged by the schema of its collection.".to_owned());
        }
        effort.0 -= work;
        if validator.is_valid(&instance.value) {
            return Vec::new();
        }
        let places_met = shape.size.saturating_mul(instance.values);
        if places_met.saturating_mul(shape.repetition(instance.depth)) > limits::SCHEMA_LISTING_MAX
        {
            return whole(
                "It breaks the schema of its collection; there is too much in it to tell where."
                    .to_owned(),
            );
        }
        let errors = places(base, validator.iter_errors(&instance.value));
        if errors.is_empty() {
            return whole("It breaks the schema of its collection.".to_owned());
        }
        errors
    }
}

/// Each error once, though several branches of a schema find the same.
fn places<'a>(base: &str, errors: impl Iterator<Item = ValidationError<'a>>) -> Vec<FieldError> {
    let mut seen = HashSet::new();
    errors
        .map(|error| place(base, &error))
        .filter(|fault| seen.insert((fault.pointer.clone(), fault.detail.clone())))
        .take(limits::SCHEMA_ERRORS_MAX)
        .collect()
}

/// Where an error is, and what it is, without the value itself.
fn place(base: &str, error: &ValidationError<'_>) -> FieldError {
    let mut pointer = base.to_owned();
    let path = error.instance_path().as_str();
    for segment in path.split('/').skip(1) {
        // RFC 6901 §4: in this order.
        push_pointer_segment(&mut pointer, &segment.replace("~1", "/").replace("~0", "~"));
    }
    let mut detail = cut(&error.masked().to_string());
    if let Some(first) = detail.get(..1).map(str::to_uppercase) {
        detail.replace_range(..1, &first);
    }
    FieldError { pointer, detail }
}

fn cut(text: &str) -> String {
    let mut cut: String = text.chars().take(DETAIL_CHARS_MAX).collect();
    cut.push_str(if cut.len() < text.len() { "…" } else { "." });
    cut
}

/// JSON as the validator reads it.
struct Instance {
    value: Value,
    /// Values in it, itself included.
    values: u64,
    /// The same, each string by its length.
    weight: u64,
    /// Levels of arrays and objects.
    depth: usize,
    /// Digits of its long numbers.
    long_digits: usize,
}

impl Instance {
    /// Not by way of `serde_json`, to which an object with a certain member is a number.
    fn of(json: &Json<'_>) -> Result<Self, FieldError> {
        let mut instance = Self {
            value: Value::Null,
            values: 0,
            weight: 0,
            depth: 0,
            long_digits: 0,
        };
        instance.value = instance.convert(json, &mut String::from("#"), 0)?;
        Ok(instance)
    }

    /// A number, unless it, or all long ones together, have too many digits.
    fn number(&mut self, text: &str) -> Option<Number> {
        let exponent = match text.split_once(['e', 'E']) {
            None => 0,
            Some((_, exponent)) => exponent.parse::<i64>().ok()?.unsigned_abs(),
        };
        let exponent = usize::try_from(exponent).ok()?;
        if text.len().max(exponent) > limits::SCHEMA_DIGITS_MAX {
            return None;
        }
        let digits = text.len() + exponent;
        if digits > limits::SCHEMA_DIGITS_SHORT {
            self.long_digits += digits;
        }
        (self.long_digits <= limits::SCHEMA_LONG_DIGITS_MAX).then(|| text.parse().ok())?
    }

    fn convert(
        &mut self,
        json: &Json<'_>,
        pointer: &mut String,
        depth: usize,
    ) -> Result<Value, FieldError> {
        self.values += 1;
        self.weight += 1;
        let here = pointer.len();
        Ok(match &json.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::String(text) => {
            self.weight += u64::try_from(text.len()).unwrap_or(u64::MAX) / limits::SCHEMA_STRING_BYTES;
            Value::String(text.clone().into_owned())
        }
        Kind::Number => self.number(json.text)
            .map(Value::Number)
            .ok_or_else(|| FieldError {
                pointer: pointer.clone(),
                detail: format!(
                    "A number that is judged by a schema has {} digits at most, written without an exponent, and all that \
                     have more than {} have {} together.",
                    limits::SCHEMA_DIGITS_MAX,
                    limits::SCHEMA_DIGITS_SHORT,
                    limits::SCHEMA_LONG_DIGITS_MAX
                ),
            })?,
        Kind::Array(elements) => {
            self.depth = self.depth.max(depth + 1);
            let mut array = Vec::with_capacity(elements.len());
            for (index, element) in elements.iter().enumerate() {
                push_pointer_segment(pointer, &index.to_string());
                array.push(self.convert(element, pointer, depth + 1)?);
                pointer.truncate(here);
            }
            Value::Array(array)
        }
        Kind::Object(members) => {
            self.depth = self.depth.max(depth + 1);
            let mut object = Map::with_capacity(members.len());
            for (name, member) in members {
                push_pointer_segment(pointer, name);
                let value = self.convert(member, pointer, depth + 1)?;
                object.insert(name.clone().into_owned(), value);
                pointer.truncate(here);
            }
            Value::Object(object)
        }
    })
    }
}

/// The schemas of one collection.
#[derive(Clone, Debug, Default)]
pub struct CollectionSchemas {
    /// What every body satisfies.
    pub current: Option<(StateTag, Arc<Schema>)>,
    /// What somebody wants to put in its place, by its nonce: bodies may break it, and that is taken down.
    pub pending: Option<(i64, Arc<Schema>)>,
}

/// The schemas of a tenant. Compiled ones are shared from one epoch to the next.
#[derive(Clone, Debug, Default)]
pub struct Schemas(HashMap<Collection, CollectionSchemas>);

impl Schemas {
    /// Those of these collections.
    pub fn new(schemas: HashMap<Collection, CollectionSchemas>) -> Self {
        Self(schemas)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of one collection.
    pub fn of(&self, collection: &Collection) -> Option<&CollectionSchemas> {
        self.0.get(collection)
    }
}

/// A change of a schema, as far as it could be read.
#[derive(Clone, Debug)]
pub struct SchemaCommand {
    /// Whose schema.
    pub tenant: Tenant,
    /// Of which collection.
    pub collection: Collection,
    /// Random bits that make the tag of what this command writes unlike any other's.
    pub nonce: i64,
    /// The header's conditions.
    pub conditions: Result<Conditions, ConditionFault>,
}

/// What is set.
#[derive(Clone, Debug)]
pub struct SchemaContent {
    /// As it came.
    pub text: Arc<str>,
    /// Its media type.
    pub media_type: Arc<str>,
}

/// A schema as it is stored.
#[derive(Clone, Debug)]
pub struct StoredSchema {
    /// Names this state.
    pub tag: StateTag,
    /// When it was set.
    pub updated_at: Timestamp,
    /// What was sent.
    pub content: SchemaContent,
}

impl StoredSchema {
    /// What conditions are judged by.
    pub fn state(&self) -> (StateTag, Timestamp) {
        (self.tag, self.updated_at)
    }
}
