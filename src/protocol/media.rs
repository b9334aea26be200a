//! Media types: what content is said to be (`Content-Type`), and what a client would take (`Accept`, RFC 9110 §12.5.1).
//!
//! Reading `Accept` is lenient: it only ever decides between an answer and `406`. This module must not know which representations
//! there are, nor status codes.

use mime::Mime;

use super::limits::MEDIA_TYPE_BYTES_MAX;

/// A media type with its parameters, as a client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    mime: Mime,
    text: String,
}

impl ContentType {
    /// Parses the value of a `Content-Type`, or the `content_type` of a change. `None` if it is no media type (RFC 9110 §8.3.1), a
    /// range, not printable ASCII, or over [`MEDIA_TYPE_BYTES_MAX`]: it is stored and sent back, so it must be fit for a header.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim_matches([' ', '\t']);
        if text.len() > MEDIA_TYPE_BYTES_MAX
            || !text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
        {
            return None;
        }
        // The crate takes neither white space before a semicolon nor empty parameters, both of which the RFC allows.
        let parts: Vec<&str> = split_unquoted(text, ';');
        let filled: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        if text.starts_with(';') {
            return None;
        }
        let mime: Mime = filled.join(";").parse().ok()?;
        // Nor does it mind an empty subtype, which the RFC does not allow.
        let range = [mime.type_(), mime.subtype()]
            .iter()
            .any(|part| *part == mime::STAR || *part == "");
        (!range).then(|| Self {
            mime,
            text: text.to_owned(),
        })
    }

    /// As it was received, without white space around it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Type and subtype in lower case, without parameters.
    pub fn essence(&self) -> &str {
        self.mime.essence_str()
    }

    /// Whether it is `application/json` or `application/*+json`, in UTF-8 (RFC 8259 §8.1).
    pub fn is_json(&self) -> bool {
        is_json_essence(self.essence()) && self.is_utf8()
    }

    /// Whether it is a JSON Merge Patch (RFC 7396).
    pub fn is_merge_patch(&self) -> bool {
        self.essence() == "application/merge-patch+json" && self.is_utf8()
    }

    /// Whether it is a JSON Patch (RFC 6902).
    pub fn is_json_patch(&self) -> bool {
        self.essence() == "application/json-patch+json" && self.is_utf8()
    }

    /// Whether it is an increment, a type of our own (contract §4).
    pub fn is_increment(&self) -> bool {
        self.essence() == "application/vnd.ifmatch.increment+json" && self.is_utf8()
    }

    fn is_utf8(&self) -> bool {
        self.mime
            .params()
            .filter(|(name, _)| *name == mime::CHARSET)
            .all(|(_, value)| value.as_str().eq_ignore_ascii_case("utf-8"))
    }
}

/// Whether a type and subtype in lower case are JSON (RFC 6839 §3.1).
fn is_json_essence(essence: &str) -> bool {
    match essence.strip_prefix("application/") {
        Some("json") => true,
        Some(subtype) => subtype
            .strip_suffix("+json")
            .is_some_and(|name| !name.is_empty()),
        None => false,
    }
}

/// One media range of an `Accept`.
struct Range {
    /// Type and subtype in lower case, either of which may be `*`.
    essence: String,
    /// Whether it has parameters other than its weight.
    narrowed: bool,
    /// Whether its weight is 0: not acceptable.
    refused: bool,
}

impl Range {
    fn parse(element: &str) -> Option<Self> {
        let mut parts = split_unquoted(element, ';').into_iter();
        let mime: Mime = parts.next()?.parse().ok()?;
        let mut range = Self {
            essence: mime.essence_str().to_ascii_lowercase(),
            narrowed: false,
            refused: false,
        };
        for part in parts.filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((name, weight)) if name.trim().eq_ignore_ascii_case("q") => {
                    range.refused = is_zero(weight.trim())
                }
                _ => range.narrowed = true,
            }
        }
        // What is refused with parameters is not what we have, which has none.
        (!(range.narrowed && range.refused)).then_some(range)
    }
}

/// Whether a weight is 0, 0.0, 0.00 or 0.000 (RFC 9110 §12.4.2).
fn is_zero(weight: &str) -> bool {
    weight.starts_with('0') && weight.bytes().all(|byte| matches!(byte, b'0' | b'.'))
}

/// The ranges of all lines; what does not parse is left out.
fn ranges_read(lines: &[&[u8]]) -> Vec<Range> {
    let texts = lines
        .iter()
        .filter_map(|line| std::str::from_utf8(line).ok());
    texts
        .flat_map(|text| split_unquoted(text, ','))
        .filter_map(Range::parse)
        .collect()
}

/// Whether the client takes what the ranges of one precedence say; `None` if there are none.
fn verdict(ranges: &[Range], matches: impl Fn(&str) -> bool) -> Option<bool> {
    let matching: Vec<&Range> = ranges
        .iter()
        .filter(|range| matches(&range.essence))
        .collect();
    (!matching.is_empty()).then(|| matching.iter().any(|range| !range.refused))
}

/// Whether the lines of an `Accept` allow a representation of this type, such as `application/yaml`, which must be in lower case.
///
/// The most specific range counts, a weight of 0 excludes. No line, or none that can be read: everything is acceptable.
pub fn accepts(lines: &[&[u8]], essence: &str) -> bool {
    let ranges = ranges_read(lines);
    let family = format!(
        "{}/*",
        essence.split_once('/').map_or(essence, |(kind, _)| kind)
    );
    ranges.is_empty()
        || verdict(&ranges, |range| range == essence)
            .or_else(|| verdict(&ranges, |range| range == family))
            .or_else(|| verdict(&ranges, |range| range == "*/*"))
            .unwrap_or(false)
}

