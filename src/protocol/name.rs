//! Names: of collections, keys, tenants, resources and transactions.
//!
//! Each is a type of its own with a private field and one parsing constructor, so that a value of the type is proof of its form.
//! What comes from a URI, or from the `target` of a change, is percent-decoded here, exactly once; nothing else decodes it again.
//! This module must not know whether a name exists, nor of any database.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use uuid::{Uuid, Variant};

/// Characters of a collection's or a tenant's name, at most.
const WORD_BYTES_MAX: usize = 63;
/// Characters of a key, at most.
const KEY_BYTES_MAX: usize = 255;

/// Decodes one URI segment exactly once (RFC 3986 §2.1). `None` where a `%` is not followed by two hexadecimal digits, or where the
/// result is not UTF-8.
pub fn decode_once(raw: &str) -> Option<Cow<'_, str>> {
    let mut rest = raw.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(at + 1..at + 3)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = rest.get(at + 3..)?;
    }
    percent_decode_str(raw).decode_utf8().ok()
}

/// Whether `text` is `[a-z][a-z0-9_-]{0,62}`.
fn is_word(text: &str) -> bool {
    text.len() <= WORD_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

/// Whether `byte` may stand in a key: RFC 3986's `pchar` without percent-encoding.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._~!$&'()*+,;=:@-".contains(&byte)
}

/// Gives a newtype over `String` its reader and its `Display`.
macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

/// The name of a collection of resources: `[a-z][a-z0-9_-]{0,62}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Collection(String);
text_newtype!(Collection);

impl Collection {
    /// Parses a decoded name; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        is_word(text).then(|| Self(text.to_owned()))
    }
}

/// The key of a resource within its collection: 1 to 255 of ``A-Z a-z 0-9 . _ ~ ! $ & ' ( ) * + , ; = : @ -``, but neither `.` nor
/// `..`, which URI software would resolve away (RFC 3986 §5.2.4).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);
text_newtype!(Key);

impl Key {
    /// Parses a decoded key; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=KEY_BYTES_MAX).contains(&text.len()) && text != "." && text != "..";
        (fits && text.bytes().all(is_key_byte)).then(|| Self(text.to_owned()))
    }
}

/// The name of a tenant, of the same form as a collection's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(String);
text_newtype!(Tenant);

impl Tenant {
    /// Parses a name; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        is_word(text).then(|| Self(text.to_owned()))
    }

    /// The bucket that holds all of the tenant's rows, 0 to 255: the first byte of the SHA-256 of its name. It leads every primary
    /// key, so this function must never give another result.
    pub fn bucket(&self) -> i16 {
        let digest = Sha256::digest(self.0.as_bytes());
        digest.first().copied().map_or(0, i16::from)
    }
}

impl Default for Tenant {
    /// The tenant `default`, to whom everything belongs while there is no other.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// The full name of a resource. Ordered by collection and then key, byte by byte: also the order in which locks are taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    /// The collection it lies in.
    pub collection: Collection,
    /// Its key there.
    pub key: Key,
}

impl ResourceName {
    /// Parses two raw URI segments, each percent-decoded exactly once. `None`: there can be no such resource (`404`).
    pub fn parse_segments(raw_collection: &str, raw_key: &str) -> Option<Self> {
        let collection = Collection::parse(&decode_once(raw_collection)?)?;
        let key = Key::parse(&decode_once(raw_key)?)?;
        Some(Self { collection, key })
    }

    /// Parses a change's `target`, `/resources/{collection}/{key}`, percent-decoded exactly once. `None` for anything else, such as
    /// a host, a query, a fragment, or a segment too many.
    pub fn parse_path(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let root = decode_once(segments.next()?)?;
        let name = Self::parse_segments(segments.next()?, segments.next()?)?;
        (root == "resources" && segments.next().is_none()).then_some(name)
    }

    /// Parses `collection/key`, already decoded, as in the query `key=accounts/alice`.
    pub fn parse_pair(pair: &str) -> Option<Self> {
        let (collection, key) = pair.split_once('/')?;
        Some(Self {
            collection: Collection::parse(collection)?,
            key: Key::parse(key)?,
        })
    }

