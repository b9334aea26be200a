//! Entity tags (RFC 9110 §8.8.3): the one place where ours are made and where anybody's are read.
//!
//! A tag of ours is a version and a nonce. The version orders nothing for clients, to whom a tag is opaque; the nonce is drawn
//! at random for each operation that is applied, so that a database restored from an older backup cannot issue a tag twice. This module must not know
//! where versions and nonces come from, nor what a list of tags is a condition for (that is [`super::condition`]).

mod draft;

use std::fmt;

use etag::EntityTag;
use sha2::{Digest, Sha256};

pub use draft::DraftTag;

/// Bumped by a release that renders transactions differently, so that no tag ever names two different documents.
pub const DOCUMENT_REVISION: u8 = 1;

/// The strong tag of one state of a resource, `"{version}.{nonce as 16 hexadecimal digits}"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateTag {
    /// Counts up with every write of the resource, across deletion and re-creation too.
    pub version: i64,
    /// Bits of the id of the transaction that wrote the state.
    pub nonce: i64,
}

impl StateTag {
    /// The tag as the `etag` crate compares it.
    pub fn entity_tag(&self) -> EntityTag {
        EntityTag::strong(&self.opaque())
    }

    /// Reads a tag that [`StateTag::entity_tag`] made; `None` for any other, a weak one too.
    pub fn read(tag: &EntityTag) -> Option<Self> {
        let (version, nonce) = tag.tag().split_once('.')?;
        let read = Self {
            version: version.parse().ok()?,
            nonce: nonce_read(nonce)?,
        };
        read.entity_tag().strong_eq(tag).then_some(read)
    }

    fn opaque(&self) -> String {
        format!("{}.{:016x}", self.version, self.nonce)
    }
}

impl fmt::Display for StateTag {
    /// With its quotes, as it stands in a header field.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.opaque())
    }
}

/// The strong tag of one state of a transaction, `"{version}.{nonce as 16 hexadecimal digits}.{revision}"`.
///
/// The server renders the document, so [`DOCUMENT_REVISION`] is part of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DocumentTag {
    /// Counts up with every change of the transaction.
    pub version: i64,
    /// Bits that no other transaction's tags have.
    pub nonce: i64,
}

impl DocumentTag {
    /// The tag as the `etag` crate compares it.
    pub fn entity_tag(&self) -> EntityTag {
        EntityTag::strong(&self.opaque())
    }

    /// Reads a tag that [`DocumentTag::entity_tag`] made; `None` for any other, one of another revision or a weak one too.
    pub fn read(tag: &EntityTag) -> Option<Self> {
        let mut parts = tag.tag().splitn(3, '.');
        let read = Self {
            version: parts.next()?.parse().ok()?,
            nonce: nonce_read(parts.next()?)?,
        };
        read.entity_tag().strong_eq(tag).then_some(read)
    }

    fn opaque(&self) -> String {
        format!("{}.{:016x}.{DOCUMENT_REVISION}", self.version, self.nonce)
    }
}

impl fmt::Display for DocumentTag {
    /// With its quotes, as it stands in a header field.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.opaque())
    }
}

fn nonce_read(digits: &str) -> Option<i64> {
    u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
}

/// The weak tag of a document the server builds, such as a list: `W/"{first 16 hexadecimal digits of its SHA-256}"`.
pub fn weak_tag_of(document: &[u8]) -> EntityTag {
    let digest = Sha256::digest(document);
    let opaque: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    EntityTag::weak(&opaque)
}

/// An entity tag that a client sent, ours or not.
///
/// One of more than 62 bytes, or with bytes over 0x7F, is valid but cannot be one of ours: it is neither cut nor refused, it just
/// never matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTag {
    /// Whether it came with `W/`.
    pub weak: bool,
    /// The tag to compare with; `None` where it can match nothing.
    pub known: Option<EntityTag>,
    text: String,
}

impl ClientTag {
    /// Takes the bytes between the quotes, which must be RFC 9110's `etagc` (the caller has parsed them).
    pub fn new(weak: bool, opaque: &[u8]) -> Self {
        // UTF-8 where it is, else Latin-1: either way ASCII stays as it is, and the text can be shown and parsed again.
        let text = match std::str::from_utf8(opaque) {
            Ok(text) => text.to_owned(),
            Err(_) => opaque.iter().copied().map(char::from).collect(),
        };
        let known = EntityTag::checked_new(weak, &text).ok();
        Self { weak, known, text }
    }

    /// The opaque part, without quotes.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The state of ours that it names strongly, if it can name one.
    pub fn state_tag(&self) -> Option<StateTag> {
        self.known.as_ref().and_then(StateTag::read)
    }

    /// RFC 9110 §8.8.3.2's strong comparison.
    pub fn strong_matches(&self, tag: &EntityTag) -> bool {
        self.known
            .as_ref()
            .is_some_and(|known| known.strong_eq(tag))
    }

    /// RFC 9110 §8.8.3.2's weak comparison.
    pub fn weak_matches(&self, tag: &EntityTag) -> bool {
        self.known.as_ref().is_some_and(|known| known.weak_eq(tag))
    }
}

impl fmt::Display for ClientTag {
    /// With its quotes, and `W/` where it is weak.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}\"{}\"",
            if self.weak { "W/" } else { "" },
            self.text
        )
    }
}

