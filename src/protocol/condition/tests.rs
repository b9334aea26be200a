//! Conditions: the grammar of lists, and the order of judgement.

#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";
const SECONDS: i64 = 784_111_777;

#[track_caller]
fn parses(lines: &[&[u8]], canonical: &str) {
    assert_eq!(TagList::parse(lines).unwrap().canonical(), canonical);
}

#[test]
fn lists_are_read_as_the_rfc_writes_them() {
    parses(&[b" * "], "*");
    parses(&[b"\"*\""], "\"*\"");
    parses(&[b"\"\""], "\"\"");
    parses(
        &[b",\t\"a\" ,, W/\"b,c\",", b"", b"\"\\\",\"!~\""],
        "\"a\", W/\"b,c\", \"\\\", \"!~\"",
    );
    parses(&[b"\"a\xff\""], "\"a\u{ff}\"");
}

#[test]
fn what_does_not_parse_is_a_fault_that_shows_a_right_line() {
    #[rustfmt::skip]
    let faulty: [&[&[u8]]; 19] = [
        &[], &[b""], &[b" , "], &[b"*", b"*"], &[b"*,"], &[b"*", b""], &[b"\"a\", *"],
        &[b"**"], &[b"a"], &[b"\"a"], &[b"a\""], &[b"w/\"a\""], &[b"W/ \"a\""], &[b"W/a"],
        &[b"\"a\" \"b\""], &[b"\"a b\""], &[b"\"\x7f\""], &[b"\"a", b"b\""], &[b"'a'"],
    ];
    for lines in faulty {
        let text = TagList::parse_field("If-None-Match", lines)
            .unwrap_err()
            .to_string();
        assert!(text.contains("`If-None-Match: \"3."), "{lines:?}: {text}");
    }
    let detail = TagList::parse_change("a b").unwrap_err().detail;
    assert!(detail.contains("\"if_match\": \"*\""));
}

#[test]
fn a_change_may_name_one_bare_tag() {
    for (text, canonical) in [
        ("3.9b", "\"3.9b\""),
        (" a_-Z ", "\"a_-Z\""),
        ("*", "*"),
        ("W/\"é\"", "W/\"é\""),
    ] {
        assert_eq!(TagList::parse_change(text).unwrap().canonical(), canonical);
    }
    for bad in ["", "a, b", "a, \"b\"", "a+b", "W/a", "é", "\n"] {
        assert!(TagList::parse_change(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_write_rule_wants_a_state_named() {
    for good in [
        ["*", "", "", ""],
        ["W/\"a\"", "", "", ""],
        ["", "*", "", ""],
    ] {
        assert!(conditions(good).satisfies_write_rule(), "{good:?}");
    }
    let date = std::str::from_utf8(DATE).unwrap();
    for bad in [["", "\"*\"", "", ""], ["", "", date, date]] {
        assert!(!conditions(bad).satisfies_write_rule(), "{bad:?}");
    }
}

/// Parses the four fields, an empty one being absent.
#[track_caller]
fn conditions(fields: [&str; 4]) -> Conditions {
    let lines =
        fields.map(|field| Vec::from_iter(Some(field.as_bytes()).filter(|f| !f.is_empty())));
    Conditions::parse(&lines[0], &lines[1], &lines[2], &lines[3]).unwrap()
}

#[test]
fn conditions_are_judged_in_the_rfcs_order() {
    use Judgement::*;
    let same = std::str::from_utf8(DATE).unwrap();
    let before = "Sun, 06 Nov 1994 08:49:36 GMT";
    let (tag, modified) = (&EntityTag::strong("a"), Some(SECONDS));
    let present = Selected::Present { tag, modified };
    let stale = IfMatchFalse { weak: false };
    let weak = IfMatchFalse { weak: true };
    #[rustfmt::skip]
    let table = [
        (["", "", "", ""], [Holds, Holds, Holds]),
        (["*", "", "", ""], [stale, Holds, Holds]),
        (["\"b\", \"a\"", "", before, ""], [stale, Holds, Holds]),
        (["\"b\"", "*", before, before], [stale, stale, stale]),
        (["\"*\"", "", "", ""], [stale, stale, stale]),
        (["W/\"a\"", "", "", ""], [weak, weak, weak]),
        (["W/\"a\", \"a\"", "", "", ""], [weak, Holds, Holds]),
        (["", "", before, ""], [Holds, UnmodifiedSinceFalse, UnmodifiedSinceFalse]),
        (["", "\"a\"", before, ""], [Holds, UnmodifiedSinceFalse, UnmodifiedSinceFalse]),
        (["", "", same, ""], [Holds, Holds, Holds]),
        (["", "*", "", ""], [Holds, IfNoneMatchFalse, IfNoneMatchFalse]),
        (["\"a\"", "W/\"a\"", "", ""], [stale, IfNoneMatchFalse, IfNoneMatchFalse]),
        (["", "\"b\"", "", same], [Holds, Holds, Holds]),
        (["", "", "", same], [Holds, Holds, ModifiedSinceFalse]),
        (["", "", "", before], [Holds, Holds, Holds]),
        (["", "", "yesterday", "yesterday"], [Holds, Holds, Holds]),
    ];
    for (fields, expected) in table {
        let read = conditions(fields);
        let [absent, write] = [Selected::Absent, present].map(|at| read.judge_write(at));
        assert_eq!(
            [absent, write, read.judge_read(present)],
            expected,
            "{fields:?}"
        );
    }
}

#[test]
fn dates_that_cannot_be_judged_are_ignored() {
    let repeated = Conditions::parse(&[], &[], &[DATE, DATE], &[DATE]).unwrap();
    assert_eq!(repeated.if_unmodified_since, None);
    assert_eq!(repeated.if_modified_since, Some(SECONDS));
    let date = std::str::from_utf8(DATE).unwrap();
    let (tag, modified) = (&EntityTag::weak("a"), None);
    let undated = Selected::Present { tag, modified };
    assert_eq!(
        conditions(["", "", date, date]).judge_read(undated),
        Judgement::Holds
    );
    let list = TagList::parse(&[b"\"a\", W/\"a\""]).unwrap();
    assert!(!list.strong_holds(undated) && list.weak_holds(undated));
    assert!(list.has_strong_or_star() && TagList::Star.has_strong_or_star());
    assert!(!TagList::parse(&[b"W/\"a\""]).unwrap().has_strong_or_star());
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in any::<Vec<u8>>(), text in any::<String>(), near in "[*W/\", a\\\\é]{0,16}") {
        for line in [bytes.as_slice(), near.as_bytes()] {
            let _ = Conditions::parse(&[line], &[line, line], &[line], &[line]);
        }
        for text in [&text, &near] {
            if let Ok(list) = TagList::parse_change(text) {
                prop_assert_eq!(TagList::parse_change(&list.canonical()), Ok(list));
            }
        }
    }

    #[test]
    fn lists_survive_canonical_and_parse(tags in prop::collection::vec((any::<bool>(), "[!#-~é]{0,70}"), 1..5)) {
        let tags = tags.iter().map(|(weak, text)| ClientTag::new(*weak, text.as_bytes())).collect();
        let list = TagList::Tags(tags);
        prop_assert_eq!(TagList::parse(&[list.canonical().as_bytes()]), Ok(list));
    }
}
