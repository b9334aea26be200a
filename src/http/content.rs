//! The content of a request: read once, before anything else, whatever is then done with it.
//!
//! Leftover content is never taken for the next request of a connection, and no proxy that is still
//! sending turns a refusal into an error of its own (contract §3). What the content means is decided
//! in [`crate::protocol`].

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use actix_web::body::{BodyStream, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{Error, HttpMessage};

use super::call::Call;
use super::{digest, problems};
use crate::protocol::media::ContentType;
use crate::protocol::problem::{Problem, Slug};

/// Bytes that are read and thrown away past the limit, so that a client can read the refusal.
const DISCARDED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How much content is taken, and for how long it is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes.
    pub(super) bytes_max: usize,
    /// For the whole content of one request.
    pub(super) timeout: Duration,
}

/// The content as it was read, in the request's extensions; absent where none was sent.
struct Content(Result<Bytes, Problem>);

/// What became of reading.
enum Reading {
    /// All of it was taken.
    Whole(Bytes),
    /// It is too large; `rest` where some of it has not been read.
    TooLarge { rest: bool },
}

/// Middleware: reads the content, then lets the request go on; closes the connection where some is left.
pub(super) async fn read_first(
    bounds: Bounds,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let payload = request.take_payload();
    if matches!(payload, Payload::None) {
        // The server below ends the connection after whatever offers an upgrade, and would say `Connection: upgrade`.
        let upgrade = request.head().upgrade();
        let response = next.call(request).await?;
        return Ok(if upgrade { closing(response) } else { response });
    }
    if request.method() == Method::CONNECT {
        return next.call(request).await.map(closing);
    }
    // An offer to upgrade is not taken (RFC 9110 §7.8), and the content is what it would be without. Only with
    // WebSocket's the bytes that follow come without an end, as if it had been taken.
    if offers_websocket(request.headers()) {
        if declared_length(request.headers()) == Some(0) || !has_content(request.headers()) {
            return next.call(request).await.map(closing);
        }
        let detail = "Upgrade: websocket is not taken here. Send the request without Upgrade.";
        let problem = Problem::new(Slug::MalformedRequest, detail);
        let response = problems::response(request.request(), &problem);
        return Ok(closing(request.into_response(response)));
    }
    let upgrade = request.head().upgrade();
    let declared = declared_length(request.headers());
    let reading =
        match tokio::time::timeout(bounds.timeout, read(payload, declared, bounds.bytes_max)).await
        {
            Ok(reading) => reading,
            Err(_) => {
                let detail = "The content did not arrive in time. Send the same request again.";
                let response =
                    problems::untyped(request.request(), StatusCode::REQUEST_TIMEOUT, detail);
                return Ok(closing(request.into_response(response)));
            }
        };
    let (content, rest) = match reading {
        Ok(Reading::Whole(bytes)) => (Ok(bytes), false),
        Ok(Reading::TooLarge { rest }) => {
            let detail = format!(
                "The content is longer than {} bytes. Nothing was changed; send less at once.",
                bounds.bytes_max
            );
            (Err(Problem::new(Slug::ContentTooLarge, detail)), rest)
        }
        Err(_) => {
            let detail = "The content broke off, or its chunks are malformed (RFC 9112 §7.1). Nothing was changed; send the request again.";
            let problem = Problem::new(Slug::MalformedRequest, detail);
            let response = problems::response(request.request(), &problem);
            return Ok(closing(request.into_response(response)));
        }
    };
    request.extensions_mut().insert(Content(content));
    let response = next.call(request).await?;
    Ok(if rest || upgrade {
        closing(response)
    } else {
        response
    })
}

fn offers_websocket(headers: &HeaderMap) -> bool {
    headers.get_all(header::UPGRADE).any(|line| {
        line.as_bytes()
            .to_ascii_lowercase()
            .windows(9)
            .any(|word| word == b"websocket")
    })
}

fn has_content(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING)
}

fn closing(mut response: ServiceResponse) -> ServiceResponse {
    response
        .response_mut()
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    response
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

async fn read(
    payload: Payload,
    declared: Option<u64>,
    bytes_max: usize,
) -> Result<Reading, PayloadError> {
    let bound = bytes_max.saturating_add(DISCARDED_BYTES_MAX);
    if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > bound))
    {
        return Ok(Reading::TooLarge { rest: true });
    }
    let mut stream = pin!(BodyStream::new(payload));
    let (mut first, mut joined, mut total) = (Bytes::new(), BytesMut::new(), 0_usize);
    while let Some(chunk) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        let chunk = chunk?;
        let before = total;
        total = total.saturating_add(chunk.len());
        if total > bound {
            return Ok(Reading::TooLarge { rest: true });
        }
        if total > bytes_max {
            (first, joined) = (Bytes::new(), BytesMut::new());
        } else if before == 0 {
            first = chunk;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&chunk);
        }
    }
    if total > bytes_max {
        return Ok(Reading::TooLarge { rest: false });
    }
    Ok(Reading::Whole(if joined.is_empty() {
        first
    } else {
        joined.freeze()
    }))
}

