//! The table of docs/drafts.md: every row is sent to a transaction and a resource of its own.

use diesel::connection::SimpleConnection;

use super::{COMMIT, INCREMENT, save};
use crate::matrix::rows::{Faults, settle, table};
use crate::support::client::{Client, Response};
use crate::support::cluster;
use crate::support::server::Server;

type Row = std::collections::HashMap<String, String>;

const STORED: &str = "{\"n\":  1, \"s\": \"\"}";
const SENT: &str = "{ \"n\": 9 }";

struct Before {
    transaction: String,
    /// What a read of the transaction says.
    seen: Response,
    view: String,
    names: Vec<(&'static str, String)>,
}

/// What the draft does to the resource, as a change, if anything.
fn drafted(target: &str, path: &str) -> Option<String> {
    let (method, condition, body) = match target {
        "put" | "committed" | "cancelled" | "expired" => ("PUT", "if_match", ",\"body\":{\"n\":2}"),
        "patched" => ("PATCH", "if_match", ",\"body\":{\"n\":2}"),
        "deleted" => ("DELETE", "if_match", ""),
        "asserted" => ("GET", "if_match", ""),
        "created" => ("PUT", "if_none_match", ",\"body\":{\"n\":2}"),
        "absent" => ("GET", "if_none_match", ""),
        "there" | "missing" | "unknown" => return None,
        other => panic!("no such target: {other}"),
    };
    Some(format!(
        r#"[{{"method":"{method}","target":"{path}","{condition}":"*"{body}}}]"#
    ))
}

fn prepare(server: &Server, client: &mut Client, row: &Row) -> Before {
    let path = format!("/resources/drafts/{}", row["id"]);
    let target = &*row["target"];
    let mut names = Vec::new();
    if !["missing", "created", "absent"].contains(&target) {
        names.push(("{own}", client.put_new(&path, STORED)));
        let seen = client.get(&path);
        names.push(("{date}", seen.header("last-modified").unwrap()));
    }
    let mut transaction = format!("/transactions/{}", uuid::Uuid::now_v7());
    if target != "unknown" {
        transaction = client.open_transaction().0;
    }
    let view = format!("{transaction}{path}");
    if let Some(changes) = drafted(target, &path) {
        save(client, &transaction, "*", &changes).expect(200);
    }
    if ["put", "patched", "created"].contains(&target) {
        names.push(("{view}", client.get(&view).expect(200).etag()));
    }
    let star = [("if-match", "*")];
    match target {
        "committed" => drop(
            client
                .send("PATCH", &transaction, &star, COMMIT)
                .expect(200),
        ),
        "cancelled" => drop(client.send("DELETE", &transaction, &star, None).expect(204)),
        "expired" => {
            let id = transaction.trim_start_matches("/transactions/");
            let sql = format!("UPDATE transactions SET expires_at = created_at WHERE id = '{id}'");
            cluster::connect(&server.database_url)
                .batch_execute(&sql)
                .unwrap();
        }
        _ => {}
    }
    Before {
        seen: client.get(&transaction),
        transaction,
        view,
        names,
    }
}

fn content_of(kind: &str) -> Option<(&'static str, &'static str)> {
    const PATCH: &str = "application/json-patch+json";
    Some(match kind {
        "-" => return None,
        "doc" => ("application/vnd.x+json", SENT),
        "merge" => ("application/merge-patch+json", SENT),
        "jsonpatch" => (PATCH, r#"[{"op": "replace", "path": "/n", "value": 9}]"#),
        "misfit" => (PATCH, r#"[{"op": "test", "path": "/n", "value": 9}]"#),
        "increment" => (INCREMENT, r#"{"n": 8}"#),
        "number" => (INCREMENT, r#"{"s": 8}"#),
        "bad" => ("application/json", "{"),
        "text" => ("text/plain", "{}"),
        other => panic!("no such content: {other}"),
    })
}

fn try_row(server: &Server, client: &mut Client, row: &Row) -> Vec<String> {
    let before = prepare(server, client, row);
    let fill = |text: &str| {
        let fill = |text: String, (from, to): &(&str, String)| text.replace(from, to);
        before.names.iter().fold(text.to_owned(), fill)
    };
    let lines = row["request headers"]
        .split(" ¦ ")
        .filter(|line| *line != "-");
    let mut fields: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_owned(), fill(value)))
        .collect();
    let content = content_of(&row["content"]);
    fields.extend(content.map(|(kind, _)| ("content-type".into(), kind.into())));
    let pairs: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    let answer = client.send(
        &row["method"],
        &before.view,
        &pairs,
        content.map(|(_, text)| text),
    );

    let mut faults = Faults::of(&row["id"]);
    faults.equal("status", answer.status.to_string(), row["status"].clone());
    if answer.status < 400 || row["method"] == "HEAD" {
        faults.equal("slug", "-", &*row["slug"]);
    } else {
        let problem = faults.problem(&answer, &row["slug"], &before.view);
        let current = problem["current"].is_object();
        faults.equal("current", current, row["slug"] == "transaction-finished");
        let conflicts = problem["conflicts"].as_array().map_or(0, Vec::len);
        let told = ["stale-resource", "weak-etag"].contains(&&*row["slug"]);
        faults.equal("conflicts", conflicts, usize::from(told));
        if told {
            let now = client.get(&before.view).header("etag");
            let current = problem["conflicts"][0]["current"].as_str();
            faults.equal("conflict's current", current, now.as_deref());
        }
    }
    let written = ["PUT", "PATCH", "DELETE"].contains(&&*row["method"]);
    let seen = client.get(&before.transaction);
    if written && answer.status < 300 {
        recorded(&mut faults, client, row, &before, (&answer, &seen));
    } else {
        faults.equal("the transaction", seen.text(), before.seen.text());
    }
    let path = format!("/resources/drafts/{}", row["id"]);
    let own = client.get(&path).header("etag");
    let expected = before.names.iter().find(|(name, _)| *name == "{own}");
    if row["target"] != "committed" {
        faults.equal("the resource", own, expected.map(|(_, tag)| tag.clone()));
    }
    faults.told()
}

/// A change that was recorded: the view shows it, under the tag of the answer.
fn recorded(
    faults: &mut Faults,
    client: &mut Client,
    row: &Row,
    before: &Before,
    (answer, transaction): (&Response, &Response),
) {
    faults.check(
        transaction.header("etag") != before.seen.header("etag"),
        "the transaction's tag is the same",
    );
    let link = format!("<{}>; rel=\"up\"", before.transaction);
    faults.equal("link", answer.header("link"), Some(link));
    let view = client.get(&before.view);
    faults.equal("etag", answer.header("etag"), view.header("etag"));
    if row["method"] == "DELETE" {
        return faults.equal("the view", view.status, 404);
    }
    let n = view.json()["n"].clone();
    faults.equal("the view's n", n, serde_json::json!(9));
    faults.equal("last-modified", view.header("last-modified"), None);
    if row["method"] == "PUT" {
        faults.equal("the view", view.text().as_str(), SENT);
        let kind = view.header("content-type");
        faults.equal("its type", kind.as_deref(), Some("application/vnd.x+json"));
    }
    let asked = row["request headers"].contains("return=representation");
    let shown = if asked { view.text() } else { String::new() };
    faults.equal("content", answer.text(), shown);
    let place = asked.then(|| before.view.clone());
    faults.equal("content-location", answer.header("content-location"), place);
}

#[test]
fn every_row_holds() {
    let server = Server::start();
    let mut client = server.client();
    let rows = table("drafts.md", "| id |");
    assert!(rows.len() > 100, "only {} rows", rows.len());
    let mut ids: Vec<&String> = rows.iter().map(|row| &row["id"]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows.len(), "an id stands twice");
    let mut told = Vec::new();
    for row in &rows {
        told.extend(try_row(&server, &mut client, row));
    }
    settle(&told);
}
