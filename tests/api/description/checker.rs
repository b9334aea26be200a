//! Whether an answer is one that the file declares: status, header fields, content.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::client::Response;

/// Fields that HTTP itself adds.
const TRANSPORT: &[&str] = &[
    "content-type",
    "content-length",
    "date",
    "connection",
    "transfer-encoding",
];

/// The file.
pub(super) fn description() -> Value {
    serde_json::from_str(ifmatch::http::openapi_json()).unwrap()
}

/// What a value is or refers to.
pub(super) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => value,
    }
}

/// The file, read once.
static DESCRIPTION: LazyLock<Value> = LazyLock::new(description);

/// Validators by the place of their schema, made once.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Holds any answer of any test against the file. What the file does not know is left out: other URIs and methods,
/// what the parser of HTTP answers by itself, time-outs, and the content that a direct write shows if it is preferred
/// to (rule: one success shape an operation; told in prose).
pub(crate) fn observe(method: &str, path: &str, response: &Response) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(template) = template(path) else {
        return;
    };
    let below = response.header("x-request-id").is_none();
    // Methods are case-sensitive (RFC 9110 §9.1): "get" is another one.
    let undeclared = method != method.to_uppercase()
        || DESCRIPTION["paths"][template]
            .get(method.to_lowercase())
            .is_none();
    let shown = method != "GET"
        && [RESOURCE, DRAFT].contains(&template)
        && response.status < 300
        && !response.body.is_empty();
    if !(below || undeclared || shown || response.status == 408) {
        check(&DESCRIPTION, template, method, response);
    }
}

const RESOURCE: &str = "/resources/{collection}/{key}";
const DRAFT: &str = "/transactions/{id}/resources/{collection}/{key}";
const VERSIONS: &str = "/resources/{collection}/{key}/versions";
const VERSION: &str = "/resources/{collection}/{key}/versions/{version}";

/// The path of the file that a request's path is one of.
pub(super) fn template(path: &str) -> Option<&'static str> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let named = |segment: &&str| !segment.is_empty();
    Some(match segments.as_slice() {
        [""] => "/",
        ["resources"] => "/resources",
        ["resources", name] if named(name) => "/resources/{collection}",
        ["resources", name, key] if named(name) && named(key) => RESOURCE,
        ["resources", name, key, "versions"] if named(name) && named(key) => VERSIONS,
        ["resources", name, key, "versions", number]
            if [name, key, number].iter().all(|s| named(s)) =>
        {
            VERSION
        }
        ["schemas", name] if named(name) => "/schemas/{collection}",
        ["transactions"] => "/transactions",
        ["transactions", id] if named(id) => "/transactions/{id}",
        ["transactions", id, "resources", name, key]
            if [id, name, key].iter().all(|s| named(s)) =>
        {
            DRAFT
        }
        ["problems", slug] if named(slug) => "/problems/{slug}",
        ["openapi.yaml"] => "/openapi.yaml",
        ["openapi.json"] => "/openapi.json",
        ["docs"] => "/docs",
        ["health", "live"] => "/health/live",
        ["health", "ready"] => "/health/ready",
        _ => return None,
    })
}

/// A schema of 3.0 as JSON Schema, with the components that it may refer to.
pub(super) fn faults(document: &Value, schema: &Value, instance: &Value) -> Vec<String> {
    validator(document, schema)
        .iter_errors(instance)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

fn validator(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    nullable(&mut whole);
    jsonschema::draft202012::new(&whole).unwrap()
}

/// `nullable: true` is 3.0's way to say `"type": [..., "null"]`.
fn nullable(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.get("nullable") == Some(&json!(true)) {
                let kind = members["type"].clone();
                members.insert("type".into(), json!([kind, "null"]));
            }
            members.values_mut().for_each(nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        _ => {}
    }
}

/// Checks an answer to an operation; which of its declared answers it is.
#[track_caller]
pub(super) fn check(
    document: &Value,
    template: &str,
    method: &str,
    response: &Response,
) -> (String, String) {
    let operation = &document["paths"][template][method.to_lowercase()];
    let id = operation["operationId"]
        .as_str()
        .unwrap_or_else(|| panic!("{method} {template} is not described"));
    let exact = response.status.to_string();
    let class = format!("{}XX", response.status / 100);
    let responses = operation["responses"].as_object().unwrap();
    let key = [exact, class]
        .into_iter()
        .find(|key| responses.contains_key(key));
    let key = key.unwrap_or_else(|| {
        panic!(
            "{id} does not declare {}: {}",
            response.status,
            response.text()
        )
    });
    let declared = resolved(document, &responses[&key]);
    let names: Vec<String> = declared["headers"]
        .as_object()
        .unwrap()
        .keys()
        .map(|name| name.to_lowercase())
        .collect();
    for (name, header) in declared["headers"].as_object().unwrap() {
        let required = resolved(document, header)["required"] == true;
        let there = !required || response.header(name).is_some();
        assert!(there, "{id} {key} lacks {name}");
    }
    for (name, value) in &response.headers {
        let known = TRANSPORT.contains(&name.as_str()) || names.contains(name);
        assert!(known, "{id} {key} does not declare {name}: {value}");
    }
    if response.status >= 400 && !response.body.is_empty() {
        let slug = response.slug();
        let told = operation["description"]
            .as_str()
            .unwrap()
            .contains(&format!("| {} | `{slug}` |", response.status));
        assert!(told, "{id} does not tell of {slug}");
    }
    check_content(
        document,
        declared,
        response,
        &format!("{method} {template} {key}"),
    );
    (id.to_owned(), key)
}

#[track_caller]
fn check_content(document: &Value, declared: &Value, response: &Response, place: &str) {
    let head = place.starts_with("HEAD");
    let Some(content) = declared
        .get("content")
        .filter(|_| !head && response.status != 304)
    else {
        assert!(
            response.body.is_empty(),
            "{place} declares no content: {}",
            response.text()
        );
        return;
    };
    let media_type = response.header("content-type").unwrap();
    let media_type = media_type.split(';').next().unwrap();
    // Resources keep the JSON type they came with; the file lists application/json alone, for generators.
    let kept = response.status < 300 && media_type.ends_with("+json");
    let declared = content
        .get(if kept { "application/json" } else { media_type })
        .unwrap_or_else(|| panic!("{place} does not declare {media_type}"));
    if media_type.ends_with("json") {
        let schema = &declared["schema"];
        let validator = Arc::clone(
            VALIDATORS
                .lock()
                .unwrap()
                .entry(schema.to_string())
                .or_insert_with(|| Arc::new(validator(document, schema))),
        );
        let faults: Vec<String> = validator
            .iter_errors(&response.json())
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            faults.is_empty(),
            "{place}: {faults:?}\n{}",
            response.text()
        );
    }
}
