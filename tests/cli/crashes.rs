//! Killed under load: the server, its Postgres, and both.

use nix::sys::signal::Signal;

use super::load::Load;
use super::program::{DataDir, Serve, eventually, is_running, send};

/// Acknowledged operations before each kill; another number each time, to meet other moments.
const ENOUGH: [usize; 3] = [40, 97, 163];

#[test]
fn what_was_acknowledged_survives_a_killed_server() {
    let data = DataDir::new();
    let mut total = 0;
    for enough in ENOUGH {
        let mut server = Serve::start(&data, &[]);
        let load = Load::start(server.address);
        eventually("clients write", || load.acknowledged() >= enough);
        server.kill();
        let successor = Serve::start(&data, &[]);
        total = load.check(&data, &successor, total);
        stop(successor);
    }
}

#[test]
fn what_was_acknowledged_survives_a_killed_server_and_postmaster() {
    let data = DataDir::new();
    let mut total = 0;
    for enough in ENOUGH {
        let mut server = Serve::start(&data, &[]);
        let load = Load::start(server.address);
        eventually("clients write", || load.acknowledged() >= enough);
        let postmaster = data.postmaster().unwrap();
        server.signal(Signal::SIGSTOP);
        send(postmaster, Signal::SIGKILL);
        server.kill();
        eventually("it has ended", || !is_running(postmaster));
        let successor = Serve::start(&data, &[]);
        total = load.check(&data, &successor, total);
        stop(successor);
    }
}

#[test]
fn what_was_acknowledged_survives_a_killed_postmaster_which_the_server_replaces() {
    let data = DataDir::new();
    let mut server = Serve::start(&data, &[]);
    let mut total = 0;
    for enough in ENOUGH {
        let load = Load::start(server.address);
        eventually("clients write", || load.acknowledged() >= enough);
        let postmaster = data.postmaster().unwrap();
        send(postmaster, Signal::SIGKILL);
        eventually("it has ended", || !is_running(postmaster));
        eventually("another has taken its place", || {
            data.postmaster()
                .is_some_and(|process| process != postmaster)
        });
        eventually("the server is ready again", || {
            server.client().get("/health/ready").status == 200
        });
        let acknowledged = load.acknowledged();
        // Who was not turned away goes on; the next kill is the server's, so that all clients end.
        eventually("clients go on, or have ended", || {
            load.has_ended() || load.acknowledged() > acknowledged
        });
        server.kill();
        server = Serve::start(&data, &[]);
        total = load.check(&data, &server, total);
    }
    stop(server);
}

#[test]
fn what_was_acknowledged_survives_a_stop_under_load() {
    let data = DataDir::new();
    let server = Serve::start(&data, &["--shutdown-timeout", "5"]);
    let load = Load::start(server.address);
    eventually("clients write", || load.acknowledged() >= 60);
    stop(server);
    let successor = Serve::start(&data, &[]);
    load.check(&data, &successor, 0);
}

/// Stops as an operator does.
#[track_caller]
fn stop(mut server: Serve) {
    server.signal(Signal::SIGTERM);
    let (status, more) = server.wait();
    assert_eq!((status.code(), more.as_str()), (Some(0), ""));
}
