//! The table of docs/history.md: every row is sent to one resource, whose history no row can change.

use std::collections::HashMap;

use crate::matrix::rows::{Faults, settle, table};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const PATH: &str = "/resources/history/k";

/// What the page says of the resource before the rows: four versions, the third a deletion.
fn prepared(client: &mut Client) -> HashMap<&'static str, String> {
    let star = [("if-match", "*")];
    let first = client.put_new(PATH, "{\"n\": 1}");
    let second = client
        .send("PUT", PATH, &star, Some("{\"n\": 2}"))
        .expect(204);
    client.send("DELETE", PATH, &star, None).expect(204);
    let fourth = client.put_new(PATH, "{\"n\": 4}");
    let list = client.get(&format!("{PATH}/versions")).expect(200).etag();
    HashMap::from([
        ("{1}", first),
        ("{2}", second.etag()),
        ("{4}", fourth),
        ("{list}", list),
        ("{date}", second.header("last-modified").unwrap()),
    ])
}

fn sent(
    client: &mut Client,
    row: &HashMap<String, String>,
    names: &HashMap<&str, String>,
) -> Response {
    let fields: Vec<(String, String)> = row["request headers"]
        .split(" ¦ ")
        .filter(|line| *line != "-")
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            let fill = |text: String, (from, to): (&&str, &String)| text.replace(*from, to);
            (name.to_owned(), names.iter().fold(value.to_owned(), fill))
        })
        .collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    let body = ["PUT", "POST", "PATCH"]
        .contains(&&*row["method"])
        .then_some("{}");
    client.send(
        &row["method"],
        &format!("{PATH}/{}", row["below it"]),
        &fields,
        body,
    )
}

#[test]
fn every_row_holds() {
    let server = Server::start();
    let mut client = server.client();
    let names = prepared(&mut client);
    let all = client.get(&format!("{PATH}/versions")).text();
    let rows = table("history.md", "| id |");
    assert!(rows.len() > 30, "only {} rows", rows.len());
    let mut told = Vec::new();
    for row in &rows {
        let answer = sent(&mut client, row, &names);
        let mut faults = Faults::of(&row["id"]);
        faults.equal("status", answer.status.to_string(), row["status"].clone());
        if row["method"] == "HEAD" || answer.status < 400 {
            faults.equal("slug", "-", &*row["slug"]);
        } else {
            let path = format!("{PATH}/{}", row["below it"]);
            let path = path.split('?').next().unwrap();
            faults.problem(&answer, &row["slug"], path);
        }
        if answer.status == 200 {
            let number = row["below it"].strip_prefix("versions/");
            let tag =
                number.map(|number| names[&*format!("{{{}}}", number.replace("%32", "2"))].clone());
            faults.equal("etag", number.and(answer.header("etag")), tag);
        }
        told.extend(faults.told());
    }
    settle(&told);
    assert_eq!(client.get(&format!("{PATH}/versions")).text(), all);
    let mut ids: Vec<&String> = rows.iter().map(|row| &row["id"]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), rows.len(), "an id stands twice");
}
