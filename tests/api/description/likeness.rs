//! Whether an answer is like an example of the file: to the letter, or in its members and their types.

use std::collections::HashMap;

use serde_json::Value;

use super::checker::resolved;

/// What is another in every run: ids, times, the second part of tags, which names the writer.
const FORMS: [&str; 3] = [
    "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    "dddd-dd-ddTdd:dd:dd.ddddddZ",
    "xxxxxxxxxxxxxxxx",
];
/// The one of them that may be two times the same by chance.
const TIME: usize = 1;

fn has_form(form: &str, text: &[u8]) -> bool {
    text.len() >= form.len()
        && form.bytes().zip(text).all(|(wanted, byte)| match wanted {
            b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            b'd' => byte.is_ascii_digit(),
            other => other == *byte,
        })
}

/// A text without what is another in every run, and that.
fn split(text: &str) -> (String, Vec<(usize, String)>) {
    let (mut rest, mut kept, mut found) = (text, String::new(), Vec::new());
    while let Some(first) = rest.chars().next() {
        let bytes = rest.as_bytes();
        let form = FORMS.iter().position(|form| has_form(form, bytes));
        let (shown, length) = match form {
            Some(form) => (FORMS[form], FORMS[form].len()),
            None => (&rest[..first.len_utf8()], first.len_utf8()),
        };
        kept.push_str(shown);
        found.extend(form.map(|form| (form, rest[..length].to_owned())));
        rest = &rest[length..];
    }
    (kept, found)
}

/// What differs between an example and an answer, but for ids, times and tags; where the example names two things
/// alike or unlike, so does the answer. `names` are those that stand for something which the request named.
pub(super) fn letters(
    example: &Value,
    answer: &Value,
    names: &[(String, String)],
) -> Result<(), String> {
    let (example, answer) = (example.to_string(), answer.to_string());
    let ((left, mine), (right, theirs)) = (split(&example), split(&answer));
    if left != right {
        return Err(format!("the example  {example}\nthe answer   {answer}"));
    }
    // Without version and rendering, which stand in the text: a tag's second part alone.
    let named = |text: &String| split(text).1.pop().map(|(_, name)| name);
    let names: Vec<(String, String)> = names
        .iter()
        .filter_map(|(mine, theirs)| named(mine).zip(named(theirs)))
        .collect();
    let mut forth: HashMap<String, String> = names.iter().cloned().collect();
    let mut back: HashMap<String, String> = names
        .into_iter()
        .map(|(mine, theirs)| (theirs, mine))
        .collect();
    for ((form, mine), (_, theirs)) in mine.into_iter().zip(theirs) {
        if form == TIME {
            continue;
        }
        let same = *forth.entry(mine.clone()).or_insert_with(|| theirs.clone()) == theirs
            && *back.entry(theirs.clone()).or_insert_with(|| mine.clone()) == mine;
        if !same {
            return Err(format!(
                "{mine} is not {theirs} everywhere\nthe example  {example}\nthe answer   {answer}"
            ));
        }
    }
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Where an answer has other members than an example, or of other types. What the schema says may be left out or null,
/// may; where it leaves any JSON, members are the same.
pub(super) fn members(
    document: &Value,
    schema: &Value,
    example: &Value,
    answer: &Value,
    place: &str,
) -> Vec<String> {
    let schema = resolved(document, schema);
    let nullable = schema["nullable"] == true && (example.is_null() || answer.is_null());
    if kind(example) != kind(answer) && !nullable {
        return vec![format!("{place}: {} is {}", kind(example), kind(answer))];
    }
    let mut faults = Vec::new();
    match (example, answer) {
        (Value::Object(left), Value::Object(right)) => {
            let required = schema["required"].as_array();
            let optional = |name: &str| {
                schema["properties"].get(name).is_some()
                    && required.is_none_or(|names| names.iter().all(|other| other != name))
            };
            let names = left
                .keys()
                .chain(right.keys().filter(|name| !left.contains_key(*name)));
            for name in names {
                let place = format!("{place}/{name}");
                match (left.get(name), right.get(name)) {
                    (Some(left), Some(right)) => {
                        let schema = &schema["properties"][name];
                        faults.extend(members(document, schema, left, right, &place));
                    }
                    (left, _) if !optional(name) => {
                        let side = if left.is_some() { "example" } else { "answer" };
                        faults.push(format!("{place}: only the {side} has it"));
                    }
                    _ => {}
                }
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            for (index, right) in right.iter().enumerate() {
                let likes = left.iter().map(|left| {
                    let place = format!("{place}/{index}");
                    members(document, &schema["items"], left, right, &place)
                });
                // Like one of those shown.
                faults.extend(likes.min_by_key(Vec::len).unwrap_or_default());
            }
        }
        _ => {}
    }
    faults
}

#[test]
fn ids_times_and_tags_may_differ_but_nothing_else() {
    let id = |digit: &str| format!("/transactions/{}", FORMS[0].replace('x', digit));
    let tag = |digit: &str| format!("\"1.{}\"", digit.repeat(16));
    let check = |example: Value, answer: Value, like: bool| {
        assert_eq!(
            letters(&example, &answer, &[]).is_ok(),
            like,
            "{example} {answer}"
        );
    };
    check(vec![id("0")].into(), vec![id("a")].into(), true);
    check(vec![tag("0")].into(), vec![tag("b")].into(), true);
    check(
        vec![tag("0"), tag("1")].into(),
        vec![tag("b"), tag("b")].into(),
        false,
    );
    check(
        vec![tag("0"), tag("0")].into(),
        vec![tag("b"), tag("c")].into(),
        false,
    );
    check(
        "2026-03-01T12:00:00.000000Z".into(),
        "2027-03-01T12:00:00.5Z".into(),
        false,
    );
    check("It failed.".into(), "It fails.".into(), false);
    let named = [(FORMS[0].replace('x', "0"), FORMS[0].replace('x', "1"))];
    let (one, two) = (Value::from(id("0")), Value::from(id("2")));
    assert!(letters(&one, &two, &named).is_err());
    assert!(letters(&one, &two, &[]).is_ok());
}
