//! The table of docs/keys.md: every row is sent to a resource of its own, with a key of its own.

use std::collections::HashMap;

use super::{check_again, versions};
use crate::matrix::rows::{Faults, settle, table};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

type Row = HashMap<String, String>;

/// Media type, content, and other content of the same kind.
fn content_of(kind: &str, path: &str) -> Option<(&'static str, String, String)> {
    let json = "application/json";
    let (kind, one, other) = match kind {
        "json" => (json, "{ \"n\": 9 }", "{ \"n\": 8 }"),
        "broken" => (json, "{ \"n\": ", "{ \"n\": 9 }"),
        "merge" => ("application/merge-patch+json", "{\"n\":9}", "{\"n\":8}"),
        "jsonpatch" => (
            "application/json-patch+json",
            r#"[{"op":"replace","path":"/n","value":9}]"#,
            r#"[{"op":"replace","path":"/n","value":8}]"#,
        ),
        "unfit" => (
            "application/json-patch+json",
            r#"[{"op":"test","path":"/n","value":9}]"#,
            r#"[{"op":"test","path":"/n","value":1}]"#,
        ),
        "increment" => (
            "application/vnd.ifmatch.increment+json",
            "{\"n\":9}",
            "{\"n\":8}",
        ),
        "context" => (json, r#"{"expires_in":60}"#, r#"{"expires_in":61}"#),
        "command" => {
            let change = |condition: &str| {
                format!(
                    r#"{{"changes":[{{"method":"PUT","target":"{path}",{condition},"body":1}}]}}"#
                )
            };
            let one = change(r#""if_none_match":"*""#);
            return Some((json, one, change(r#""if_match":"*""#)));
        }
        "-" => return None,
        other => panic!("no such content: {other}"),
    };
    Some((kind, one.to_owned(), other.to_owned()))
}

struct Sent {
    method: String,
    target: String,
    fields: Vec<(String, String)>,
}

impl Sent {
    fn send(&self, client: &mut Client, key: &str, body: Option<&str>) -> Response {
        let mut fields: Vec<(&str, &str)> = self.fields.iter().map(|(n, v)| (&**n, &**v)).collect();
        fields.push(("idempotency-key", key));
        client.send(&self.method, &self.target, &fields, body)
    }
}

fn outcome(answer: &Response) -> String {
    if answer.status < 400 {
        return answer.status.to_string();
    }
    format!("{} {}", answer.status, answer.slug())
}

fn try_row(client: &mut Client, row: &Row) -> Vec<String> {
    let path = format!("/resources/keys/{}", row["id"]);
    let tag = (row["state"] == "present").then(|| client.put_new(&path, "{\"n\": 1}"));
    let content = content_of(&row["content"], &path);
    let mut fields: Vec<(String, String)> = row["request headers"]
        .split(" ¦ ")
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| {
            let value = value.replace("{tag}", tag.as_deref().unwrap_or_default());
            (name.to_owned(), value)
        })
        .collect();
    fields.extend(
        content
            .iter()
            .map(|(kind, ..)| ("content-type".to_owned(), (*kind).to_owned())),
    );
    let target = if row["method"] == "POST" {
        "/transactions".to_owned()
    } else {
        path.clone()
    };
    let sent = Sent {
        method: row["method"].clone(),
        target,
        fields,
    };
    let body = content.as_ref().map(|(_, one, _)| one.as_str());
    let before = versions(client, &path);
    let first = sent.send(client, &format!("\"{}\"", row["id"]), body);
    let after = versions(client, &path);
    let again = sent.send(client, &row["id"], body);

    let mut faults = Faults::of(&row["id"]);
    faults.equal("the answer", &outcome(&first), &row["answer"]);
    faults.equal(
        "the answer to a repetition",
        &outcome(&again),
        &row["again"],
    );
    faults.equal(
        "versions after the repetition",
        versions(client, &path),
        after,
    );
    if first.status < 400 {
        check_again(&first, &again);
        let written = usize::from(row["state"] != "-");
        faults.equal("versions", after, before + written);
    } else {
        faults.equal("versions", after, before);
        faults.equal("replayed", again.header("idempotent-replayed"), None);
    }
    if row["other content"] != "-" {
        let other = content.as_ref().map(|(.., other)| other.as_str());
        let other = sent.send(client, &row["id"], other);
        faults.equal(
            "the answer to other content",
            &outcome(&other),
            &row["other content"],
        );
        faults.equal("replayed", other.header("idempotent-replayed"), None);
        let written = usize::from(other.status < 400);
        faults.equal(
            "versions in the end",
            versions(client, &path),
            after + written,
        );
    }
    faults.told()
}

#[test]
fn every_row_holds() {
    let server = Server::start();
    let mut client = server.client();
    let rows = table("keys.md", "| id | method | state |");
    assert!(rows.len() >= 20, "only {} rows", rows.len());
    let faults: Vec<String> = rows
        .iter()
        .flat_map(|row| try_row(&mut client, row))
        .collect();
    settle(&faults);
}
