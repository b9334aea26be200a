//! Every example of a request is sent: each example of a parameter, with each example of the content.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::checker::{check, description, resolved};
use super::examples::operations;
use super::filled;
use super::likeness::members;
use super::scenes::{Act, Scene, examples_of};
use crate::support::client::Response;

/// The id that the file uses for a transaction of the client's own.
const OWN: &str = "01980f3f-02c4-7d19-b3e8-2c9d4a7f6b05";
const CONDITIONS: [&str; 2] = ["If-Match", "If-None-Match"];

/// One request: an operation, the name of its content's example (or none), one parameter (or none).
struct Sent {
    id: String,
    template: String,
    method: &'static str,
    body: Option<(String, Value)>,
    parameter: Option<Value>,
}

impl Sent {
    fn names(&self) -> bool {
        let body = self.body.as_ref().map(|(name, _)| name.as_str());
        matches!(body, Some("create" | "cancel"))
    }

    fn is_schema(&self) -> bool {
        self.template == "/schemas/{collection}"
    }

    fn field(&self) -> &str {
        let parameter = self.parameter.as_ref();
        parameter.map_or("", |parameter| parameter["name"].as_str().unwrap())
    }

    /// The status that the contract gives it, where alice, bob and an open transaction exist.
    fn status(&self) -> u16 {
        let reads = matches!(self.method, "get" | "head");
        let another = self.template == "/transactions/{id}" || self.is_schema();
        match (self.id.as_str(), self.field()) {
            (_, "If-None-Match") if reads => 304,
            // The example is a day before anything was written.
            (_, "If-Unmodified-Since") if reads => 412,
            // The tag of the example is alice's.
            (_, "If-Match") if another => 412,
            ("putTransaction", _) if self.names() => 201,
            // It exists.
            (_, "If-None-Match") => 412,
            (
                "putResource" | "patchResource" | "putDraftResource" | "patchDraftResource",
                "Prefer",
            ) => 200,
            ("putResource" | "patchResource" | "deleteResource" | "deleteTransaction", _) => 204,
            ("putDraftResource" | "patchDraftResource" | "deleteDraftResource", _) => 204,
            ("putSchema" | "deleteSchema", _) => 204,
            ("createTransaction", _) => 201,
            _ => 200,
        }
    }

    fn send(&self, document: &Value, scene: &mut Scene) -> Response {
        let mut path = filled(document, &self.template);
        if self.names() {
            path = format!("/transactions/{OWN}");
        }
        let mut headers = Vec::new();
        if matches!(self.method, "put" | "patch" | "delete") && !CONDITIONS.contains(&self.field())
        {
            let name = CONDITIONS[usize::from(self.names())];
            headers.push((name.to_owned(), "*".to_owned()));
        }
        // Changes at once need a key.
        if self
            .body
            .as_ref()
            .is_some_and(|(name, _)| name == "command")
            && self.field() != "Idempotency-Key"
        {
            let key = uuid::Uuid::new_v4().to_string();
            headers.push(("Idempotency-Key".to_owned(), key));
        }
        if let Some(parameter) = &self.parameter {
            let value = &parameter["example"];
            let values = value
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![value.clone()]);
            let texts = values
                .iter()
                .map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
            match parameter["in"].as_str().unwrap() {
                "header" => headers.extend(texts.map(|text| (self.field().to_owned(), text))),
                "query" => {
                    let pairs: Vec<String> = texts
                        .map(|text| {
                            let text = utf8_percent_encode(&text, NON_ALPHANUMERIC);
                            format!("{}={text}", self.field())
                        })
                        .collect();
                    path = format!("{path}?{}", pairs.join("&"));
                }
                other => panic!("{other}"),
            }
        }
        let body = self.body.as_ref().map(|(_, value)| value.to_string());
        scene.send(self.method, &path, &headers, body.as_deref())
    }

    fn faults(&self, document: &Value, response: &Response) -> Vec<String> {
        if response.status != self.status() {
            return vec![format!(
                "{}, not {}: {}",
                response.status,
                self.status(),
                response.text()
            )];
        }
        let shown = self.template.ends_with("/resources/{collection}/{key}")
            && response.status == 200
            && self.body.is_some();
        if shown {
            // What is written is what is shown, byte for byte; the file leaves this answer to its prose.
            let same = self
                .body
                .as_ref()
                .is_some_and(|(_, value)| *value == response.json());
            return if same {
                Vec::new()
            } else {
                vec![response.text()]
            };
        }
        let (_, key) = check(
            document,
            &self.template,
            self.method.to_uppercase().as_str(),
            response,
        );
        if response.body.is_empty() {
            return Vec::new();
        }
        let kind = response.header("content-type").unwrap();
        let declared = resolved(
            document,
            &document["paths"][&self.template][self.method]["responses"][&key],
        );
        let media = &declared["content"][kind.split(';').next().unwrap()];
        if !kind.ends_with("json") || self.template == "/openapi.json" {
            return Vec::new();
        }
        let answer = response.json();
        let likes = examples_of(media)
            .into_iter()
            .filter(|(_, example)| response.status < 400 || example["type"] == answer["type"]);
        let likes =
            likes.map(|(_, example)| members(document, &media["schema"], &example, &answer, ""));
        likes
            .min_by_key(Vec::len)
            .unwrap_or_else(|| vec!["there is no example".to_owned()])
    }
}

fn all(document: &Value) -> Vec<Sent> {
    let mut all = Vec::new();
    for (template, method, operation) in operations(document) {
        let content = &operation["requestBody"]["content"]["application/json"];
        let mut bodies: Vec<_> = examples_of(content).into_iter().map(Some).collect();
        if bodies.is_empty() || operation["requestBody"]["required"] == false {
            bodies.push(None);
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.map(|parameter| resolved(document, parameter).clone());
        let parameters: Vec<Option<Value>> = parameters
            .filter(|parameter| parameter.get("example").is_some())
            .map(Some)
            .chain([None])
            .collect();
        for body in &bodies {
            all.extend(parameters.iter().map(|parameter| Sent {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                template: template.clone(),
                method,
                body: body.clone(),
                parameter: parameter.clone(),
            }));
        }
    }
    all
}

#[test]
fn every_example_of_a_request_is_answered_as_the_file_shows() {
    let document = description();
    let all = all(&document);
    let mut scene = None;
    let mut wrong = Vec::new();
    for sent in &all {
        let reads = matches!(sent.method, "get" | "head");
        let act = match (sent.id.as_str(), sent.body.as_ref()) {
            ("createTransaction", _) => Act::Resources,
            ("patchTransaction", Some((name, _))) if name == "commit" => Act::Drafted,
            _ if sent.is_schema() => Act::Described,
            _ => Act::Open,
        };
        // Reads share a scene with what comes before the next write.
        let mut current = scene
            .take()
            .filter(|(_, before)| reads && *before == act)
            .map(|(scene, _)| scene)
            .unwrap_or_else(|| Scene::new(&document, act));
        let response = sent.send(&document, &mut current);
        for fault in sent.faults(&document, &response) {
            let body = sent.body.as_ref().map_or("", |(name, _)| name.as_str());
            wrong.push(format!("{} {body} {}: {fault}", sent.id, sent.field()));
        }
        scene = Some((current, act)).filter(|_| reads);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all.len() > 100, "{}", all.len());
}
