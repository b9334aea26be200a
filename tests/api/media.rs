//! The tables of docs/media.md: which media types and which JSON are taken, wherever content is (contract §4).

use std::collections::HashMap;

use serde_json::json;

use crate::matrix::rows::{Faults, settle, table};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

/// The rows of the table that begins so.
fn rows(start: &str) -> Vec<HashMap<String, String>> {
    let rows = table("media.md", start);
    assert!(rows.len() > 10, "only {} rows", rows.len());
    rows
}

#[test]
fn every_media_type_is_taken_and_kept_or_refused() {
    let server = Server::start();
    let mut client = server.client();
    for row in rows("| row | content-type") {
        let name = &row["row"];
        let (sent, status) = (&row["content-type"], row["status"].parse::<u16>().unwrap());
        let path = format!("/resources/a/{name}");
        let headers = [("if-none-match", "*"), ("content-type", sent)];
        let put = client.send("PUT", &path, &headers, Some("{\"a\": 1}"));
        assert_eq!(put.status, status, "{name}: {}", put.text());
        let changes = json!({"changes": [{"method": "PUT", "target": format!("/resources/b/{name}"), "if_none_match": "*",
                                          "content_type": sent, "body": {"a": 1}}]});
        let (transaction, _) = client.open_transaction();
        let applied = client.send(
            "PUT",
            &transaction,
            &[("if-match", "*")],
            Some(&changes.to_string()),
        );
        if status == 415 {
            let refused = applied.expect_problem(422, "invalid-operation").json();
            assert_eq!(
                refused["errors"][0]["pointer"], "#/changes/0/content_type",
                "{name}"
            );
            assert_eq!(client.get(&path).status, 404);
            continue;
        }
        applied.expect(200);
        let kept = Some(row["kept as"].clone());
        let patched = format!("/resources/a/{name}");
        client
            .send("PATCH", &patched, &[("if-match", "*")], Some("{\"b\": 2}"))
            .expect(204);
        for place in [
            format!("/resources/a/{name}"),
            format!("/resources/a/{name}/versions/1"),
            format!("/resources/b/{name}"),
        ] {
            assert_eq!(
                client.get(&place).expect(200).header("content-type"),
                kept,
                "{place}"
            );
        }
        let item = client.get(&format!("/resources/a?key={name}")).json()["items"][0].clone();
        let listed = kept.filter(|kept| kept != "application/json");
        assert_eq!(item["media_type"].as_str(), listed.as_deref(), "{name}");
    }
}

fn pointer(refused: Response) -> String {
    let problem = refused.expect_problem(400, "malformed-request").json();
    problem["errors"][0]["pointer"].as_str().unwrap().to_owned()
}

#[test]
fn every_limit_of_json_holds_wherever_json_is_taken() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/there", "{}");
    let mut told = Vec::new();
    for row in rows("| row | content |") {
        let mut faults = Faults::of(&row["row"]);
        let content = row["content"].trim_matches('`');
        let right = row["pointer"] == "-";
        for (method, media_type) in [
            ("PUT", "application/json"),
            ("PUT", "application/vnd.x+json"),
            ("PATCH", "application/merge-patch+json"),
        ] {
            let headers = [("if-match", "*"), ("content-type", media_type)];
            let answer = client.send(method, "/resources/a/there", &headers, Some(content));
            if right {
                answer.expect(204);
            } else {
                faults.equal(media_type, pointer(answer), row["pointer"].clone());
            }
        }
        // Two values within a document are another fault, in another place.
        if row["row"] != "two-values" {
            check_within(&mut client, &row, content, &mut faults);
        }
        told.extend(faults.told());
    }
    settle(&told);
}

/// As the body of a change, and within the metadata of a transaction: the pointer goes on from there.
fn check_within(
    client: &mut Client,
    row: &HashMap<String, String>,
    content: &str,
    faults: &mut Faults,
) {
    let (transaction, tag) = client.open_transaction();
    let bodies = format!(
        r#"[{{"method": "PUT", "target": "/resources/b/{}", "if_none_match": "*", "body": {content}}}]"#,
        row["row"]
    );
    let applied = client.apply(&transaction, &tag, &bodies);
    let metadata = format!(r#"{{"metadata": {{"m": {content}}}}}"#);
    let created = client.send("POST", "/transactions", &[], Some(&metadata));
    let Some(below) = row["pointer"].strip_prefix('#') else {
        applied.expect(200);
        created.expect(201);
        return;
    };
    let expected = format!("#/changes/0/body{below}");
    faults.equal("of a change", pointer(applied), expected);
    let expected = format!("#/metadata/m{below}");
    faults.equal("of the metadata", pointer(created), expected);
}
