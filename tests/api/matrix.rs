//! The matrix of docs/http.md: every row is sent to a resource of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::client::{Client, Response};
use crate::support::server::Server;
use rows::{Faults, settle, table, writer};

pub(super) mod rows;

const PRIVATE: &str = "private, no-cache, no-transform";
const STORED: &str = "{\"n\": 2,  \"keep\": true}";
const SENT: &str = "{ \"n\" : 9 }";
const PATCHES: &str = "application/json-patch+json";
const INCREMENTS: &str = "application/vnd.ifmatch.increment+json";

#[test]
fn the_table_is_whole() {
    let rows = rows();
    assert!(rows.len() >= 100, "only {} rows", rows.len());
    let mut ids: Vec<&str> = rows.iter().map(|row| row["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows.len(), "an id stands twice");
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
        for state in ["present", "absent", "deleted"] {
            let covered = rows
                .iter()
                .any(|row| row["method"] == method && row["state"] == state);
            assert!(covered, "no row for {method} of what is {state}");
        }
    }
}

#[test]
fn every_get_row_holds() {
    run(|method| method == "GET");
}

#[test]
fn every_head_row_holds() {
    run(|method| method == "HEAD");
}

#[test]
fn every_put_row_holds() {
    run(|method| method == "PUT");
}

#[test]
fn every_patch_row_holds() {
    run(|method| method == "PATCH");
}

#[test]
fn every_delete_row_and_every_row_of_another_method_holds() {
    run(|method| !["GET", "HEAD", "PUT", "PATCH"].contains(&method));
}

type Row = HashMap<String, String>;

fn rows() -> Vec<Row> {
    table("http.md", "| id | method | state |")
}

fn run(belongs: impl Fn(&str) -> bool) {
    let server = Server::start();
    let mut client = server.client();
    let mut faults = Vec::new();
    let mut count = 0;
    for row in rows().iter().filter(|row| belongs(&row["method"])) {
        faults.extend(try_row(&mut client, row));
        count += 1;
    }
    assert!(count > 0);
    settle(&faults);
}

/// The resource of a row before its request.
struct Before {
    path: String,
    /// `GET`'s answer.
    seen: Response,
    tag: Option<String>,
    old: Option<String>,
    date: Option<String>,
    writer: Option<String>,
}

fn prepare(client: &mut Client, row: &Row) -> Before {
    let path = format!("/resources/matrix/{}", row["id"]);
    let (mut old, mut last) = (None, None);
    if row["state"] != "absent" {
        let create = [("if-none-match", "*")];
        let first = client.send("PUT", &path, &create, Some("{\"n\": 1}"));
        let first = first.expect(201).etag();
        let second = client.send("PUT", &path, &[("if-match", &first)], Some(STORED));
        let second = second.expect(204);
        old = Some(first);
        if row["state"] == "deleted" {
            let tag = second.etag();
            let gone = client.send("DELETE", &path, &[("if-match", &tag)], None);
            (old, last) = (Some(tag), writer(&gone.expect(204)));
        } else {
            last = writer(&second);
        }
    }
    let seen = client.get(&path);
    let present = row["state"] == "present";
    let seen = seen.expect(if present { 200 } else { 404 });
    Before {
        tag: present.then(|| seen.etag()),
        date: seen.header("last-modified"),
        path,
        seen,
        old,
        writer: last,
    }
}

impl Before {
    /// A value of the table with its placeholders filled in.
    fn fill(&self, value: &str) -> String {
        let hour = Duration::from_secs(3600);
        let date = self.date.as_deref().map_or_else(SystemTime::now, |text| {
            httpdate::parse_http_date(text).unwrap()
        });
        let mut filled = value.to_owned();
        let mut put = |name: &str, text: &dyn Fn() -> String| {
            if filled.contains(name) {
                filled = filled.replace(name, &text());
            }
        };
        put("{tag}", &|| self.tag.clone().unwrap());
        put("{weak}", &|| format!("W/{}", self.tag.as_ref().unwrap()));
        put("{old}", &|| self.old.clone().unwrap());
        put("{date}", &|| self.date.clone().unwrap());
        put("{before}", &|| httpdate::fmt_http_date(date - hour));
        put("{after}", &|| httpdate::fmt_http_date(date + hour));
        filled
    }
}

fn content_of(kind: &str) -> Option<(&'static str, String)> {
    match kind {
        "json" => Some(("application/json", SENT.into())),
        "bad" => Some(("application/json", "{\"n\": ".into())),
        "text" => Some(("text/plain", "n = 9".into())),
        "merge" => Some(("application/merge-patch+json", SENT.into())),
        "jsonpatch" => {
            let patch = "[{\"op\": \"replace\", \"path\": \"/n\", \"value\": 9}]";
            Some((PATCHES, patch.into()))
        }
        "increment" => Some((INCREMENTS, "{\"n\": 7}".into())),
        "badpatch" => Some((PATCHES, "[".into())),
        "badincrement" => Some((INCREMENTS, "{\"n\": \"7\"}".into())),
        "huge" => Some((
            "application/json",
            format!("\"{}\"", "x".repeat(1024 * 1024)),
        )),
        "-" => None,
        other => panic!("no such content: {other}"),
    }
}

fn try_row(client: &mut Client, row: &Row) -> Vec<String> {
    let before = prepare(client, row);
    let content = content_of(&row["content"]);
    let mut headers: Vec<(String, String)> = Vec::new();
    if row["request headers"] != "-" {
        for line in row["request headers"].split(" ¦ ") {
            let (name, value) = line.split_once(": ").unwrap();
            headers.push((name.to_owned(), before.fill(value)));
        }
    }
    if let Some((kind, _)) = &content {
        headers.push(("content-type".into(), (*kind).to_owned()));
    }
    let pairs: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
    let body = content.as_ref().map(|(_, text)| text.as_str());
    let answer = client.send(&row["method"], &before.path, &pairs, body);
    let after = client.get(&before.path);

    let mut faults = Faults::of(&row["id"]);
    faults.equal("status", answer.status.to_string(), row["status"].clone());
    let lower = |(name, _): &(String, String)| *name == name.to_ascii_lowercase();
    faults.check(
        answer.headers.iter().all(lower),
        "a header name is not in lower case",
    );
    let written = ["PUT", "PATCH", "DELETE"].contains(&&*row["method"]);
    match answer.status {
        200 | 304 if !written => shown(&mut faults, row, &before, &answer),
        204 if row["method"] == "OPTIONS" => offered(&mut faults, &answer),
        200 | 201 | 204 => done(&mut faults, row, &before, &answer, &after),
        _ => refused(&mut faults, row, &before, &answer, &pairs),
    }
    if !(written && (200..300).contains(&answer.status)) {
        let unchanged = |response: &Response| {
            let slug = (response.status != 200).then(|| response.slug());
            let tag = response.header("etag");
            (response.status, tag, slug, response.text())
        };
        faults.equal("the resource", unchanged(&after), unchanged(&before.seen));
    }
    faults.told()
}

/// A representation, or word that it is still the same.
fn shown(faults: &mut Faults, row: &Row, before: &Before, answer: &Response) {
    faults.equal("etag", answer.header("etag"), before.tag.clone());
    for name in ["cache-control", "vary", "content-location"] {
        faults.equal(name, answer.header(name), before.seen.header(name));
    }
    let cache = answer.header("cache-control");
    faults.equal("cache-control", cache.as_deref(), Some(PRIVATE));
    faults.equal("vary", answer.header("vary").as_deref(), Some("Accept"));
    let location = answer.header("content-location");
    faults.equal("content-location", location.as_deref(), Some(&*before.path));
    if answer.status == 304 {
        return faults.check(answer.body.is_empty(), "a 304 has no content");
    }
    for name in ["last-modified", "content-type", "content-length", "link"] {
        faults.equal(name, answer.header(name), before.seen.header(name));
    }
    faults.equal("writer", writer(answer), before.writer.clone());
    let body = if row["method"] == "HEAD" { "" } else { STORED };
    faults.equal("body", answer.text().as_str(), body);
}

fn offered(faults: &mut Faults, answer: &Response) {
    let allow = answer.header("allow").unwrap_or_default();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        faults.check(allow.split(", ").any(|m| m == method), method);
    }
    let patches = answer.header("accept-patch").unwrap_or_default();
    for kind in ["application/merge-patch+json", PATCHES, INCREMENTS] {
        faults.check(patches.split(", ").any(|found| found == kind), kind);
    }
}

