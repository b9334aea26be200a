//! Acceptance, refusals with their pointers, equality, and properties against `serde_json`.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Json<'_> {
    parse(text.as_bytes()).unwrap()
}

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, pointer: &str, part: &str) {
    let fault = parse(bytes.as_ref()).unwrap_err();
    assert_eq!(fault.pointer, pointer, "{fault}");
    assert!(fault.detail.contains(part), "{fault} has no {part:?}");
}

#[test]
fn refusals_name_place_and_reason() {
    refused("", "#", "no JSON value");
    refused(" \n", "#", "no JSON value");
    refused("\u{feff}{}", "#", "byte order mark");
    refused(
        b"{\"a\":[1,\"x\xff\"]}",
        "#/a/1",
        "At byte 10: a byte that is not UTF-8",
    );
    refused(b"{}\xff", "#", "not UTF-8");
    refused(b"\xff", "#", "not UTF-8");
    refused(b"{\"a\xff\":1}", "#", "not UTF-8");
    refused("{\"a\":1} x", "#", "'x' instead of the end");
    refused("{\"a\":[1,]}", "#/a/1", "a JSON value");
    refused("{\"a\":1,}", "#", "member name");
    refused("{'a':1}", "#", "member name");
    refused("{\"a\" 1}", "#/a", "`:`");
    refused("{\"a\":{\"b\":[tru]}}", "#/a/b/0", "`true`");
    refused("[1", "#", "ends instead of `,` or `]`");
    refused("[\"a", "#/0", "closing");
    refused("[\"\u{1}\"]", "#/0", "control");
    refused("[\"\\x\"]", "#/0", "backslash");
    refused("[\"\\u12g4\"]", "#/0", "hexadecimal");
    refused("[NaN]", "#/0", "a JSON value");
    refused("[.5]", "#/0", "a JSON value");
    refused("[+1]", "#/0", "a JSON value");
    refused("[01]", "#/0", "zero");
    refused("[-]", "#/0", "a digit");
    refused("[1.]", "#/0", "a digit");
    refused("[1e]", "#/0", "a digit");
    refused("[1e+]", "#/0", "a digit");
    refused(
        "{\"a\":1,\"b\":2,\"\\u0061\":3}",
        "#/a",
        "At byte 13: the object has a member of this name",
    );
    refused(
        "{\"x~/\":[0,{\"é %\":01}]}",
        "#/x~0~1/1/%C3%A9%20%25",
        "zero",
    );
    refused("[\"a\\u0000\"]", "#/0", "At byte 3: `\\u0000`");
    refused("{\"k\":{\"\\u0000\":1}}", "#/k", "\\u0000");
    for half in [
        "\\ud800",
        "\\udc00",
        "\\ud800\\ud800",
        "\\ud800x",
        "\\udc00\\ud800",
        "\\ud800\\n",
    ] {
        refused(format!("[\"{half}\"]"), "#/0", "surrogate");
    }
    let many: String = (0..40).map(|n| format!("\"k{n}\":0,")).collect();
    refused(format!("{{{many}\"k3\":1}}"), "#/k3", "this name");
    refused(
        format!("{{\"{}\":{{\"b\":01}}}}", "a".repeat(9000)),
        "#",
        "zero",
    );
}

#[test]
fn depth_counts_from_one() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(nested(100).as_bytes()).is_ok());
    refused(nested(101), &format!("#{}", "/0".repeat(100)), "100 levels");
    refused(
        "[".repeat(1_000_000),
        &format!("#{}", "/0".repeat(100)),
        "100 levels",
    );
    let operation = |levels| format!("{{\"changes\":[{{\"body\":{}}}]}}", nested(levels));
    assert!(parse(operation(98).as_bytes()).is_err());
    assert!(parse_operation(operation(100).as_bytes()).is_ok());
    let fault = parse_operation(operation(101).as_bytes()).unwrap_err();
    assert_eq!(
        fault.pointer,
        format!("#/changes/0/body{}", "/0".repeat(100))
    );
    assert!(
        parse_operation(format!("{{\"change\":[{{\"body\":{}}}]}}", nested(98)).as_bytes())
            .is_err()
    );
    assert!(parse_operation(format!("{{\"x\":{}}}", nested(100)).as_bytes()).is_err());
}

