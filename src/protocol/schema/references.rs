//! Where the references of a schema lead: to a part of it that is a schema itself, and nowhere else.

use serde_json::Value;

use super::shape::{Applies, applies, each};

/// What a reference leads to, within the document.
pub(super) fn target<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    let fragment = match reference.strip_prefix('#') {
        Some(fragment) => fragment,
        None => {
            let id = root.get("$id")?.as_str()?.trim_end_matches('#');
            let rest = reference.strip_prefix(id).filter(|_| !id.is_empty())?;
            rest.strip_prefix('#').or(rest.is_empty().then_some(rest))?
        }
    };
    let fragment = percent_encoding::percent_decode_str(fragment)
        .decode_utf8()
        .ok()?;
    if fragment.is_empty() || fragment.starts_with('/') {
        return leads_to_schema(&fragment).then(|| root.pointer(&fragment))?;
    }
    anchored(root, &fragment)
}

fn anchored<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let members = schema.as_object()?;
    let is_it = |keyword: &str| members.get(keyword).and_then(Value::as_str) == Some(name);
    if is_it("$anchor") || is_it("$dynamicAnchor") {
        return Some(schema);
    }
    let mut found = None;
    for (keyword, value) in members {
        each(keyword, value, &mut |_, subschema| {
            if found.is_none() {
                found = anchored(subschema, name);
            }
        });
    }
    found
}

/// Whether a JSON Pointer leads from schema to schema: what stands below other keywords is data, and was not checked.
fn leads_to_schema(pointer: &str) -> bool {
    let mut steps = pointer.split('/').skip(1);
    while let Some(keyword) = steps.next() {
        let named = match applies(keyword) {
            None => return false,
            Some(Applies::Here | Applies::Parts) => false,
            Some(_) => true,
        };
        if named && steps.next().is_none() {
            return false;
        }
    }
    true
}
