//! Answers to reads: negotiation, conditions, and the fields that every representation carries.
//!
//! The only place that turns a judgement of a read's conditions into `304` or `412`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};
use etag::EntityTag;
use serde::Serialize;

use super::call::Call;
use super::document;
use crate::protocol::condition::{Judgement, Selected};
use crate::protocol::media::{self, ContentType};
use crate::protocol::name::TransactionId;
use crate::protocol::operation::JSON;
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::tag::weak_tag_of;

/// `Cache-Control` of everything with an `ETag`.
pub(super) const PRIVATE: &str = "private, no-cache, no-transform";
/// `Cache-Control` of what will never be another: a past version.
pub(super) const IMMUTABLE: &str = "private, immutable, max-age=31536000";
/// `Cache-Control` of problems, of health, and of answers without a state.
pub(super) const NO_STORE: &str = "no-store";
/// `Cache-Control` of what only changes with a release.
pub(super) const RELEASE: &str = "max-age=300";

/// The media type of YAML (RFC 9512).
pub(super) const YAML: &str = "application/yaml";

/// What a GET shows, before the request's conditions are looked at.
pub(super) struct Representation<'a> {
    /// The content.
    pub(super) content: Vec<u8>,
    /// Its `Content-Type`.
    pub(super) media_type: &'a str,
    /// `Cache-Control`.
    pub(super) cache: &'static str,
    /// `ETag`; without one, conditions are not judged.
    pub(super) tag: Option<EntityTag>,
    /// `Last-Modified`, in seconds since the Unix epoch.
    pub(super) modified: Option<i64>,
    /// `Content-Location`.
    pub(super) location: Option<String>,
    /// `Link`.
    pub(super) link: Option<String>,
}

impl Representation<'_> {
    /// A document of the server's own, which nobody names a state of.
    ///
    /// # Errors
    /// As [`document::pretty`].
    pub(super) fn document(
        document: &impl Serialize,
        cache: &'static str,
    ) -> Result<Self, Problem> {
        let content = document::pretty(document)?;
        Ok(Self {
            content,
            media_type: JSON,
            cache,
            tag: None,
            modified: None,
            location: None,
            link: None,
        })
    }

    /// A document whose weak tag is made of its bytes.
    ///
    /// # Errors
    /// As [`document::pretty`].
    pub(super) fn weak(document: &impl Serialize) -> Result<Self, Problem> {
        let mut read = Self::document(document, PRIVATE)?;
        read.tag = Some(weak_tag_of(&read.content));
        Ok(read)
    }
}

/// Answers a read whose false `If-Match` is no problem of its own kind: of a list, or the description.
///
/// # Errors
/// As [`read`]; `weak-etag` or `stale-resource` where `If-Match` is false.
pub(super) fn read_plain(call: &Call, shown: Representation<'_>) -> Result<HttpResponse, Problem> {
    let current = shown
        .tag
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    read(call, shown, |weak| {
        let slug = if weak {
            Slug::WeakEtag
        } else {
            Slug::StaleResource
        };
        Problem::new(
            slug,
            format!(
                "This URI is at {current}. Read it again without If-Match and If-Unmodified-Since."
            ),
        )
    })
}

/// Answers a read of a resource that exists: `406`, then its conditions, then the content.
/// `stale` makes the problem of a false `If-Match`; it is told whether a weak tag was in it.
///
/// # Errors
/// `not-acceptable`; `malformed-request` for conditions that do not parse; what `stale` makes.
pub(super) fn read(
    call: &Call,
    shown: Representation<'_>,
    stale: impl FnOnce(bool) -> Problem,
) -> Result<HttpResponse, Problem> {
    let accept = call.lines(header::ACCEPT);
    // Whoever takes any JSON type is content with any other; all else must be named.
    let other = (shown.media_type != JSON)
        .then(|| ContentType::parse(shown.media_type.as_bytes()))
        .flatten()
        .filter(|kind| !kind.is_json());
    let essence = other.as_ref().map_or(JSON, ContentType::essence);
    let acceptable = match other {
        None => media::accepts_json(&accept),
        Some(_) => media::accepts(&accept, essence),
    };
    if !acceptable {
        let detail = format!(
            "Accept leaves out what this URI has. Send Accept: {essence}, or no Accept at all."
        );
        return Err(Problem::new(Slug::NotAcceptable, detail));
    }
    let mut status = StatusCode::OK;
    if let Some(tag) = &shown.tag {
        let conditions = call
            .conditions()
            .map_err(|fault| Problem::new(Slug::MalformedRequest, fault.to_string()))?;
        match conditions.judge_read(Selected::Present {
            tag,
            modified: shown.modified,
        }) {
            Judgement::Holds => {}
            Judgement::IfMatchFalse { weak } => return Err(stale(weak)),
            Judgement::UnmodifiedSinceFalse => return Err(stale(false)),
            Judgement::IfNoneMatchFalse | Judgement::ModifiedSinceFalse => {
                status = StatusCode::NOT_MODIFIED
            }
        }
    }
    Ok(present(shown, status))
}

fn present(shown: Representation<'_>, status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, shown.cache));
    response.insert_header((header::VARY, "Accept"));
    if let Some(tag) = &shown.tag {
        response.insert_header((header::ETAG, tag.to_string()));
    }
    if let Some(location) = shown.location {
        response.insert_header((header::CONTENT_LOCATION, location));
    }
    if status == StatusCode::NOT_MODIFIED {
        return response.finish();
    }
    if let Some(link) = shown.link {
        response.insert_header((header::LINK, link));
    }
    if let Some(seconds) = shown.modified {
        last_modified(&mut response, seconds);
    }
    response.insert_header((header::CONTENT_TYPE, shown.media_type));
    response.body(shown.content)
}

/// Adds `Last-Modified`, and a `Date` that is not earlier (RFC 9110 §8.8.2.1): the database's clock may be ahead of ours,
/// and the date that actix adds is up to a second old.
pub(super) fn last_modified(response: &mut HttpResponseBuilder, unix_seconds: i64) {
    let since = Duration::from_secs(u64::try_from(unix_seconds).unwrap_or_default());
    let now = SystemTime::now();
    let modified = (UNIX_EPOCH + since).min(now);
    response.insert_header((header::LAST_MODIFIED, httpdate::fmt_http_date(modified)));
    response.insert_header((header::DATE, httpdate::fmt_http_date(now)));
}

/// `Link` to the transaction that wrote a state.
pub(super) fn via(transaction: TransactionId) -> String {
    link(&transaction.path(), "via")
}

/// One link (RFC 8288 §3); several are joined by commas.
pub(super) fn link(path: &str, relation: &str) -> String {
    format!("<{path}>; rel=\"{relation}\"")
}

/// The problem of an answer of the engine that does not belong to the question.
pub(super) fn unexpected() -> Problem {
    tracing::error!("the engine answered another question");
    Problem::new(
        Slug::InternalError,
        "The server lost the outcome. Send the same request again: it is applied at most once.",
    )
}