/// Whether the lines of an `Accept` allow JSON. Whoever takes any JSON type is content with any other; else as [`accepts`].
pub fn accepts_json(lines: &[&[u8]]) -> bool {
    let ranges = ranges_read(lines);
    ranges
        .iter()
        .any(|range| is_json_essence(&range.essence) && !range.refused)
        || accepts(lines, "application/json")
}

/// Splits at a separator, but not within quoted strings (RFC 9110 §5.6.4), and trims the white space around the parts.
pub(super) fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|character: char| {
        let literal = std::mem::take(&mut escaped);
        match character {
            '"' if !literal => quoted = !quoted,
            '\\' if quoted && !literal => escaped = true,
            _ => return character == separator && !quoted,
        }
        false
    })
    .map(|part| part.trim_matches([' ', '\t']))
    .collect()
}

/// The content of a token or a quoted string, escapes resolved; `None` if it is neither.
pub(super) fn unquote(word: &str) -> Option<String> {
    let Some(opening) = word.strip_prefix('"') else {
        return (!word.contains(['"', ' ', '\t'])).then(|| word.to_owned());
    };
    let (mut content, mut characters) = (String::new(), opening.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => return characters.as_str().is_empty().then_some(content),
            '\\' => content.push(characters.next()?),
            other => content.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Option<ContentType> {
        ContentType::parse(text.as_bytes())
    }

    #[test]
    fn json_types_are_told_from_others() {
        for json in [
            "application/json",
            " Application/JSON\t",
            "application/json;charset=UTF-8",
            "application/json ; charset=\"utf-8\" ;",
            "application/vnd.a.b+json; profile=\"x;y\"",
            "application/ld+json;;a=b",
        ] {
            assert!(parse(json).unwrap().is_json(), "{json}");
        }
        for other in [
            "text/json",
            "application/jsonx",
            "application/+json",
            "application/xml",
            "application/json;charset=latin1",
        ] {
            assert!(!parse(other).unwrap().is_json(), "{other}");
        }
        let two = "application/json; charset=utf-8; charset=latin1";
        assert!(!parse(two).unwrap().is_json());
        assert!(
            parse("application/merge-patch+json")
                .unwrap()
                .is_merge_patch()
        );
        assert!(
            parse("application/JSON-patch+json; charset=utf-8")
                .unwrap()
                .is_json_patch()
        );
        assert!(!parse("application/json").unwrap().is_merge_patch());
        let increment = "Application/vnd.ifmatch.Increment+json";
        assert!(parse(increment).unwrap().is_increment());
        let latin = format!("{increment}; charset=latin1");
        assert!(!parse(&latin).unwrap().is_increment());
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        let long = format!("application/json;a={}", "b".repeat(MEDIA_TYPE_BYTES_MAX));
        for bad in [
            "",
            ";",
            "json",
            "application/",
            "/json",
            "application json",
            "*/*",
            "application/*",
            "application/*+json",
            ";a/b",
            "a/b;\nc=d",
            "a/b;c=\"\u{e9}\"",
            "a/b;c",
            &long,
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        let kept = parse(" Application/JSON ; Charset=UTF-8 ").unwrap();
        assert_eq!(
            (kept.text(), kept.essence()),
            ("Application/JSON ; Charset=UTF-8", "application/json")
        );
    }

    #[test]
    fn accept_is_judged_by_the_most_specific_range() {
        for (line, json, yaml) in [
            ("*/*", true, true),
            ("", true, true),
            ("nonsense", true, true),
            ("application/json", true, false),
            ("Application/JSON;q=0.1", true, false),
            ("application/vnd.other+json", true, false),
            ("application/problem+json, text/html", true, false),
            ("application/*", true, true),
            ("text/html", false, false),
            ("text/html, */*;q=0.1", true, true),
            ("*/*;q=0", false, false),
            ("application/json;q=0, */*", false, true),
            ("application/json; q=0.000, application/*", false, true),
            ("application/*;q=0, */*", false, false),
            ("application/vnd.a+json;q=0, */*", true, true),
            ("application/json;v=2;q=0, */*", true, true),
            ("application/json;v=\"a,b\"", true, false),
            ("application/yaml;q=0.001,text/*", false, true),
            ("application/json;q=0,application/yaml", false, true),
            ("text/html;a=\"application/json,\"", false, false),
        ] {
            let lines = [line.as_bytes()];
            assert_eq!(
                (accepts_json(&lines), accepts(&lines, "application/yaml")),
                (json, yaml),
                "{line}"
            );
        }
        assert!(accepts_json(&[]) && accepts(&[], "text/html") && accepts_json(&[b"\xff"]));
        assert!(accepts_json(&[b"text/html", b"application/json"]));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(line in any::<Vec<u8>>(), text in any::<String>(), near in "[a*]/[a*+]{1,3}[;=,q0.\" \\\\a]{0,12}") {
            for line in [line.as_slice(), text.as_bytes(), near.as_bytes()] {
                let _ = accepts_json(&[line]);
                let _ = accepts(&[line], &text);
                if let Some(read) = ContentType::parse(line) {
                    let _ = (read.is_json(), read.is_merge_patch(), read.is_json_patch(), read.essence());
                    prop_assert_eq!(ContentType::parse(read.text().as_bytes()), Some(read));
                }
            }
            let _ = unquote(&text);
        }

        #[test]
        fn a_type_survives(subtype in "[a-z]{1,9}(\\+json)?", value in "[a-z0-9]{1,9}") {
            let text = format!("application/{subtype}; a=\"{value},;\"; b={value}");
            let read = parse(&text).unwrap();
            prop_assert_eq!(read.text(), text.as_str());
            prop_assert_eq!(read.essence(), format!("application/{subtype}"));
        }
    }
}
