//! Requests that produce the examples of answers: to each example of the file its row.

mod problems;

pub(super) use problems::PROBLEMS;

use super::scenes::Act;

/// One request, in the terms of the file.
pub(super) struct Row {
    /// The example that the answer is like, to the letter.
    pub(super) like: &'static str,
    pub(super) status: u16,
    pub(super) act: Act,
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// The name of an example of the request, or content.
    pub(super) body: &'static str,
}

type Fields = &'static [(&'static str, &'static str)];

const fn row(
    like: &'static str,
    status: u16,
    act: Act,
    method: &'static str,
    path: &'static str,
    headers: Fields,
    body: &'static str,
) -> Row {
    Row {
        like,
        status,
        act,
        method,
        path,
        headers,
        body,
    }
}

const STAR: (&str, &str) = ("if-match", "*");
const CREATE: (&str, &str) = ("if-none-match", "*");
const TAG: (&str, &str) = ("if-match", "\"1.e07a41c95d286fb3.1\"");
const SHOWN: (&str, &str) = ("prefer", "return=representation");
const JSON_PATCH: (&str, &str) = ("content-type", "application/json-patch+json");
const KEY: (&str, &str) = ("idempotency-key", "8e03978e-40d5-43e8-bc93-6894a57f9324");
const ALICE: &str = "/resources/accounts/alice";
const TRANSACTION: &str = "/transactions/01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11";
const VIEW: &str = "/transactions/01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11/resources/accounts/alice";
const OWN: &str = "/transactions/01980f3f-02c4-7d19-b3e8-2c9d4a7f6b05";

/// Successful answers: `operationId status example`.
pub(super) const ANSWERS: &[Row] = &[
    row(
        "getService 200 example",
        200,
        Act::Resources,
        "GET",
        "/",
        &[],
        "",
    ),
    row(
        "listCollections 200 collections",
        200,
        Act::Resources,
        "GET",
        "/resources",
        &[],
        "",
    ),
    row(
        "listCollections 200 snapshot",
        200,
        Act::Resources,
        "GET",
        "/resources?key=accounts/alice&key=limits/daily",
        &[],
        "",
    ),
    row(
        "listResources 200 example",
        200,
        Act::Resources,
        "GET",
        "/resources/accounts?limit=2",
        &[],
        "",
    ),
    row(
        "getResource 200 example",
        200,
        Act::Resources,
        "GET",
        ALICE,
        &[],
        "",
    ),
    row(
        "getSchema 200 example",
        200,
        Act::Described,
        "GET",
        "/schemas/accounts",
        &[],
        "",
    ),
    row(
        "listVersions 200 history",
        200,
        Act::Resources,
        "GET",
        "/resources/accounts/alice/versions?limit=2",
        &[],
        "",
    ),
    row(
        "listVersions 200 deleted",
        200,
        Act::Moved,
        "GET",
        "/resources/limits/daily/versions",
        &[],
        "",
    ),
    row(
        "getVersion 200 example",
        200,
        Act::Resources,
        "GET",
        "/resources/accounts/alice/versions/3",
        &[],
        "",
    ),
    row(
        "listTransactions 200 example",
        200,
        Act::Open,
        "GET",
        "/transactions?state=open",
        &[],
        "",
    ),
    row(
        "createTransaction 201 opened",
        201,
        Act::Resources,
        "POST",
        "/transactions",
        &[],
        "context",
    ),
    row(
        "createTransaction 201 applied",
        201,
        Act::Resources,
        "POST",
        "/transactions",
        &[KEY],
        "command",
    ),
    row(
        "createTransaction 200 example",
        200,
        Act::Open,
        "POST",
        "/transactions",
        &[],
        "context",
    ),
    row(
        "getTransaction 200 example",
        200,
        Act::Committed,
        "GET",
        TRANSACTION,
        &[],
        "",
    ),
    row(
        "putTransaction 200 applied",
        200,
        Act::Open,
        "PUT",
        TRANSACTION,
        &[TAG],
        "apply",
    ),
    row(
        "putTransaction 201 created",
        201,
        Act::Resources,
        "PUT",
        OWN,
        &[CREATE],
        "create",
    ),
    row(
        "putTransaction 201 cancelled",
        201,
        Act::Resources,
        "PUT",
        OWN,
        &[CREATE],
        "cancel",
    ),
    row(
        "putTransaction 200 saved",
        200,
        Act::Open,
        "PUT",
        TRANSACTION,
        &[TAG],
        "save",
    ),
    row(
        "patchTransaction 200 renewed",
        200,
        Act::Open,
        "PATCH",
        TRANSACTION,
        &[TAG],
        "renew",
    ),
    row(
        "patchTransaction 200 committed",
        200,
        Act::Drafted,
        "PATCH",
        TRANSACTION,
        &[STAR],
        "commit",
    ),
    row(
        "getDraftResource 200 example",
        200,
        Act::Open,
        "GET",
        VIEW,
        &[],
        "",
    ),
    row(
        "getProblemType 200 example",
        200,
        Act::Resources,
        "GET",
        "/problems/stale-resource",
        &[],
        "",
    ),
    row(
        "getLiveness 200 example",
        200,
        Act::Resources,
        "GET",
        "/health/live",
        &[],
        "",
    ),
    row(
        "getReadiness 200 example",
        200,
        Act::Resources,
        "GET",
        "/health/ready",
        &[],
        "",
    ),
];
