//! What is a schema, what a body breaks of it, and that neither takes long to find out.
#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

fn compile(text: &str) -> Schema {
    Schema::compile(text).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

/// The pointers of what a body breaks.
fn broken(schema: &str, body: &str) -> Vec<String> {
    let found = compile(schema).violations(body, "#", &mut Effort::default());
    found.into_iter().map(|error| error.pointer).collect()
}

fn refused(schema: &str) -> Vec<String> {
    let faults = Schema::compile(schema).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn every_violation_is_told_with_its_place() {
    let schema = r#"{"type": "object", "required": ["id"], "additionalProperties": false, "properties": {
        "balance": {"type": "number", "minimum": 0}, "mail": {"format": "email"}, "a/b~c d": {"const": 1}, "id": {}}}"#;
    let body = r#"{"balance": -5, "mail": "nobody", "a/b~c d": 2, "other": 1}"#;
    let mut found = broken(schema, body);
    found.sort();
    assert_eq!(found, ["#", "#", "#/a~1b~0c%20d", "#/balance", "#/mail"]);
    assert_eq!(broken(schema, r#"{"id": 1, "balance": 0.00}"#), [""; 0]);
    let found = compile(schema).violations(body, "#/changes/2/body", &mut Effort::default());
    let balance = found
        .iter()
        .find(|error| error.pointer.ends_with("/balance"))
        .unwrap();
    assert_eq!(balance.pointer, "#/changes/2/body/balance");
    assert!(!balance.detail.contains("-5"), "{balance:?}");
    assert!(balance.detail.contains("minimum"), "{balance:?}");
}

#[test]
fn numbers_are_judged_exactly() {
    for (schema, body, right) in [
        (
            r#"{"minimum": 0}"#,
            "-0.00000000000000000000000000000000000001",
            false,
        ),
        (r#"{"minimum": 0}"#, "-1e-400", false),
        (r#"{"minimum": 0}"#, "-0.0", true),
        (r#"{"minimum": 0}"#, "1e400", true),
        (
            r#"{"maximum": 9007199254740992}"#,
            "9007199254740993",
            false,
        ),
        (r#"{"maximum": 100}"#, "100.00000000000000000001", false),
        (r#"{"maximum": 0.3}"#, "0.30", true),
        (r#"{"multipleOf": 0.01}"#, "0.07", true),
        (r#"{"multipleOf": 0.01}"#, "12345678901234567890.07", true),
        (r#"{"multipleOf": 0.01}"#, "12345678901234567890.071", false),
        (r#"{"type": "integer"}"#, "1.000", true),
        (r#"{"type": "integer"}"#, "1.5e1", true),
        (r#"{"type": "integer"}"#, "10000000000000000000.5", false),
        (r#"{"const": 1.10}"#, "1.1", true),
        (r#"{"uniqueItems": true}"#, "[1, 1.0]", false),
    ] {
        assert_eq!(broken(schema, body).is_empty(), right, "{schema} {body}");
    }
    assert_eq!(broken("{}", "[1e99999]"), ["#/0"]);
    let long = "1".repeat(limits::SCHEMA_DIGITS_MAX + 1);
    assert_eq!(broken("{}", &long), ["#"]);
}

#[test]
fn an_object_is_never_taken_for_a_number() {
    let body = r#"{"$serde_json::private::Number": "1"}"#;
    assert_eq!(broken(r#"{"type": "number"}"#, body), ["#"]);
    assert_eq!(broken(r#"{"type": "object"}"#, body), [""; 0]);
}

#[test]
fn formats_are_asserted_and_unknown_ones_refused() {
    for (format, wrong, right) in [
        ("date-time", "2026-02-30T00:00:00Z", "2026-02-28T00:00:00Z"),
        ("date", "2026-13-01", "2026-12-01"),
        ("uuid", "nope", "00000000-0000-0000-0000-000000000000"),
        ("ipv4", "1.2.3", "1.2.3.4"),
        ("uri", "/a", "https://example.com/a"),
        ("regex", "[", "[a]"),
        ("json-pointer", "a", "/a"),
        ("idn-hostname", "〮한국", "실례.테스트"),
    ] {
        let schema = format!(r#"{{"format": "{format}"}}"#);
        assert_eq!(broken(&schema, &format!("\"{wrong}\"")), ["#"], "{format}");
        assert_eq!(
            broken(&schema, &format!("\"{right}\"")),
            [""; 0],
            "{format}"
        );
    }
    assert_eq!(
        refused(r#"{"properties": {"a": {"format": "unheard-of"}}}"#).len(),
        1
    );
}

#[test]
fn what_is_no_schema_is_refused_with_all_its_places() {
    let mut places = refused(r#"{"type": "numbr", "properties": {"a": {"minimum": "0"}}}"#);
    places.sort();
    assert_eq!(places, ["#/properties/a/minimum", "#/type"]);
    assert_eq!(refused("1"), ["#"]);
    assert_eq!(
        refused(r#"{"$schema": "http://json-schema.org/draft-07/schema#"}"#),
        ["#/$schema"]
    );
    assert_eq!(
        refused(r#"{"properties": {"a": {"$id": "https://example.com/a"}}}"#),
        ["#/properties/a/$id"]
    );
    assert_eq!(refused(r#"{"patternProperties": {"(": {}}}"#).len(), 1);
    assert_eq!(
        refused(r#"{"pattern": "(?=a)"}"#).len(),
        1,
        "it needs backtracking"
    );
    compile("true");
    compile(
        r#"{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/a"}"#,
    );
    assert_eq!(broken("false", "1"), ["#"]);
}

#[test]
fn references_stay_within_the_schema() {
    for reference in [
        "https://example.com/other.json",
        "http://127.0.0.1:1/schema",
        "file:///etc/passwd",
        "other.json",
        "#/$defs/missing",
        "#missing",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let schema = format!(r#"{{"properties": {{"a": {{"$ref": "{reference}"}}}}}}"#);
        assert_eq!(refused(&schema), ["#/properties/a/$ref"], "{reference}");
    }
    for reference in ["#/$defs/x%20y", "#here", "https://example.com/s#here"] {
        let schema = format!(
            r#"{{"$id": "https://example.com/s", "properties": {{"a": {{"$ref": "{reference}"}}}},
                "$defs": {{"x y": {{"$anchor": "here", "type": "number"}}}}}}"#
        );
        assert_eq!(broken(&schema, r#"{"a": "1"}"#), ["#/a"], "{reference}");
    }
}

#[test]
fn what_unfolds_to_too_much_is_refused() {
    let doubling: Vec<String> = (0..40)
        .map(|n| format!(r##""d{n}": {{"allOf": [{{"$ref": "#/$defs/d{next}"}}, {{"$ref": "#/$defs/d{next}"}}]}}"##, next = n + 1))
        .collect();
    let schema = format!(
        r##"{{"$ref": "#/$defs/d0", "$defs": {{{}, "d40": {{}}}}}}"##,
        doubling.join(",")
    );
    assert_eq!(refused(&schema), ["#"]);
    let chain: Vec<String> = (0..200)
        .map(|n| format!(r##""d{n}": {{"not": {{"$ref": "#/$defs/d{}"}}}}"##, n + 1))
        .collect();
    let schema = format!(
        r##"{{"$ref": "#/$defs/d0", "$defs": {{{}, "d200": {{}}}}}}"##,
        chain.join(",")
    );
    assert_eq!(refused(&schema), ["#"]);
    let deep = format!("{}{{}}{}", r#"{"not":"#.repeat(60), "}".repeat(60));
    assert_eq!(refused(&deep), ["#"]);
    let long = format!(r#"{{"pattern": "{}"}}"#, "a".repeat(1001));
    assert_eq!(refused(&long), ["#/pattern"]);
    let many: Vec<String> = (0..=100)
        .map(|n| format!(r#"{{"pattern": "a{n}"}}"#))
        .collect();
    assert_eq!(
        refused(&format!(r#"{{"anyOf": [{}]}}"#, many.join(","))),
        ["#"]
    );
    compile(&format!(r#"{{"anyOf": [{}]}}"#, many[1..].join(",")));
    assert_eq!(
        refused(r#"{"pattern": "((a{1000}){1000}){1000}"}"#).len(),
        1
    );
    assert_eq!(
        refused(&format!(r#"{{"title": "{}"}}"#, "a".repeat(70_000))),
        ["#"]
    );
}

#[test]
fn what_asks_again_and_again_what_is_left_is_refused() {
    let chain = |links: usize, applied: &str| {
        let links: Vec<String> = (0..links)
            .map(|n| {
                let next = format!(r##"{{"$ref": "#/$defs/a{}"}}"##, n + 1);
                let applied = applied.replace("NEXT", &next);
                format!(r#""a{n}": {{{applied}, "unevaluatedProperties": {{"type": "integer"}}}}"#)
            })
            .chain([format!(r#""a{links}": {{}}"#)])
            .collect();
        format!(
            r##"{{"$ref": "#/$defs/a0", "$defs": {{{}}}}}"##,
            links.join(",")
        )
    };
    for applied in [
        r#""anyOf": [NEXT]"#,
        r#""oneOf": [NEXT]"#,
        r#""allOf": [NEXT]"#,
        r#""if": NEXT"#,
    ] {
        assert!(Schema::compile(&chain(4, applied)).is_ok(), "{applied}");
        assert_eq!(refused(&chain(12, applied)), ["#"], "{applied}");
    }
}

#[test]
fn a_schema_may_apply_itself() {
    let tree = r##"{"type": "object", "required": ["n"], "properties": {"n": {"type": "number"}, "items": {"items": {"$ref": "#"}}}}"##;
    assert_eq!(
        broken(
            tree,
            r#"{"n": 1, "items": [{"n": 2}, {"items": [{"n": "x"}]}]}"#
        ),
        ["#/items/1", "#/items/1/items/0/n"]
    );
    assert_eq!(
        broken(r##"{"$ref": "#"}"##, "1"),
        [""; 0],
        "without an end, and without a say"
    );
    let deep = format!(
        "{}{{\"n\": 1}}{}",
        r#"{"n": 1, "items": ["#.repeat(40),
        "]}".repeat(40)
    );
    assert_eq!(broken(tree, &deep), [""; 0]);
}

/// Both branches meet the same parts: 2^49 visits if each were judged anew.
#[test]
fn branches_that_meet_the_same_parts_are_judged_once() {
    let schema = r##"{"anyOf": [{"type": "number"},
        {"type": "object", "properties": {"op": {"const": "-"}, "a": {"$ref": "#"}}},
        {"type": "object", "properties": {"op": {"const": "+"}, "a": {"$ref": "#"}}}]}"##;
    let body = |end: &str| {
        format!(
            "{}{end}{}",
            r#"{"op": "+", "a": "#.repeat(48),
            "}".repeat(48)
        )
    };
    assert_eq!(broken(schema, &body("1")), [""; 0]);
    assert_eq!(broken(schema, &body("\"x\"")), ["#"]);
    let all = r##"{"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}], "type": "object"}"##;
    assert_eq!(broken(all, &body("\"x\"")), ["#"]);
    let shallow = r#"{"a": {"a": "x"}}"#;
    assert_eq!(broken(all, shallow), ["#/a/a"], "four times the same");
}

#[test]
fn the_work_for_one_operation_is_bounded() {
    let checks = vec![r#"{"minimum": 0}"#; 2_000].join(",");
    let schema = compile(&format!(
        r#"{{"anyOf": [true, {{"items": {{"allOf": [{checks}]}}}}]}}"#
    ));
    let body = format!("[{}]", vec!["1"; 5_000].join(","));
    let mut effort = Effort::default();
    assert!(schema.violations(&body, "#", &mut effort).is_empty());
    assert!(schema.violations(&body, "#", &mut effort).is_empty());
    assert_eq!(
        schema.violations(&body, "#", &mut effort).len(),
        1,
        "no third time"
    );
}

#[test]
fn a_long_string_counts_by_its_length() {
    let checks = vec![r#"{"minLength": 0}"#; 1_000];
    let schema = compile(&format!(r#"{{"anyOf": [true, {}]}}"#, checks.join(",")));
    let judge = |bytes: usize| {
        let body = format!("\"{}\"", "a".repeat(bytes));
        schema.violations(&body, "#", &mut Effort::default())
    };
    assert!(judge(1_000).is_empty());
    assert_eq!(judge(1_000_000).len(), 1);
}

#[test]
fn too_many_violations_are_cut() {
    let body = format!("[{}]", vec!["-1"; 500].join(","));
    assert_eq!(
        broken(r#"{"items": {"minimum": 0}}"#, &body).len(),
        limits::SCHEMA_ERRORS_MAX
    );
    let pattern = "a".repeat(900);
    let found = compile(&format!(r#"{{"pattern": "{pattern}"}}"#)).violations(
        "\"b\"",
        "#",
        &mut Effort::default(),
    );
    assert!(found[0].detail.chars().count() <= DETAIL_CHARS_MAX + 1);
}

#[test]
fn a_schema_that_cannot_be_read_lets_nothing_pass() {
    assert_eq!(
        Schema::unreadable()
            .violations("1", "#", &mut Effort::default())
            .len(),
        1
    );
}

#[test]
fn nothing_is_applied_that_is_not_counted() {
    for (schema, place) in [
        (
            r##"{"dependencies": {"a": {"$ref": "#"}}}"##,
            "#/dependencies",
        ),
        (r#"{"additionalItems": {}}"#, "#/additionalItems"),
        (r##"{"$recursiveRef": "#"}"##, "#/$recursiveRef"),
        (r##"{"$ref": "#/x/0", "x": [{"pattern": "a"}]}"##, "#/$ref"),
        (
            r##"{"$ref": "#/const", "const": {"type": "string"}}"##,
            "#/$ref",
        ),
        (r##"{"$ref": "#/$defs", "$defs": {"type": {}}}"##, "#/$ref"),
    ] {
        assert_eq!(refused(schema), [place], "{schema}");
    }
    for schema in [
        r##"{"$ref": "#/$defs/a/properties/b/items", "$defs": {"a": {"properties": {"b": {"items": {}}}}}}"##,
        r##"{"$ref": "#/allOf/0", "allOf": [{"type": "string"}]}"##,
    ] {
        assert!(Schema::compile(schema).is_ok(), "{schema}");
    }
}

#[test]
fn long_numbers_are_bounded_together() {
    let schema = Schema::compile(r#"{"uniqueItems": true}"#).unwrap();
    let judge = |body: &str| schema.violations(body, "#", &mut Effort::default()).len();
    let numbers = |count: usize| {
        let numbers: Vec<String> = (0..count).map(|n| format!("1.{n:0200}")).collect();
        format!("[{}]", numbers.join(","))
    };
    assert_eq!((judge(&numbers(40)), judge(&numbers(60))), (0, 1));
    let powers: Vec<String> = (0..1000).map(|n| format!("1e{n}")).collect();
    assert_eq!(judge(&format!("[{}]", powers.join(","))), 1);
    let short: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    assert_eq!(judge(&format!("[{}]", short.join(","))), 0);
}
