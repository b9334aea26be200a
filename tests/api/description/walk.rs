//! A walk that produces every answer that the file declares, and checks each.

mod drafts;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::checker::{check, description};
use super::{METHODS, filled};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

/// Declared answers that this walk does not produce: these operations need no database. The list only shrinks.
const NOT_PRODUCED: &[&str] = &[
    "getProblemType 5XX",
    "headProblemType 5XX",
    "getOpenapiYaml 5XX",
    "headOpenapiYaml 5XX",
    "getOpenapiJson 5XX",
    "headOpenapiJson 5XX",
    "getDocs 5XX",
    "headDocs 5XX",
    "getLiveness 5XX",
    "headLiveness 5XX",
];

const RESOURCE: &str = "/resources/{collection}/{key}";
const VERSIONS: &str = "/resources/{collection}/{key}/versions";
const VERSION: &str = "/resources/{collection}/{key}/versions/{version}";
const TRANSACTION: &str = "/transactions/{id}";
const STAR: (&str, &str) = ("if-match", "*");
const CREATE: (&str, &str) = ("if-none-match", "*");
const OPERATION: &str =
    r#"{"changes": [{"method": "GET", "target": "/resources/limits/none", "if_none_match": "*"}]}"#;

struct Walk {
    document: Value,
    client: Client,
    seen: BTreeSet<String>,
}