/// Each row was asked of Postgres 15.
#[test]
fn numbers_as_jsonb_takes_them() {
    let zeros = |n| "0".repeat(n);
    let accepted = [
        "-0",
        "-0.0",
        "0.1e131072",
        "1e131071",
        "9.99e131071",
        "1e-16383",
        "1.0e-16382",
        "0e-16383",
        "0e1000000000",
        "0e1073741822",
        "1e00000000000000000000001",
        "0.00001e131076",
        "1e+0",
        "-1E-0",
    ];
    let long = [
        format!("0.{}1", zeros(16382)),
        format!("0.{}", zeros(16383)),
        format!("0.{}1e3617", zeros(19999)),
        format!("1{}", zeros(131_071)),
        format!("1{}e-16383", zeros(147_454)),
        format!("0.{}1e20000", zeros(19999)),
    ];
    for number in accepted.map(str::to_owned).iter().chain(&long) {
        assert!(parse(number.as_bytes()).is_ok(), "{number:.40}");
    }
    let refusals = [
        "1e131072",
        "0.1e131073",
        "10e131071",
        "1e-16384",
        "1.0e-16383",
        "10e-16384",
        "0e-16384",
        "0e1073741823",
        "0e-1073741823",
        "1e1000000000",
        "1e-1000000000",
        "1e99999999999999999999",
        "0e2147483648",
        "0.00001e131077",
    ];
    let long = [
        format!("0.{}", zeros(16384)),
        format!("0.{}1e3616", zeros(19999)),
        format!("1{}", zeros(131_072)),
        format!("1{}e-16383", zeros(147_455)),
    ];
    for number in refusals.map(str::to_owned).iter().chain(&long) {
        refused(format!("[1,{number}]"), "#/1", "the database cannot hold");
    }
}

#[test]
fn values_and_helpers() {
    let json = read(
        " {\"a\": [1, 3.0, 30e-1, -0.0, 3.5, 9223372036854775807, -9223372036854775808, 9223372036854775808, 1e400], \"\\u0062\": \"\\ud83d\\ude00\\/\\n\" , \"c\":null}",
    );
    let integers: Vec<_> = json
        .get("a")
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(Json::as_integer)
        .collect();
    let expected = [
        Some(1),
        Some(3),
        Some(3),
        Some(0),
        None,
        Some(i64::MAX),
        Some(i64::MIN),
        None,
        None,
    ];
    assert_eq!(integers, expected);
    assert_eq!(json.get("b").unwrap().as_str(), Some("😀/\n"));
    assert_eq!(json.get("b").unwrap().text, "\"\\ud83d\\ude00\\/\\n\"");
    assert!(json.text.starts_with('{') && json.text.ends_with('}'));
    assert!(
        json.get("d").is_none()
            && json.as_integer().is_none()
            && json.as_object().unwrap().len() == 3
    );
}

#[test]
fn equality_and_digest() {
    let classes = [
        vec!["1", "1.0", "10e-1", "1E0", "1e+00", "0.1e1", "0.00100e3"],
        vec!["0", "-0", "0.00", "0e5", "-0E-3"],
        vec!["-1", "-1.0"],
        vec!["1e131071", "10e131070", "0.1e131072"],
        vec!["100", "1e2", "1.00e2"],
        vec!["1001", "1.001e3"],
        vec!["0.1", "1e-1"],
        vec!["\"1\"", "\"\\u0031\""],
        vec!["\"\\u00e9\\n\"", "\"é\\u000A\""],
        vec![
            "{\"a\":1,\"b\":[2,{}]}",
            " { \"b\" : [ 2.0 , { } ] , \"\\u0061\" : 1e0 } ",
        ],
        vec!["{\"a\":1,\"c\":[2,{}]}"],
        vec!["[1,2]"],
        vec!["[2,1]"],
        vec!["[]"],
        vec!["{}"],
        vec!["null"],
        vec!["true"],
        vec!["false"],
        vec!["\"\""],
        vec!["[[1],2]"],
        vec!["[[1,2]]"],
    ];
    let rows: Vec<_> = classes
        .iter()
        .enumerate()
        .flat_map(|(n, class)| class.iter().map(move |text| (n, text)))
        .collect();
    for (m, a) in &rows {
        for (n, b) in &rows {
            assert_eq!(equal(&read(a), &read(b)), m == n, "{a} {b}");
            assert_eq!(
                canonical_digest(&read(a)) == canonical_digest(&read(b)),
                m == n,
                "{a} {b}"
            );
        }
    }
}

