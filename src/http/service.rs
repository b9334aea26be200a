//! The service document `/`: where everything is, and what is taken at most.

use actix_web::HttpResponse;
use serde::Serialize;

use super::call::Call;
use super::query::Query;
use super::respond::{self, Representation};
use crate::protocol::clock::Timestamp;
use crate::protocol::limits;
use crate::protocol::problem::Problem;

#[derive(Serialize)]
struct ServiceDocument {
    name: &'static str,
    version: &'static str,
    links: Links,
    limits: Limits,
    retention_seconds: i64,
    purge_horizon: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_versions: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_versions_seconds: Option<i64>,
}

#[derive(Serialize)]
struct Links {
    resources: &'static str,
    schemas: &'static str,
    transactions: &'static str,
    problems: &'static str,
    openapi: &'static str,
    docs: &'static str,
}

#[derive(Serialize)]
struct Limits {
    body_bytes: usize,
    changes: usize,
    json_depth: usize,
    list_limit: i64,
    list_keys: usize,
    expires_seconds: i64,
    open_transactions: usize,
}

const LINKS: Links = Links {
    resources: "/resources",
    schemas: "/schemas/{collection}",
    transactions: "/transactions",
    problems: "/problems/{slug}",
    openapi: "/openapi.yaml",
    docs: "/docs",
};

/// `GET /`.
pub(super) async fn get_service(call: Call) -> Result<HttpResponse, Problem> {
    Query::of(&call, &[])?;
    let service = call.engine.service(&call.tenant).await?;
    let configured = call.engine.limits();
    let document = ServiceDocument {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        links: LINKS,
        limits: Limits {
            body_bytes: configured.body_bytes_max,
            changes: limits::CHANGES_MAX,
            json_depth: limits::JSON_DEPTH_MAX,
            list_limit: limits::LIST_LIMIT_MAX,
            list_keys: limits::LIST_KEYS_MAX,
            expires_seconds: limits::EXPIRES_SECONDS_MAX,
            open_transactions: configured.open_transactions_max,
        },
        retention_seconds: configured.retention_seconds,
        purge_horizon: service.purge_horizon,
        keep_versions: configured.keep.newest,
        keep_versions_seconds: configured.keep.seconds,
    };
    respond::read_plain(&call, Representation::weak(&document)?)
}
