//! `ifmatch serve` and `ifmatch migrate`: start, stop, and what they say.

use std::net::TcpListener;

use nix::sys::signal::Signal;

use super::program::{DataDir, Serve, check_refused, eventually, ifmatch, is_running, number, run};

#[test]
fn it_prints_one_line_serves_and_stops_when_told_to() {
    let data = DataDir::new();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Serve::start(&data, &[]);
        assert_eq!(
            server.line,
            format!("ifmatch listens on http://{}\n", server.address)
        );
        assert!(server.address.ip().is_loopback() && server.address.port() != 0);
        server.client().get("/health/ready").expect(200);
        let postmaster = data.postmaster().unwrap();
        server.signal(signal);
        let (status, more) = server.wait();
        assert_eq!((status.code(), more.as_str()), (Some(0), ""), "{signal}");
        assert!(!is_running(postmaster), "Postgres ends with its server");
        assert_eq!(data.postmaster(), None);
    }
}

#[test]
fn what_was_written_is_there_after_the_next_start() {
    let data = DataDir::new();
    let mut server = Serve::start(&data, &[]);
    let tag = server
        .client()
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("{\"a\": 1}"),
        )
        .expect(201)
        .etag();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().0.code(), Some(0));
    let server = Serve::start(&data, &[]);
    let read = server.client().get("/resources/accounts/a").expect(200);
    assert_eq!((read.text(), read.etag()), ("{\"a\": 1}".to_owned(), tag));
}

#[test]
fn a_request_under_way_is_finished_before_it_stops() {
    use diesel::connection::SimpleConnection;
    let data = DataDir::new();
    let mut server = Serve::start(&data, &[]);
    let (mut blocker, mut watcher) = (data.connect(), data.connect());
    blocker
        .batch_execute("BEGIN; LOCK TABLE resources IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let mut client = server.client();
    let request = std::thread::spawn(move || {
        client.send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
    });
    let blocked = "SELECT count(*) AS number FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    eventually("the request waits", || number(&mut watcher, blocked) > 0);
    server.signal(Signal::SIGTERM);
    eventually("no connection is accepted any more", || {
        std::net::TcpStream::connect(server.address).is_err()
    });
    blocker.batch_execute("ROLLBACK").unwrap();
    request.join().unwrap().expect(201);
    drop((blocker, watcher));
    assert_eq!(server.wait().0.code(), Some(0));
}

#[test]
fn a_second_server_in_the_same_directory_is_refused() {
    let data = DataDir::new();
    let server = Serve::start(&data, &[]);
    let second = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data.text(),
    ]);
    check_refused(&second, 1, &[data.text(), &server.process().to_string()]);
    server.client().get("/health/ready").expect(200);
}

#[test]
fn two_servers_share_one_database() {
    let data = DataDir::new();
    let first = Serve::start(&data, &[]);
    let url = database_url(&data);
    let mut command = ifmatch();
    let second = Serve::spawn(
        command.args(["serve", "--listen", "127.0.0.1:0", "--database-url", &url]),
        &data,
    );
    let tag = first
        .client()
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-none-match", "*")],
            Some("1"),
        )
        .expect(201)
        .etag();
    second
        .client()
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-match", &tag)],
            Some("2"),
        )
        .expect(204);
    first
        .client()
        .send(
            "PUT",
            "/resources/accounts/a",
            &[("if-match", &tag)],
            Some("3"),
        )
        .expect_problem(412, "stale-resource");
}

#[test]
fn settings_come_from_the_environment_too() {
    let data = DataDir::new();
    let mut command = ifmatch();
    command
        .arg("serve")
        .env("IFMATCH_LISTEN", "127.0.0.1:0")
        .env("IFMATCH_DATA_DIR", data.path())
        .env("IFMATCH_MAX_BODY", "1024");
    let server = Serve::spawn(&mut command, &data);
    let long = format!("\"{}\"", "x".repeat(1024));
    let refused = server.client().send(
        "PUT",
        "/resources/accounts/a",
        &[("if-none-match", "*")],
        Some(&long),
    );
    refused.expect_problem(413, "content-too-large");
}

#[test]
fn migrate_prints_what_it_has_run() {
    let data = DataDir::new();
    let migrate = || {
        let output = run(&["migrate", "--data-dir", data.text()]);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(migrate().lines().count(), ifmatch::store::migrate::known());
    assert_eq!(migrate(), "", "the second time there is nothing to do");
    assert_eq!(data.postmaster(), None, "Postgres ends with it");
    Serve::start(&data, &[])
        .client()
        .get("/health/ready")
        .expect(200);
}

#[test]
fn a_port_in_use_is_an_error_of_one_line() {
    let data = DataDir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check_refused(
        &run(&["serve", "--listen", &address, "--data-dir", data.text()]),
        1,
        &["listen", &address],
    );
    assert!(!data.path().join("cluster").exists(), "nothing was started");
}

#[test]
fn a_database_that_cannot_be_reached_is_an_error_of_one_line() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for url in [
        format!("postgresql://nobody:secret@{closed}/none"),
        "postgresql://nobody:secret@%2Fnowhere/none".to_owned(),
        "no url".to_owned(),
    ] {
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["migrate"]] {
            let output = ifmatch()
                .args(arguments)
                .args(["--database-url", &url])
                .output()
                .unwrap();
            check_refused(&output, 1, &["database"]);
            assert!(
                !String::from_utf8_lossy(&output.stderr).contains("secret"),
                "no password in a message"
            );
        }
        let output = ifmatch()
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env("DATABASE_URL", &url)
            .output()
            .unwrap();
        check_refused(&output, 1, &["database"]);
    }
}

fn database_url(data: &DataDir) -> String {
    let file = std::fs::read_to_string(data.path().join("cluster/postmaster.pid")).unwrap();
    format!(
        "postgresql://ifmatch@{}:5432/postgres",
        file.lines().nth(4).unwrap().replace('/', "%2F")
    )
}
