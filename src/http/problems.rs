//! Problems as answers (RFC 9457, contract §8), and the pages of their types.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::call::{Call, preferences};
use super::document::{self, ProblemDocument, problem_path};
use super::query::Query;
use super::respond::{self, NO_STORE, RELEASE, Representation};
use crate::protocol::problem::{Problem, Slug};

const PROBLEM_JSON: &str = "application/problem+json";
/// Seconds after which what was unavailable, or too much, may be asked for again.
const RETRY_AFTER_SECONDS: &str = "1";

/// The answer that a problem is.
pub(super) fn response(request: &HttpRequest, problem: &Problem) -> HttpResponse {
    let status =
        StatusCode::from_u16(problem.slug.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, NO_STORE));
    response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON));
    if let Some(location) = &problem.location {
        response.insert_header((header::LOCATION, location.as_str()));
    }
    if let Some((name, value)) = problem.field {
        response.insert_header((name, value));
    }
    if problem.slug == Slug::NotAcceptable {
        response.insert_header((header::VARY, "Accept"));
    }
    if matches!(problem.slug, Slug::Unavailable | Slug::TooManyRequests) {
        response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS));
    }
    if let Some(preference) = applied(request, problem) {
        response.insert_header(("preference-applied", preference));
    }
    let document = ProblemDocument::of(problem, request.path());
    response.body(document::pretty(&document).unwrap_or_default())
}

/// The answer to what HTTP itself, not this API, has a status code for (RFC 9457 §4.2.1).
pub(super) fn untyped(request: &HttpRequest, status: StatusCode, detail: &str) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or_default();
    let document = ProblemDocument::untyped(status.as_u16(), title, detail, request.path());
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, NO_STORE))
        .insert_header((header::CONTENT_TYPE, PROBLEM_JSON))
        .body(document::pretty(&document).unwrap_or_default())
}

/// The preference that a refusal honours: the current bodies, or a strict answer to a repetition.
fn applied(request: &HttpRequest, problem: &Problem) -> Option<&'static str> {
    if problem.slug == Slug::AlreadyApplied {
        return preferences(request).strict.then_some("handling=strict");
    }
    let bodies = problem
        .conflicts
        .iter()
        .any(|conflict| conflict.body.is_some());
    bodies.then_some("return=representation")
}

/// A problem type.
#[derive(Serialize)]
struct TypeDocument {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'static str,
    recovery: &'static str,
}

/// `GET /problems/{slug}`.
pub(super) async fn get_problem_type(call: Call) -> Result<HttpResponse, Problem> {
    let slug = call.problem_slug()?;
    Query::of(&call, &[])?;
    let document = TypeDocument {
        kind: problem_path(slug),
        title: slug.title(),
        status: slug.status(),
        detail: slug.meaning(),
        recovery: slug.recovery(),
    };
    respond::read_plain(&call, Representation::document(&document, RELEASE)?)
}
