//! Signs of life, for operators: whether the process runs, and whether it can do its work.

use actix_web::HttpResponse;
use serde::Serialize;

use super::call::Call;
use super::query::Query;
use super::respond::{self, NO_STORE, Representation};
use crate::protocol::problem::Problem;

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /health/live`.
pub(super) async fn get_liveness(call: Call) -> Result<HttpResponse, Problem> {
    Query::of(&call, &[])?;
    respond::read_plain(
        &call,
        Representation::document(&Health { status: "ok" }, NO_STORE)?,
    )
}

/// `GET /health/ready`.
pub(super) async fn get_readiness(call: Call) -> Result<HttpResponse, Problem> {
    Query::of(&call, &[])?;
    call.engine.ready().await?;
    respond::read_plain(
        &call,
        Representation::document(&Health { status: "ok" }, NO_STORE)?,
    )
}
