//! What the fault tests share: a server behind a proxy, operations on it, and a look into the store itself.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use uuid::Uuid;

use super::proxy::{Proxy, eventually};
use crate::support::client::{Client, Response};
use crate::support::cluster;
pub(super) use crate::support::cluster::{blocked, number};
use crate::support::server::Server;

/// A server with one committer, whose way to Postgres is the proxy's.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) proxy: Proxy,
    pub(super) client: Client,
    /// Straight to Postgres.
    pub(super) store: PgConnection,
    database_url: String,
}

impl Scene {
    /// With the resource `accounts/{key}` for each key, at version 1.
    pub(super) fn with(keys: &[&str]) -> Self {
        let database_url = cluster::database();
        let proxy = Proxy::before(&database_url);
        let server = Server::over(
            proxy.database_url(),
            |settings| {
                settings.committers = 1;
                settings.connection_timeout = std::time::Duration::from_millis(500);
            },
            |_| {},
        );
        let mut client = server.client();
        for key in keys {
            let path = format!("/resources/accounts/{key}");
            client
                .send("PUT", &path, &[("if-none-match", "*")], Some("0"))
                .expect(201);
        }
        let store = cluster::connect(&database_url);
        Self {
            server,
            proxy,
            client,
            store,
            database_url,
        }
    }

    /// Holds the row of `accounts/{key}` until what is returned is dropped.
    pub(super) fn hold_row(&self, key: &str) -> PgConnection {
        let mut holder = cluster::connect(&self.database_url);
        diesel::sql_query("BEGIN").execute(&mut holder).unwrap();
        diesel::sql_query("SELECT FROM resources WHERE key = $1 FOR UPDATE")
            .bind::<Text, _>(key)
            .execute(&mut holder)
            .unwrap();
        holder
    }

    /// An open context.
    pub(super) fn context(&mut self) -> Context {
        let created = self
            .client
            .send("POST", "/transactions", &[], None)
            .expect(201);
        Context {
            path: created.location(),
            tag: created.etag(),
        }
    }

    /// Which version of a resource the store has, checked against the number of versions kept.
    #[track_caller]
    pub(super) fn version(&mut self, key: &str) -> i64 {
        let newest = format!(
            "SELECT coalesce(max(version), 0)::bigint AS number FROM resources WHERE key = '{key}'"
        );
        let kept = format!("SELECT count(*) AS number FROM versions WHERE key = '{key}'");
        let newest = number(&mut self.store, &newest);
        assert_eq!(
            number(&mut self.store, &kept),
            newest,
            "every version of {key} is kept, once"
        );
        newest
    }

    /// Waits until a session of the server waits for a lock.
    #[track_caller]
    pub(super) fn wait_blocked(&mut self) {
        eventually("a session of the server waits for a lock", || {
            blocked(&mut self.store) > 0
        });
    }
}

/// A transaction that `POST /transactions` made.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) path: String,
    pub(super) tag: String,
}

impl Context {
    /// Writes `value` to `accounts/{key}`, whatever its state.
    pub(super) fn apply(&self, client: &mut Client, key: &str, value: usize) -> Response {
        client.send(
            "PUT",
            &self.path,
            &[("if-match", &self.tag)],
            Some(&operation(key, value)),
        )
    }
}

/// The content that writes `value` to `accounts/{key}`.
pub(super) fn operation(key: &str, value: usize) -> String {
    format!(
        r#"{{"changes": [{{"method": "PUT", "target": "/resources/accounts/{key}", "if_match": "*", "body": {value}}}]}}"#
    )
}

/// The path of a transaction that a client names.
pub(super) fn named() -> String {
    format!("/transactions/{}", Uuid::now_v7())
}

/// Checks that a repeated request was answered as a replay.
#[track_caller]
pub(super) fn check_replay(response: Response) {
    let response = response.expect(200);
    assert_eq!(
        response.header("idempotent-replayed").as_deref(),
        Some("true"),
        "{response:#?}"
    );
    assert_eq!(response.json()["state"], "committed");
}

/// Checks that this says: unknown, ask again.
#[track_caller]
pub(super) fn check_unavailable(response: Response) {
    let response = response.expect_problem(503, "unavailable");
    assert!(
        response
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{response:#?}"
    );
    assert_eq!(
        response.header("cache-control").as_deref(),
        Some("no-store")
    );
}