/// A write that happened.
fn done(f: &mut Faults, row: &Row, before: &Before, answer: &Response, after: &Response) {
    f.check(
        writer(answer).is_some_and(|path| Some(path) != before.writer),
        "no link to the transaction that wrote",
    );
    f.check(answer.header("cache-control").is_some(), "no cache-control");
    if row["method"] == "DELETE" {
        f.equal("etag", answer.header("etag"), None);
        f.equal(
            "afterwards",
            (after.status, after.slug()),
            (404, "not-found".into()),
        );
        return;
    }
    f.equal("afterwards", after.status, 200);
    f.equal("etag", answer.header("etag"), after.header("etag"));
    let tag = after.header("etag").unwrap_or_default();
    f.check(tag.starts_with('"') && tag.len() > 2, "no strong tag");
    let news = Some(&tag) != before.tag.as_ref() && Some(&tag) != before.old.as_ref();
    f.check(news, "the tag is not a new one");
    f.equal("writer of what is read", writer(after), writer(answer));
    let cache = answer.header("cache-control");
    f.equal("cache-control", cache.as_deref(), Some(PRIVATE));
    let modified = answer.header("last-modified");
    f.equal("last-modified", modified, after.header("last-modified"));
    if row["method"] == "PUT" {
        f.equal("stored", after.text().as_str(), SENT);
        let kind = content_of(&row["content"]).map(|(kind, _)| kind);
        f.equal("stored type", after.header("content-type").as_deref(), kind);
    } else {
        f.equal("stored", after.json(), json!({"n": 9, "keep": true}));
    }
    let location = (answer.status == 201).then_some(&*before.path);
    f.equal("location", answer.header("location").as_deref(), location);
    let asked = row["request headers"].contains("return=representation");
    let body = if asked { after.text() } else { String::new() };
    f.equal("content of the answer", answer.text(), body);
    let applied = answer.header("preference-applied");
    let kept = asked.then_some("return=representation");
    f.equal("preference-applied", applied.as_deref(), kept);
    let location = answer.header("content-location");
    let expected = asked.then_some(&*before.path);
    f.equal("content-location", location.as_deref(), expected);
}

