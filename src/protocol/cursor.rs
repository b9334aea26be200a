//! Opaque cursors of lists: where the next page begins.
//!
//! A cursor belongs to a scope (which list, with which filters) and is refused in any other. The checksum finds accidents, cut and
//! mistyped cursors, not forgery: whoever reads a position must parse it like any other text from a client. This module must not
//! know what positions mean.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The first byte of every cursor; another layout takes another number.
const LAYOUT: u8 = 1;
/// Bytes of the checksum.
const CHECKSUM_BYTES: usize = 4;

/// A place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The list it belongs to.
    pub scope: String,
    /// The last item that has been seen.
    pub position: String,
}

impl Cursor {
    /// The cursor as text of `A-Z a-z 0-9 - _`, which needs no encoding in a URI: base64url without padding (RFC 4648 §5) of the
    /// layout's number, a checksum, the length of the scope, the scope and the position.
    pub fn encode(&self) -> String {
        let fields = fields_of(&self.scope, &self.position);
        let mut bytes = vec![LAYOUT];
        bytes.extend(checksum_of(&fields));
        bytes.extend(fields);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position within a cursor of this scope; `None` for one of another scope, or that is none of ours.
    pub fn decode(text: &str, scope: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (checksum, fields) = bytes
            .strip_prefix(&[LAYOUT])?
            .split_at_checked(CHECKSUM_BYTES)?;
        if checksum != checksum_of(fields) {
            return None;
        }
        let position = fields.strip_prefix(fields_of(scope, "").as_slice())?;
        String::from_utf8(position.to_vec()).ok()
    }
}

fn fields_of(scope: &str, position: &str) -> Vec<u8> {
    let length = u64::try_from(scope.len()).unwrap_or(u64::MAX);
    [
        length.to_be_bytes().as_slice(),
        scope.as_bytes(),
        position.as_bytes(),
    ]
    .concat()
}

fn checksum_of(fields: &[u8]) -> Vec<u8> {
    Sha256::digest(fields)
        .iter()
        .copied()
        .take(CHECKSUM_BYTES)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn cursor(scope: &str, position: &str) -> String {
        Cursor {
            scope: scope.to_owned(),
            position: position.to_owned(),
        }
        .encode()
    }

    #[test]
    fn a_cursor_belongs_to_its_scope() {
        let text = cursor("accounts", "alice");
        assert_eq!(Cursor::decode(&text, "accounts").as_deref(), Some("alice"));
        for other in ["", "account", "accountsa", "limits"] {
            assert_eq!(Cursor::decode(&text, other), None, "{other}");
        }
        assert_eq!(cursor("", ""), cursor("", ""));
        assert_eq!(Cursor::decode(&cursor("", ""), "").as_deref(), Some(""));
    }

    #[test]
    fn a_damaged_cursor_is_none_of_ours() {
        let text = cursor("accounts", "alice");
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(
                Cursor::decode(&String::from_utf8(damaged).unwrap(), "accounts"),
                None,
                "{at}"
            );
            assert_eq!(Cursor::decode(&text[..at], "accounts"), None, "{at}");
        }
        for other in [
            "",
            "A",
            "AQ",
            "=",
            "é",
            &format!("{text}A"),
            &format!("{text}="),
        ] {
            assert_eq!(Cursor::decode(other, "accounts"), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn cursors_survive_encoding(scope in any::<String>(), position in any::<String>()) {
            let text = cursor(&scope, &position);
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
            prop_assert_eq!(Cursor::decode(&text, &scope), Some(position));
        }

        #[test]
        fn decoding_never_panics(text in any::<String>(), ascii in "[A-Za-z0-9_-]{0,40}", scope in any::<String>()) {
            prop_assert_eq!(Cursor::decode(&text, &scope), None);
            prop_assert_eq!(Cursor::decode(&ascii, &scope), None);
        }
    }
}
