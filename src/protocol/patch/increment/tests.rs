//! What an increment adds to, what it refuses, and what it may cost.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::protocol::patch::{PatchKind, WORK_MAX, apply_within, check_shape};
use proptest::prelude::*;

const MAX: usize = 1 << 20;

fn apply(target: &str, increment: &str, max_bytes: usize) -> Result<String, Vec<PatchFailure>> {
    let mut work = Work::default();
    apply_within(
        PatchKind::Increment,
        target,
        increment,
        max_bytes,
        &mut work,
    )
}

#[track_caller]
fn check(target: &str, increment: &str, expected: &str) {
    let found = apply(target, increment, MAX);
    assert_eq!(found.as_deref(), Ok(expected), "{target} {increment}");
}

/// What fails, and where.
#[track_caller]
fn fails(target: &str, increment: &str, expected: &[(FailureKind, &str)]) -> Vec<PatchFailure> {
    let failures = apply(target, increment, MAX).unwrap_err();
    let found: Vec<_> = failures
        .iter()
        .map(|failure| (failure.kind, &*failure.place))
        .collect();
    assert_eq!(found, expected, "{failures:?}");
    failures
}

#[test]
fn numbers_are_added_and_the_rest_is_kept() {
    for (target, increment, expected) in [
        (
            r#"{"balance":100}"#,
            r#"{"balance":-30}"#,
            r#"{"balance":70}"#,
        ),
        (r#"{"a":0.1}"#, r#"{"a":0.2}"#, r#"{"a":0.3}"#),
        (r#"{"a":1e2}"#, r#"{"a":1}"#, r#"{"a":101}"#),
        (r#"{"a":-0}"#, r#"{"a":-0}"#, r#"{"a":0}"#),
        ("{}", r#"{"a":-0.50}"#, r#"{"a":-0.50}"#),
        (
            "{}",
            r#"{"a":{"b":{"c":1}},"d":{}}"#,
            r#"{"a":{"b":{"c":1}},"d":{}}"#,
        ),
        (r#"{"a":1}"#, "{}", r#"{"a":1}"#),
        (
            r#"{ "z": 1.50, "s": "\u00e9", "n": {"x": 1E+2, "y": [ -0 ]}, "a": null }"#,
            r#"{"new":1,"n":{"x":0.5},"z":1}"#,
            r#"{"z":2.50,"s":"\u00e9","n":{"x":100.5,"y":[-0]},"a":null,"new":1}"#,
        ),
        (r#"{"":{"":1}}"#, r#"{"":{"":1}}"#, r#"{"":{"":2}}"#),
        (r#"{"\u0061":1}"#, r#"{"a":1}"#, r#"{"a":2}"#),
    ] {
        check(target, increment, expected);
    }
}

#[test]
fn all_that_is_no_number_is_named_and_nothing_is_replaced() {
    use FailureKind::NoNumber;
    let target = r#"{"s":"1","n":null,"l":[1],"t":true,"o":{"x":1,"s":""},"a":5}"#;
    let increment = r#"{"s":1,"n":1,"l":1,"t":1,"o":{"x":1,"s":1},"a":{"b":1},"ok":1,"s/~é":0}"#;
    let failures = fails(
        target,
        increment,
        &[
            (NoNumber, "/s"),
            (NoNumber, "/n"),
            (NoNumber, "/l"),
            (NoNumber, "/t"),
            (NoNumber, "/o/s"),
            (NoNumber, "/a"),
        ],
    );
    assert!(failures[0].detail.contains("a string"), "{failures:?}");
    assert!(failures[1].detail.contains("has null"), "{failures:?}");
    assert!(failures[5].detail.contains("not an object"), "{failures:?}");
    fails(r#"{"o":{}}"#, r#"{"o":1}"#, &[(NoNumber, "/o")]);
    fails(
        r#"{"a/é~":""}"#,
        r#"{"a/é~":1}"#,
        &[(NoNumber, "/a~1%C3%A9~0")],
    );
    for target in ["1", "[]", "null", "\"\"", "true"] {
        fails(target, r#"{"a":1}"#, &[(NoNumber, "")]);
        fails(target, "{}", &[(NoNumber, "")]);
    }
}

#[test]
fn sums_that_cannot_be_stored_are_conflicts() {
    use FailureKind::{NoNumber, Unfit};
    fails(
        r#"{"s":"","a":9e131071,"b":""}"#,
        r#"{"s":1,"a":1e131071,"b":1}"#,
        &[(NoNumber, "/s"), (Unfit, "/a")],
    );
    let wide = format!(
        "{{{}}}",
        (0..8)
            .map(|n| format!("\"{n}\":1e131071"))
            .collect::<Vec<_>>()
            .join(",")
    );
    let tiny = wide.replace("1e131071", "1e-16383");
    fails(&wide, &tiny, &[(Unfit, "/7")]);
    let few = wide.replace(",\"7\":1e131071", "");
    assert_eq!(few.len() + 13, wide.len());
    assert_eq!(
        apply(&few, &tiny.replace(",\"7\":1e-16383", ""), 1 << 21)
            .unwrap()
            .len(),
        7 * 147_456 + 7 * 5 + 1
    );
    assert!(
        apply(r#"{"a":999}"#, r#"{"a":1}"#, 9).unwrap_err()[0]
            .detail
            .contains("10 bytes")
    );
    assert!(apply(r#"{"a":999}"#, r#"{"a":1}"#, 10).is_ok());
    let failures = fails("{}", "[1]", &[(Unfit, "")]);
    assert!(failures[0].detail.contains("no increment"), "{failures:?}");
}

#[test]
fn work_is_bounded_though_results_are_small() {
    // Each sum takes a hundred thousand digits, and is short.
    let numbers = |number: &str| {
        let members: Vec<_> = (0..20_000).map(|n| format!("\"{n}\":{number}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let near = format!("1{}1", "0".repeat(131_070));
    let target = format!("{{\"a\":{near}}}");
    check(&target, r#"{"a":-1e131071}"#, r#"{"a":1}"#);
    let mut once = Work::default();
    let apply_once = |work: &mut Work| {
        apply_within(
            PatchKind::Increment,
            &target,
            r#"{"a":-1e131071}"#,
            MAX,
            work,
        )
    };
    apply_once(&mut once).unwrap();
    assert!((262_144..300_000).contains(&once.0), "{}", once.0);
    let mut nearly_spent = Work(WORK_MAX - 3 * once.0);
    for _ in 0..3 {
        apply_once(&mut nearly_spent).unwrap();
    }
    let failures = apply_once(&mut nearly_spent).unwrap_err();
    assert!(nearly_spent.is_spent());
    assert!(failures[0].detail.contains("too much work"), "{failures:?}");
    // And all of these are cheap, since their digits are few.
    let sums = apply(&numbers("1e131071"), &numbers("-1e131071"), MAX).unwrap();
    assert_eq!(sums, numbers("0"));
}

#[test]
fn shape_faults_are_named() {
    let many = format!(
        "{{{}}}",
        (0..300)
            .map(|n| format!("\"{n}\":\"\""))
            .collect::<Vec<_>>()
            .join(",")
    );
    let long = format!("{{\"{0}\":{{\"{0}\":null}}}}", "x".repeat(700));
    let up_to = format!("#/b/{}", "x".repeat(700));
    for (increment, pointers) in [
        ("{}", vec![]),
        (r#"{"a":1,"b":{"c":{}}}"#, vec![]),
        ("1", vec!["#/b"]),
        ("[]", vec!["#/b"]),
        ("null", vec!["#/b"]),
        ("\"1\"", vec!["#/b"]),
        (
            r#"{"a":"1","b":{"c":null,"d":[1],"e":1},"f":true}"#,
            vec!["#/b/a", "#/b/b/c", "#/b/b/d", "#/b/f"],
        ),
        (&long, vec![&*up_to]),
    ] {
        let json = json::parse(increment.as_bytes()).unwrap();
        let faults = check_shape(PatchKind::Increment, &json, "#/b");
        let found: Vec<_> = faults.iter().map(|fault| &*fault.pointer).collect();
        assert_eq!(found, pointers, "{increment}");
    }
    let json = json::parse(many.as_bytes()).unwrap();
    assert_eq!(
        check_shape(PatchKind::Increment, &json, "#").len(),
        FAULTS_MAX
    );
    let targets = apply(&many, &many.replace("\"\"", "1"), MAX).unwrap_err();
    assert_eq!(targets.len(), FAULTS_MAX);
}

proptest! {
    /// A count of cents moves as an integer would, whatever else the document holds.
    #[test]
    fn cents_add_up(steps in prop::collection::vec(-1_000_000_i64..1_000_000, 1..30)) {
        let (mut document, mut cents) = (r#"{"v":[1.0],"o":{"a":0.00}}"#.to_owned(), 0);
        for step in steps {
            let sign = if step < 0 { "-" } else { "" };
            let (whole, part) = (step.abs() / 100, step.abs() % 100);
            document = apply(&document, &format!("{{\"o\":{{\"a\":{sign}{whole}.{part:02}}}}}"), MAX).unwrap();
            cents += step;
        }
        let sign = if cents < 0 { "-" } else { "" };
        let expected = format!("{{\"v\":[1.0],\"o\":{{\"a\":{sign}{}.{:02}}}}}", cents.abs() / 100, cents.abs() % 100);
        prop_assert_eq!(document, expected);
    }

    #[test]
    fn nothing_makes_it_panic_and_every_result_reads_back(
        target in "[{\\[\"a\\]:}, 0-9.e-]{0,40}", increment in r#"\{("[ab]":(-?[0-9]{1,3}(e-?[0-9]{1,5})?|\{"a":1\}|null),?){0,2}\}"#,
        near in r#"\{"a":(-?[1-9]{1,3}(\.[0-9]{1,2})?(e-?[0-9]{1,5})?|\{"a":1\}|"")\}"#,
    ) {
        for target in [&target, &near] {
            if let Ok(result) = apply(target, &increment, MAX) {
                prop_assert!(json::parse(result.as_bytes()).is_ok(), "{}", result);
            }
        }
    }
}
