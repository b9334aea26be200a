//! `Content-Digest` (RFC 9530 §2): whether the content is the one that was sent.
//!
//! A proxy may end a broken-off upload as if it were whole; the digest finds that out.

use sfv::{BareItem, Dictionary, ListEntry, Parser};
use sha2::{Digest, Sha256, Sha512};

use crate::protocol::problem::{Problem, Slug};

/// Checks `content` against the lines of `Content-Digest`; algorithms that are not known are ignored.
///
/// # Errors
/// `malformed-request` where the field is not a dictionary of byte sequences, or names other content.
pub(super) fn check(lines: &[&[u8]], content: &[u8]) -> Result<(), Problem> {
    if lines.is_empty() {
        return Ok(());
    }
    let field = lines.join(b", ".as_slice());
    let digests: Dictionary = Parser::new(&field).parse().map_err(|_| {
        malformed("Content-Digest does not parse (RFC 9530 §2): send sha-256=:<base64>: or sha-512=:<base64>:, or leave it out.")
    })?;
    for (algorithm, entry) in &digests {
        let actual = match algorithm.as_str() {
            "sha-256" => Sha256::digest(content).to_vec(),
            "sha-512" => Sha512::digest(content).to_vec(),
            _ => continue,
        };
        let ListEntry::Item(item) = entry else {
            return Err(malformed(
                "A digest in Content-Digest is one byte sequence between colons (RFC 9530 §2).",
            ));
        };
        let BareItem::ByteSequence(declared) = &item.bare_item else {
            return Err(malformed(
                "A digest in Content-Digest is a byte sequence between colons (RFC 9530 §2).",
            ));
        };
        if *declared != actual {
            return Err(malformed(
                "The content is not the one that Content-Digest names: it was cut or changed on its way. Send it again.",
            ));
        }
    }
    Ok(())
}

fn malformed(detail: &str) -> Problem {
    Problem::new(Slug::MalformedRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_content_that_was_sent_passes() {
        // RFC 9530, appendix D: the digests of {"hello": "world"} and a line feed.
        let content = b"{\"hello\": \"world\"}\n";
        let sha256: &[u8] = b"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        let other: &[u8] = b"sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
        for (lines, body, right) in [
            (vec![], content.as_slice(), true),
            (vec![sha256], content, true),
            (vec![sha256, b"md5=:AAAA:"], content, true),
            (vec![b"unixsum=5".as_slice()], content, true),
            (vec![sha256], b"{}", false),
            (vec![other], b"", true),
            (vec![other], content, false),
            (vec![sha256, b"sha-512=:AAAA:"], content, false),
            (vec![b"sha-256=RK/0qy18".as_slice()], content, false),
            (vec![b"sha-256=\"a\"".as_slice()], content, false),
            (vec![b"sha-256=(:AAAA:)".as_slice()], content, false),
            (vec![b"sha-256=:AAAA".as_slice()], content, false),
        ] {
            assert_eq!(check(&lines, body).is_ok(), right, "{lines:?}");
        }
    }
}
