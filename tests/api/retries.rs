//! The matrix of docs/retries.md: every row is sent to a transaction of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::matrix::rows::{Faults, settle, table, writer};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const NEVER: &str = "\"never.issued\"";

type Row = HashMap<String, String>;

fn rows() -> Vec<Row> {
    table("retries.md", "| id | method | state |")
}

#[test]
fn the_table_is_whole() {
    let rows = rows();
    assert!(rows.len() >= 100, "only {} rows", rows.len());
    let ids: HashSet<&str> = rows.iter().map(|row| row["id"].as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "an id stands twice");
    let has = |cells: [(&str, &str); 6]| {
        let fits = |row: &&Row| cells.iter().all(|(name, value)| row[*name] == *value);
        assert!(rows.iter().any(|row| fits(&row)), "no row for {cells:?}");
    };
    // The cells of the retry table: condition, preference, content.
    for content in ["same", "other", "bad"] {
        for prefer in ["-", "handling=strict"] {
            for (im, inm) in [
                ("{tag}", "-"),
                ("{first}", "-"),
                ("{other}", "-"),
                ("*", "-"),
                ("-", "*"),
            ] {
                has([
                    ("method", "PUT"),
                    ("state", "committed"),
                    ("if-match", im),
                    ("if-none-match", inm),
                    ("prefer", prefer),
                    ("content", content),
                ]);
            }
        }
        for state in ["open", "cancelled", "expired", "unused"] {
            for (im, inm) in [("*", "-"), ("{other}", "-"), ("-", "*")] {
                has([
                    ("method", "PUT"),
                    ("state", state),
                    ("if-match", im),
                    ("if-none-match", inm),
                    ("prefer", "-"),
                    ("content", content),
                ]);
            }
        }
    }
}

#[test]
fn every_row_of_an_open_transaction_holds() {
    run("open");
}

#[test]
fn every_row_of_a_committed_transaction_holds() {
    run("committed");
}

#[test]
fn every_row_of_a_cancelled_transaction_holds() {
    run("cancelled");
}

#[test]
fn every_row_of_an_expired_transaction_holds() {
    run("expired");
}

#[test]
fn every_row_of_an_unused_id_holds() {
    run("unused");
}

#[test]
fn the_same_operation_written_otherwise_is_a_replay() {
    let server = Server::start();
    let mut client = server.client();
    let old = client.send(
        "PUT",
        "/resources/r/b~c",
        &[("if-none-match", "*")],
        Some("1"),
    );
    let tag = old.expect(201).etag();
    let path = format!("/transactions/{}", Uuid::now_v7());
    let bare = tag.trim_matches('"');
    let quoted = tag.replace('"', "\\\"");
    let first = format!(
        r#"{{"changes":[{{"method":"PUT","target":"/resources/r/a","if_none_match":"*","body":{{"x":1.0,"y":[]}}}},{{"method":"PATCH","target":"/resources/r/b~c","if_match":"{bare}","body":2}}]}}"#
    );
    let again = format!(
        r#"{{ "state":"committed", "id": "whatever", "changes":[{{"body":{{"y":[ ],"x":10e-1}},"content_type":"application/json","if_none_match":"*","target":"/resources/r/%61","method":"PUT"}},{{"method":"PATCH","target":"/resources/r/b%7Ec","if_match":" {quoted} ,","content_type":"application/merge-patch+json","body":2.00}}]}}"#
    );
    let applied = client.send("PUT", &path, &[("if-none-match", "*")], Some(&first));
    let applied = applied.expect(201);
    let replay = client.send("PUT", &path, &[("if-match", NEVER)], Some(&again));
    let replay = replay.expect(200);
    assert_eq!(
        replay.header("idempotent-replayed").as_deref(),
        Some("true")
    );
    assert_eq!(replay.text(), applied.text());
    // The order of changes counts, and so does what a body says.
    let mut turned: Value = serde_json::from_str(&first).unwrap();
    turned["changes"].as_array_mut().unwrap().reverse();
    for other in [turned.to_string(), first.replace("1.0", "1.1")] {
        let answer = client.send("PUT", &path, &[("if-match", NEVER)], Some(&other));
        let problem = answer.expect_problem(412, "stale-transaction").json();
        assert_eq!(problem["current"]["etag"], applied.json()["etag"]);
    }
}

