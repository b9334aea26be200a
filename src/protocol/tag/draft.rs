//! Tags of resources in drafts.

use std::fmt;

use etag::EntityTag;
use sha2::{Digest, Sha256};

use super::StateTag;

/// Bumped by a release that applies patches differently, for the same reason as [`super::DOCUMENT_REVISION`].
const PATCHED_REVISION: u8 = 1;

/// The strong tag of a resource as a draft leaves it, `"d.{32 hexadecimal digits}"`: no resource has one like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DraftTag(u128);

impl DraftTag {
    /// The tag of a whole document that was recorded under a nonce.
    pub fn of_document(nonce: i64) -> Self {
        Self::of(&[&nonce.to_be_bytes()])
    }

    /// The tag of what a patch, recorded under a nonce, makes of one state of its resource.
    pub fn of_patched(nonce: i64, state: StateTag) -> Self {
        Self::of(&[
            &nonce.to_be_bytes(),
            &[PATCHED_REVISION],
            &state.version.to_be_bytes(),
            &state.nonce.to_be_bytes(),
        ])
    }

    fn of(parts: &[&[u8]]) -> Self {
        let digest = Sha256::digest(parts.concat());
        let first = digest.iter().take(16);
        Self(first.fold(0, |sum, byte| sum << 8 | u128::from(*byte)))
    }

    /// The tag as the `etag` crate compares it.
    pub fn entity_tag(&self) -> EntityTag {
        EntityTag::strong(&self.opaque())
    }

    fn opaque(&self) -> String {
        format!("d.{:032x}", self.0)
    }
}

impl fmt::Display for DraftTag {
    /// With its quotes, as it stands in a header field.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "\"{}\"", self.opaque())
    }
}

#[cfg(test)]
mod tests {
    use super::super::DocumentTag;
    use super::*;

    #[test]
    fn a_drafts_tag_is_no_other_tag() {
        let state = StateTag {
            version: 3,
            nonce: 7,
        };
        let tags = [
            DraftTag::of_document(7),
            DraftTag::of_document(8),
            DraftTag::of_patched(7, state),
            DraftTag::of_patched(7, StateTag { nonce: 8, ..state }),
            DraftTag::of_patched(
                7,
                StateTag {
                    version: 4,
                    ..state
                },
            ),
            DraftTag::of_patched(8, state),
        ];
        for (index, tag) in tags.iter().enumerate() {
            let text = tag.to_string();
            assert_eq!((text.len(), &text[..3]), (36, "\"d."));
            assert_eq!(tag.entity_tag().to_string(), text);
            assert!(tags[..index].iter().all(|other| other != tag));
            assert_eq!(StateTag::read(&tag.entity_tag()), None);
            assert_eq!(DocumentTag::read(&tag.entity_tag()), None);
        }
    }
}
