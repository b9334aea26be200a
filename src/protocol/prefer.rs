//! The `Prefer` field (RFC 7240): what a client would like, if it can be had.
//!
//! Nothing here can fail: an unknown or malformed preference is ignored, as the RFC requires. This module must not know which
//! requests honour which preference.

use super::media::{split_unquoted, unquote};

/// The preferences known to the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// `return=representation` (§4.2).
    pub representation: bool,
    /// `return=minimal` (§4.2).
    pub minimal: bool,
    /// `handling=strict` (§4.4).
    pub strict: bool,
    /// `handling=lenient` (§4.4).
    pub lenient: bool,
    /// `wait` in seconds (§4.3); a number too large for the type is its greatest.
    pub wait_seconds: Option<u32>,
}

impl Preferences {
    /// Parses the lines of the field as one list. Of a repeated preference the first counts (§2), whatever its value; names are
    /// compared without regard to case, a value is a token or a quoted string, and parameters are disregarded.
    pub fn parse(lines: &[&[u8]]) -> Self {
        let mut read = Self::default();
        let mut seen = Seen::default();
        for line in lines {
            let Ok(line) = std::str::from_utf8(line) else {
                continue;
            };
            for preference in split_unquoted(line, ',') {
                let main = split_unquoted(preference, ';')
                    .into_iter()
                    .next()
                    .unwrap_or_default();
                read.take(main, &mut seen);
            }
        }
        read
    }

    fn take(&mut self, preference: &str, seen: &mut Seen) {
        let (name, raw) = preference.split_once('=').unwrap_or((preference, ""));
        let Some(value) = unquote(raw.trim_matches([' ', '\t'])) else {
            return;
        };
        match name.trim_matches([' ', '\t']).to_ascii_lowercase().as_str() {
            "return" if !std::mem::replace(&mut seen.returning, true) => {
                self.representation = value.eq_ignore_ascii_case("representation");
                self.minimal = value.eq_ignore_ascii_case("minimal");
            }
            "handling" if !std::mem::replace(&mut seen.handling, true) => {
                self.strict = value.eq_ignore_ascii_case("strict");
                self.lenient = value.eq_ignore_ascii_case("lenient");
            }
            "wait" if !std::mem::replace(&mut seen.wait, true) => {
                let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
                self.wait_seconds = number.then(|| value.parse().unwrap_or(u32::MAX));
            }
            _ => {}
        }
    }
}

/// Which preferences have been met already.
#[derive(Default)]
struct Seen {
    returning: bool,
    handling: bool,
    wait: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(lines: &[&str], expected: Preferences) {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        assert_eq!(Preferences::parse(&lines), expected);
    }

    #[test]
    fn preferences_are_read_as_the_rfc_writes_them() {
        let none = Preferences::default();
        let representation = Preferences {
            representation: true,
            ..none
        };
        check(&[], none);
        check(&["return=representation"], representation);
        check(
            &["RETURN = \"representation\"; foo=\"a,b\""],
            representation,
        );
        check(
            &["respond-async, return=representation", "wait=10"],
            Preferences {
                wait_seconds: Some(10),
                ..representation
            },
        );
        check(&["foo; return=minimal"], none);
        check(&["x=\"a, return=minimal\""], none);
        check(
            &["handling=strict,return=minimal"],
            Preferences {
                strict: true,
                minimal: true,
                ..none
            },
        );
        check(
            &["handling=lenient"],
            Preferences {
                lenient: true,
                ..none
            },
        );
        check(
            &[",, ,handling=lenient,"],
            Preferences {
                lenient: true,
                ..none
            },
        );
    }

    #[test]
    fn the_first_of_a_repeated_preference_counts() {
        let none = Preferences::default();
        check(
            &["return=minimal, return=representation"],
            Preferences {
                minimal: true,
                ..none
            },
        );
        check(&["return=other", "return=representation"], none);
        check(
            &["wait=1", "Wait=2"],
            Preferences {
                wait_seconds: Some(1),
                ..none
            },
        );
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        let none = Preferences::default();
        for bad in [
            "wait",
            "wait=",
            "wait=-1",
            "wait=1.5",
            "wait=+1",
            "return",
            "=representation",
            "return=\"representation",
            "\"",
        ] {
            check(&[bad], none);
        }
        check(
            &["wait=99999999999999999999"],
            Preferences {
                wait_seconds: Some(u32::MAX),
                ..none
            },
        );
        assert_eq!(
            Preferences::parse(&[b"\xff", b"return=minimal"]),
            Preferences {
                minimal: true,
                ..none
            }
        );
    }

    proptest! {
        #[test]
        fn parsing_never_panics(line in any::<Vec<u8>>(), text in "[a-z=;,\"\\\\ ]{0,20}") {
            let _ = Preferences::parse(&[&line, text.as_bytes()]);
        }

        #[test]
        fn a_wait_survives_display_and_parse(seconds in any::<u32>()) {
            let line = format!("a=\"b,c\\\"\", wait={seconds}");
            prop_assert_eq!(Preferences::parse(&[line.as_bytes()]).wait_seconds, Some(seconds));
        }
    }
}
