//! Drafts under servers that are killed: what was acknowledged is kept, and a commit whose answer got lost is repeated.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::Client;
use super::program::{DataDir, Serve, eventually};

const WRITERS: usize = 3;
/// Acknowledged changes before each kill; another number each time, to meet other moments.
const ENOUGH: [usize; 3] = [7, 41, 90];

fn put(view: &str, condition: &str, body: usize) -> String {
    let body = body.to_string();
    format!(
        "PUT {view} HTTP/1.1\r\nhost: x\r\n{condition}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One writer's resource in the draft, written until the server is gone: how many writes were acknowledged.
fn write(mut client: Client, view: &str, total: &AtomicUsize) -> usize {
    let mut condition = "if-none-match: *".to_owned();
    for number in 0.. {
        match client.try_raw(put(view, &condition, number).as_bytes(), false) {
            Ok(answer) if answer.status == 204 => {
                condition = format!("if-match: {}", answer.etag())
            }
            Ok(answer) if answer.status != 503 => panic!("{}", answer.text()),
            Ok(_) | Err(_) => return number,
        }
        total.fetch_add(1, Ordering::SeqCst);
    }
    0
}

fn commit(transaction: &str, tag: &str) -> String {
    let content = "{\"state\": \"committed\"}";
    format!(
        "PATCH {transaction} HTTP/1.1\r\nhost: x\r\nif-match: {tag}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{content}",
        content.len()
    )
}

#[test]
fn a_draft_survives_a_killed_server_and_is_committed_by_its_successor_once() {
    let data = DataDir::new();
    for (round, enough) in ENOUGH.into_iter().enumerate() {
        let mut server = Serve::start(&data, &[]);
        let (transaction, _) = server.client().open_transaction();
        let views: Vec<String> = (0..WRITERS)
            .map(|who| format!("{transaction}/resources/r{round}/w{who}"))
            .collect();
        let total = AtomicUsize::new(0);
        let acknowledged: Vec<usize> = std::thread::scope(|scope| {
            let threads: Vec<_> = views
                .iter()
                .map(|view| {
                    let (client, total) = (server.client(), &total);
                    scope.spawn(move || write(client, view, total))
                })
                .collect();
            eventually("they write", || {
                total.load(Ordering::SeqCst) >= enough || threads.iter().all(|t| t.is_finished())
            });
            server.kill();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert!(total.load(Ordering::SeqCst) >= enough);

        let mut server = Serve::start(&data, &[]);
        let mut client = server.client();
        let mut kept = Vec::new();
        for (view, count) in views.iter().zip(acknowledged) {
            // What was acknowledged is there; the write whose answer got lost may be.
            let seen = client.get(view);
            let number = if seen.status == 404 {
                0
            } else {
                seen.json().as_u64().unwrap() + 1
            };
            let number = usize::try_from(number).unwrap();
            assert!(
                number == count || number == count + 1,
                "{number} of {count}"
            );
            kept.push(number.checked_sub(1));
        }
        let tag = client.get(&transaction).expect(200).etag();
        let request = commit(&transaction, &tag);
        client.send_and_hang_up(request.as_bytes());
        // Before it, at it or after it; the first two rounds kill as soon as they can.
        if round == 2 {
            eventually("it is committed", || {
                client.get(&transaction).json()["state"] == "committed"
            });
        }
        server.kill();

        let mut server = Serve::start(&data, &[]);
        let mut client = server.client();
        let first = client.raw(request.as_bytes(), false).expect(200);
        if round == 2 {
            assert_eq!(first.header("idempotent-replayed").as_deref(), Some("true"));
        }
        let again = client.raw(request.as_bytes(), false).expect(200);
        assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
        assert_eq!(again.text(), first.text());
        for (view, number) in views.iter().zip(kept) {
            let path = view.trim_start_matches(&*transaction);
            let seen = client.get(path);
            match number {
                None => drop(seen.expect(404)),
                Some(number) => {
                    assert_eq!(seen.expect(200).text(), number.to_string());
                    let versions = client.get(&format!("{path}/versions")).json();
                    assert_eq!(versions["items"].as_array().map(Vec::len), Some(1));
                }
            }
        }
        server.kill();
    }
}
