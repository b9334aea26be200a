//! Clients that write until their server is gone, and remember what they were told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use uuid::Uuid;

use super::client::{Client, Response};
use super::program::{DataDir, Serve, number};

const CLIENTS: usize = 4;

/// An operation that a client has sent.
struct Sent {
    id: Uuid,
    client: usize,
    acknowledged: bool,
}

/// Running clients. Each keeps sending until its connection breaks or it is answered with an error.
pub(super) struct Load {
    acknowledged: Arc<AtomicUsize>,
    sent: Arc<Mutex<Vec<Sent>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Over a server whose database holds nothing yet, or what an earlier load wrote.
    pub(super) fn start(address: SocketAddr) -> Self {
        let load = Self {
            acknowledged: Arc::default(),
            sent: Arc::default(),
            threads: Vec::new(),
        };
        let threads = (0..CLIENTS).map(|client| {
            let (acknowledged, sent) = (load.acknowledged.clone(), load.sent.clone());
            std::thread::spawn(move || {
                let mut connection = Client::new(address);
                create_counter(&mut connection, client);
                loop {
                    let id = Uuid::now_v7();
                    let answer = connection.try_raw(&request(id, client), false);
                    let created = answer.as_ref().is_ok_and(|answer| answer.status == 201);
                    sent.lock().unwrap().push(Sent {
                        id,
                        client,
                        acknowledged: created,
                    });
                    match answer {
                        Ok(answer) if created => assert_eq!(answer.json()["state"], "committed"),
                        Ok(answer) if answer.status == 503 => return,
                        Ok(answer) => panic!("{answer:#?}\n{}", answer.text()),
                        Err(_) => return,
                    }
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        });
        Self {
            threads: threads.collect(),
            ..load
        }
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Whether every client has met an end.
    pub(super) fn has_ended(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Waits until all clients have met the end of their server, and then asks its successor about every operation:
    /// what was acknowledged is there, what was not is repeated, and all is there exactly once.
    #[track_caller]
    pub(super) fn check(self, data: &DataDir, server: &Serve, before: usize) -> usize {
        for thread in self.threads {
            thread.join().unwrap();
        }
        let mut client = server.client();
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        check_store(data);
        for operation in &sent {
            let answer = client.raw(&request(operation.id, operation.client), false);
            match (operation.acknowledged, answer.status) {
                (false, 201) => {}
                _ => check_replayed(&answer, operation),
            }
            let log = client
                .get(&format!("/resources/log/{}", operation.id))
                .expect(200);
            assert_eq!(log.json(), serde_json::json!(operation.client));
        }
        assert!(
            sent.iter()
                .filter(|operation| operation.acknowledged)
                .count()
                >= self.acknowledged.load(Ordering::SeqCst)
        );
        check_store(data);
        let total = before + sent.len();
        let mut store = data.connect();
        let logged = number(
            &mut store,
            "SELECT count(*) AS number FROM versions WHERE collection = 'log'",
        );
        let counted = number(
            &mut store,
            "SELECT count(*) AS number FROM versions WHERE collection = 'counters' AND version > 1",
        );
        assert_eq!(
            (logged, counted),
            (i64::try_from(total).unwrap(), i64::try_from(total).unwrap()),
            "each exactly once"
        );
        total
    }
}

#[track_caller]
fn check_replayed(answer: &Response, operation: &Sent) {
    let found = (answer.status, answer.slug());
    assert_eq!(
        found,
        (412, "already-applied".to_owned()),
        "{} acknowledged: {}",
        operation.id,
        operation.acknowledged
    );
    assert_eq!(answer.json()["current"]["state"], "committed");
}

/// Every operation is there wholly or not at all, every version once, and heads are the newest versions.
#[track_caller]
fn check_store(data: &DataDir) {
    let mut store = data.connect();
    for (what, sql) in [
        (
            "a transaction that is there in part",
            "SELECT count(*) AS number FROM transactions t WHERE operation LIKE '%/resources/log/%' AND 2 <> \
             (SELECT count(*) FROM versions v WHERE v.transaction_id = t.id AND t.state = 'committed')",
        ),
        (
            "a version without its transaction",
            "SELECT count(*) AS number FROM versions v WHERE NOT EXISTS (SELECT FROM transactions t WHERE t.id = v.transaction_id)",
        ),
        (
            "a head that is not its newest version",
            "SELECT count(*) AS number FROM resources r WHERE (version, nonce) IS DISTINCT FROM (SELECT (v.version, v.nonce) FROM versions v \
             WHERE v.collection = r.collection AND v.key = r.key ORDER BY v.version DESC LIMIT 1)",
        ),
        (
            "a gap in the versions",
            "SELECT count(*) AS number FROM (SELECT FROM versions GROUP BY collection, key HAVING count(*) <> max(version)) gaps",
        ),
    ] {
        assert_eq!(number(&mut store, sql), 0, "{what}");
    }
}

fn create_counter(client: &mut Client, number: usize) {
    let created = client.send(
        "PUT",
        &format!("/resources/counters/c{number}"),
        &[("if-none-match", "*")],
        Some("0"),
    );
    assert!(
        created.status == 201 || created.slug() == "stale-resource",
        "{created:#?}"
    );
}

fn request(id: Uuid, client: usize) -> Vec<u8> {
    let content = format!(
        r#"{{"changes": [{{"method": "PUT", "target": "/resources/counters/c{client}", "if_match": "*", "body": {client}}},
                         {{"method": "PUT", "target": "/resources/log/{id}", "if_none_match": "*", "body": {client}}}]}}"#
    );
    let length = content.len();
    format!(
        "PUT /transactions/{id} HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{content}"
    )
    .into_bytes()
}
