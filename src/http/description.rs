//! The API description, as it was written and as JSON.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use etag::EntityTag;

use super::call::Call;
use super::document;
use super::query::Query;
use super::respond::{self, RELEASE, Representation, YAML};
use crate::protocol::operation::JSON;
use crate::protocol::problem::Problem;
use crate::protocol::tag::weak_tag_of;

const OPENAPI_YAML: &str = include_str!("../../openapi.yaml");

/// The same as JSON, converted once; empty if it could not be, which a test rules out.
static OPENAPI_JSON: LazyLock<String> = LazyLock::new(|| {
    let description = serde_norway::from_str::<serde_json::Value>(OPENAPI_YAML);
    let content = description
        .ok()
        .and_then(|description| document::pretty(&description).ok());
    content
        .and_then(|content| String::from_utf8(content).ok())
        .unwrap_or_default()
});

/// The description of the API as it was written (OpenAPI 3.0.3, YAML).
pub fn openapi_yaml() -> &'static str {
    OPENAPI_YAML
}

/// The description of the API as JSON, indented, with a line feed at its end.
pub fn openapi_json() -> &'static str {
    &OPENAPI_JSON
}

/// `GET /openapi.yaml`.
pub(super) async fn get_openapi_yaml(call: Call) -> Result<HttpResponse, Problem> {
    show(&call, openapi_yaml(), YAML)
}

/// `GET /openapi.json`.
pub(super) async fn get_openapi_json(call: Call) -> Result<HttpResponse, Problem> {
    show(&call, openapi_json(), JSON)
}

fn show(call: &Call, content: &str, media_type: &'static str) -> Result<HttpResponse, Problem> {
    Query::of(call, &[])?;
    let shown = Representation {
        content: content.as_bytes().to_vec(),
        media_type,
        cache: RELEASE,
        // The same digest as of lists; strong, since these bytes are all there is.
        tag: Some(EntityTag::strong(weak_tag_of(content.as_bytes()).tag())),
        modified: None,
        location: None,
        link: None,
    };
    respond::read_plain(call, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_can_be_read_as_json() {
        let description: serde_json::Value =
            serde_json::from_str(openapi_json()).unwrap_or_default();
        assert_eq!(description["openapi"], "3.0.3");
    }
}