fn run(state: &str) {
    let server = Server::start();
    let mut client = server.client();
    let rows: Vec<Row> = rows()
        .into_iter()
        .filter(|row| row["state"] == state)
        .collect();
    assert!(!rows.is_empty());
    let cases: Vec<Case> = rows
        .iter()
        .map(|row| Case::prepare(&mut client, row))
        .collect();
    for case in cases.iter().filter(|_| state == "expired") {
        await_expiry(&mut client, &case.path);
    }
    let mut faults = Vec::new();
    for case in &cases {
        faults.extend(case.try_row(&mut client));
    }
    settle(&faults);
}

fn await_expiry(client: &mut Client, path: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = client.get(path);
        if seen.status == 410 {
            seen.expect_problem(410, "transaction-expired");
            return;
        }
        assert!(Instant::now() < deadline, "{path} does not expire");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The transaction of a row before its request.
struct Case<'a> {
    row: &'a Row,
    path: String,
    first: String,
    tag: String,
    /// Of the resource that `stale` is stale about, and who wrote it.
    stale: (String, Option<String>),
}

impl<'a> Case<'a> {
    fn prepare(client: &mut Client, row: &'a Row) -> Self {
        let mut case = Self {
            row,
            path: format!("/transactions/{}", Uuid::now_v7()),
            first: NEVER.into(),
            tag: NEVER.into(),
            stale: (String::new(), None),
        };
        let stale = case.target("stale");
        let written = client.send("PUT", &stale, &[("if-none-match", "*")], Some("[ 1 ]"));
        case.stale = (written.etag(), writer(&written));
        if row["state"] == "unused" {
            return case;
        }
        let expired = row["state"] == "expired";
        let options = expired.then_some("{\"expires_in\": 1}");
        let made = client.send("POST", "/transactions", &[], options);
        let made = made.expect(201);
        (case.path, case.first) = (made.location(), made.etag());
        case.tag = case.first.clone();
        let condition = [("if-match", case.first.as_str())];
        match row["state"].as_str() {
            "open" | "expired" => {}
            "cancelled" => {
                let answer = client.send("DELETE", &case.path, &condition, None);
                answer.expect(204);
            }
            "committed" => {
                let same = case.content("same");
                let answer = client.send("PUT", &case.path, &condition, same.as_deref());
                answer.expect(200);
                case.tag = client.get(&case.path).expect(200).etag();
            }
            other => panic!("no such state: {other}"),
        }
        case
    }

    fn target(&self, content: &str) -> String {
        format!("/resources/retries/{}-{content}", self.row["id"])
    }

    fn content(&self, kind: &str) -> Option<String> {
        let condition = match kind {
            "same" | "other" => json!({"if_none_match": "*"}),
            "stale" => json!({"if_match": NEVER}),
            "bad" => return Some("{\"changes\": [".into()),
            "cancel" => return Some("{\"state\": \"cancelled\"}".into()),
            "-" => return None,
            other => panic!("no such content: {other}"),
        };
        let mut change = json!({"method": "PUT", "target": self.target(kind), "body": kind});
        let members = condition.as_object().unwrap().clone();
        change.as_object_mut().unwrap().extend(members);
        Some(json!({"changes": [change]}).to_string())
    }

    fn fill(&self, value: &str) -> String {
        match value {
            "{tag}" => self.tag.clone(),
            "{first}" => self.first.clone(),
            "{other}" => NEVER.into(),
            "{weak}" => format!("W/{}", self.tag),
            "bad" => "abc".into(),
            other => other.into(),
        }
    }

    /// The transaction and all resources that the row could change, as they are.
    fn look(&self, client: &mut Client) -> Vec<(u16, Option<String>, String)> {
        let targets = ["same", "other", "stale"].map(|kind| self.target(kind));
        let paths = std::iter::once(self.path.clone()).chain(targets);
        paths
            .map(|path| client.get(&path))
            .map(|seen| (seen.status, seen.header("etag"), seen.text()))
            .collect()
    }

