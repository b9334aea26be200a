//! The state in which the examples of the file are true: what they name by tags and ids, made anew for each request.

use base64::Engine as _;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::METHODS;
use crate::support::client::{Client, Response};
use crate::support::server::Server;

/// What the file calls it.
const ALICE: &str = "3.9b1d7e20ac54f6a1";
const BOB: &str = "7.11c8f0532b6e04d2";
const DAILY: &str = "2.4d6aa1907c3f58be";
const TRANSACTION: &str = "01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11";
const OPEN: &str = "1.e07a41c95d286fb3.1";
const OWN: &str = "01980f3f-02c4-7d19-b3e8-2c9d4a7f6b05";

/// How far the story has got.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    /// Two accounts and a limit.
    Resources,
    /// And an open transaction.
    Open,
    /// And it has a draft.
    Drafted,
    /// And a schema of the accounts.
    Described,
    /// Alice's account is another, and the limit is gone.
    Moved,
    /// The transaction has been applied.
    Committed,
    /// The transaction has been given up.
    Cancelled,
}

pub(super) struct Scene {
    /// Runs as long as the scene.
    _server: Server,
    pub(super) client: Client,
    /// What the file calls it, and what it is called here.
    pub(super) names: Vec<(String, String)>,
}

/// The examples of one media type: name and value; the name of a single one is `example`.
pub(super) fn examples_of(media: &Value) -> Vec<(String, Value)> {
    let single = media
        .get("example")
        .map(|value| ("example".to_owned(), value.clone()));
    let several = media["examples"].as_object().into_iter().flatten();
    let several = several.map(|(name, example)| (name.clone(), example["value"].clone()));
    single.into_iter().chain(several).collect()
}

/// An operation of the file by its id: path, method, and itself.
pub(super) fn operation<'a>(document: &'a Value, id: &str) -> (&'a str, &'static str, &'a Value) {
    let items = document["paths"].as_object().unwrap().iter();
    let mut all = items.flat_map(|(template, item)| {
        METHODS
            .into_iter()
            .filter_map(move |method| Some((template.as_str(), method, item.get(method)?)))
    });
    let found = all.find(|(_, _, operation)| operation["operationId"] == id);
    found.unwrap_or_else(|| panic!("no operation {id}"))
}

/// The example of a request's content by its name.
pub(super) fn body_of(document: &Value, id: &str, name: &str) -> Value {
    let (_, _, operation) = operation(document, id);
    let media = &operation["requestBody"]["content"]["application/json"];
    let found = examples_of(media)
        .into_iter()
        .find(|(other, _)| other == name);
    found
        .unwrap_or_else(|| panic!("{id} has no example {name}"))
        .1
}

impl Scene {
    pub(super) fn new(document: &Value, act: Act) -> Self {
        let server = Server::start();
        let client = server.client();
        let own = uuid::Uuid::now_v7().to_string();
        let mut scene = Self {
            _server: server,
            client,
            names: vec![(OWN.into(), own)],
        };
        let vendor = ("content-type", "application/vnd.example.account+json");
        for (name, path, field, body) in [
            (
                ALICE,
                "/resources/accounts/alice",
                None,
                "{\"balance\":100}",
            ),
            (
                BOB,
                "/resources/accounts/bob",
                Some(vendor),
                "{\"balance\":0}",
            ),
            (DAILY, "/resources/limits/daily", None, "{\"max\":500}"),
        ] {
            let create = [("if-none-match", "*")];
            let fields: Vec<_> = create.into_iter().chain(field).collect();
            let mut written = scene
                .client
                .send("PUT", path, &fields, Some(body))
                .expect(201);
            // As often as the tag says.
            let versions: usize = name[..1].parse().unwrap();
            for _ in 1..versions {
                let fields: Vec<_> = [("if-match", "*")].into_iter().chain(field).collect();
                written = scene
                    .client
                    .send("PUT", path, &fields, Some(body))
                    .expect(204);
            }
            let tag = written.etag();
            scene.name(name, tag.trim_matches('"'));
        }
        if act != Act::Resources {
            let new = body_of(document, "createTransaction", "context").to_string();
            let opened = scene
                .client
                .send("POST", "/transactions", &[], Some(&new))
                .expect(201);
            scene.name(
                TRANSACTION,
                opened.location().trim_start_matches("/transactions/"),
            );
            scene.name(OPEN, opened.etag().trim_matches('"'));
        }
        scene.go_on(document, act);
        scene
    }

    fn go_on(&mut self, document: &Value, act: Act) {
        let path = self.real(&format!("/transactions/{TRANSACTION}"));
        let star = [("if-match", "*")];
        match act {
            Act::Resources | Act::Open => {}
            Act::Drafted => {
                let save = self.real(&body_of(document, "putTransaction", "save").to_string());
                self.client
                    .send("PUT", &path, &star, Some(&save))
                    .expect(200);
            }
            Act::Described => {
                let schema = body_of(document, "putSchema", "example").to_string();
                let create = [("if-none-match", "*")];
                self.client
                    .send("PUT", "/schemas/accounts", &create, Some(&schema))
                    .expect(201);
            }
            Act::Moved => {
                let alice = "/resources/accounts/alice";
                self.client
                    .send("PUT", alice, &star, Some("{\"balance\":40}"))
                    .expect(204);
                self.client
                    .send("DELETE", "/resources/limits/daily", &star, None)
                    .expect(204);
            }
            Act::Committed => {
                let apply = self.real(&body_of(document, "putTransaction", "apply").to_string());
                self.client
                    .send("PUT", &path, &star, Some(&apply))
                    .expect(200);
            }
            Act::Cancelled => {
                self.client.send("DELETE", &path, &star, None).expect(204);
            }
        }
    }

    fn name(&mut self, file: &str, real: &str) {
        self.names.push((file.into(), real.into()));
    }

    /// A text of the file with what its names stand for here.
    pub(super) fn real(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (file, real)| {
            text.replace(file, real)
        })
    }

    /// Sends what the file shows; in its terms. A digest is that of what is sent.
    pub(super) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        body: Option<&str>,
    ) -> Response {
        let body = body.map(|body| self.real(body));
        let content = body.clone().unwrap_or_default();
        let headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| match name.as_str() {
                "Content-Digest" => (name.clone(), digest(&content)),
                _ => (name.clone(), self.real(value)),
            })
            .collect();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        let path = self.real(path);
        self.client
            .send(&method.to_uppercase(), &path, &headers, body.as_deref())
    }
}

/// `Content-Digest` of a content.
pub(super) fn digest(content: &str) -> String {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(content));
    format!("sha-256=:{hash}:")
}
