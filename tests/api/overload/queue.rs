//! The queue is full, or the database too slow.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use uuid::Uuid;

use crate::support::client::Response;
use crate::support::server::Server;
use crate::support::{cluster, eventually};

#[test]
fn one_operation_more_than_the_queue_holds_is_refused_at_once() {
    let server = Server::with(
        |settings| (settings.committers, settings.queue_length) = (1, 1),
        |_| {},
    );
    let mut blocker = Blocker::of(&server);
    // The committer takes the first and waits for the lock.
    let first = send_later(&server, named());
    blocker.wait_blocked(1);
    // One of these waits in the queue, and there is no room for the others.
    let (sender, answers) = mpsc::channel();
    let paths: Vec<String> = (0..5).map(|_| named()).collect();
    for path in paths.clone() {
        let (mut client, sender) = (server.client(), sender.clone());
        thread::spawn(move || {
            let answer = client.send("PUT", &path, &[("if-none-match", "*")], Some(&operation()));
            sender.send((path, answer)).unwrap();
        });
    }
    let mut refused = Vec::new();
    for _ in 0..4 {
        // They come while the lock is held.
        let (path, answer) = answers.recv_timeout(Duration::from_secs(30)).unwrap();
        check_unavailable(&answer);
        refused.push(path);
    }
    assert!(answers.try_recv().is_err(), "the last one waits");
    blocker.release();
    first.join().unwrap().expect(201);
    let (queued, answer) = answers.recv_timeout(Duration::from_secs(30)).unwrap();
    answer.expect(201);
    assert!(!refused.contains(&queued));
    let mut client = server.client();
    for path in refused {
        client.get(&path).expect_problem(404, "not-found");
        client
            .send("PUT", &path, &[("if-none-match", "*")], Some(&operation()))
            .expect(201);
    }
    assert_eq!(
        blocker.number("SELECT max(version) AS number FROM resources WHERE key = 'a'"),
        7,
        "one and six, each once"
    );
}

#[test]
fn one_read_more_than_the_queue_holds_is_refused_at_once() {
    let server = Server::with(
        |settings| (settings.readers, settings.queue_length) = (1, 1),
        |_| {},
    );
    let mut blocker = Blocker::of(&server);
    let (sender, answers) = mpsc::channel();
    let read = |count: usize| {
        for _ in 0..count {
            let (mut client, sender) = (server.client(), sender.clone());
            thread::spawn(move || sender.send(client.get("/resources/accounts/a")).unwrap());
        }
    };
    read(1);
    blocker.wait_blocked(1);
    read(5);
    for _ in 0..4 {
        check_unavailable(&answers.recv_timeout(Duration::from_secs(30)).unwrap());
    }
    server.client().get("/health/live").expect(200);
    assert!(answers.try_recv().is_err(), "the others wait");
    blocker.release();
    for _ in 0..2 {
        answers
            .recv_timeout(Duration::from_secs(30))
            .unwrap()
            .expect(200);
    }
}

#[test]
fn an_operation_that_takes_too_long_is_503_and_its_repetition_tells() {
    let server = Server::with(
        |settings| settings.time_limit = Duration::from_millis(300),
        |_| {},
    );
    let mut blocker = Blocker::of(&server);
    let mut client = server.client();
    let path = named();
    check_unavailable(&client.send("PUT", &path, &[("if-none-match", "*")], Some(&operation())));
    assert_eq!(blocker.blocked(), 1, "the operation goes on");
    blocker.release();
    eventually("the operation is decided", || {
        client.get(&path).status == 200
    });
    client
        .send("PUT", &path, &[("if-none-match", "*")], Some(&operation()))
        .expect_problem(412, "already-applied");
    let replayed = client
        .send("PUT", &path, &[("if-match", "*")], Some(&operation()))
        .expect(200);
    assert_eq!(
        replayed.header("idempotent-replayed").as_deref(),
        Some("true")
    );
    assert_eq!(
        blocker.number("SELECT max(version) AS number FROM resources WHERE key = 'a'"),
        2
    );
}

#[test]
fn a_read_that_takes_too_long_is_503() {
    let server = Server::with(
        |settings| settings.time_limit = Duration::from_millis(300),
        |_| {},
    );
    let mut blocker = Blocker::of(&server);
    let mut client = server.client();
    check_unavailable(&client.get("/resources/accounts/a"));
    check_unavailable(&client.get("/resources/accounts"));
    client.get("/health/live").expect(200);
    blocker.release();
    eventually("it is read again", || {
        client.get("/resources/accounts/a").status == 200
    });
}

#[test]
fn a_client_that_goes_away_while_it_waits_harms_nobody() {
    let server = Server::with(
        |settings| (settings.committers, settings.queue_length) = (1, 4),
        |_| {},
    );
    let mut blocker = Blocker::of(&server);
    let gone = named();
    let content = operation();
    let request = format!(
        "PUT {gone} HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{content}",
        content.len()
    );
    server.client().send_and_hang_up(request.as_bytes());
    blocker.wait_blocked(1);
    let other = send_later(&server, named());
    blocker.release();
    other.join().unwrap().expect(201);
    // What the committer had begun is done; the repetition tells.
    let mut client = server.client();
    client
        .send("PUT", &gone, &[("if-none-match", "*")], Some(&content))
        .expect_problem(412, "already-applied");
    assert_eq!(
        blocker.number("SELECT max(version) AS number FROM resources WHERE key = 'a'"),
        3
    );
}

/// A connection that holds a lock which every command and every read of resources waits for.
struct Blocker {
    holder: PgConnection,
    watcher: PgConnection,
}

impl Blocker {
    /// Makes `accounts/a` and takes the lock.
    fn of(server: &Server) -> Self {
        server
            .client()
            .send(
                "PUT",
                "/resources/accounts/a",
                &[("if-none-match", "*")],
                Some("0"),
            )
            .expect(201);
        let (mut holder, watcher) = (
            cluster::connect(&server.database_url),
            cluster::connect(&server.database_url),
        );
        holder
            .batch_execute("BEGIN; LOCK TABLE resources IN ACCESS EXCLUSIVE MODE")
            .unwrap();
        Self { holder, watcher }
    }

    fn number(&mut self, sql: &str) -> i64 {
        cluster::number(&mut self.watcher, sql)
    }

    fn blocked(&mut self) -> i64 {
        cluster::blocked(&mut self.watcher)
    }

    /// Gives the lock back.
    fn release(&mut self) {
        self.holder.batch_execute("ROLLBACK").unwrap();
    }

    #[track_caller]
    fn wait_blocked(&mut self, sessions: i64) {
        eventually("sessions wait for the lock", || self.blocked() == sessions);
    }
}

fn send_later(server: &Server, path: String) -> thread::JoinHandle<Response> {
    let mut client = server.client();
    thread::spawn(move || client.send("PUT", &path, &[("if-none-match", "*")], Some(&operation())))
}

fn named() -> String {
    format!("/transactions/{}", Uuid::now_v7())
}

fn operation() -> String {
    r#"{"changes": [{"method": "PUT", "target": "/resources/accounts/a", "if_match": "*", "body": 1}]}"#.to_owned()
}

#[track_caller]
fn check_unavailable(response: &Response) {
    let response = response.clone().expect_problem(503, "unavailable");
    assert!(
        response
            .header("retry-after")
            .is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{response:#?}"
    );
    assert_eq!(
        response.header("cache-control").as_deref(),
        Some("no-store")
    );
}
