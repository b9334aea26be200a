//! The query of a URI (contract §2): known parameters only, each decoded exactly once.
//!
//! A plus sign is a space, as form encoders write it, but in `key`, `prefix` and `after`, where no
//! space can be. What parameters mean is not known here.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::call::Call;
use crate::protocol::limits::{LIST_KEYS_MAX, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX};
use crate::protocol::name::decode_once;
use crate::protocol::problem::{Problem, Slug};

/// What RFC 3986 leaves unreserved, and the slash, stays as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The parameters of one request, in the order they came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Reads the query of a request that takes the parameters `known` and no others.
    ///
    /// # Errors
    /// `malformed-request` for a parameter that is unknown, given too often, or not decodable.
    pub(super) fn of(call: &Call, known: &[&str]) -> Result<Self, Problem> {
        Self::parse(call.request.uri().query().unwrap_or_default(), known)
    }

    fn parse(raw: &str, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for piece in raw.split('&').filter(|piece| !piece.is_empty()) {
            let (raw_name, raw_value) = piece.split_once('=').unwrap_or((piece, ""));
            let name = decode(raw_name, true).ok_or_else(|| undecodable(piece))?;
            if !known.contains(&name.as_str()) {
                return Err(unknown(&name, known));
            }
            let plus_is_space = !matches!(name.as_str(), "key" | "prefix" | "after");
            let value = decode(raw_value, plus_is_space).ok_or_else(|| undecodable(piece))?;
            let times = pairs.iter().filter(|(other, _)| *other == name).count();
            if times >= if name == "key" { LIST_KEYS_MAX } else { 1 } {
                let often = if name == "key" {
                    "at most 100 times"
                } else {
                    "once"
                };
                return Err(refused(&name, &format!("give it {often}")));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter that can be given once.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// How many items the client wants, of at most 1000; 100 where it does not say.
    ///
    /// # Errors
    /// `malformed-request` for anything else.
    pub(super) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else {
            return Ok(usize::try_from(LIST_LIMIT_DEFAULT).unwrap_or(usize::MAX));
        };
        Some(text)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<i64>().ok())
            .filter(|limit| (1..=LIST_LIMIT_MAX).contains(limit))
            .and_then(|limit| usize::try_from(limit).ok())
            .ok_or_else(|| refused("limit", "give a whole number from 1 to 1000"))
    }

    /// The same parameters, with another `after`, on the same path: the next page.
    pub(super) fn next_page(&self, path: &str, after: &str) -> String {
        let mut uri = format!("{path}?");
        for (name, value) in self.pairs.iter().filter(|(name, _)| name != "after") {
            uri.push_str(&format!("{name}={}&", utf8_percent_encode(value, ENCODED)));
        }
        uri.push_str("after=");
        uri.push_str(after);
        uri
    }
}

/// The problem of a parameter that does not have its form; `right` is what to do.
pub(super) fn refused(name: &str, right: &str) -> Problem {
    Problem::new(
        Slug::MalformedRequest,
        format!("The query parameter {name} cannot be taken: {right}."),
    )
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let known = if known.is_empty() {
        "none".to_owned()
    } else {
        known.join(", ")
    };
    Problem::new(
        Slug::MalformedRequest,
        format!("There is no query parameter {name:?} here. Known are: {known}."),
    )
}

fn undecodable(piece: &str) -> Problem {
    let detail = format!(
        "The query parameter {piece:?} is not percent-encoded UTF-8. Encode it as RFC 3986 §2.1 says."
    );
    Problem::new(Slug::MalformedRequest, detail)
}

fn decode(raw: &str, plus_is_space: bool) -> Option<String> {
    if plus_is_space && raw.contains('+') {
        return decode_once(&raw.replace('+', " ")).map(|text| text.into_owned());
    }
    decode_once(raw).map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const KNOWN: [&str; 5] = ["limit", "after", "prefix", "key", "reference"];

    #[track_caller]
    fn check(raw: &str, expected: Option<&[(&str, &str)]>) {
        let read = Query::parse(raw, &KNOWN).ok().map(|query| query.pairs);
        let expected = expected.map(|pairs| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect::<Vec<_>>()
        });
        assert_eq!(read, expected, "{raw}");
    }

    #[test]
    fn parameters_are_decoded_exactly_once() {
        check("", Some(&[]));
        check("limit=5&&", Some(&[("limit", "5")]));
        check("reference=a+b%2Bc", Some(&[("reference", "a b+c")]));
        check("key=a+b&key=%2561", Some(&[("key", "a+b"), ("key", "%61")]));
        check("%6cimit=1", Some(&[("limit", "1")]));
        check("reference=a=b", Some(&[("reference", "a=b")]));
        check("reference", Some(&[("reference", "")]));
    }

    #[test]
    fn what_is_unknown_repeated_or_ill_formed_is_refused() {
        for raw in [
            "x=1",
            "limit=1&limit=1",
            "limit=%zz",
            "limit=%",
            "reference=%ff",
            "Limit=1",
            "prefix=a&prefix=b",
        ] {
            check(raw, None);
        }
        assert!(Query::parse(&"key=a&".repeat(100), &KNOWN).is_ok());
        assert!(Query::parse(&"key=a&".repeat(101), &KNOWN).is_err());
        assert!(Query::parse("limit=1", &[]).is_err());
    }

    #[test]
    fn a_limit_is_from_1_to_1000() {
        for (raw, expected) in [
            ("", Some(100)),
            ("limit=1", Some(1)),
            ("limit=1000", Some(1000)),
            ("limit=0", None),
            ("limit=1001", None),
        ] {
            assert_eq!(
                Query::parse(raw, &KNOWN).unwrap().limit().ok(),
                expected,
                "{raw}"
            );
        }
        for raw in [
            "limit=",
            "limit=%2B5",
            "limit=+5",
            "limit=-1",
            "limit=1e2",
            "limit=99999999999999999999",
        ] {
            assert!(Query::parse(raw, &KNOWN).unwrap().limit().is_err(), "{raw}");
        }
    }

    #[test]
    fn the_next_page_repeats_the_other_parameters() {
        let query = Query::parse("prefix=a%26b+c&after=old&limit=2", &KNOWN).unwrap();
        let next = query.next_page("/resources/a", "new");
        assert_eq!(next, "/resources/a?prefix=a%26b%2Bc&limit=2&after=new");
        let again = Query::parse(next.split_once('?').unwrap().1, &KNOWN).unwrap();
        assert_eq!(
            (again.get("prefix"), again.get("after")),
            (Some("a&b+c"), Some("new"))
        );
    }
}
