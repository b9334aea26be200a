//! Moves money between two accounts exactly once, whichever request or answer gets lost. With ureq, serde_json and rand:
//! `cargo run --example transfer -- URL FROM TO AMOUNT`; exit code 0: applied, 1: not applied and never will be, 2: unknown.

use std::{env, process::ExitCode, thread, time::Duration};

use serde_json::{Value, json};
use ureq::{Agent, http};

const ATTEMPTS: u32 = 12;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const ANSWER_WAIT: Duration = Duration::from_secs(60);
const PASSING: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// Why nobody could say what became of it.
type Unknown = Box<dyn std::error::Error>;

struct Answer {
    status: u16,
    location: String,
    etag: String,
    document: Value,
}

struct Client {
    agent: Agent,
    server: String,
}

impl Client {
    /// Sends a request, unchanged, until the API itself has decided it.
    fn send(
        &self,
        method: &str,
        path: &str,
        tag: Option<&str>,
        content: Option<&Value>,
    ) -> Result<Answer, Unknown> {
        for attempt in 0..ATTEMPTS {
            let mut wait = LONGEST_WAIT
                .min(FIRST_WAIT * 2_u32.pow(attempt))
                .mul_f64(rand::random()); // full jitter: clients spread out
            // An error: no answer, or not a whole one. The request may have arrived, or not.
            if let Ok((answer, retry_after)) = self.attempt(method, path, tag, content) {
                wait += retry_after;
                // An error that is no problem of the API comes from something in between, and says nothing.
                let problem = answer.document["type"].as_str().unwrap_or_default();
                let ours = answer.status < 300 || problem.starts_with("/problems/");
                if ours && !PASSING.contains(&answer.status) {
                    return Ok(answer);
                }
            }
            thread::sleep(wait);
        }
        Err(format!("no answer to {method} {path}").into())
    }

    fn attempt(
        &self,
        method: &str,
        path: &str,
        tag: Option<&str>,
        content: Option<&Value>,
    ) -> Result<(Answer, Duration), Unknown> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server));
        if let Some(tag) = tag {
            request = request.header("If-Match", tag);
        }
        let mut answer = match content {
            Some(content) => self.agent.run(
                request
                    .header("Content-Type", "application/json")
                    .body(content.to_string())?,
            )?,
            None => self.agent.run(request.body(())?)?,
        };
        let text = answer.body_mut().read_to_string()?;
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let retry_after = Duration::from_secs(
            header("Retry-After")
                .parse::<u32>()
                .unwrap_or_default()
                .into(),
        );
        let document = match (text.as_str(), answer.status().is_success()) {
            ("", _) => Value::Null,
            (text, true) => serde_json::from_str(text)?,
            // A page of something in between is no JSON, but may well say when to come again.
            (text, false) => serde_json::from_str(text).unwrap_or_default(),
        };
        let (status, location, etag) = (
            answer.status().as_u16(),
            header("Location").to_owned(),
            header("ETag").to_owned(),
        );
        Ok((
            Answer {
                status,
                location,
                etag,
                document,
            },
            retry_after,
        ))
    }

    /// Whether it was applied, and a sentence. What was not applied will never be.
    fn transfer(&self, from: &str, to: &str, amount: i64) -> Result<(bool, String), Unknown> {
        let opened = self.send("POST", "/transactions", None, None)?;
        let (transaction, tag) = (opened.location, opened.etag);
        let keys = [from, to].map(|name| ("key", format!("accounts/{name}")));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(keys)
            .finish();
        let mut reason = None; // to give up
        loop {
            let mut operation = Value::Null;
            if reason.is_none() {
                let page = self
                    .send("GET", &format!("/resources?{query}"), None, None)?
                    .document;
                match decide(&page, from, to, amount) {
                    Ok(changes) => operation = json!({ "changes": changes }),
                    Err(why) => reason = Some(why),
                }
            }
            let answer = match reason {
                None => self.send("PUT", &transaction, Some(&tag), Some(&operation))?,
                Some(_) => self.send("DELETE", &transaction, Some("*"), None)?,
            };

            let document = &answer.document;
            let problem = document["type"].as_str().unwrap_or_default();
            if problem == "/problems/stale-resource" {
                continue; // somebody was faster, and nothing has happened: again, in the same transaction
            }
            // Where the transaction was used before, by a request whose answer got lost, the problem shows it as `current`.
            if document.get("current").unwrap_or(document)["state"] == "committed" {
                return Ok((true, format!("applied {transaction}")));
            }
            let detail = format!("{} {}", document["detail"], document["errors"]);
            if answer.status == 204
                || [
                    "/problems/transaction-cancelled",
                    "/problems/transaction-expired",
                ]
                .contains(&problem)
            {
                return Ok((
                    false,
                    format!("not applied {transaction}: {}", reason.unwrap_or(detail)),
                ));
            }
            if answer.status == 410 || reason.is_some() {
                return Err(format!("{transaction}: {detail}").into());
            }
            reason = Some(detail); // the request needs mending: give it up
        }
    }
}

/// The changes, each of exactly the state that was decided on; or why there are none.
fn decide(page: &Value, from: &str, to: &str, amount: i64) -> Result<[Value; 2], String> {
    let account = |name: &str| {
        page["items"]
            .as_array()?
            .iter()
            .find(|item| item["key"] == name)
    };
    let (Some(source), Some(target)) = (account(from), account(to)) else {
        return Err(page["detail"]
            .as_str()
            .unwrap_or("no such account")
            .to_owned());
    };
    let balance = |account: &Value| {
        account["body"]["balance"]
            .as_i64()
            .ok_or("a balance is no whole number")
    };
    if !(1..=balance(source)?).contains(&amount) {
        return Err("not enough money".to_owned());
    }
    let change = |account: &Value, balance: i64| json!({"method": "PATCH", "target": account["href"], "if_match": account["etag"], "body": {"balance": balance}});
    Ok([
        change(source, balance(source)? - amount),
        change(target, balance(target)? + amount),
    ])
}

fn run() -> Result<(bool, String), Unknown> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, from, to, amount] = arguments.as_slice() else {
        return Err("arguments: URL FROM TO AMOUNT".into());
    };
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(ANSWER_WAIT));
    let client = Client {
        agent: config.build().into(),
        server: server.clone(),
    };
    client.transfer(from, to, amount.parse()?)
}

fn main() -> ExitCode {
    match run() {
        Ok((applied, sentence)) => {
            println!("{sentence}");
            ExitCode::from(u8::from(!applied))
        }
        Err(unknown) => {
            println!("unknown: {unknown}");
            ExitCode::from(2)
        }
    }
}