    fn try_row(&self, client: &mut Client) -> Vec<String> {
        let row = self.row;
        let before = self.look(client);
        let mut headers = Vec::new();
        for name in ["if-match", "if-none-match", "prefer"] {
            if row[name] != "-" {
                headers.push((name, self.fill(&row[name])));
            }
        }
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, &**v)).collect();
        let content = self.content(&row["content"]);
        let answer = client.send(&row["method"], &self.path, &headers, content.as_deref());
        let after = self.look(client);

        let mut f = Faults::of(&row["id"]);
        f.equal("status", answer.status.to_string(), row["status"].clone());
        let replayed = answer.header("idempotent-replayed");
        f.equal(
            "replayed",
            replayed.as_deref().unwrap_or("-"),
            &row["replayed"],
        );
        let reads = ["GET", "HEAD"].contains(&&*row["method"]);
        let done = !reads && (200..300).contains(&answer.status) && replayed.is_none();
        if !done {
            f.equal("all that is stored", &after, &before);
        }
        match answer.status {
            200 | 304 if reads => self.shown(&mut f, &answer, &before[0]),
            204 => f.equal("afterwards", self.cancelled(&after), true),
            200 | 201 => self.applied(&mut f, &answer, &after),
            _ => self.refused(&mut f, &answer, &before[0]),
        }
        f.told()
    }

    fn cancelled(&self, after: &[(u16, Option<String>, String)]) -> bool {
        after[0].0 == 410
            && after[0].2.contains("/problems/transaction-cancelled")
            && after[1].0 == 404
            && after[2].0 == 404
    }

    fn shown(&self, f: &mut Faults, answer: &Response, seen: &(u16, Option<String>, String)) {
        f.equal("etag", answer.etag(), self.tag.clone());
        for (name, value) in [
            ("cache-control", "private, no-cache, no-transform"),
            ("vary", "Accept"),
            ("content-location", &self.path),
        ] {
            f.equal(name, answer.header(name).as_deref(), Some(value));
        }
        let content = self.row["method"] == "GET" && answer.status == 200;
        let expected = if content { seen.2.as_str() } else { "" };
        f.equal("content", answer.text().as_str(), expected);
    }

    fn applied(&self, f: &mut Faults, answer: &Response, after: &[(u16, Option<String>, String)]) {
        let location = answer.header("content-location");
        f.equal("content-location", location.as_deref(), Some(&*self.path));
        let location = (answer.status == 201).then_some(&*self.path);
        f.equal("location", answer.header("location").as_deref(), location);
        for name in ["etag", "last-modified"] {
            f.equal(name, answer.header(name), None);
        }
        if self.row["content"] == "cancel" {
            f.equal("state", &answer.json()["state"], &json!("cancelled"));
            f.equal("afterwards", self.cancelled(after), true);
            return;
        }
        f.equal("the transaction", after[0].2.clone(), answer.text());
        let document = answer.json();
        f.equal("state", &document["state"], &json!("committed"));
        f.equal("tag", &document["etag"], &json!(after[0].1));
        let index = if self.row["content"] == "same" { 1 } else { 2 };
        let written = &after[index];
        let body = json!(self.row["content"]).to_string();
        f.equal("written", (written.0, written.2.clone()), (200, body));
        let outcome =
            json!({"target": self.target(&self.row["content"]), "status": 201, "etag": written.1});
        f.equal(
            "outcome",
            &document["outcome"]["changes"],
            &json!([outcome]),
        );
        f.equal("the other target", after[3 - index].0, 404);
    }

    fn refused(&self, f: &mut Faults, answer: &Response, seen: &(u16, Option<String>, String)) {
        let cache = answer.header("cache-control");
        f.equal("cache-control", cache.as_deref(), Some("no-store"));
        if self.row["method"] == "HEAD" {
            return;
        }
        let slug = self.row["slug"].as_str();
        let problem = f.problem(answer, slug, &self.path);
        let detail = problem["detail"].as_str().unwrap_or_default();
        let there = ["open", "committed"].contains(&&*self.row["state"]);
        let tells = matches!(answer.status, 409 | 412) && slug != "stale-resource" && there;
        let document = serde_json::from_str(&seen.2).unwrap_or_default();
        let current = if tells { document } else { Value::Null };
        f.equal("current", &problem["current"], &current);
        if slug == "precondition-required" {
            f.check(
                detail.contains("If-Match: "),
                "the detail has no header line",
            );
        }
        if slug != "stale-resource" {
            return f.equal("conflicts", &problem["conflicts"], &Value::Null);
        }
        let body = (self.row["prefer"] == "return=representation").then_some(json!([1]));
        let mut conflict = json!({"change": 0, "target": self.target("stale"), "if_match": NEVER,
            "current": self.stale.0, "transaction": self.stale.1});
        if let Some(body) = body {
            conflict["body"] = body;
        }
        f.equal("conflicts", &problem["conflicts"], &json!([conflict]));
        let line = match self.row["state"].as_str() {
            "open" => format!("If-Match: {}", self.tag),
            _ => "If-None-Match: *".to_owned(),
        };
        f.check(detail.contains(&line), "the detail has no header line");
    }
}
