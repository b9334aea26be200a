//! Operations as clients write them: equal ones, faulty ones, and anything at all.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::protocol::command::PutContent;
use crate::protocol::problem::Slug;

#[track_caller]
fn operation(content: &str) -> Operation {
    parse_put(content.as_bytes(), true)
        .unwrap()
        .operation
        .unwrap()
}

#[test]
fn the_same_operation_is_the_same_however_it_is_written() {
    let first = operation(
        r#"{"changes":[{"method":"PATCH","target":"/resources/a/k","if_match":"*","body":{"n":1,"m":"é"}}]}"#,
    );
    let others = [
        r#" {"state":"committed","changes":[{"body":{"m":"\u00e9","n":10e-1},"if_match":" * ","target":"/resources/%61/%6b","method":"PATCH"}]}"#,
        r#"{"changes":[{"method":"PATCH","target":"/resources/a/k","if_match":"*","content_type":"application/json","body":{"n":1.0,"m":"é"}}]}"#,
        r#"{"id":"x","changes":[{"method":"PATCH","target":"/resources/a/k","if_match":"*","content_type":"application/merge-patch+json","body":{"n":1,"m":"é"}}]}"#,
    ];
    for other in others {
        assert_eq!(operation(other).digest, first.digest, "{other}");
    }
    let different = [
        r#"{"changes":[{"method":"PATCH","target":"/resources/a/k","if_match":"\"*\"","body":{"n":1,"m":"é"}}]}"#,
        r#"{"changes":[{"method":"PATCH","target":"/resources/a/k","if_match":"*","body":{"n":2,"m":"é"}}]}"#,
        r#"{"changes":[{"method":"PUT","target":"/resources/a/k","if_match":"*","body":{"n":1,"m":"é"}}]}"#,
    ];
    for other in different {
        assert_ne!(operation(other).digest, first.digest, "{other}");
    }
}

#[test]
fn the_same_increment_is_the_same_however_it_is_written() {
    let with = |content_type: &str, body: &str| {
        let content = format!(
            r#"{{"changes":[{{"method":"PATCH","target":"/resources/a/k","if_match":"*","content_type":"{content_type}","body":{body}}}]}}"#
        );
        operation(&content).digest
    };
    let first = with(INCREMENT, r#"{"n":1.50,"o":{"m":-0,"l":100}}"#);
    for (content_type, body) in [
        (INCREMENT, r#"{"o":{"l":1e2,"m":0.0},"n":15E-1}"#),
        (
            "Application/vnd.ifmatch.increment+JSON; charset=UTF-8",
            r#"{"\u006e":1.5,"o":{"m":0,"l":100}}"#,
        ),
    ] {
        assert_eq!(with(content_type, body), first, "{body}");
    }
    for (content_type, body) in [
        (MERGE_PATCH, r#"{"n":1.50,"o":{"m":-0,"l":100}}"#),
        (INCREMENT, r#"{"n":1.51,"o":{"m":-0,"l":100}}"#),
        (INCREMENT, r#"{"n":1.50,"o":{"m":-0,"l":100},"z":0}"#),
    ] {
        assert_ne!(with(content_type, body), first, "{body}");
    }
}

#[test]
fn a_bare_tag_and_a_quoted_one_are_the_same() {
    let with = |tag: &str| {
        json!({"changes": [{"method": "DELETE", "target": "/resources/a/k", "if_match": tag}]})
            .to_string()
    };
    let quoted = operation(&with("\"1.a\", \"2.b\""));
    assert_eq!(operation(&with("\"1.a\" ,\t\"2.b\"")).digest, quoted.digest);
    assert_eq!(
        operation(&with("1.a")).digest,
        operation(&with("\"1.a\"")).digest
    );
    assert_ne!(
        operation(&with("\"2.b\", \"1.a\"")).digest,
        quoted.digest,
        "the order of a list counts"
    );
}

#[test]
fn a_missing_condition_is_428_only_where_nothing_else_is_wrong() {
    let change = json!({"method": "PUT", "target": "/resources/a/k", "body": 1});
    let one = parse_put(json!({"changes": [change]}).to_string().as_bytes(), false).unwrap_err();
    assert_eq!(one.slug, Slug::PreconditionRequired);
    assert_eq!(one.errors[0].pointer, "#/changes/0/if_match");
    let both = parse_put(
        json!({"changes": [change], "x": 1}).to_string().as_bytes(),
        false,
    )
    .unwrap_err();
    assert_eq!(both.slug, Slug::InvalidOperation);
}

/// JSON that is near to an operation: right members with wrong values, wrong members, wrong nesting.
fn near_operations() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "method",
        "target",
        "if_match",
        "if_none_match",
        "content_type",
        "body",
        "changes",
        "state",
        "PUT",
        "PATCH",
        "GET",
        "DELETE",
        "*",
        "\"1.a\"",
        "W/\"x\"",
        "/resources/a/k",
        "/resources/A/k",
        "committed",
        "cancelled",
        "expires_in",
        "reference",
        "metadata",
        "application/json-patch+json",
        INCREMENT,
        "op",
        "path",
        "~2",
    ]);
    let leaf = prop_oneof![
        word.clone().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null)
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect())
        ]
    })
}

proptest! {
    #[test]
    fn no_content_makes_a_parser_panic(content in prop::collection::vec(any::<u8>(), 0..200), naming: bool) {
        let _ = parse_put(&content, naming);
        let _ = parse_post(&content, true);
        let _ = parse_post(&content, false);
        let _ = parse_patch(&content);
    }

    #[test]
    fn whatever_is_accepted_reads_back_as_the_same_operation(changes in prop::collection::vec(near_operations(), 1..4), naming: bool) {
        let content = json!({"changes": changes}).to_string();
        match parse_put(content.as_bytes(), naming) {
            Ok(PutContent { operation: Some(operation), .. }) => {
                let again = parse_put(format!(r#"{{"changes":{}}}"#, operation.text).as_bytes(), naming).unwrap();
                prop_assert_eq!(again.operation.unwrap().digest, operation.digest);
            }
            Ok(_) => prop_assert!(false, "an operation without changes"),
            Err(problem) => prop_assert!(!problem.errors.is_empty(), "a refusal says where"),
        }
    }
}
