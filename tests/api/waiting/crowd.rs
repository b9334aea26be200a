//! Thousands wait at one server: no thread and no connection to Postgres is theirs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::commit;
use crate::support::server::Server;
use crate::support::{PATIENCE, cluster, eventually};

const WAITERS: usize = 5_000;

/// Threads that other tests may start meanwhile.
const THREADS_OF_OTHERS: usize = 1_000;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// A waiter has two ends here, and each end is a file.
fn allow_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

fn ask(server: &Server, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nprefer: wait=50\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The status line and fields, and the content.
fn answer(stream: TcpStream) -> (Vec<String>, String) {
    let mut reader = BufReader::new(stream);
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("nobody woke it");
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        fields.push(line);
    }
    let length = fields
        .iter()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut content = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut content).unwrap();
    (fields, String::from_utf8(content).unwrap())
}

#[test]
fn thousands_wait_without_a_thread_or_a_connection_each_and_one_commit_answers_all() {
    allow_files();
    let server = Server::start();
    let mut client = server.client();
    let mut store = cluster::connect(&server.database_url);
    let opened = client.open_transaction();
    let threads_before = threads();
    let waiters: Vec<TcpStream> = (0..WAITERS).map(|_| ask(&server, &opened.0)).collect();
    eventually("all wait", || server.waiters() == WAITERS);
    assert!(threads() < threads_before + THREADS_OF_OTHERS);
    // The two committers and the two readers have one each, at most.
    let sessions = cluster::others(&mut store);
    assert!(sessions <= 4, "{sessions} sessions");
    let done = commit(&mut client, &opened).text();
    for waiter in waiters {
        let (fields, content) = answer(waiter);
        assert_eq!(fields.first().map(String::as_str), Some("HTTP/1.1 200 OK"));
        assert!(
            fields.contains(&"preference-applied: wait=50".to_owned()),
            "{fields:?}"
        );
        assert_eq!(content, done);
    }
    eventually("all places are free", || server.waiters() == 0);
}

#[test]
fn thousands_of_transactions_of_which_another_server_cancels_each() {
    allow_files();
    let server = Server::start();
    let other = Server::over(&server.database_url, |_| {}, |_| {});
    let mut client = server.client();
    // More than one look asks for at once.
    let paths: Vec<String> = (0..1_200).map(|_| client.open_transaction().0).collect();
    let waiters: Vec<TcpStream> = paths.iter().map(|path| ask(&server, path)).collect();
    eventually("all wait", || server.waiters() == paths.len());
    let mut there = other.client();
    for path in &paths {
        there
            .send("DELETE", path, &[("if-match", "*")], None)
            .expect(204);
    }
    for waiter in waiters {
        let (fields, content) = answer(waiter);
        assert_eq!(
            fields.first().map(String::as_str),
            Some("HTTP/1.1 410 Gone")
        );
        assert!(
            content.contains("/problems/transaction-cancelled"),
            "{content}"
        );
    }
}
