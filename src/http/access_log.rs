//! One line in the log for each request, and the `X-Request-Id` that leads from an answer to it.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a request id that is taken over.
const REQUEST_ID_CHARS_MAX: usize = 128;
/// Characters of a query value that is logged: keys and cursors are, documents are not.
const LOGGED_CHARS_MAX: usize = 200;

/// Middleware: names the request, times it, and logs it once.
pub(super) async fn log(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let started = Instant::now();
    let id = request_id(request.headers());
    let mut response = next.call(request).await?;
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let status = response.status().as_u16();
    let (method, target) = (
        response.request().method(),
        logged(response.request().uri()),
    );
    let request_id = id.to_str().unwrap_or_default();
    if status >= 500 {
        tracing::warn!(%method, %target, status, micros, request_id, "request");
    } else {
        tracing::info!(%method, %target, status, micros, request_id, "request");
    }
    response.headers_mut().insert(REQUEST_ID, id);
    Ok(response)
}

/// The client's id where it is 1 to 128 visible ASCII characters, else a fresh one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let fits = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=REQUEST_ID_CHARS_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    };
    let fresh = || HeaderValue::from_str(&Uuid::now_v7().to_string());
    match headers.get(REQUEST_ID).filter(fits) {
        Some(id) => id.clone(),
        None => fresh().unwrap_or(HeaderValue::from_static("-")),
    }
}

/// The path, and the query without its long values.
fn logged(uri: &Uri) -> Cow<'_, str> {
    let whole = uri.path_and_query().map_or("", |target| target.as_str());
    let Some(query) = uri.query().filter(|query| query.len() > LOGGED_CHARS_MAX) else {
        return Cow::Borrowed(whole);
    };
    let shortened: Vec<Cow<'_, str>> = query
        .split('&')
        .map(|piece| match piece.split_once('=') {
            Some((name, value)) if value.len() > LOGGED_CHARS_MAX => {
                Cow::Owned(format!("{name}=…"))
            }
            _ => Cow::Borrowed(piece),
        })
        .collect();
    Cow::Owned(format!("{}?{}", uri.path(), shortened.join("&")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn long_values_are_not_logged() {
        let long = "x".repeat(201);
        let uri: Uri = format!("/resources/a?limit=1&prefix={long}&after=b")
            .parse()
            .unwrap();
        assert_eq!(logged(&uri), "/resources/a?limit=1&prefix=…&after=b");
        assert_eq!(logged(&"/a?b=c".parse().unwrap()), "/a?b=c");
    }

    #[test]
    fn only_visible_ascii_is_taken_over_as_an_id() {
        for (sent, taken) in [
            ("abc-1", true),
            ("a b", false),
            ("", false),
            (&*"x".repeat(128), true),
            (&*"x".repeat(129), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(sent).unwrap());
            let id = request_id(&headers);
            assert_eq!(id.to_str().unwrap() == sent, taken, "{sent}");
            assert!(taken || id.len() == 36);
        }
    }
}