/// A value with its text in one of many spellings.
fn spelled(value: &serde_json::Value, seed: u64) -> String {
    let gap = ["", " ", "\n\t"][usize::try_from(seed % 3).unwrap()];
    let next = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407)
        >> 3;
    match value {
        serde_json::Value::Array(elements) => {
            let parts: Vec<_> = elements
                .iter()
                .map(|element| spelled(element, next))
                .collect();
            format!("[{gap}{}{gap}]", parts.join(&format!("{gap},{gap}")))
        }
        serde_json::Value::Object(members) => {
            let member = |(name, value): (&String, _)| {
                format!("{}{gap}:{gap}{}", escaped(name, next), spelled(value, next))
            };
            let mut parts: Vec<_> = members.iter().map(member).collect();
            if next.is_multiple_of(2) {
                parts.reverse();
            }
            format!("{{{gap}{}{gap}}}", parts.join(","))
        }
        serde_json::Value::Number(number) => match next % 4 {
            0 => format!("{number}.000"),
            1 => format!("{number}0e-1"),
            2 => format!("{number}E+00"),
            _ => number.to_string(),
        },
        serde_json::Value::String(string) => escaped(string, next),
        other => other.to_string(),
    }
}

fn escaped(string: &str, seed: u64) -> String {
    if seed.is_multiple_of(2) {
        return serde_json::Value::String(string.to_owned()).to_string();
    }
    format!(
        "\"{}\"",
        string
            .encode_utf16()
            .map(|unit| format!("\\u{unit:04X}"))
            .collect::<String>()
    )
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let scalar = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "[^\\x00]{0,6}".prop_map(Into::into),
    ];
    scalar.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec(("[^\\x00]{0,3}", inner), 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// The value as `serde_json` has it.
fn converted(json: &Json<'_>) -> serde_json::Value {
    match &json.kind {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool(bool) => (*bool).into(),
        Kind::Number => serde_json::from_str(json.text).unwrap(),
        Kind::String(string) => string.as_ref().into(),
        Kind::Array(elements) => elements.iter().map(converted).collect::<Vec<_>>().into(),
        Kind::Object(members) => members
            .iter()
            .map(|(name, value)| (name.to_string(), converted(value)))
            .collect(),
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_json(value in value(), seed: u64) {
        let text = spelled(&value, seed);
        let json = read(&text);
        prop_assert_eq!(converted(&json), serde_json::from_str::<serde_json::Value>(&text).unwrap());
        let mut compact = Vec::new();
        write_compact(&json, &mut compact);
        prop_assert_eq!(converted(&parse(&compact).unwrap()), converted(&json));
    }

    #[test]
    fn digest_disregards_spelling(value in value(), one: u64, other: u64) {
        let (one, other) = (spelled(&value, one), spelled(&value, other));
        prop_assert_eq!(canonical_digest(&read(&one)), canonical_digest(&read(&other)));
        prop_assert!(equal(&read(&one), &read(&other)));
        let mut canonical = Vec::new();
        write_canonical(&read(&one), &mut canonical);
        prop_assert!(equal(&parse(&canonical).unwrap(), &read(&other)));
    }

    #[test]
    fn digest_agrees_with_equal(a in value(), b in value()) {
        let (a, b) = (a.to_string(), b.to_string());
        prop_assert_eq!(equal(&read(&a), &read(&b)), canonical_digest(&read(&a)) == canonical_digest(&read(&b)));
    }

    #[test]
    fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if parse(&bytes).is_ok() {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
        let _ = parse_operation(&bytes);
    }

    #[test]
    fn near_json_is_judged_as_by_serde_json(text in r#"[\[\]{}",:0-9eE.+\- \\utrlnas]{0,14}"#) {
        match (parse(text.as_bytes()), serde_json::from_str::<serde_json::Value>(&text)) {
            (Ok(json), reference) => prop_assert_eq!(converted(&json), reference.unwrap()),
            (Err(fault), reference) => {
                let narrower = ["this name", "\\u0000", "surrogate", "database"].iter().any(|part| fault.detail.contains(part));
                prop_assert!(reference.is_err() || narrower, "{} {}", text, fault);
            }
        }
    }
}