    /// The canonical path, relative to the server's root. Nothing needs percent-encoding: every character of a key may stand in a
    /// path segment as it is (RFC 3986 §3.3).
    pub fn path(&self) -> String {
        format!("/resources/{}/{}", self.collection, self.key)
    }
}

impl fmt::Display for ResourceName {
    /// `collection/key`, as [`ResourceName::parse_pair`] reads it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.collection, self.key)
    }
}

/// The id of a transaction: a UUID (RFC 9562), of version 7 where the server or a careful client made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(Uuid);

impl TransactionId {
    /// Takes a UUID that was made or stored by the server.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// Parses a raw URI segment, percent-decoded exactly once: the hyphenated form of 36 characters in any case. `None` for any
    /// other form, even one that UUID libraries accept, since one transaction has one URI.
    pub fn parse_segment(raw: &str) -> Option<Self> {
        let text = decode_once(raw)?;
        if text.len() != 36 {
            return None;
        }
        Uuid::try_parse(&text).ok().map(Self)
    }

    /// The UUID.
    pub const fn uuid(&self) -> Uuid {
        self.0
    }

    /// The time within the id in milliseconds since 1970; `None` unless it is of version 7 and RFC 9562's variant.
    pub fn unix_millis(&self) -> Option<u64> {
        let dated = self.0.get_version_num() == 7 && self.0.get_variant() == Variant::RFC4122;
        dated
            .then(|| u64::try_from(self.0.as_u128() >> 80).ok())
            .flatten()
    }

    /// The id with this time in it, in milliseconds since 1970, where its own is earlier.
    pub fn not_before(self, millis: u64) -> Self {
        let earlier = self.unix_millis().is_some_and(|own| own < millis);
        if !earlier || millis >= 1 << 48 {
            return self;
        }
        let rest = self.0.as_u128() & ((1 << 80) - 1);
        Self(Uuid::from_u128(u128::from(millis) << 80 | rest))
    }

