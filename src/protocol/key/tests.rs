//! Which fields are which key.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn parse(lines: &[&[u8]]) -> Result<Option<RequestKey>, Problem> {
    RequestKey::parse(lines, &[], &[])
}

#[track_caller]
fn check(line: &[u8], expected: &str) {
    let key = parse(&[line]).unwrap().unwrap();
    assert_eq!(&*key.name.text, expected, "{line:?}");
    assert_eq!((&*key.name.principal, key.first_sent), ("", None));
}

#[track_caller]
fn check_refused(found: Result<Option<RequestKey>, Problem>) {
    let problem = found.unwrap_err();
    assert_eq!(problem.slug, Slug::MalformedRequest, "{problem:?}");
}

#[test]
fn quoted_and_bare_are_one_key() {
    for line in [
        b"k-1".as_slice(),
        b"\"k-1\"",
        b" \tk-1 ",
        b"\"k-1\" ",
        b"\"k-1\";a=1;b",
    ] {
        check(line, "k-1");
    }
    check(br#""a\"b\\c, d;e""#, r#"a"b\c, d;e"#);
    check(
        b"8e03978e-40d5-43e8-bc93-6894a57f9324",
        "8e03978e-40d5-43e8-bc93-6894a57f9324",
    );
    // What other types of structured fields look like is a bare key here.
    for bare in ["1", "?1", "@1", ":YQ==:", "(a)", "a=b", "A/b+c="] {
        check(bare.as_bytes(), bare);
    }
}

#[test]
fn a_key_has_1_to_255_characters() {
    for (length, right) in [(0, false), (1, true), (255, true), (256, false)] {
        let text = "k".repeat(length);
        for line in [text.clone(), format!("\"{text}\"")] {
            assert_eq!(parse(&[line.as_bytes()]).is_ok(), right, "{length}");
        }
    }
    // Two bytes, one character.
    check(
        format!("\"{}\"", "\\\\".repeat(255)).as_bytes(),
        &"\\".repeat(255),
    );
}

#[test]
fn what_is_no_one_key_is_refused() {
    for line in [
        b"".as_slice(),
        b" ",
        b"\"k",
        b"k\"",
        b"\"k\"x",
        b"\"k\", \"l\"",
        b"k, l",
        b"k,l",
        b"k;a",
        b"k l",
        b"k\\",
        br#""k\l""#,
        b"\"k\tl\"",
        b"\xff",
        b"\"\xc3\xa9\"",
        "\u{e9}".as_bytes(),
    ] {
        check_refused(parse(&[line]));
    }
    check_refused(parse(&[b"k", b"k"]));
    assert_eq!(parse(&[]).unwrap(), None);
}

const ID: &[u8] = b"112A3A3E-F94C-4F56-B49B-5AAB3D97E5B7";
const DATE: &[u8] = b"Tue, 26 Mar 2019 16:06:51 GMT";

#[test]
fn a_repeatable_request_has_two_fields() {
    let key = RequestKey::parse(&[], &[ID], &[DATE]).unwrap().unwrap();
    assert_eq!(&*key.name.text, "112a3a3e-f94c-4f56-b49b-5aab3d97e5b7");
    let sent = key.first_sent.unwrap();
    assert_eq!(sent.to_string(), "2019-03-26T16:06:51.000000Z");
    let same = parse(&[b"112a3a3e-f94c-4f56-b49b-5aab3d97e5b7"])
        .unwrap()
        .unwrap();
    assert_eq!(key.name, same.name, "another name of the same thing");
    type Lines<'a> = &'a [&'a [u8]];
    let wrong: [(Lines<'_>, Lines<'_>, Lines<'_>); 13] = [
        (&[], &[ID], &[]),
        (&[], &[], &[DATE]),
        (&[], &[ID, ID], &[DATE]),
        (&[], &[ID], &[DATE, DATE]),
        (&[b"k"], &[ID], &[DATE]),
        (&[b"k"], &[ID], &[]),
        (&[b"k"], &[], &[DATE]),
        (&[], &[b"k"], &[DATE]),
        (&[], &[b"112a3a3ef94c4f56b49b5aab3d97e5b7"], &[DATE]),
        (&[], &[b"\"112a3a3e-f94c-4f56-b49b-5aab3d97e5b7\""], &[DATE]),
        (&[], &[ID], &[b"Tuesday, 26-Mar-19 16:06:51 GMT"]),
        (&[], &[ID], &[b"Mon, 26 Mar 2019 16:06:51 GMT"]),
        (&[], &[ID], &[b"2019-03-26T16:06:51Z"]),
    ];
    for (key, id, date) in wrong {
        check_refused(RequestKey::parse(key, id, date));
    }
}

#[test]
fn a_uuid_of_version_7_tells_when_it_was_made() {
    let made_at = |text: &str| parse(&[text.as_bytes()]).unwrap().unwrap().name.made_at();
    let made = made_at("01980d6a-7b3c-7abc-8def-0123456789ab").unwrap();
    assert_eq!(made.micros(), 0x0198_0d6a_7b3c * 1000);
    for other in [
        "k",
        "01980d6a-7b3c-4abc-8def-0123456789ab",
        "01980d6a7b3c7abc8def0123456789ab",
    ] {
        assert_eq!(made_at(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn a_key_survives_its_quotes(text in "[ -~]{1,255}", noise in any::<Vec<u8>>()) {
        let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let key = parse(&[quoted.as_bytes()]).unwrap().unwrap();
        prop_assert_eq!(&*key.name.text, &*text);
        if let Ok(Some(bare)) = parse(&[text.as_bytes()]) && !text.starts_with('"') {
            prop_assert_eq!(&*bare.name.text, text.trim_matches([' ', '\t']));
        }
        let _ = (parse(&[&noise]), RequestKey::parse(&[], &[&noise], &[&noise]));
    }
}