/// Adds the tags of one line of a list (RFC 9110 §8.8.3, §5.6.1); says what is wrong with it otherwise.
pub(super) fn tags_read(line: &[u8], tags: &mut Vec<ClientTag>) -> Result<(), &'static str> {
    let mut rest = trim_ows(line);
    while let Some(first) = rest.first() {
        if *first == b',' {
            rest = trim_ows(rest.get(1..).unwrap_or_default());
            continue;
        }
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let Some(opening) = quoted.strip_prefix(b"\"") else {
            return Err(unquoted(rest));
        };
        let Some(end) = opening.iter().position(|byte| *byte == b'"') else {
            return Err("An entity tag lacks its closing quote.");
        };
        let (opaque, closing) = opening.split_at(end);
        if !opaque
            .iter()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..))
        {
            return Err("An entity tag holds a space or a control character.");
        }
        tags.push(ClientTag::new(weak, opaque));
        rest = trim_ows(closing.get(1..).unwrap_or_default());
        if !matches!(rest.first(), None | Some(b',')) {
            return Err("There is no comma after an entity tag.");
        }
    }
    Ok(())
}

/// What is wrong with an element that does not begin with a quote.
fn unquoted(element: &[u8]) -> &'static str {
    match element {
        [b'*', ..] => "The star stands alone, never in a list.",
        [b'w', b'/', ..] => "The W of a weak tag is a capital letter.",
        _ => "An entity tag stands in double quotes.",
    }
}

/// Without the spaces and tabs around it (RFC 9110 §5.6.3).
pub(super) fn trim_ows(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_look_as_documented() {
        assert_eq!(
            StateTag {
                version: 3,
                nonce: 0xabcde
            }
            .to_string(),
            "\"3.00000000000abcde\""
        );
        assert_eq!(
            DocumentTag {
                version: 2,
                nonce: -1
            }
            .to_string(),
            "\"2.ffffffffffffffff.1\""
        );
        assert_eq!(weak_tag_of(b"").to_string(), "W/\"e3b0c44298fc1c14\"");
    }

    #[test]
    fn only_our_own_writing_is_read() {
        for other in [
            "3.abcde",
            "3.00000000000ABCDE",
            "+3.00000000000abcde",
            "03.00000000000abcde",
            "3",
            "",
            "3.+0000000000abcde",
        ] {
            assert_eq!(StateTag::read(&EntityTag::strong(other)), None, "{other}");
        }
        assert_eq!(StateTag::read(&EntityTag::weak("3.00000000000abcde")), None);
        assert_eq!(
            StateTag::read(
                &DocumentTag {
                    version: 3,
                    nonce: 1
                }
                .entity_tag()
            ),
            None
        );
        assert_eq!(
            DocumentTag::read(
                &StateTag {
                    version: 3,
                    nonce: 1
                }
                .entity_tag()
            ),
            None
        );
        assert_eq!(
            DocumentTag::read(&EntityTag::strong("3.00000000000abcde.2")),
            None
        );
    }

    #[test]
    fn comparison_is_the_table_of_rfc_9110() {
        // §8.8.3.2: client's tag, ours, strong, weak.
        for (ours, theirs, opaque, strong, weak) in [
            (true, true, "1", false, true),
            (true, true, "2", false, false),
            (true, false, "1", false, true),
            (false, true, "1", false, true),
            (false, false, "1", true, true),
        ] {
            let tag = ClientTag::new(theirs, opaque.as_bytes());
            let current = EntityTag::new(ours, "1");
            assert_eq!(
                (tag.strong_matches(&current), tag.weak_matches(&current)),
                (strong, weak)
            );
        }
    }

    #[test]
    fn a_long_or_foreign_tag_is_kept_and_never_matches() {
        let long = "x".repeat(63);
        let tag = ClientTag::new(false, long.as_bytes());
        assert_eq!((tag.known.clone(), tag.text()), (None, long.as_str()));
        assert!(!tag.strong_matches(&EntityTag::strong(&"x".repeat(62))));
        assert!(
            ClientTag::new(false, "x".repeat(62).as_bytes())
                .known
                .is_some()
        );
        assert_eq!(ClientTag::new(true, &[b'a', 0xe9]).to_string(), "W/\"aé\"");
        assert_eq!(ClientTag::new(true, "aé".as_bytes()).known, None);
    }

    proptest! {
        #[test]
        fn our_tags_survive_display_and_read(version in any::<i64>(), nonce in any::<i64>()) {
            let state = StateTag { version, nonce };
            prop_assert_eq!(StateTag::read(&state.to_string().parse().unwrap()), Some(state));
            prop_assert_eq!(state.entity_tag().to_string(), state.to_string());
            let document = DocumentTag { version, nonce };
            prop_assert_eq!(DocumentTag::read(&document.to_string().parse().unwrap()), Some(document));
            prop_assert!(!document.to_string().contains('\\') && document.to_string().is_ascii());
        }

        #[test]
        fn reading_never_panics(weak in any::<bool>(), opaque in any::<Vec<u8>>(), digits in "[0-9a-f.+-]{0,40}") {
            for tag in [ClientTag::new(weak, &opaque), ClientTag::new(weak, digits.as_bytes())] {
                if let Some(known) = &tag.known {
                    let _ = (StateTag::read(known), DocumentTag::read(known));
                    prop_assert_eq!(known.tag(), tag.text());
                }
            }
        }
    }
}