    /// The canonical path, relative to the server's root.
    pub fn path(&self) -> String {
        format!("/transactions/{self}")
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_collection_has_one_form() {
        let longest = "a".repeat(63);
        for good in ["a", "accounts", "a-b_c9", longest.as_str()] {
            assert!(Collection::parse(good).is_some(), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in [
            "",
            "A",
            "9a",
            "-a",
            "_a",
            "a.b",
            "a b",
            "ä",
            too_long.as_str(),
        ] {
            assert!(Collection::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_key_has_one_form() {
        for byte in 0..=u8::MAX {
            let text = char::from(byte).to_string();
            let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
            let allowed =
                byte != b'.' && (letters.contains(&text) || "_~!$&'()*+,;=:@-".contains(&text));
            assert_eq!(Key::parse(&text).is_some(), allowed, "{text:?}");
        }
        assert!(Key::parse(&"k".repeat(255)).is_some() && Key::parse(&"k".repeat(256)).is_none());
        assert!(
            Key::parse("").is_none() && Key::parse("..").is_none() && Key::parse("...").is_some()
        );
    }

    #[test]
    fn a_tenants_bucket_never_changes() {
        assert_eq!(Tenant::default().as_str(), "default");
        // SHA-256("default") = 37a8eec1…, SHA-256("a") = ca978112…
        assert_eq!(Tenant::default().bucket(), 0x37);
        assert_eq!(Tenant::parse("a").unwrap().bucket(), 0xca);
    }

    #[test]
    fn a_target_is_decoded_exactly_once() {
        let alice = ResourceName::parse_pair("accounts/alice").unwrap();
        for same in [
            "/resources/accounts/alice",
            "/resources/%61ccounts/%61lic%65",
            "/%72esources/accounts/alice",
        ] {
            assert_eq!(
                ResourceName::parse_path(same).as_ref(),
                Some(&alice),
                "{same}"
            );
        }
        let plus = ResourceName::parse_path("/resources/a/x%2by").unwrap();
        assert_eq!(plus.path(), "/resources/a/x+y");
        for bad in [
            "",
            "/",
            "/resources/accounts",
            "/resources/accounts/",
            "/resources//alice",
            "resources/accounts/alice",
            "//resources/accounts/alice",
            "http://host/resources/accounts/alice",
            "/resources/accounts/alice?x=1",
            "/resources/accounts/alice#x",
            "/resources/accounts/alice/",
            "/resources/accounts/%2561lice",
            "/resources/accounts/al%2Fice",
            "/resources/accounts%2Falice",
            "/resources/accounts/%",
            "/resources/accounts/%6",
            "/resources/accounts/%zz",
            "/resources/accounts/%ff",
            "/resources/accounts/%2e%2E",
            "/resources/accounts/.",
            "/resources/accounts/%00",
            "/transactions/accounts/alice",
            "/Resources/accounts/alice",
        ] {
            assert!(ResourceName::parse_path(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_transaction_id_is_36_characters_in_any_case() {
        let id = TransactionId::parse_segment("01980D6A-7B3C-7ABC-8DEF-0123456789AB").unwrap();
        assert_eq!(id.to_string(), "01980d6a-7b3c-7abc-8def-0123456789ab");
        assert_eq!(
            id.path(),
            "/transactions/01980d6a-7b3c-7abc-8def-0123456789ab"
        );
        assert_eq!(id.unix_millis(), Some(0x0198_0d6a_7b3c));
        assert_eq!(
            TransactionId::parse_segment("01980d6a%2D7b3c-7abc-8def-0123456789ab"),
            Some(id)
        );
        for bad in [
            "01980d6a7b3c7abc8def0123456789ab",
            "{01980d6a-7b3c-7abc-8def-0123456789ab}",
            "urn:uuid:01980d6a-7b3c-7abc-8def-0123456789ab",
            "01980d6a-7b3c-7abc-8def-0123456789a",
            "01980d6a-7b3c-7abc-8def-0123456789ag",
            "01980d6a7-b3c-7abc-8def-0123456789ab",
            "",
        ] {
            assert!(TransactionId::parse_segment(bad).is_none(), "{bad}");
        }
        for undated in [
            "01980d6a-7b3c-4abc-8def-0123456789ab",
            "01980d6a-7b3c-7abc-cdef-0123456789ab",
        ] {
            assert_eq!(
                TransactionId::parse_segment(undated).unwrap().unix_millis(),
                None,
                "{undated}"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in any::<String>(), other in "[%0-9a-fA-F/é.]{0,12}") {
            for raw in [&text, &other] {
                let _ = ResourceName::parse_path(raw);
                let _ = ResourceName::parse_pair(raw);
                let _ = ResourceName::parse_segments(raw, raw);
                let _ = TransactionId::parse_segment(raw);
                let _ = Tenant::parse(raw);
            }
        }

        #[test]
        fn names_survive_display_and_parse(word in "[a-z][a-z0-9_-]{0,62}", key in "[A-Za-z0-9_~!$&'()*+,;=:@-]{1,255}") {
            let name = ResourceName::parse_pair(&format!("{word}/{key}")).unwrap();
            prop_assert_eq!(ResourceName::parse_path(&name.path()), Some(name.clone()));
            prop_assert_eq!(ResourceName::parse_pair(&name.to_string()), Some(name.clone()));
            let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(ResourceName::parse_segments(&word, &encoded), Some(name));
            prop_assert!((0..=255).contains(&Tenant::parse(&word).unwrap().bucket()));
        }

        #[test]
        fn ids_survive_display_and_parse(bits in any::<u128>()) {
            let id = TransactionId::from_uuid(Uuid::from_u128(bits));
            prop_assert_eq!(TransactionId::parse_segment(&id.to_string()), Some(id));
            prop_assert_eq!(TransactionId::parse_segment(&id.to_string().to_uppercase()), Some(id));
        }
    }
}
