//! Two descriptions as a generator of SDKs sees them, compared: operations, parameters, contents, answers.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rules::{Break, Rule};
use crate::schemas::{Place, reachable};

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// What an operation may hold that is compared by rules of its own, or that no generator turns into a name or a type.
const OPERATION_KNOWN: [&str; 10] = [
    "operationId",
    "tags",
    "parameters",
    "requestBody",
    "responses",
    "security",
    "summary",
    "description",
    "deprecated",
    "externalDocs",
];

/// All that breaks users of SDKs generated from `old` once the server is what `new` describes.
pub(crate) fn compare(old: &Value, new: &Value) -> Vec<Break> {
    let mut comparison = Comparison {
        old,
        new,
        sent: reachable(new, &["parameters", "requestBody"]),
        received: reachable(new, &["responses"]),
        found: Vec::new(),
    };
    comparison.document();
    comparison.components();
    comparison.operations();
    let mut found = comparison.found;
    found.sort_by(|one, other| (&one.subject, one.rule).cmp(&(&other.subject, other.rule)));
    found
}

pub(crate) struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    sent: BTreeSet<String>,
    received: BTreeSet<String>,
    found: Vec<Break>,
}

impl Comparison<'_> {
    pub(crate) fn report(&mut self, rule: Rule, subject: &str, what: impl Into<String>) {
        let what = what.into();
        self.found.push(Break {
            rule,
            subject: subject.into(),
            what,
        });
    }

    fn changed(&mut self, rule: Rule, subject: &str, what: &str, old: &Value, new: &Value) {
        if old != new {
            let what = format!("{what} was {}, is {}", shown(old), shown(new));
            self.report(rule, subject, what);
        }
    }

    fn document(&mut self) {
        for (subject, pointer) in [
            ("openapi", "/openapi"),
            ("info.title", "/info/title"),
            ("servers", "/servers/0/url"),
        ] {
            let (old, new) = (at(self.old, pointer), at(self.new, pointer));
            self.changed(Rule::DocumentChanged, subject, "it", old, new);
        }
    }

    /// Their names are names of types. What is in them is compared here for schemas, elsewhere where it is used.
    fn components(&mut self) {
        for (section, components) in entries(&self.old["components"]) {
            for (name, old) in entries(components) {
                let schema = section == "schemas";
                let subject = match schema {
                    true => name.to_owned(),
                    false => format!("components.{section}.{name}"),
                };
                let Some(new) = self.new["components"][section].get(name) else {
                    self.report(
                        Rule::ComponentGone,
                        &subject,
                        format!("not in {section} any more"),
                    );
                    continue;
                };
                if schema {
                    let place = Place {
                        subject,
                        what: String::new(),
                        sent: self.sent.contains(name),
                        received: self.received.contains(name),
                    };
                    self.schema(&place, old, new);
                } else if section == "securitySchemes" {
                    self.changed(Rule::SecurityChanged, &subject, "it", old, new);
                }
            }
        }
    }

    fn operations(&mut self) {
        for (path, old_item) in entries(&self.old["paths"]) {
            for method in METHODS {
                let Some(old) = old_item.get(method) else {
                    continue;
                };
                let id = old["operationId"].as_str().unwrap_or(path);
                let called = format!("{} {path}", method.to_uppercase());
                let new_item = &self.new["paths"][path];
                match new_item.get(method) {
                    Some(new) => {
                        self.operation(id, old, new);
                        self.parameters(id, (old_item, old), (new_item, new));
                        self.content_sent(id, old, new);
                        self.responses(id, old, new);
                    }
                    None => {
                        self.report(Rule::OperationGone, id, format!("{called} is gone"));
                    }
                }
            }
        }
    }

    fn operation(&mut self, id: &str, old: &Value, new: &Value) {
        let name = "operationId";
        self.changed(Rule::OperationRenamed, id, name, &old[name], &new[name]);
        self.changed(
            Rule::OperationRegrouped,
            id,
            "tag",
            &old["tags"],
            &new["tags"],
        );
        let (old_security, new_security) = (
            old.get("security").unwrap_or(&self.old["security"]),
            new.get("security").unwrap_or(&self.new["security"]),
        );
        self.changed(
            Rule::SecurityChanged,
            id,
            "security",
            old_security,
            new_security,
        );
        let names: BTreeSet<&str> = entries(old)
            .chain(entries(new))
            .map(|(name, _)| name)
            .collect();
        for name in names {
            if !OPERATION_KNOWN.contains(&name) && !name.starts_with("x-") {
                self.changed(Rule::OperationChanged, id, name, &old[name], &new[name]);
            }
        }
    }

    fn parameters(&mut self, id: &str, old: (&Value, &Value), new: (&Value, &Value)) {
        let (old, new) = (parameters(self.old, old), parameters(self.new, new));
        for (name, new) in &new {
            let known = old.iter().any(|(old, _)| old == name);
            if !known && new["required"] == true {
                self.report(
                    Rule::ParameterDemanded,
                    id,
                    format!("{name} is new and required"),
                );
            }
        }
        let mut kept = Vec::new();
        for (name, old) in &old {
            let Some((_, new)) = new.iter().find(|(new, _)| new == name) else {
                self.report(Rule::ParameterGone, id, format!("{name} is gone"));
                continue;
            };
            kept.push(name);
            self.necessity(id, name, old, new);
            for keyword in ["style", "explode", "allowReserved", "content"] {
                let what = format!("{keyword} of {name}");
                self.changed(Rule::TypeChanged, id, &what, &old[keyword], &new[keyword]);
            }
            let place = Place::of_operation(id, name, true);
            self.schema(&place, &old["schema"], &new["schema"]);
        }
        let order: Vec<&String> = new.iter().map(|(name, _)| name).collect();
        if !order.starts_with(&kept) {
            let what = format!("parameters begin with {kept:?} no more");
            self.report(Rule::ParameterOrder, id, what);
        }
    }

    fn necessity(&mut self, subject: &str, name: &str, old: &Value, new: &Value) {
        let word = |value: &Value| match value["required"] == true {
            true => "required",
            false => "optional",
        };
        if word(old) != word(new) {
            let what = format!("{name} was {}, is {}", word(old), word(new));
            self.report(Rule::NecessityChanged, subject, what);
        }
    }

    fn content_sent(&mut self, id: &str, old: &Value, new: &Value) {
        let (old, new) = (old.get("requestBody"), new.get("requestBody"));
        match (old, new) {
            (Some(old), Some(new)) => {
                let (old, new) = (resolved(self.old, old), resolved(self.new, new));
                self.necessity(id, "the content", old, new);
                self.media(&Place::of_operation(id, "the content", true), old, new);
            }
            (None, Some(new)) if resolved(self.new, new)["required"] == true => {
                self.report(
                    Rule::ContentChanged,
                    id,
                    "content is required, there was none",
                );
            }
            (Some(_), None) => self.report(Rule::ContentChanged, id, "it takes no content now"),
            _ => {}
        }
    }

    fn responses(&mut self, id: &str, old: &Value, new: &Value) {
        for (status, _) in entries(&new["responses"]) {
            if old["responses"].get(status).is_none() {
                self.report(Rule::StatusAdded, id, format!("{status} is new"));
            }
        }
        for (status, old) in entries(&old["responses"]) {
            let Some(new) = new["responses"].get(status) else {
                self.report(Rule::StatusGone, id, format!("{status} is gone"));
                continue;
            };
            let (old, new) = (resolved(self.old, old), resolved(self.new, new));
            self.media(&Place::of_operation(id, status, false), old, new);
            for (name, old) in entries(&old["headers"]) {
                let what = format!("{name} of {status}");
                let Some(new) = new["headers"].get(name) else {
                    self.report(Rule::HeaderGone, id, format!("{what} is gone"));
                    continue;
                };
                let (old, new) = (resolved(self.old, old), resolved(self.new, new));
                if old["required"] == true && new["required"] != true {
                    self.necessity(id, &what, old, new);
                }
                let place = Place::of_operation(id, &what, false);
                self.schema(&place, &old["schema"], &new["schema"]);
            }
        }
    }

    /// The content of a request or an answer.
    fn media(&mut self, place: &Place, old: &Value, new: &Value) {
        let types = |value: &Value| -> Vec<String> {
            entries(&value["content"])
                .map(|(name, _)| name.to_owned())
                .collect()
        };
        let (old_types, new_types) = (types(old), types(new));
        if old_types.is_empty() != new_types.is_empty() {
            let what = format!(
                "{}: content was {old_types:?}, is {new_types:?}",
                place.what
            );
            return self.report(Rule::ContentChanged, &place.subject, what);
        }
        let kept = match place.sent {
            true => new_types == old_types,
            false => new_types.starts_with(&old_types),
        };
        if !kept {
            let what = format!(
                "{}: media types were {old_types:?}, are {new_types:?}",
                place.what
            );
            self.report(Rule::MediaTypes, &place.subject, what);
        }
        for (name, old) in entries(&old["content"]) {
            if let Some(new) = new["content"].get(name) {
                self.schema(place, &old["schema"], &new["schema"]);
            }
        }
    }
}

/// The parameters of a path and those of its operation, in order, each with its place and name.
fn parameters<'a>(
    document: &'a Value,
    (item, operation): (&'a Value, &'a Value),
) -> Vec<(String, &'a Value)> {
    [item, operation]
        .into_iter()
        .filter_map(|holder| holder["parameters"].as_array())
        .flatten()
        .map(|parameter| {
            let parameter = resolved(document, parameter);
            let text = |name: &str| parameter[name].as_str().unwrap_or_default();
            (
                format!("{} parameter {}", text("in"), text("name")),
                parameter,
            )
        })
        .collect()
}

/// What a value is or refers to.
pub(crate) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => value,
    }
}

/// The members of an object, in order; of anything else none.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not there".into(),
        _ => value.to_string(),
    }
}

fn at<'a>(document: &'a Value, pointer: &str) -> &'a Value {
    document.pointer(pointer).unwrap_or(&Value::Null)
}
