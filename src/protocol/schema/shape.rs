//! What a schema unfolds to, as far as its cost goes: found out before it is compiled.
//!
//! References make a small schema large: each subschema is counted as often as it is applied. One that is applied within
//! itself is counted once, and how often it may meet the same value, level by level, is kept beside.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::references::target;
use crate::protocol::json::push_pointer_segment;
use crate::protocol::limits;
use crate::protocol::problem::FieldError;

/// The only dialect, as `$schema` names it.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Judgements of a subschema for one of a schema around it that asks what is left unevaluated: measured, rounded up.
const UNEVALUATED_WEIGHT: u64 = 3;

/// What a schema costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Values in it, unfolded.
    pub(super) size: u64,
    /// Subschemas within each other, unfolded.
    depth: usize,
    /// How often a subschema applies itself to the same part of a value, at most; 0 where none applies itself.
    repeats: u64,
}

impl Shape {
    /// How deep the judgement of a value of this depth nests.
    pub(super) fn recursion(&self, depth: usize) -> usize {
        match self.repeats {
            0 => self.depth,
            _ => self.depth.saturating_mul(depth + 1),
        }
    }

    /// How often a part of a value of this depth may be met.
    pub(super) fn repetition(&self, depth: usize) -> u64 {
        let depth = u32::try_from(depth).unwrap_or(u32::MAX);
        self.repeats.max(1).saturating_pow(depth)
    }
}

/// How a keyword applies the schemas in it.
pub(super) enum Applies {
    /// To the value itself: one schema.
    Here,
    /// To the value itself: an array of schemas.
    HereEach,
    /// To the value itself: schemas by name.
    HereNamed,
    /// To any of the parts.
    Parts,
    /// To any of the parts: schemas by pattern.
    PartsNamed,
    /// To the parts of these names.
    Members,
    /// To the parts in these places.
    Elements,
    /// Not by itself.
    Never,
}

pub(super) fn applies(keyword: &str) -> Option<Applies> {
    Some(match keyword {
        "not" | "if" | "then" | "else" => Applies::Here,
        "allOf" | "anyOf" | "oneOf" => Applies::HereEach,
        "dependentSchemas" => Applies::HereNamed,
        "additionalProperties"
        | "items"
        | "contains"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "propertyNames"
        | "contentSchema" => Applies::Parts,
        "patternProperties" => Applies::PartsNamed,
        "properties" => Applies::Members,
        "prefixItems" => Applies::Elements,
        "$defs" | "definitions" => Applies::Never,
        _ => return None,
    })
}

