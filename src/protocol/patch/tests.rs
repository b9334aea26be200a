//! The examples of RFC 6902 and RFC 7396, what survives a patch, and what bounds it.

use super::*;
use PatchKind::{JsonPatch, Merge};

const MAX: usize = 1 << 20;

/// [`apply_within`] with a bound of its own; the first failure.
fn apply(
    kind: PatchKind,
    target: &str,
    patch: &str,
    max_bytes: usize,
) -> Result<String, PatchFailure> {
    let applied = apply_within(kind, target, patch, max_bytes, &mut Work::default());
    applied.map_err(|failures| failures[0].clone())
}

/// The place of an operation.
fn place(index: Option<usize>) -> String {
    index.map_or_else(String::new, |index| format!("/{index}"))
}

#[track_caller]
fn check(kind: PatchKind, target: &str, patch: &str, expected: &str) {
    assert_eq!(
        apply(kind, target, patch, MAX).as_deref(),
        Ok(expected),
        "{target} {patch}"
    );
}

#[track_caller]
fn fails(target: &str, patch: &str, index: Option<usize>, part: &str) {
    let failure = apply(JsonPatch, target, patch, MAX).unwrap_err();
    assert_eq!(failure.place, place(index), "{failure}");
    assert_eq!(failure.kind, FailureKind::Unfit);
    assert!(failure.detail.contains(part), "{failure}");
}

