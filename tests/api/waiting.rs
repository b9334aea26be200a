//! `Prefer: wait=N`: a GET of a transaction is answered as soon as there is something to tell (contract §5, "Watch").

mod crowd;
mod writes;

use std::sync::mpsc::{self, Receiver};
use std::thread;

use diesel::connection::SimpleConnection;

use crate::support::client::{Client, Response};
use crate::support::server::Server;
use crate::support::{PATIENCE, cluster, eventually};

/// Longer than any test waits for an answer: who is answered was woken.
const LONG: (&str, &str) = ("prefer", "wait=50");

/// Changes that need nothing.
const CHANGES: &str =
    r#"[{"method": "PUT", "target": "/resources/accounts/a", "if_none_match": "*", "body": 1}]"#;

/// Asks at `server`, and returns when the request waits there.
fn wait(server: &Server, path: &str, headers: &[(&str, &str)]) -> Receiver<Response> {
    let before = server.waiters();
    let (sender, answer) = mpsc::channel();
    let (mut client, path) = (server.client(), path.to_owned());
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    thread::spawn(move || {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        sender.send(client.send("GET", &path, &headers, None))
    });
    eventually("the request waits", || server.waiters() > before);
    assert!(answer.try_recv().is_err(), "there is nothing to tell yet");
    answer
}

#[track_caller]
fn woken(answer: &Receiver<Response>) -> Response {
    let answer = answer.recv_timeout(PATIENCE).expect("nobody woke it");
    assert_eq!(applied(&answer).as_deref(), Some("wait=50"));
    answer
}

fn applied(answer: &Response) -> Option<String> {
    answer.header("preference-applied")
}

fn commit(client: &mut Client, (path, tag): &(String, String)) -> Response {
    client.apply(path, tag, CHANGES).expect(200)
}

#[test]
fn who_waits_is_told_as_soon_as_it_is_committed() {
    let server = Server::start();
    let mut client = server.client();
    let opened = client.open_transaction();
    let waits: Vec<_> = (0..3).map(|_| wait(&server, &opened.0, &[LONG])).collect();
    let head = {
        let (mut client, path) = (server.client(), opened.0.clone());
        thread::spawn(move || client.send("HEAD", &path, &[LONG], None))
    };
    eventually("HEAD waits too", || server.waiters() == 4);
    let done = commit(&mut client, &opened).json();
    for answer in waits {
        let answer = woken(&answer).expect(200);
        assert_eq!(answer.json(), done);
        assert_eq!(answer.etag(), done["etag"].as_str().unwrap());
    }
    let head = head.join().unwrap().expect(200);
    assert_eq!(head.etag(), done["etag"].as_str().unwrap());
    assert_eq!(applied(&head).as_deref(), Some("wait=50"));
    eventually("all places are free", || server.waiters() == 0);
}

#[test]
fn who_waits_is_told_what_another_server_commits() {
    let server = Server::start();
    let other = Server::over(&server.database_url, |_| {}, |_| {});
    let (mut here, mut there) = (server.client(), other.client());
    let opened = here.open_transaction();
    let answer = wait(&server, &opened.0, &[LONG]);
    commit(&mut there, &opened);
    assert_eq!(woken(&answer).expect(200).json()["state"], "committed");
    let (path, _) = here.open_transaction();
    let answer = wait(&server, &path, &[LONG]);
    there
        .send("DELETE", &path, &[("if-match", "*")], None)
        .expect(204);
    woken(&answer).expect_problem(410, "transaction-cancelled");
}

#[test]
fn who_waits_for_what_is_cancelled_or_expires_is_told_410() {
    let server = Server::start();
    let mut client = server.client();
    let (path, _) = client.open_transaction();
    let answer = wait(&server, &path, &[LONG]);
    client
        .send("DELETE", &path, &[("if-match", "*")], None)
        .expect(204);
    let gone = woken(&answer).expect_problem(410, "transaction-cancelled");
    assert_eq!(gone.header("cache-control").as_deref(), Some("no-store"));
    let content = r#"{"expires_in": 2}"#;
    let opened = client.send("POST", "/transactions", &[], Some(content));
    let answer = wait(&server, &opened.expect(201).location(), &[LONG]);
    woken(&answer).expect_problem(410, "transaction-expired");
}

#[test]
fn an_expiry_that_comes_sooner_than_was_read_is_found_out() {
    let server = Server::start();
    let mut client = server.client();
    let (path, _) = client.open_transaction();
    let answer = wait(&server, &path, &[LONG]);
    // As a renewal to a shorter term by another server does it.
    cluster::connect(&server.database_url)
        .batch_execute("UPDATE transactions SET expires_at = now(), version = version + 1")
        .unwrap();
    woken(&answer).expect_problem(410, "transaction-expired");
}

#[test]
fn who_has_a_tag_is_told_as_soon_as_it_is_another() {
    let server = Server::start();
    let other = Server::over(&server.database_url, |_| {}, |_| {});
    let mut client = server.client();
    let (path, tag) = client.open_transaction();
    let mut known = tag;
    for server_of_writer in [&server, &other] {
        let unknown = wait(&server, &path, &[LONG]);
        let answer = wait(&server, &path, &[LONG, ("if-none-match", &known)]);
        let renewed = server_of_writer.client().send(
            "PATCH",
            &path,
            &[("if-match", &known)],
            Some("{\"expires_in\": 600}"),
        );
        let renewed = renewed.expect(200).json();
        let answer = woken(&answer).expect(200);
        assert_eq!(answer.json(), renewed);
        assert!(
            unknown.try_recv().is_err(),
            "without a tag, a renewal is nothing to tell"
        );
        known = answer.etag();
        // What it has is old already.
        let at_once = client.send("GET", &path, &[LONG, ("if-none-match", "\"x\"")], None);
        assert_eq!(applied(&at_once.expect(200)).as_deref(), Some("wait=50"));
    }
    let answer = wait(&server, &path, &[LONG, ("if-none-match", &known)]);
    commit(&mut client, &(path, known));
    assert_eq!(woken(&answer).expect(200).json()["state"], "committed");
}

