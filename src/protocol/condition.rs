//! Conditional requests (RFC 9110 §13): the header fields, the conditions of a change, and the one place that judges them.
//!
//! A condition that does not parse is a fault, never ignored, but for dates, which the RFC wants ignored. This module must not know
//! status codes (a judgement becomes one in the layer above), nor where the current tag comes from.

use etag::EntityTag;

use super::tag::{ClientTag, tags_read, trim_ows};

/// A condition field that does not parse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct ConditionFault {
    /// The field: `If-Match`, `If-None-Match`, or a change's `if_match`.
    pub field: &'static str,
    /// What is wrong with it, and what a right one looks like.
    pub detail: String,
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagList {
    /// `*`: any current state.
    Star,
    /// One tag or more.
    Tags(Vec<ClientTag>),
}

/// What the request's target is now.
#[derive(Clone, Copy, Debug)]
pub enum Selected<'a> {
    /// It does not exist.
    Absent,
    /// It exists.
    Present {
        /// Its current tag.
        tag: &'a EntityTag,
        /// When it was last modified, in seconds since 1970; `None` where that is not known.
        modified: Option<i64>,
    },
}

impl TagList {
    /// Parses the lines of an `If-Match`, without the field's name.
    ///
    /// # Errors
    /// What is not RFC 9110 §13.1.1's grammar, an entirely empty list, or a star beside anything else.
    pub fn parse(lines: &[&[u8]]) -> Result<Self, ConditionFault> {
        Self::parse_field("If-Match", lines)
    }

    /// Parses the lines of the named field as one list (RFC 9110 §5.3); empty elements count for nothing (§5.6.1).
    ///
    /// # Errors
    /// As [`TagList::parse`].
    pub fn parse_field(field: &'static str, lines: &[&[u8]]) -> Result<Self, ConditionFault> {
        let fault = |wrong: &str| ConditionFault {
            field,
            detail: format!("{wrong} {}", right_line(field)),
        };
        if let [line] = lines
            && trim_ows(line) == b"*"
        {
            return Ok(Self::Star);
        }
        let mut tags = Vec::new();
        for line in lines {
            tags_read(line, &mut tags).map_err(fault)?;
        }
        if tags.is_empty() {
            return Err(fault("The list of entity tags is empty."));
        }
        Ok(Self::Tags(tags))
    }

    /// Parses the `if_match` of a change: the header field's syntax in one string, or one bare tag of `[A-Za-z0-9._-]+`.
    ///
    /// # Errors
    /// As [`TagList::parse`].
    pub fn parse_change(text: &str) -> Result<Self, ConditionFault> {
        let bare = trim_ows(text.as_bytes());
        if !bare.is_empty()
            && bare
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
        {
            return Ok(Self::Tags(vec![ClientTag::new(false, bare)]));
        }
        Self::parse_field("if_match", &[text.as_bytes()])
    }