/// Which content a URI takes.
pub(super) struct Taken {
    /// Whether it takes this type.
    pub(super) takes: fn(&ContentType) -> bool,
    /// What to send instead, for people.
    pub(super) advice: &'static str,
    /// `Accept-Patch`, with the refusal of a patch.
    pub(super) accept_patch: Option<&'static str>,
}

impl Taken {
    /// The problem of content of another type.
    pub(super) fn refusal(&self, sent: &str) -> Problem {
        let problem = Problem::new(
            Slug::UnsupportedMediaType,
            format!("{sent} {}", self.advice),
        );
        match self.accept_patch {
            Some(types) => problem.with_field("accept-patch", types),
            None => problem,
        }
    }
}

impl Call {
    /// Whether the client sent no content.
    pub(super) fn is_empty(&self) -> bool {
        match self.request.extensions().get::<Content>() {
            Some(Content(Ok(bytes))) => bytes.is_empty(),
            Some(Content(Err(_))) => false,
            None => true,
        }
    }

    /// The content, and what it is said to be.
    ///
    /// # Errors
    /// `content-too-large`; `unsupported-media-type` for a coding, no type, or one not taken; then
    /// `malformed-request` for content other than the one `Content-Digest` names.
    pub(super) fn content(&self, taken: &Taken) -> Result<(ContentType, Bytes), Problem> {
        let bytes = self.bytes()?;
        let media = match self.lines(header::CONTENT_TYPE).as_slice() {
            [] => return Err(taken.refusal("There is no Content-Type.")),
            [line] => ContentType::parse(line),
            _ => None,
        };
        let Some(media) = media else {
            return Err(taken.refusal("Content-Type is not one media type."));
        };
        if !(taken.takes)(&media) {
            return Err(taken.refusal(&format!("{} is not taken here.", media.text())));
        }
        self.check_digest(&bytes)?;
        Ok((media, bytes))
    }

    /// Checks content that means nothing: it may be refused all the same.
    ///
    /// # Errors
    /// `content-too-large`; `unsupported-media-type` for a coding; `malformed-request` for content other than the one
    /// `Content-Digest` names.
    pub(super) fn no_content(&self) -> Result<(), Problem> {
        let bytes = self.bytes()?;
        self.check_digest(&bytes)
    }

    fn bytes(&self) -> Result<Bytes, Problem> {
        let content = self.request.extensions_mut().remove::<Content>();
        let bytes = content.map_or(Ok(Bytes::new()), |Content(content)| content)?;
        refuse_coding(&self.lines(header::CONTENT_ENCODING))?;
        Ok(bytes)
    }

    fn check_digest(&self, bytes: &[u8]) -> Result<(), Problem> {
        let name = header::HeaderName::from_static("content-digest");
        digest::check(&self.lines(name), bytes)
    }
}

fn refuse_coding(lines: &[&[u8]]) -> Result<(), Problem> {
    let plain = |coding: &[u8]| {
        coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity")
    };
    if lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b','))
        .all(plain)
    {
        return Ok(());
    }
    let detail =
        "Content is stored as it comes, so send it without a content coding (RFC 9110 §8.4).";
    Err(Problem::new(Slug::UnsupportedMediaType, detail).with_field("accept-encoding", "identity"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_identity_is_no_coding() {
        for (line, right) in [
            (b"identity".as_slice(), true),
            (b"Identity , ", true),
            (b"", true),
            (b"gzip", false),
            (b"identity, br", false),
        ] {
            assert_eq!(refuse_coding(&[line]).is_ok(), right, "{line:?}");
        }
        assert!(refuse_coding(&[]).is_ok());
    }

    #[actix_web::test]
    async fn content_is_taken_up_to_the_limit_and_never_past_the_bound() {
        for (length, declared, expected) in [
            (0, None, "whole"),
            (5, Some(5), "whole"),
            (6, Some(6), "large"),
            (6, Some(u64::MAX), "unread"),
        ] {
            let payload = Payload::from(Bytes::from(vec![b'x'; length]));
            let reading = match read(payload, declared, 5).await {
                Ok(Reading::Whole(bytes)) if bytes.len() == length => "whole",
                Ok(Reading::TooLarge { rest: false }) => "large",
                Ok(Reading::TooLarge { rest: true }) => "unread",
                _ => "wrong",
            };
            assert_eq!(reading, expected, "{length} {declared:?}");
        }
    }
}
