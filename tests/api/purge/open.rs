//! What is listed of transactions, whatever the purge has come to (contract §5, "List", "Reference").

use serde_json::Value;

use super::{ASSERTS, CREATE, STAR, id_of, path_from, purged, scene};
use crate::support::client::Client;
use diesel::connection::SimpleConnection;

fn listed(client: &mut Client, query: &str) -> Vec<String> {
    let list = client
        .get(&format!("/transactions?{query}"))
        .expect(200)
        .json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| format!("/transactions/{}", item["id"].as_str().unwrap()))
        .collect()
}

fn opened(client: &mut Client, reference: &str) -> String {
    let content = format!(r#"{{"reference": "{reference}", "metadata": {{"n": 1.50}}}}"#);
    client
        .send("POST", "/transactions", &[], Some(&content))
        .expect(201)
        .location()
}

#[test]
fn filters_go_together_and_leave_out_what_is_410() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let open = opened(&mut client, "open");
    let decided = opened(&mut client, "decided");
    client
        .send("PUT", &decided, &STAR, Some(ASSERTS))
        .expect(200);
    let cancelled = opened(&mut client, "cancelled");
    client.send("DELETE", &cancelled, &STAR, None).expect(204);
    let expired = opened(&mut client, "expired");
    let end = format!(
        "UPDATE transactions SET expires_at = now() - interval '1 second' WHERE id = '{}'",
        id_of(&expired)
    );
    store.batch_execute(&end).unwrap();
    for round in 0..2 {
        let rows: [(&str, &[&String]); 14] = [
            ("limit=1000", &[&decided, &open]),
            ("state=open", &[&open]),
            ("state=committed", &[&decided]),
            ("state=cancelled", &[]),
            ("state=expired", &[]),
            ("reference=open", &[&open]),
            ("reference=decided", &[&decided]),
            ("reference=cancelled", &[]),
            ("reference=expired", &[]),
            ("reference=open&state=open", &[&open]),
            ("reference=open&state=committed", &[]),
            ("reference=decided&state=committed", &[&decided]),
            ("reference=Open", &[]),
            ("state=open&limit=1", &[&open]),
        ];
        for (query, expected) in rows {
            let found = listed(&mut client, query);
            assert_eq!(
                found.iter().collect::<Vec<_>>(),
                expected,
                "{round}: {query}"
            );
        }
        // The second time, what has expired is recorded as such.
        assert_eq!(purged(&server.database_url).expired, 1 - round);
    }
    for query in [
        "state=Open",
        "state=",
        "state=open&state=open",
        "limit=0",
        "limit=1001",
        "after=x",
        "reference=a&reference=b",
    ] {
        let path = format!("/transactions?{query}");
        client.get(&path).expect_problem(400, "malformed-request");
    }
}

#[test]
fn pages_of_open_ones_pass_over_all_others() {
    let (server, _) = scene();
    let mut client = server.client();
    let mut open = Vec::new();
    for round in 0..9 {
        client
            .send("PUT", &path_from(0), &CREATE, Some(ASSERTS))
            .expect(201);
        open.push(opened(&mut client, &format!("r{round}")));
        client
            .send(
                "PUT",
                &path_from(0),
                &CREATE,
                Some(r#"{"state": "cancelled"}"#),
            )
            .expect(201);
    }
    open.reverse();
    let (mut found, mut path) = (Vec::new(), "/transactions?state=open&limit=2".to_owned());
    loop {
        let page = client.get(&path).expect(200).json();
        for item in page["items"].as_array().unwrap() {
            found.push(item["links"]["self"].as_str().unwrap().to_owned());
        }
        match &page["next"] {
            Value::String(next) => path = next.clone(),
            _ => break,
        }
    }
    assert_eq!(found, open);
}

#[test]
fn metadata_comes_back_as_it_was_sent() {
    let (server, _) = scene();
    let mut client = server.client();
    let metadata =
        r#"{"z": 1.50, "a": [1e3,  "\u00e9é"], "n": null, "big": 12345678901234567890.10}"#;
    let content = format!(r#"{{"metadata": {metadata}}}"#);
    let made = client
        .send("POST", "/transactions", &[], Some(&content))
        .expect(201);
    let path = made.location();
    let parsed: Value = serde_json::from_str(metadata).unwrap();
    for answer in [
        made,
        client.get(&path),
        client.send("PUT", &path, &STAR, Some(ASSERTS)),
        client.get(&path),
    ] {
        let text = answer.text();
        assert_eq!(answer.json()["metadata"], parsed);
        for number in ["1.50", "1e3", "12345678901234567890.10"] {
            assert!(text.contains(number), "{text}");
        }
        let (z, a) = (text.find("\"z\"").unwrap(), text.find("\"a\"").unwrap());
        assert!(z < a, "members keep their order: {text}");
    }
}

#[test]
fn a_renewal_counts_from_now_and_may_come_again_and_again() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let content = Some(r#"{"expires_in": 604800}"#);
    let path = client
        .send("POST", "/transactions", &[], content)
        .expect(201)
        .location();
    for _ in 0..2 {
        // Six days pass.
        store
            .batch_execute("UPDATE transactions SET created_at = created_at - interval '6 days', expires_at = expires_at - interval '6 days'")
            .unwrap();
        client.send("PATCH", &path, &STAR, content).expect(200);
    }
    let seconds = "SELECT round(extract(epoch FROM expires_at - clock_timestamp()) / 60)::bigint AS number FROM transactions";
    assert_eq!(
        crate::support::cluster::number(&mut store, seconds),
        604_800 / 60
    );
    client.send("PUT", &path, &STAR, Some(ASSERTS)).expect(200);
}