#[test]
fn after_its_seconds_a_client_is_told_what_it_is() {
    let server = Server::start();
    let mut client = server.client();
    let (path, tag) = client.open_transaction();
    for seconds in ["0", "1"] {
        let wait = ("prefer", &*format!("wait={seconds}"));
        let told = client.send("GET", &path, &[wait], None).expect(200);
        assert_eq!(
            (told.json()["state"].clone(), told.etag()),
            ("open".into(), tag.clone())
        );
        let honoured = format!("wait={seconds}");
        assert_eq!(applied(&told).as_ref(), Some(&honoured));
        let same = [wait, ("if-none-match", &*tag)];
        let told = client.send("GET", &path, &same, None).expect(304);
        assert_eq!((told.etag(), applied(&told)), (tag.clone(), Some(honoured)));
    }
}

#[test]
fn who_need_not_wait_is_answered_at_once() {
    let server = Server::start();
    let mut client = server.client();
    let opened = client.open_transaction();
    let (open, _) = client.open_transaction();
    let tag = commit(&mut client, &opened).json()["etag"].clone();
    let (path, tag) = (&opened.0, tag.as_str().unwrap());
    let unused = format!("/transactions/{}", uuid::Uuid::now_v7());
    let none: &[(&str, &str)] = &[];
    // What is decided never changes: with its tag, too.
    for (path, prefer, more, status, honoured) in [
        (path, "wait=1", none, 200, Some("wait=1")),
        (path, "wait=50", none, 200, Some("wait=50")),
        (path, "wait=51", none, 200, Some("wait=50")),
        (path, "wait=99999999999", none, 200, Some("wait=50")),
        (path, "wait=\"7\"; x=y", none, 200, Some("wait=7")),
        (path, "wait=3, wait=4", none, 200, Some("wait=3")),
        (
            path,
            "wait=50",
            &[("if-none-match", tag)],
            304,
            Some("wait=50"),
        ),
        (path, "wait=x, wait=4", none, 200, None),
        (path, "wait", none, 200, None),
        (path, "wait=-1", none, 200, None),
        (path, "wait=1.5", none, 200, None),
        (&unused, "wait=50", none, 404, None),
        (
            &open,
            "wait=50",
            &[("accept", "image/png")],
            406,
            Some("wait=50"),
        ),
        (
            &open,
            "wait=50",
            &[("if-match", "\"x\"")],
            412,
            Some("wait=50"),
        ),
        (
            &open,
            "wait=50",
            &[("if-none-match", "x")],
            400,
            Some("wait=50"),
        ),
        (&open, "wait=", none, 200, None),
    ] {
        let mut headers = vec![("prefer", prefer)];
        headers.extend(more);
        let told = client.send("GET", path, &headers, None);
        let found = (told.status, applied(&told));
        assert_eq!(found, (status, honoured.map(str::to_owned)), "{headers:?}");
    }
}

#[test]
fn no_more_wait_than_may_and_who_has_said_all_waits_as_well() {
    let server = Server::with(|settings| settings.waiters_max = 2, |_| {});
    let mut client = server.client();
    let opened = client.open_transaction();
    let stays = wait(&server, &opened.0, &[LONG]);
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: x\r\nprefer: wait=50\r\n\r\n",
        opened.0
    );
    let mut said_all = std::net::TcpStream::connect(server.address).unwrap();
    std::io::Write::write_all(&mut said_all, request.as_bytes()).unwrap();
    said_all.shutdown(std::net::Shutdown::Write).unwrap();
    eventually("both wait", || server.waiters() == 2);
    let one_more = client.send("GET", &opened.0, &[LONG], None).expect(200);
    assert_eq!(
        (applied(&one_more), &one_more.json()["state"]),
        (None, &"open".into())
    );
    commit(&mut client, &opened);
    assert_eq!(woken(&stays).expect(200).json()["state"], "committed");
    said_all.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut said_all, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\"committed\""), "{answer}");
    eventually("their places are free", || server.waiters() == 0);
}

#[test]
fn a_write_whose_client_hangs_up_at_once_is_done_nevertheless() {
    let server = Server::start();
    let mut client = server.client();
    for number in 0..50 {
        let path = format!("/resources/accounts/k{number}");
        let request = format!(
            "PUT {path} HTTP/1.1\r\nhost: x\r\nif-none-match: *\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n1"
        );
        client.send_and_hang_up(request.as_bytes());
        eventually("it is done", || server.client().get(&path).status == 200);
    }
}

#[test]
fn who_waits_when_the_server_stops_is_answered() {
    let server = Server::start();
    let mut client = server.client();
    let (path, _) = client.open_transaction();
    let waits: Vec<_> = (0..5).map(|_| wait(&server, &path, &[LONG])).collect();
    server.stop_gracefully();
    for answer in waits {
        let answer = answer.recv_timeout(PATIENCE).expect("it was cut off");
        assert_eq!(applied(&answer), None);
        assert_eq!(answer.expect(200).json()["state"], "open");
    }
}