/// RFC 7396 appendix A.
#[test]
fn merge_examples() {
    let rows = [
        (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
        (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
        (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
        (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
        (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
        (
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":{"b":"d","c":null}}"#,
            r#"{"a":{"b":"d"}}"#,
        ),
        (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
        (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
        (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
        (r#"{"a":"foo"}"#, "null", "null"),
        (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
        (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
        ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
        ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
    ];
    for (target, patch, expected) in rows {
        check(Merge, target, patch, expected);
    }
}

/// RFC 6902 appendix A.1 to A.8, A.10, A.11, A.14, A.16.
#[test]
fn json_patch_examples() {
    let rows = [
        (
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/baz","value":"qux"}]"#,
            r#"{"foo":"bar","baz":"qux"}"#,
        ),
        (
            r#"{"foo":["bar","baz"]}"#,
            r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
            r#"{"foo":["bar","qux","baz"]}"#,
        ),
        (
            r#"{"baz":"qux","foo":"bar"}"#,
            r#"[{"op":"remove","path":"/baz"}]"#,
            r#"{"foo":"bar"}"#,
        ),
        (
            r#"{"foo":["bar","qux","baz"]}"#,
            r#"[{"op":"remove","path":"/foo/1"}]"#,
            r#"{"foo":["bar","baz"]}"#,
        ),
        (
            r#"{"baz":"qux","foo":"bar"}"#,
            r#"[{"op":"replace","path":"/baz","value":"boo"}]"#,
            r#"{"baz":"boo","foo":"bar"}"#,
        ),
        (
            r#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#,
            r#"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
            r#"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#,
        ),
        (
            r#"{"foo":["all","grass","cows","eat"]}"#,
            r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
            r#"{"foo":["all","cows","eat","grass"]}"#,
        ),
        (
            r#"{"baz":"qux","foo":["a",2,"c"]}"#,
            r#"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
            r#"{"baz":"qux","foo":["a",2,"c"]}"#,
        ),
        (
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
            r#"{"foo":"bar","child":{"grandchild":{}}}"#,
        ),
        (
            r#"{"foo":"bar"}"#,
            r#"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#,
            r#"{"foo":"bar","baz":"qux"}"#,
        ),
        (
            r#"{"/":9,"~1":10}"#,
            r#"[{"op":"test","path":"/~01","value":10}]"#,
            r#"{"/":9,"~1":10}"#,
        ),
        (
            r#"{"foo":["bar"]}"#,
            r#"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#,
            r#"{"foo":["bar",["abc","def"]]}"#,
        ),
    ];
    for (target, patch, expected) in rows {
        check(JsonPatch, target, patch, expected);
    }
}

/// RFC 6902 appendix A.9, A.12, A.13, A.15, and further operations that must fail.
#[test]
fn json_patch_failures() {
    fails(
        r#"{"baz":"qux"}"#,
        r#"[{"op":"test","path":"/baz","value":"bar"}]"#,
        Some(0),
        "not equal",
    );
    fails(
        r#"{"foo":"bar"}"#,
        r#"[{"op":"add","path":"/baz/bat","value":"qux"}]"#,
        Some(0),
        "nothing at `/baz/bat`",
    );
    refuse_duplicate_op();
    fails(
        r#"{"/":9,"~1":10}"#,
        r#"[{"op":"test","path":"/~01","value":"10"}]"#,
        Some(0),
        "not equal",
    );
    let second = |op: &str| format!(r#"[{{"op":"add","path":"/new","value":1}},{op}]"#);
    for op in [
        r#"{"op":"remove","path":"/x"}"#,
        r#"{"op":"replace","path":"/x","value":1}"#,
        r#"{"op":"move","from":"/x","path":"/y"}"#,
        r#"{"op":"copy","from":"/x","path":"/y"}"#,
        r#"{"op":"test","path":"/x","value":null}"#,
        r#"{"op":"remove","path":"/a/2"}"#,
        r#"{"op":"remove","path":"/a/-"}"#,
        r#"{"op":"replace","path":"/a/-","value":1}"#,
        r#"{"op":"remove","path":"/a/00"}"#,
        r#"{"op":"add","path":"/s/0","value":1}"#,
    ] {
        fails(r#"{"a":[1,2],"s":"x"}"#, &second(op), Some(1), "nothing at");
    }
    for index in ["3", "01", "-1", "+1", "1e0", "x", ""] {
        let patch = second(&format!(r#"{{"op":"add","path":"/a/{index}","value":1}}"#));
        fails(r#"{"a":[1,2]}"#, &patch, Some(1), "place in the array");
    }
    fails(
        "{}",
        r#"[{"op":"remove","path":""}]"#,
        Some(0),
        "whole document",
    );
}

fn refuse_duplicate_op() {
    let patch = r#"[{"op":"add","path":"/baz","value":"qux","op":"remove"}]"#;
    fails(r#"{"foo":"bar"}"#, patch, None, "#/0/op");
}

#[test]
fn spelling_and_order_survive() {
    let target = r#"{ "z": 1.50, "b": 1E+2, "a": 12345678901234567890.10, "y": "\u00e9\/", "c": [ 1e131071 , -0 ] }"#;
    check(
        Merge,
        target,
        r#"{"b":null,"a":2.0}"#,
        r#"{"z":1.50,"a":2.0,"y":"\u00e9\/","c":[1e131071,-0]}"#,
    );
    let patch = r#"[{"op":"remove","path":"/z"},{"op":"replace","path":"/b","value":{"q":1.0, "p":2}},{"op":"add","path":"/c/0","value":7e0}]"#;
    let expected =
        r#"{"b":{"q":1.0,"p":2},"a":12345678901234567890.10,"y":"\u00e9\/","c":[7e0,1e131071,-0]}"#;
    check(JsonPatch, target, patch, expected);
    check(
        JsonPatch,
        r#"{"a":1,"b":2}"#,
        r#"[{"op":"add","path":"/a","value":3}]"#,
        r#"{"a":3,"b":2}"#,
    );
    check(
        JsonPatch,
        r#"{"a":1,"b":2}"#,
        r#"[{"op":"move","from":"/a","path":"/a"}]"#,
        r#"{"a":1,"b":2}"#,
    );
    check(
        JsonPatch,
        r#"{"a":{"x":[1]}}"#,
        r#"[{"op":"copy","from":"/a","path":"/b"},{"op":"add","path":"/b/x/0","value":0}]"#,
        r#"{"a":{"x":[1]},"b":{"x":[0,1]}}"#,
    );
    check(
        JsonPatch,
        "1",
        r#"[{"op":"replace","path":"","value":[2]},{"op":"add","path":"","value":3}]"#,
        "3",
    );
    check(
        JsonPatch,
        r#"{"":{"":1}}"#,
        r#"[{"op":"remove","path":"//"}]"#,
        r#"{"":{}}"#,
    );
}

#[test]
fn tests_compare_as_json() {
    let target = r#"{"a":1.0,"o":{"x":[1e2],"y":"\u0061"}}"#;
    let same = r#"{"op":"test","path":"/o","value":{"y":"a","x":[100.0]}},{"op":"test","path":"","value":{"o":{"x":[100],"y":"a"},"a":10e-1}}"#;
    assert!(apply(JsonPatch, target, &format!("[{same}]"), MAX).is_ok());
    let reached_in = format!(r#"[{{"op":"replace","path":"/o/x/0","value":100}},{same}]"#);
    assert!(apply(JsonPatch, target, &reached_in, MAX).is_ok());
    fails(
        target,
        r#"[{"op":"replace","path":"/o/x/0","value":5},{"op":"test","path":"/o","value":{"x":[6],"y":"a"}}]"#,
        Some(1),
        "not equal",
    );
    fails(
        target,
        r#"[{"op":"test","path":"/o","value":{"x":[100]}}]"#,
        Some(0),
        "not equal",
    );
}

#[test]
fn size_and_depth_are_bounded_on_the_way() {
    let double = r#"{"op":"copy","from":"","path":"/-"},"#.repeat(60);
    let failure = apply(
        JsonPatch,
        "[1]",
        &format!("[{}]", double.trim_end_matches(',')),
        MAX,
    )
    .unwrap_err();
    assert!(
        !failure.place.is_empty() && failure.detail.contains("grow over"),
        "{failure}"
    );
    let nest = r#"{"op":"copy","from":"","path":"/a"},"#.repeat(20_000);
    let failure = apply(
        JsonPatch,
        r#"{"a":1}"#,
        &format!("[{}]", nest.trim_end_matches(',')),
        MAX,
    )
    .unwrap_err();
    assert_eq!(
        (&*failure.place, failure.detail.contains("deeper")),
        ("/99", true),
        "{failure}"
    );
    let deep = format!("{}1{}", "[".repeat(99), "]".repeat(99));
    let moved = r#"[{"op":"move","from":"/a","path":"/b/c/d"}]"#;
    fails(
        &format!(r#"{{"a":{deep},"b":{{"c":{{}}}}}}"#),
        moved,
        Some(0),
        "deeper",
    );
    assert!(apply(Merge, "{}", r#"{"a":"bcd"}"#, 11).is_ok());
    assert!(
        apply(Merge, "{}", r#"{"a":"bcd"}"#, 10)
            .unwrap_err()
            .detail
            .contains("11 bytes")
    );
    check(
        JsonPatch,
        "[1]",
        r#"[{"op":"add","path":"/-","value":2}]"#,
        "[1,2]",
    );
    assert!(
        apply(
            JsonPatch,
            "[1]",
            r#"[{"op":"add","path":"/-","value":2}]"#,
            4
        )
        .is_err()
    );
    // Over the limit for a moment only.
    assert!(
        apply(
            JsonPatch,
            "[1]",
            r#"[{"op":"add","path":"/-","value":2},{"op":"remove","path":"/0"}]"#,
            6
        )
        .is_ok()
    );
}

#[test]
fn work_is_bounded() {
    let long = format!("[{}1]", "1,".repeat(500_000));
    let swap = r#"{"op":"move","from":"/0","path":"/-"},"#.repeat(20_000);
    fails(
        &long,
        &format!("[{}]", swap.trim_end_matches(',')),
        Some(267),
        "too much work",
    );
    let one = format!("[0.{}1e900001]", "0".repeat(900_000));
    let (one, mut cost) = (json::parse(one.as_bytes()).unwrap(), 0);
    assert!(Node::Source(&one).equals(&json::parse(b"[1]").unwrap(), &mut cost));
    assert_eq!(cost, one.text.len());
}

#[test]
fn shape_faults_are_all_named() {
    let rows = [
        ("{}", vec!["#"]),
        ("[]", vec![]),
        (r#"[1,{"op":"add","path":"/a","value":null}]"#, vec!["#/0"]),
        (r#"[{}]"#, vec!["#/0", "#/0"]),
        (
            r#"[{"op":"foo","path":"a"},{"op":1,"path":"/~2"},{"op":"add","path":"/~"}]"#,
            vec![
                "#/0/op", "#/0/path", "#/1/op", "#/1/path", "#/2/path", "#/2",
            ],
        ),
        (
            r#"[{"op":"add","path":""},{"op":"replace","path":""},{"op":"test","path":""}]"#,
            vec!["#/0", "#/1", "#/2"],
        ),
        (
            r#"[{"op":"move","path":"/a"},{"op":"copy","from":7,"path":"/a"}]"#,
            vec!["#/0", "#/1/from"],
        ),
        (
            r#"[{"op":"move","from":"/a","path":"/a/b"},{"op":"move","from":"/a","path":"/ab"}]"#,
            vec!["#/0/from"],
        ),
    ];
    for (patch, pointers) in rows {
        let json = json::parse(patch.as_bytes()).unwrap();
        let found: Vec<_> = check_shape(JsonPatch, &json, "#")
            .into_iter()
            .map(|fault| fault.pointer)
            .collect();
        assert_eq!(found, pointers, "{patch}");
    }
    let json = json::parse(b"[{}]").unwrap();
    assert_eq!(
        check_shape(JsonPatch, &json, "#/changes/3/body")[0].pointer,
        "#/changes/3/body/0"
    );
    let many = format!("[{}1]", "1,".repeat(400_000));
    assert_eq!(
        check_shape(JsonPatch, &json::parse(many.as_bytes()).unwrap(), "#").len(),
        100
    );
}
