//! The table of docs/retention.md: every row is sent to transactions of every age.

use std::collections::HashMap;

use diesel::connection::SimpleConnection;

use super::{ASSERTS, CREATE, HOUR, STAR, age, id_of, path_from, purged, scene};
use crate::matrix::rows::{Faults, settle, table};

#[test]
fn every_row_holds() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let named = |content: &str, seconds: i64| {
        let path = path_from(seconds);
        server
            .client()
            .send("PUT", &path, &CREATE, Some(content))
            .expect(201);
        path
    };
    let cancel = r#"{"state": "cancelled"}"#;
    let gone = [named(ASSERTS, 3 * HOUR), named(cancel, 3 * HOUR)];
    let beyond = [named(ASSERTS, 4 * HOUR), named(cancel, 4 * HOUR)];
    age(&mut store);
    for path in &beyond {
        let end = "UPDATE transactions SET finished_at = now()";
        store
            .batch_execute(&format!("{end} WHERE id = '{}'", id_of(path)))
            .unwrap();
    }
    assert_eq!(purged(&server.database_url).transactions, 2);
    let expired = client.open_transaction().0;
    let end = format!(
        "UPDATE transactions SET expires_at = now() - interval '1 second' WHERE id = '{}'",
        id_of(&expired)
    );
    store.batch_execute(&end).unwrap();
    let paths = HashMap::from([
        ("committed", named(ASSERTS, 0)),
        ("committed beyond", beyond[0].clone()),
        ("cancelled", named(cancel, 0)),
        ("cancelled beyond", beyond[1].clone()),
        ("expired", expired),
        ("purged", gone[0].clone()),
        ("purged cancelled", gone[1].clone()),
        ("unknown beyond", path_from(5 * HOUR)),
        ("unknown", path_from(0)),
    ]);
    let rows = table("retention.md", "| id |");
    assert!(rows.len() > 30, "only {} rows", rows.len());
    let mut told = Vec::new();
    for row in &rows {
        let path = &paths[&*row["transaction"]];
        let fields: Vec<(&str, &str)> = row["request headers"]
            .split(" ¦ ")
            .filter_map(|line| line.split_once(": "))
            .collect();
        let content = match (&*row["method"], &*row["content"]) {
            (_, "the same") => Some(ASSERTS),
            ("PATCH", _) => Some(r#"{"expires_in": 60}"#),
            ("PUT", "cancelled") => Some(cancel),
            _ => None,
        };
        let answer = client.send(&row["method"], path, &fields, content);
        let mut faults = Faults::of(&row["id"]);
        faults.equal("status", answer.status.to_string(), row["status"].clone());
        if row["method"] == "HEAD" || answer.status < 400 {
            faults.equal("slug", "-", &*row["slug"]);
        } else {
            faults.problem(&answer, &row["slug"], path);
        }
        told.extend(faults.told());
    }
    settle(&told);
    for path in [&gone[0], &gone[1]] {
        client
            .send("PUT", path, &STAR, Some("["))
            .expect_problem(410, "gone");
    }
}