fn refused(f: &mut Faults, row: &Row, before: &Before, answer: &Response, sent: &[(&str, &str)]) {
    let cache = answer.header("cache-control");
    f.equal("cache-control", cache.as_deref(), Some("no-store"));
    f.equal("etag", answer.header("etag"), None);
    if row["method"] == "HEAD" {
        return f.check(answer.body.is_empty(), "HEAD has no content");
    }
    let problem = f.problem(answer, &row["slug"], &before.path);
    let detail = problem["detail"].as_str().unwrap_or_default();
    let is_sent = |name: &str| sent.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    match answer.status {
        405 => f.check(answer.header("allow").is_some(), "no Allow"),
        415 if is_sent("content-encoding") => {
            let taken = answer.header("accept-encoding");
            f.equal("accept-encoding", taken.as_deref(), Some("identity"));
        }
        415 if row["method"] == "PATCH" => {
            f.check(answer.header("accept-patch").is_some(), "no Accept-Patch");
        }
        428 => f.check(
            detail.contains("If-Match: "),
            "the detail has no header line",
        ),
        412 => {
            let line = match &before.tag {
                Some(tag) if row["method"] == "GET" => tag.clone(),
                Some(tag) => format!("If-Match: {tag}"),
                None => "If-None-Match: *".to_owned(),
            };
            f.check(
                detail.contains(&line),
                &format!("the detail lacks {line}: {detail}"),
            );
            f.equal(
                "conflicts",
                problem["conflicts"].as_array().map(Vec::len),
                Some(1),
            );
            let conflict = &problem["conflicts"][0];
            f.equal("change", &conflict["change"], &json!(0));
            f.equal("target", &conflict["target"], &json!(before.path));
            f.equal("current", &conflict["current"], &json!(before.tag));
            f.check(conflict.get("current").is_some(), "current is left out");
            f.equal(
                "transaction",
                &conflict["transaction"],
                &json!(before.writer),
            );
            f.equal(
                "if_match",
                conflict["if_match"].is_string(),
                is_sent("if-match"),
            );
            let in_sent = is_sent("if-none-match");
            f.equal(
                "if_none_match",
                conflict["if_none_match"].is_string(),
                in_sent,
            );
            let body = if is_sent("prefer") {
                json!({"n": 2, "keep": true})
            } else {
                Value::Null
            };
            f.equal("body", &conflict["body"], &body);
        }
        _ => {}
    }
}