/// Checks what is not for the metaschema to say: dialect, references, and the length of patterns.
pub(super) fn check_keywords(root: &Value) -> Result<(), Vec<FieldError>> {
    let mut faults = Vec::new();
    keywords(root, root, &mut String::from("#"), &mut faults);
    if patterns(root) > limits::SCHEMA_PATTERNS_MAX {
        let most = limits::SCHEMA_PATTERNS_MAX;
        faults.push(FieldError {
            pointer: "#".to_owned(),
            detail: format!("A schema has {most} regular expressions at most."),
        });
    }
    faults.truncate(limits::SCHEMA_ERRORS_MAX);
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

fn keywords(root: &Value, schema: &Value, pointer: &mut String, faults: &mut Vec<FieldError>) {
    let Value::Object(members) = schema else {
        return;
    };
    let here = pointer.len();
    for (keyword, value) in members {
        push_pointer_segment(pointer, keyword);
        if let Some(detail) = fault(root, schema, keyword, value) {
            faults.push(FieldError {
                pointer: pointer.clone(),
                detail,
            });
        }
        each(keyword, value, &mut |step, subschema| {
            let keyword = pointer.len();
            if let Some(step) = step {
                push_pointer_segment(pointer, step);
                if members
                    .get("patternProperties")
                    .is_some_and(|map| std::ptr::eq(map, value))
                    && step.len() > limits::SCHEMA_PATTERN_BYTES_MAX
                {
                    faults.push(FieldError {
                        pointer: pointer.clone(),
                        detail: long_pattern(),
                    });
                }
            }
            keywords(root, subschema, pointer, faults);
            pointer.truncate(keyword);
        });
        pointer.truncate(here);
    }
}

fn fault(root: &Value, schema: &Value, keyword: &str, value: &Value) -> Option<String> {
    // The validator knows them in every dialect.
    if let Some(instead) = of_other_dialects(keyword) {
        return Some(format!("It is no keyword of 2020-12: write {instead}."));
    }
    let text = value.as_str()?;
    match keyword {
        "$schema" if text.trim_end_matches('#') != DIALECT => {
            Some(format!("Only {DIALECT} is read here; $schema may be left out."))
        }
        "$id" if !std::ptr::eq(root, schema) => {
            Some("A schema is one document: $id stands at its root only.".to_owned())
        }
        "$ref" | "$dynamicRef" => match target(root, text) {
            Some(_) => None,
            None => Some(
                "No reference leads out of the schema, and nothing is fetched: write #/$defs/name, and put what it means there."
                    .to_owned(),
            ),
        },
        "pattern" if text.len() > limits::SCHEMA_PATTERN_BYTES_MAX => Some(long_pattern()),
        _ => None,
    }
}

/// What to write instead of a keyword that 2020-12 does not have any more.
fn of_other_dialects(keyword: &str) -> Option<&'static str> {
    match keyword {
        "dependencies" => Some("dependentSchemas or dependentRequired"),
        "additionalItems" => Some("items beside prefixItems"),
        "$recursiveRef" | "$recursiveAnchor" => Some("$dynamicRef and $dynamicAnchor"),
        _ => None,
    }
}

/// Regular expressions in a schema.
fn patterns(schema: &Value) -> usize {
    let Value::Object(members) = schema else {
        return 0;
    };
    let mut count = 0;
    for (keyword, value) in members {
        count += match (keyword.as_str(), value) {
            ("pattern", _) => 1,
            ("patternProperties", Value::Object(schemas)) => schemas.len(),
            _ => 0,
        };
        each(keyword, value, &mut |_, subschema| {
            count += patterns(subschema);
        });
    }
    count
}

fn long_pattern() -> String {
    format!(
        "A regular expression has {} bytes at most.",
        limits::SCHEMA_PATTERN_BYTES_MAX
    )
}

/// The schemas of a keyword, each with its name or index.
pub(super) fn each<'a>(
    keyword: &str,
    value: &'a Value,
    visit: &mut dyn FnMut(Option<&str>, &'a Value),
) {
    match (applies(keyword), value) {
        (None, _) => {}
        (Some(Applies::Here | Applies::Parts), _) => visit(None, value),
        (Some(_), Value::Object(schemas)) => {
            for (name, schema) in schemas {
                visit(Some(name), schema);
            }
        }
        (Some(_), Value::Array(schemas)) => {
            for (index, schema) in schemas.iter().enumerate() {
                visit(Some(&index.to_string()), schema);
            }
        }
        (Some(_), _) => {}
    }
}

/// Unfolds a schema whose references lead somewhere.
pub(super) fn unfold(root: &Value) -> Result<Shape, Vec<FieldError>> {
    let mut walk = Walk {
        root,
        size: 0,
        deepest: 0,
        stack: Vec::new(),
        steps: Vec::new(),
        returns: HashMap::new(),
    };
    if walk.visit(root) {
        let repeats = walk.repeats();
        return Ok(Shape {
            size: walk.size,
            depth: walk.deepest,
            repeats,
        });
    }
    Err(vec![FieldError {
        pointer: "#".to_owned(),
        detail: format!(
            "With its references followed, a schema has {} values at most, and {} subschemas within each other.",
            limits::SCHEMA_UNFOLDED_MAX,
            limits::SCHEMA_UNFOLDED_DEPTH_MAX
        ),
    }])
}

