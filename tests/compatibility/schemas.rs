//! Schemas, compared as types of generated code.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::comparison::{Comparison, entries, resolved, shown};
use crate::rules::Rule;

/// Keywords that make no code, and those that have rules of their own.
const KNOWN: [&str; 8] = [
    "description",
    "example",
    "deprecated",
    "externalDocs",
    "properties",
    "required",
    "items",
    "enum",
];

/// Where a schema stands, and which way its values go.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) subject: String,
    /// What of the subject it is; empty for the subject itself.
    pub(crate) what: String,
    pub(crate) sent: bool,
    pub(crate) received: bool,
}

impl Place {
    pub(crate) fn of_operation(id: &str, what: &str, sent: bool) -> Self {
        Place {
            subject: id.into(),
            what: what.into(),
            sent,
            received: !sent,
        }
    }

    fn member(&self, name: &str) -> Self {
        let mut member = self.clone();
        match self.what.is_empty() {
            true => member.subject = format!("{}.{name}", self.subject),
            false => member.what = format!("{}.{name}", self.what),
        }
        member
    }

    fn say(&self, text: &str) -> String {
        match self.what.is_empty() {
            true => text.into(),
            false => format!("{}: {text}", self.what),
        }
    }
}

impl Comparison<'_> {
    /// References are compared by name: what they lead to is compared once, as a component.
    pub(crate) fn schema(&mut self, place: &Place, old: &Value, new: &Value) {
        let keywords: BTreeSet<&str> = entries(old)
            .chain(entries(new))
            .map(|(name, _)| name)
            .filter(|name| !KNOWN.contains(name) && !name.starts_with("x-"))
            .collect();
        for keyword in keywords {
            if old[keyword] != new[keyword] {
                let change = format!(
                    "{keyword} was {}, is {}",
                    shown(&old[keyword]),
                    shown(&new[keyword])
                );
                self.report(Rule::TypeChanged, &place.subject, place.say(&change));
            }
        }
        self.values(place, &old["enum"], &new["enum"]);
        self.members(place, old, new);
        match (old.get("items"), new.get("items")) {
            (Some(old), Some(new)) => {
                let mut item = place.clone();
                item.what = place.say("items");
                self.schema(&item, old, new);
            }
            (None, None) => {}
            _ => self.report(
                Rule::TypeChanged,
                &place.subject,
                place.say("items on one side only"),
            ),
        }
    }

    fn values(&mut self, place: &Place, old: &Value, new: &Value) {
        let (Some(old), Some(new)) = (old.as_array(), new.as_array()) else {
            if old != new {
                let change = format!("enum was {}, is {}", shown(old), shown(new));
                self.report(Rule::TypeChanged, &place.subject, place.say(&change));
            }
            return;
        };
        for value in old.iter().filter(|value| !new.contains(value)) {
            let change = format!("value {value} is gone");
            self.report(Rule::EnumShrunk, &place.subject, place.say(&change));
        }
        for value in new.iter().filter(|value| !old.contains(value)) {
            if place.received {
                let change = format!("value {value} is new");
                self.report(Rule::EnumGrown, &place.subject, place.say(&change));
            }
        }
    }

    fn members(&mut self, place: &Place, old: &Value, new: &Value) {
        let required = |schema: &Value, name: &str| {
            let names = schema["required"].as_array();
            names.is_some_and(|names| names.iter().any(|required| required == name))
        };
        for (name, old_member) in entries(&old["properties"]) {
            let member = place.member(name);
            let Some(new_member) = new["properties"].get(name) else {
                self.report(Rule::MemberGone, &member.subject, member.say("it is gone"));
                continue;
            };
            if required(old, name) != required(new, name) {
                let change = match required(new, name) {
                    true => "it was optional, is required",
                    false => "it was required, is optional",
                };
                self.report(Rule::NecessityChanged, &member.subject, member.say(change));
            }
            self.schema(&member, old_member, new_member);
        }
        for (name, _) in entries(&new["properties"]) {
            let known = old["properties"].get(name).is_some();
            if !known && place.sent && required(new, name) {
                let member = place.member(name);
                let change = member.say("it is new and required");
                self.report(Rule::MemberDemanded, &member.subject, change);
            }
        }
    }
}

/// The names of the schemas that requests (`parameters`, `requestBody`) or answers (`responses`) hold.
pub(crate) fn reachable(document: &Value, parts: &[&str]) -> BTreeSet<String> {
    let mut open: Vec<&Value> = Vec::new();
    for (_, item) in entries(&document["paths"]) {
        let operations = entries(item).map(|(_, operation)| operation);
        for holder in std::iter::once(item).chain(operations) {
            open.extend(parts.iter().filter_map(|part| holder.get(part)));
        }
    }
    let mut names = BTreeSet::new();
    let mut seen = BTreeSet::new();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(values) => open.extend(values),
            Value::Object(members) => open.extend(members.values()),
            _ => continue,
        }
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            continue;
        };
        if seen.insert(reference) {
            open.push(resolved(document, value));
            names.extend(
                reference
                    .strip_prefix("#/components/schemas/")
                    .map(str::to_owned),
            );
        }
    }
    names
}
