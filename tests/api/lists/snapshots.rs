//! Any list is one consistent snapshot.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::support::Stop;
use crate::support::client::Client;
use crate::support::server::Server;

/// Moves one between two accounts, for as long as it may.
fn transfer(client: &mut Client, done: &AtomicBool) {
    let mut amount = 0_i64;
    while !done.load(Ordering::Relaxed) {
        amount += 1;
        let (transaction, tag) = client.open_transaction();
        let changes = json!([
            {"method": "PUT", "target": "/resources/a/left", "if_match": "*", "body": amount},
            {"method": "PUT", "target": "/resources/a/right", "if_match": "*", "body": -amount},
            {"method": "PUT", "target": "/resources/b/right", "if_match": "*", "body": -amount},
        ]);
        client
            .apply(&transaction, &tag, &changes.to_string())
            .expect(200);
    }
}

#[test]
fn a_list_shows_all_of_a_transaction_or_nothing_of_it() {
    let server = Server::start();
    let mut client = server.client();
    for path in [
        "/resources/a/left",
        "/resources/a/right",
        "/resources/b/right",
    ] {
        client.put_new(path, "0");
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&done);
        let (moving, stop) = (&server, &done);
        scope.spawn(move || transfer(&mut moving.client(), stop));
        let mut different = std::collections::HashSet::new();
        for _ in 0..60 {
            for path in [
                "/resources/a",
                "/resources/a?key=left&key=right",
                "/resources?key=a/left&key=b/right",
            ] {
                let items = client.get(path).expect(200).json()["items"].clone();
                let (left, right) = (
                    items[0]["body"].as_i64().unwrap(),
                    items[1]["body"].as_i64().unwrap(),
                );
                assert_eq!(left, -right, "{path}");
                different.insert(left);
            }
        }
        assert!(different.len() > 1, "nothing was written meanwhile");
    });
}