struct Walk<'a> {
    root: &'a Value,
    size: u64,
    deepest: usize,
    /// Subschemas that are being visited, each with how many steps into the value led to it.
    stack: Vec<(&'a Map<String, Value>, usize)>,
    /// Steps into the value; `None` for any part.
    steps: Vec<Option<String>>,
    /// For each subschema, by its address, the paths on which it applies itself again.
    returns: HashMap<usize, Vec<Vec<Option<String>>>>,
}

impl<'a> Walk<'a> {
    /// `false` where it is too much.
    fn visit(&mut self, schema: &'a Value) -> bool {
        self.size = self.size.saturating_add(self.weight());
        let Value::Object(members) = schema else {
            return self.size <= limits::SCHEMA_UNFOLDED_MAX;
        };
        let entered = self
            .stack
            .iter()
            .find(|(entered, _)| std::ptr::eq(*entered, members));
        if let Some((entered, steps)) = entered {
            let path = self.steps[*steps..].to_vec();
            let address = std::ptr::from_ref(*entered).addr();
            self.returns.entry(address).or_default().push(path);
            return true;
        }
        self.stack.push((members, self.steps.len()));
        self.deepest = self.deepest.max(self.stack.len());
        let bearable = self.size <= limits::SCHEMA_UNFOLDED_MAX
            && self.deepest <= limits::SCHEMA_UNFOLDED_DEPTH_MAX
            && members
                .iter()
                .all(|(keyword, value)| self.keyword(keyword, value));
        self.stack.pop();
        bearable
    }

    fn keyword(&mut self, keyword: &str, value: &'a Value) -> bool {
        let root = self.root;
        if let ("$ref" | "$dynamicRef", Some(reference)) = (keyword, value.as_str()) {
            return target(root, reference).is_none_or(|target| self.visit(target));
        }
        let Some(applies) = applies(keyword) else {
            self.size = self
                .size
                .saturating_add(values(value).saturating_mul(self.weight()));
            return self.size <= limits::SCHEMA_UNFOLDED_MAX;
        };
        if matches!(applies, Applies::Never) {
            return true;
        }
        let mut bearable = true;
        each(keyword, value, &mut |name, schema| {
            if !bearable {
                return;
            }
            let step = match applies {
                Applies::Parts | Applies::PartsNamed => Some(None),
                Applies::Members | Applies::Elements => Some(name.map(str::to_owned)),
                Applies::Here | Applies::HereEach | Applies::HereNamed | Applies::Never => None,
            };
            let steps = self.steps.len();
            self.steps.extend(step);
            bearable = self.visit(schema);
            self.steps.truncate(steps);
        });
        bearable
    }

    /// How often what is visited now is judged for each time that the root is: `unevaluatedProperties` and
    /// `unevaluatedItems` judge what their schema applies to the same value once more, to know what it has evaluated.
    fn weight(&self) -> u64 {
        let here = (None, self.steps.len());
        let entered = self
            .stack
            .iter()
            .map(|(members, steps)| (Some(*members), *steps));
        let next = entered.clone().skip(1).chain([here]);
        let again = entered.zip(next).filter(|((members, steps), (_, next))| {
            steps == next
                && members.is_some_and(|members| {
                    members.contains_key("unevaluatedProperties")
                        || members.contains_key("unevaluatedItems")
                })
        });
        UNEVALUATED_WEIGHT.saturating_pow(u32::try_from(again.count()).unwrap_or(u32::MAX))
    }

    /// How many paths at most lead one subschema back to the same part.
    fn repeats(&self) -> u64 {
        let most = self.returns.values().map(|paths| {
            let vague = paths.iter().filter(|path| path.contains(&None)).count();
            let mut exact: HashMap<&Vec<Option<String>>, usize> = HashMap::new();
            for path in paths.iter().filter(|path| !path.contains(&None)) {
                *exact.entry(path).or_default() += 1;
            }
            vague + exact.into_values().max().unwrap_or_default()
        });
        most.max()
            .map_or(0, |most| u64::try_from(most).unwrap_or(u64::MAX))
    }
}

fn values(value: &Value) -> u64 {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(values).sum::<u64>(),
        Value::Object(members) => 1 + members.values().map(values).sum::<u64>(),
        _ => 1,
    }
}