impl Walk {
    /// Sends a request, and checks the answer.
    #[track_caller]
    fn step(
        &mut self,
        method: &str,
        template: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Response {
        let response = self.client.send(method, path, headers, body);
        let (id, key) = check(&self.document, template, method, &response);
        self.seen.insert(format!("{id} {key}"));
        response
    }

    /// GET and HEAD of everything: found, unchanged, refused.
    fn read_all(&mut self, transaction: &str) {
        let templates: Vec<String> = self.document["paths"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        for template in &templates {
            let path = match template.as_str() {
                TRANSACTION => transaction.to_owned(),
                drafts::DRAFT => format!("{transaction}/resources/accounts/alice"),
                _ => filled(&self.document, template),
            };
            for method in ["GET", "HEAD"] {
                let read = self.step(method, template, &path, &[], None).expect(200);
                if let Some(tag) = read.header("etag") {
                    self.step(method, template, &path, &[("if-none-match", &tag)], None)
                        .expect(304);
                }
                self.step(method, template, &format!("{path}?unknown=1"), &[], None)
                    .expect(400);
                self.step(method, template, &path, &[("accept", "image/png")], None)
                    .expect(406);
            }
        }
    }

    fn resources(&mut self) {
        let path = "/resources/accounts/walk";
        self.step("PUT", RESOURCE, path, &[CREATE], Some("{}"))
            .expect(201);
        self.step(
            "PUT",
            RESOURCE,
            path,
            &[STAR, ("prefer", "return=minimal")],
            Some("{}"),
        )
        .expect(204);
        let representation = ("prefer", "return=representation");
        self.step(
            "PUT",
            RESOURCE,
            path,
            &[("if-match", "\"x\""), representation],
            Some("{}"),
        )
        .expect(412);
        for method in ["PUT", "PATCH", "DELETE"] {
            self.step(method, RESOURCE, path, &[], Some("{}"))
                .expect(428);
            self.step(method, RESOURCE, path, &[("if-match", "x")], Some("{}"))
                .expect(400);
            self.step(
                method,
                RESOURCE,
                path,
                &[("if-match", "W/\"x\"")],
                Some("{}"),
            )
            .expect(412);
            self.step(method, RESOURCE, "/resources/A/b", &[STAR], Some("{}"))
                .expect(404);
        }
        for method in ["PUT", "PATCH"] {
            self.step(
                method,
                RESOURCE,
                path,
                &[STAR, ("content-type", "a/b")],
                Some("{}"),
            )
            .expect(415);
            self.step(
                method,
                RESOURCE,
                path,
                &[STAR, ("content-encoding", "gzip")],
                Some("{}"),
            )
            .expect(415);
            self.step(method, RESOURCE, path, &[STAR], Some("{"))
                .expect(400);
        }
        let tag = self
            .step("PATCH", RESOURCE, path, &[STAR], Some("{\"a\": 1}"))
            .expect(204)
            .etag();
        let patch = [
            ("if-match", &*tag),
            ("content-type", "application/json-patch+json"),
        ];
        self.step(
            "PATCH",
            RESOURCE,
            path,
            &patch,
            Some(r#"[{"op":"remove","path":"/x"}]"#),
        )
        .expect(409);
        self.step("PATCH", RESOURCE, path, &patch, Some("{}"))
            .expect(422);
        self.step("GET", RESOURCE, path, &[("if-match", "\"x\"")], None)
            .expect(412);
        self.step("DELETE", RESOURCE, path, &[STAR], None)
            .expect(204);
        self.step("DELETE", RESOURCE, path, &[STAR], None)
            .expect(404);
        let versions = format!("{path}/versions");
        let list = self.step("GET", VERSIONS, &format!("{versions}?limit=1"), &[], None);
        let deletion = &list.expect(200).json()["items"][0];
        assert_eq!(deletion["deleted"], true);
        let href = deletion["href"].as_str().unwrap();
        self.step("GET", VERSION, href, &[], None).expect(404);
        let first = format!("{versions}/1");
        for condition in ["\"x\"", "W/\"x\""] {
            let false_one = [("if-match", condition)];
            self.step("GET", VERSION, &first, &false_one, None)
                .expect(412);
        }
        let never = "/resources/accounts/never/versions";
        self.step("GET", VERSIONS, never, &[], None).expect(404);
        for list in ["/resources?limit=1", "/resources?key=accounts/alice"] {
            self.step("GET", "/resources", list, &[], None).expect(200);
        }
        let page = self
            .step(
                "GET",
                "/resources/{collection}",
                "/resources/accounts?limit=1",
                &[],
                None,
            )
            .expect(200);
        assert!(page.header("link").is_some());
        let unchanged = [("if-none-match", &*page.etag())];
        self.step(
            "GET",
            "/resources/{collection}",
            "/resources/accounts?limit=1",
            &unchanged,
            None,
        )
        .expect(304);
    }

    fn transactions(&mut self) {
        let named = Some(r#"{"reference": "walk", "metadata": {}, "expires_in": 60}"#);
        let opened = self
            .step("POST", "/transactions", "/transactions", &[], named)
            .expect(201);
        self.step("POST", "/transactions", "/transactions", &[], named)
            .expect(200);
        self.step("POST", "/transactions", "/transactions", &[], Some("[]"))
            .expect(422);
        self.step("GET", "/transactions", "/transactions?limit=1", &[], None)
            .expect(200);
        let path = opened.location();
        self.step(
            "PATCH",
            TRANSACTION,
            &path,
            &[STAR],
            Some("{\"expires_in\": 60}"),
        )
        .expect(200);
        self.step(
            "PUT",
            TRANSACTION,
            &path,
            &[("if-match", &opened.etag())],
            Some(OPERATION),
        )
        .expect(412);
        let stale = OPERATION.replace("if_none_match", "if_match");
        let representation = ("prefer", "return=representation");
        self.step(
            "PUT",
            TRANSACTION,
            &path,
            &[STAR, representation],
            Some(&stale),
        )
        .expect(412);
        for method in ["PUT", "PATCH", "DELETE"] {
            self.step(method, TRANSACTION, &path, &[], Some("{}"))
                .expect(428);
        }
        self.step("PUT", TRANSACTION, &path, &[STAR], Some("{}"))
            .expect(422);
        self.step("PUT", TRANSACTION, &path, &[STAR], Some(OPERATION))
            .expect(200);
        let again = self
            .step(
                "PUT",
                TRANSACTION,
                &path,
                &[("if-match", "\"x\"")],
                Some(OPERATION),
            )
            .expect(200);
        assert!(again.header("idempotent-replayed").is_some());
        let strict = [("if-match", "\"x\""), ("prefer", "handling=strict")];
        self.step("PUT", TRANSACTION, &path, &strict, Some(OPERATION))
            .expect(412);
        self.step("DELETE", TRANSACTION, &path, &[STAR], None)
            .expect(409);
        self.step(
            "PATCH",
            TRANSACTION,
            &path,
            &[STAR],
            Some("{\"expires_in\": 60}"),
        )
        .expect(409);
        self.step("POST", "/transactions", "/transactions", &[], named)
            .expect(409);
        let path = format!("/transactions/{}", uuid::Uuid::now_v7());
        self.step("PUT", TRANSACTION, &path, &[CREATE], Some(OPERATION))
            .expect(201);
        let given_up = format!("/transactions/{}", uuid::Uuid::now_v7());
        self.step(
            "PUT",
            TRANSACTION,
            &given_up,
            &[CREATE],
            Some("{\"state\": \"cancelled\"}"),
        )
        .expect(201);
        for method in ["GET", "PUT", "PATCH", "DELETE"] {
            self.step(method, TRANSACTION, &given_up, &[STAR], None)
                .expect(410);
        }
        let opened = self
            .step("POST", "/transactions", "/transactions", &[], None)
            .expect(201);
        self.step("DELETE", TRANSACTION, &opened.location(), &[STAR], None)
            .expect(204);
    }

    fn schemas(&mut self) {
        const SCHEMA: &str = "/schemas/{collection}";
        let path = "/schemas/limits";
        let mut step = |method: &str, headers: &[(&str, &str)], body: &str| {
            let body = Some(body).filter(|body| !body.is_empty());
            self.step(method, SCHEMA, path, headers, body)
        };
        step("GET", &[], "").expect(404);
        step("PUT", &[CREATE], "false").expect(409);
        step("PUT", &[CREATE], r#"{"type": "numbr"}"#).expect(422);
        step("PUT", &[CREATE], "{").expect(400);
        step("PUT", &[CREATE, ("content-type", "a/b")], "{}").expect(415);
        step("PUT", &[], "{}").expect(428);
        step("PUT", &[CREATE], "{}").expect(201);
        step("PUT", &[STAR], "{}").expect(204);
        step("PUT", &[("if-match", "W/\"x\"")], "{}").expect(412);
        step("GET", &[("if-match", "\"x\"")], "").expect(412);
        step("DELETE", &[], "").expect(428);
        step("DELETE", &[("if-match", "\"x\"")], "").expect(412);
        step("DELETE", &[STAR], "").expect(204);
        step("DELETE", &[STAR], "").expect(404);
    }

    /// Every operation without a database.
    fn unavailable(&mut self) {
        let document = self.document.clone();
        for (template, item) in document["paths"].as_object().unwrap() {
            let path = filled(&document, template);
            for method in METHODS.iter().filter(|method| item.get(**method).is_some()) {
                let body = matches!(*method, "put" | "patch").then_some("{\"expires_in\": 60}");
                let response = self.step(&method.to_uppercase(), template, &path, &[STAR], body);
                assert!(
                    matches!(response.status, 503 | 200),
                    "{method} {template}: {}",
                    response.status
                );
            }
        }
    }
}

#[test]
fn every_declared_answer_is_produced_and_every_produced_one_declared() {
    let server = Server::start();
    let mut walk = Walk {
        document: description(),
        client: server.client(),
        seen: BTreeSet::new(),
    };
    for path in [
        "/resources/accounts/alice",
        "/resources/accounts/bob",
        "/resources/limits/daily",
    ] {
        walk.client.put_new(path, "{\"balance\": 100}");
    }
    // As often as the example of a version says.
    for balance in ["90", "100"] {
        let body = format!("{{\"balance\": {balance}}}");
        let alice = "/resources/accounts/alice";
        walk.client
            .send("PUT", alice, &[STAR], Some(&body))
            .expect(204);
    }
    walk.schemas();
    walk.client
        .send("PUT", "/schemas/accounts", &[CREATE], Some("{}"))
        .expect(201);
    let (transaction, _) = walk.client.open_transaction();
    walk.read_all(&transaction);
    walk.resources();
    walk.transactions();
    walk.drafts();
    let nowhere = "postgres://nobody@127.0.0.1:1/nothing";
    let short = |engine: &mut ifmatch::engine::Settings| {
        engine.connection_timeout = Duration::from_millis(50);
        engine.time_limit = Duration::from_secs(5);
    };
    let without = Server::over(nowhere, short, |_| {});
    walk.client = without.client();
    walk.unavailable();

    let mut missing = BTreeSet::new();
    for item in walk.document["paths"].as_object().unwrap().values() {
        for operation in METHODS.iter().filter_map(|method| item.get(*method)) {
            for key in operation["responses"].as_object().unwrap().keys() {
                missing.insert(format!(
                    "{} {key}",
                    operation["operationId"].as_str().unwrap()
                ));
            }
        }
    }
    missing.retain(|answer| !walk.seen.contains(answer));
    let expected = NOT_PRODUCED.iter().map(|answer| (*answer).to_owned());
    assert_eq!(missing, expected.collect());
}
