//! `/docs`: a page to read the API description, and to send requests from it (contract §2).
//!
//! Swagger UI, served from this binary: the page works without any other server, and may not talk to one
//! (`Content-Security-Policy`). What it shows is /openapi.json; this module must not know what stands there.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{StatusCode, header::HeaderMap};
use actix_web::web::Bytes;
use etag::EntityTag;

use super::call::Call;
use super::query::Query;
use super::respond::{self, RELEASE, Representation};
use crate::protocol::name::decode_once;
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::tag::weak_tag_of;

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PNG: &str = "image/png";

/// Nothing but the files below, and requests to this server. The one relaxation is `data:` in `img-src`: Swagger UI's
/// arrows and icons are such URLs in its style sheet. There is no inline script or style, and no `eval`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is our own, by its name under `/docs/`.
const OWN: [(&str, &str, &str); 2] = [
    ("page.css", STYLE, include_str!("docs/page.css")),
    ("page.js", SCRIPT, include_str!("docs/page.js")),
];

/// What the page needs of Swagger UI's files.
const VENDORED: [(&str, &str); 4] = [
    ("favicon-16x16.png", PNG),
    ("favicon-32x32.png", PNG),
    ("swagger-ui-bundle.js", SCRIPT),
    ("swagger-ui.css", STYLE),
];

/// A file of the page, or the page itself.
struct File {
    name: &'static str,
    media_type: &'static str,
    content: Bytes,
    tag: EntityTag,
}

impl File {
    fn new(name: &'static str, media_type: &'static str, content: Bytes) -> Self {
        // Strong, since these bytes are all there is.
        let tag = EntityTag::strong(weak_tag_of(&content).tag());
        Self {
            name,
            media_type,
            content,
            tag,
        }
    }
}

static PAGE: LazyLock<File> = LazyLock::new(|| {
    let content = Bytes::from_static(include_bytes!("docs/page.html"));
    File::new("", HTML, content)
});

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let own = OWN.map(|(name, media_type, content)| {
        File::new(name, media_type, Bytes::from_static(content.as_bytes()))
    });
    let vendored = VENDORED
        .iter()
        .filter_map(|(name, media_type)| Some(File::new(name, media_type, vendored(name)?)));
    own.into_iter().chain(vendored).collect()
});

/// A file of Swagger UI; `None` if this release of it has no such file, which a test rules out.
fn vendored(name: &str) -> Option<Bytes> {
    let file = utoipa_swagger_ui::serve(name, Arc::default()).ok()??;
    Some(match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    })
}

/// `GET /docs`.
pub(super) async fn get_docs(call: Call) -> Result<HttpResponse, Problem> {
    let mut response = show(&call, &PAGE)?;
    // On 304 too: the policy may change with a release that leaves the page as it is.
    add(
        response.headers_mut(),
        header::CONTENT_SECURITY_POLICY,
        POLICY,
    );
    Ok(response)
}

/// `GET /docs/{file}`.
pub(super) async fn get_docs_file(call: Call) -> Result<HttpResponse, Problem> {
    let file = named(&call)?;
    show(&call, file)
}

/// Refuses a name that no file has.
pub(super) fn check(call: &Call) -> Result<(), Problem> {
    named(call).map(drop)
}

fn named(call: &Call) -> Result<&'static File, Problem> {
    let segment = call.request.uri().path().split('/').nth(2);
    segment
        .and_then(decode_once)
        .and_then(|name| FILES.iter().find(|file| file.name == name))
        .ok_or_else(|| {
            let detail = "The page to read the API description is /docs, and it has no such file.";
            Problem::new(Slug::NotFound, detail)
        })
}

fn show(call: &Call, file: &File) -> Result<HttpResponse, Problem> {
    Query::of(call, &[])?;
    let shown = Representation {
        content: Vec::new(),
        media_type: file.media_type,
        cache: RELEASE,
        tag: Some(file.tag.clone()),
        modified: None,
        location: None,
        link: None,
    };
    let mut response = respond::read_plain(call, shown)?;
    let headers = response.headers_mut();
    add(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(headers, header::REFERRER_POLICY, "no-referrer");
    if response.status() == StatusCode::OK {
        // Shared, not copied: the largest of them has 1.5 MB.
        response = response.set_body(BoxBody::new(file.content.clone()));
    }
    Ok(response)
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_there_and_has_content() {
        assert_eq!(FILES.len(), OWN.len() + VENDORED.len());
        for file in FILES.iter() {
            assert!(!file.content.is_empty(), "{}", file.name);
        }
    }
}
