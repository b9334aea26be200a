//! The schema of a collection: read it, set it, delete it (contract §2, §4).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;

use super::call::Call;
use super::content::Taken;
use super::query::Query;
use super::respond::{self, NO_STORE, PRIVATE, Representation};
use crate::protocol::json;
use crate::protocol::media::ContentType;
use crate::protocol::name::Collection;
use crate::protocol::operation::{self, JSON};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::schema::{SchemaCommand, SchemaContent};

/// The media type of JSON Schema.
const SCHEMA: &str = "application/schema+json";
const TAKES: Taken = Taken {
    takes: |media| [JSON, SCHEMA].contains(&media.essence()) && media.is_json(),
    advice: "Send a JSON Schema as application/schema+json or application/json, in UTF-8.",
    accept_patch: None,
};

/// The path of a collection's schema.
pub(super) fn path(collection: &Collection) -> String {
    format!("/schemas/{}", collection.as_str())
}

/// `GET /schemas/{collection}`.
pub(super) async fn get_schema(call: Call) -> Result<HttpResponse, Problem> {
    let collection = call.collection()?;
    Query::of(&call, &[])?;
    let found = call.engine.schema_fetch(&call.tenant, &collection).await?;
    let schema = found.ok_or_else(|| {
        let name = collection.as_str();
        let detail = format!("{name} has no schema. PUT one with the header line If-None-Match: *");
        Problem::new(Slug::NotFound, detail)
    })?;
    let shown = Representation {
        content: schema.content.text.as_bytes().to_vec(),
        media_type: &schema.content.media_type,
        cache: PRIVATE,
        tag: Some(schema.tag.entity_tag()),
        modified: Some(schema.updated_at.unix_seconds()),
        location: Some(path(&collection)),
        link: None,
    };
    respond::read_plain(&call, shown)
}

/// `PUT /schemas/{collection}`.
pub(super) async fn put_schema(call: Call) -> Result<HttpResponse, Problem> {
    let command = command(&call)?;
    let collection = command.collection.clone();
    let content = content(&call);
    let set = call.engine.schema_put(command, content).await?;
    let mut response = match set.created {
        true => HttpResponse::Created(),
        false => HttpResponse::NoContent(),
    };
    if set.created {
        response.insert_header((header::LOCATION, path(&collection)));
    }
    response.insert_header((header::ETAG, set.tag.to_string()));
    response.insert_header((header::CACHE_CONTROL, PRIVATE));
    respond::last_modified(&mut response, set.updated_at.unix_seconds());
    Ok(response.finish())
}

/// `DELETE /schemas/{collection}`; content means nothing.
pub(super) async fn delete_schema(call: Call) -> Result<HttpResponse, Problem> {
    let command = command(&call)?;
    let content = call.no_content();
    call.engine.schema_delete(command, content).await?;
    let mut response = HttpResponse::NoContent();
    response.insert_header((header::CACHE_CONTROL, NO_STORE));
    Ok(response.finish())
}

fn command(call: &Call) -> Result<SchemaCommand, Problem> {
    let collection = call.collection()?;
    Query::of(call, &[])?;
    Ok(SchemaCommand {
        tenant: call.tenant.clone(),
        collection,
        nonce: rand::random(),
        conditions: call.conditions(),
    })
}

fn content(call: &Call) -> Result<SchemaContent, Problem> {
    let (media, bytes) = call.content(&TAKES)?;
    json::parse(&bytes).map_err(operation::malformed)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        let detail = "The content is not UTF-8 (RFC 8259 §8.1).";
        Problem::new(Slug::MalformedRequest, detail)
    })?;
    Ok(SchemaContent {
        text: Arc::from(text),
        media_type: ContentType::text(&media).into(),
    })
}
