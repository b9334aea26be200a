//! The fields of requests that are to be applied once: the keys that come in, and what goes out about them.
//!
//! What a key means is decided in [`crate::protocol`]; only direct writes and `POST /transactions` ask for it here.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};

use super::call::Call;
use super::problems;
use crate::protocol::key::RequestKey;
use crate::protocol::problem::{Problem, Slug};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("repeatability-request-id");
const FIRST_SENT: HeaderName = HeaderName::from_static("repeatability-first-sent");
const RESULT: HeaderName = HeaderName::from_static("repeatability-result");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The key that a request came with.
///
/// # Errors
/// As [`RequestKey::parse`].
pub(super) fn key_of(call: &Call) -> Result<Option<RequestKey>, Problem> {
    RequestKey::parse(
        &call.lines(IDEMPOTENCY_KEY),
        &call.lines(REQUEST_ID),
        &call.lines(FIRST_SENT),
    )
}

/// Says of an answer that an earlier request did the work.
pub(super) fn replayed(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Adds what Repeatable Requests ask for (section "Repeatability-Result"), where the request is one: `rejected` where its key is why nothing was
/// done, else `accepted`, since the same request is applied once at most.
///
/// # Errors
/// The problem that was given.
pub(super) fn answered(
    call: &Call,
    answer: Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    let headers = call.request.headers();
    if !headers.contains_key(REQUEST_ID) && !headers.contains_key(FIRST_SENT) {
        return answer;
    }
    let rejected = key_of(call).is_err()
        || answer.as_ref().is_err_and(|problem| {
            matches!(
                problem.slug,
                Slug::KeyReused | Slug::RequestTooOld | Slug::Gone
            )
        });
    let mut response = answer.unwrap_or_else(|problem| problems::response(&call.request, &problem));
    let result = if rejected { "rejected" } else { "accepted" };
    let headers = response.headers_mut();
    headers.insert(RESULT, HeaderValue::from_static(result));
    Ok(response)
}