    /// The one text that equal lists share: `*`, or the quoted tags in their order, joined by a comma and a space.
    pub fn canonical(&self) -> String {
        match self {
            Self::Star => "*".to_owned(),
            Self::Tags(tags) => tags
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    /// Whether it names the selected state by strong comparison, as `If-Match` does (RFC 9110 §13.1.1).
    pub fn strong_holds(&self, selected: Selected<'_>) -> bool {
        self.names(selected, ClientTag::strong_matches)
    }

    /// Whether it names the selected state by weak comparison. `If-None-Match` holds where this does not (RFC 9110 §13.1.2).
    pub fn weak_holds(&self, selected: Selected<'_>) -> bool {
        self.names(selected, ClientTag::weak_matches)
    }

    /// Whether any part of it could ever match strongly.
    pub fn has_strong_or_star(&self) -> bool {
        match self {
            Self::Star => true,
            Self::Tags(tags) => tags.iter().any(|tag| !tag.weak),
        }
    }

    /// Whether it names exactly this strong tag, given with its quotes; the star names none.
    pub fn names_exactly(&self, tag: &str) -> bool {
        match self {
            Self::Star => false,
            Self::Tags(tags) => tags.iter().any(|client| client.to_string() == tag),
        }
    }

    fn has_weak(&self) -> bool {
        matches!(self, Self::Tags(tags) if tags.iter().any(|tag| tag.weak))
    }

    fn names(&self, selected: Selected<'_>, matches: fn(&ClientTag, &EntityTag) -> bool) -> bool {
        match (self, selected) {
            (_, Selected::Absent) => false,
            (Self::Star, Selected::Present { .. }) => true,
            (Self::Tags(tags), Selected::Present { tag, .. }) => {
                tags.iter().any(|client| matches(client, tag))
            }
        }
    }
}

/// How the named field is written rightly.
fn right_line(field: &str) -> String {
    match field {
        "if_match" => r#"Write a quoted tag as it was received, several joined by commas, or the star alone: "if_match": "\"3.00000000000abcde\"", or "if_match": "*"."#.to_owned(),
        _ => format!(r#"Write quoted tags as they were received, joined by commas, or the star alone: `{field}: "3.00000000000abcde"`, or `{field}: *`."#),
    }
}

/// A request's conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// `If-Match` (RFC 9110 §13.1.1).
    pub if_match: Option<TagList>,
    /// `If-None-Match` (§13.1.2).
    pub if_none_match: Option<TagList>,
    /// `If-Unmodified-Since` (§13.1.4), in seconds since 1970.
    pub if_unmodified_since: Option<i64>,
    /// `If-Modified-Since` (§13.1.3), in seconds since 1970.
    pub if_modified_since: Option<i64>,
}

/// What conditions say of a state: the first that is false, in RFC 9110 §13.2.2's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// All hold.
    Holds,
    /// `If-Match` names another state.
    IfMatchFalse {
        /// The list holds a weak tag, which can never match.
        weak: bool,
    },
    /// It was modified after `If-Unmodified-Since`.
    UnmodifiedSinceFalse,
    /// `If-None-Match` names this very state.
    IfNoneMatchFalse,
    /// It was not modified after `If-Modified-Since`.
    ModifiedSinceFalse,
}

impl Conditions {
    /// Parses the lines of the four fields; no lines, no condition. An invalid or repeated date is ignored, as the RFC requires.
    ///
    /// # Errors
    /// An `If-Match` or `If-None-Match` that does not parse.
    pub fn parse(
        if_match: &[&[u8]],
        if_none_match: &[&[u8]],
        if_unmodified_since: &[&[u8]],
        if_modified_since: &[&[u8]],
    ) -> Result<Self, ConditionFault> {
        let list = |field, lines: &[&[u8]]| match lines {
            [] => Ok(None),
            _ => TagList::parse_field(field, lines).map(Some),
        };
        Ok(Self {
            if_match: list("If-Match", if_match)?,
            if_none_match: list("If-None-Match", if_none_match)?,
            if_unmodified_since: date_read(if_unmodified_since),
            if_modified_since: date_read(if_modified_since),
        })
    }

    /// Whether they name the state that a write expects: an `If-Match`, or `If-None-Match: *`. Neither a list of tags to avoid nor a
    /// date does (one second is too coarse).
    pub fn satisfies_write_rule(&self) -> bool {
        self.if_match.is_some() || self.if_none_match == Some(TagList::Star)
    }

    /// Judges a request other than GET and HEAD; `If-Modified-Since` is not for those.
    pub fn judge_write(&self, selected: Selected<'_>) -> Judgement {
        let modified = match selected {
            Selected::Absent => None,
            Selected::Present { modified, .. } => modified,
        };
        if let Some(list) = &self.if_match {
            if !list.strong_holds(selected) {
                return Judgement::IfMatchFalse {
                    weak: list.has_weak(),
                };
            }
        } else if let (Some(date), Some(modified)) = (self.if_unmodified_since, modified)
            && modified > date
        {
            return Judgement::UnmodifiedSinceFalse;
        }
        match &self.if_none_match {
            Some(list) if list.weak_holds(selected) => Judgement::IfNoneMatchFalse,
            _ => Judgement::Holds,
        }
    }

    /// Judges a GET or HEAD: as a write, and then `If-Modified-Since` where there is no `If-None-Match`.
    pub fn judge_read(&self, selected: Selected<'_>) -> Judgement {
        let judgement = self.judge_write(selected);
        match (judgement, self.if_modified_since, selected) {
            (
                Judgement::Holds,
                Some(date),
                Selected::Present {
                    modified: Some(modified),
                    ..
                },
            ) if self.if_none_match.is_none() && modified <= date => Judgement::ModifiedSinceFalse,
            _ => judgement,
        }
    }
}

/// An HTTP-date in any of its three forms (RFC 9110 §5.6.7); `None` if invalid or repeated.
fn date_read(lines: &[&[u8]]) -> Option<i64> {
    let [line] = lines else { return None };
    let time = httpdate::parse_http_date(std::str::from_utf8(trim_ows(line)).ok()?).ok()?;
    let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests;
