//! A JSON value that documents must contain (contract §4, `contains`): what is asked for, and how it can be looked for.
//!
//! Whether a document contains it is Postgres's to say; this module must not know how it is asked.

use super::json::{self, Json, JsonFault, Kind};

/// A value that documents must contain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containment {
    text: String,
    lookup: Lookup,
}

/// How documents that contain a value can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// By the scalars in it.
    Scalars,
    /// It is a scalar: an array that has it as an element contains it too, but at the top only.
    Scalar,
    /// There is no scalar in it, as in `{}` and `[[]]`: nearly everything of that shape contains it, and every document
    /// must be looked at.
    Shape,
}

impl Containment {
    /// Reads JSON text.
    ///
    /// # Errors
    /// The first fault, as for any content.
    pub fn parse(text: &str) -> Result<Self, JsonFault> {
        let value = json::parse(text.as_bytes())?;
        let lookup = match &value.kind {
            Kind::Array(_) | Kind::Object(_) if has_scalar(&value) => Lookup::Scalars,
            Kind::Array(_) | Kind::Object(_) => Lookup::Shape,
            _ => Lookup::Scalar,
        };
        let text = value.text.to_owned();
        Ok(Self { text, lookup })
    }

    /// The value as it came.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How documents that contain it can be found.
    pub fn lookup(&self) -> Lookup {
        self.lookup
    }
}

/// One level of recursion for one of nesting, which the reader has bounded.
fn has_scalar(value: &Json<'_>) -> bool {
    match &value.kind {
        Kind::Array(elements) => elements.iter().any(has_scalar),
        Kind::Object(members) => members.iter().any(|(_, value)| has_scalar(value)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_value_is_looked_for_by_its_scalars_where_it_has_any() {
        for (text, expected) in [
            ("1", Lookup::Scalar),
            (" \"a\" ", Lookup::Scalar),
            ("null", Lookup::Scalar),
            ("{}", Lookup::Shape),
            ("[]", Lookup::Shape),
            (r#"{"a": {"b": [[], {}]}}"#, Lookup::Shape),
            (r#"{"a": {"b": [[], {}, null]}}"#, Lookup::Scalars),
            ("[[false]]", Lookup::Scalars),
        ] {
            let read = Containment::parse(text).unwrap();
            assert_eq!(
                (read.lookup(), read.text()),
                (expected, text.trim()),
                "{text}"
            );
        }
        let fault = Containment::parse(r#"{"a": {"b": 1, "b": 2}}"#).unwrap_err();
        assert_eq!(fault.pointer, "#/a/b");
    }
}
