//! Copies of one request that names its transaction, all at once: one does it, and no other says that nothing was done.

use serde_json::json;

use super::scene::{named, number};
use crate::support::client::{Client, Response};
use crate::support::cluster;
use crate::support::many::{at_once, clients, pair};
use crate::support::server::Server;

const ROUNDS: i64 = 200;
const COPIES: usize = 4;
const CREATE: [(&str, &str); 1] = [("if-none-match", "*")];

#[test]
fn copies_of_a_naming_put_that_changes_a_known_state_are_told_that_it_is_applied() {
    change_known_states(&[Server::start()]);
}

#[test]
fn copies_sent_to_two_servers_of_one_that_changes_a_known_state_are_told_that_it_is_applied() {
    change_known_states(&pair());
}

#[test]
fn copies_of_a_naming_put_that_creates_a_resource_are_told_that_it_is_applied() {
    create_resources(&[Server::start()]);
}

#[test]
fn copies_sent_to_two_servers_of_one_that_creates_a_resource_are_told_that_it_is_applied() {
    create_resources(&pair());
}

fn change_known_states(servers: &[Server]) {
    let mut clients = clients(servers, COPIES);
    let mut tag = clients[0].put_new("/resources/a/b", "0");
    for round in 1..=ROUNDS {
        let change =
            json!({"method": "PUT", "target": "/resources/a/b", "if_match": tag, "body": round});
        let written = name_once(&mut clients, &change.to_string());
        let read = clients[1].get("/resources/a/b").expect(200);
        assert_eq!(
            (read.text(), read.etag()),
            (round.to_string(), written.clone())
        );
        tag = written;
    }
    assert_eq!(versions(&servers[0]), ROUNDS + 1);
}

fn create_resources(servers: &[Server]) {
    let mut clients = clients(servers, COPIES);
    for round in 0..ROUNDS {
        let target = format!("/resources/a/k{round}");
        let change =
            json!({"method": "PUT", "target": target, "if_none_match": "*", "body": round});
        let written = name_once(&mut clients, &change.to_string());
        let read = clients[1].get(&target).expect(200);
        assert_eq!((read.text(), read.etag()), (round.to_string(), written));
    }
    assert_eq!(versions(&servers[0]), ROUNDS);
}

/// Sends copies of one request, checks what all of them are told, and returns the tag that the change made.
#[track_caller]
fn name_once(clients: &mut [Client], change: &str) -> String {
    let (path, content) = (named(), format!("{{\"changes\": [{change}]}}"));
    let answers = at_once(clients, |_, client| {
        client.send("PUT", &path, &CREATE, Some(&content))
    });
    let created: Vec<&Response> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .collect();
    assert_eq!(created.len(), 1, "{answers:#?}");
    let document = created[0].json();
    assert_eq!(document["state"], "committed");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        let problem = answer.clone().expect_problem(412, "already-applied").json();
        assert_eq!(problem["current"], document, "{problem:#}");
    }
    assert_eq!(clients[0].get(&path).expect(200).json(), document);
    let tag = &document["outcome"]["changes"][0]["etag"];
    tag.as_str().unwrap().to_owned()
}

fn versions(server: &Server) -> i64 {
    let mut store = cluster::connect(&server.database_url);
    number(&mut store, "SELECT count(*) AS number FROM versions")
}
