//! Purges of everything that has ended, again and again, against writers: what happens once happens once.

use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use uuid::Uuid;

use super::{CREATE, STAR, purge_with};
use crate::support::client::{Client, Response};
use crate::support::many::pair;
use crate::support::server::Server;
use crate::support::{Stop, cluster, eventually};

const WRITERS: usize = 4;
const ROUNDS: usize = 200;

/// Runs `work` while two purges, that keep nothing, go on beside; answers with how many rows they removed.
fn while_purging(database_url: &str, work: impl FnOnce()) -> usize {
    let (stop, removed) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let found = purge_with(database_url, |limits| {
                        limits.retention_seconds = 0;
                        limits.keep.newest = Some(1);
                    });
                    removed.fetch_add(found.transactions + found.resources, Ordering::Relaxed);
                }
            });
        }
        let _stop = Stop(&stop);
        work();
    });
    removed.into_inner()
}

/// Does `work` with four clients, round by round, all at the same time.
fn rounds(servers: &[Server; 2], work: impl Fn(usize, usize, &mut Client) + Sync) {
    let (barrier, work) = (Barrier::new(WRITERS), &work);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let barrier = &barrier;
            let mut client = servers[writer % 2].client();
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    barrier.wait();
                    work(writer, round, &mut client);
                }
            });
        }
    });
}

const COUNT: &str = r#"{"changes": [{"method": "PATCH", "target": "/resources/a/count", "if_match": "*",
    "content_type": "application/vnd.ifmatch.increment+json", "body": {"n": 1}}]}"#;

fn count(client: &mut Client) -> usize {
    let counted = client.get("/resources/a/count").expect(200).json();
    usize::try_from(counted["n"].as_u64().unwrap()).unwrap()
}

/// As the recipe has it: what is not decided yet is sent again. Purges without a pause can keep a batch from its epoch.
fn decided(client: &mut Client, path: &str) -> Response {
    loop {
        let answer = client.send("PUT", path, &CREATE, Some(COUNT));
        if answer.status != 503 {
            return answer;
        }
    }
}

#[test]
fn an_id_runs_once_though_it_is_forgotten_at_once() {
    let servers = pair();
    let mut client = servers[0].client();
    client.put_new("/resources/a/count", r#"{"n": 0}"#);
    let paths: Vec<String> = (0..ROUNDS).map(|_| String::new()).collect();
    let paths: Vec<std::sync::OnceLock<String>> =
        paths.iter().map(|_| std::sync::OnceLock::new()).collect();
    let applied: Vec<AtomicUsize> = (0..ROUNDS).map(|_| AtomicUsize::new(0)).collect();
    let gone = AtomicUsize::new(0);
    let removed = while_purging(&servers[0].database_url, || {
        rounds(&servers, |_, round, client| {
            let path = paths[round].get_or_init(|| format!("/transactions/{}", Uuid::now_v7()));
            // Once, and as if the answer had been lost.
            for _ in 0..2 {
                let answer = decided(client, path);
                match answer.status {
                    201 => applied[round].fetch_add(1, Ordering::Relaxed),
                    410 => gone.fetch_add(1, Ordering::Relaxed),
                    _ => answer.expect_problem(412, "already-applied").status.into(),
                };
            }
        });
    });
    let applied: Vec<usize> = applied.into_iter().map(AtomicUsize::into_inner).collect();
    assert!(applied.iter().all(|times| *times <= 1), "{applied:?}");
    let total = applied.iter().sum::<usize>();
    assert!(
        total > 0 && removed > 0 && gone.into_inner() > 0,
        "{total} {removed}"
    );
    assert_eq!(count(&mut client), total);
    for path in &paths {
        let answer = client.send("PUT", path.get().unwrap(), &CREATE, Some(COUNT));
        assert!([410, 412].contains(&answer.status), "{}", answer.text());
    }
    assert_eq!(count(&mut client), total);
}

#[test]
fn a_name_that_is_created_deleted_and_forgotten_at_once_never_has_a_tag_twice() {
    let servers = pair();
    let tags = std::sync::Mutex::new(Vec::new());
    let removed = while_purging(&servers[0].database_url, || {
        rounds(&servers, |writer, round, client| {
            let path = format!("/resources/a/k{}", round % 2);
            let answer = client.send("PUT", &path, &CREATE, Some(&writer.to_string()));
            let tag = match answer.status {
                201 => answer.etag(),
                _ => {
                    answer.expect_problem(412, "stale-resource");
                    return;
                }
            };
            tags.lock().unwrap().push((path.clone(), tag.clone()));
            client
                .send("DELETE", &path, &[("if-match", &tag)], None)
                .expect(204);
        });
    });
    let tags = tags.into_inner().unwrap();
    let numbers: HashSet<(String, String)> = tags
        .iter()
        .map(|(path, tag)| (path.clone(), tag.split('.').next().unwrap().to_owned()))
        .collect();
    assert!(
        removed > 0 && tags.len() >= ROUNDS,
        "{removed} {}",
        tags.len()
    );
    assert_eq!(
        numbers.len(),
        tags.len(),
        "a version of a name is one state for ever"
    );
}

/// One creates what another asserts to be absent: in whatever order, both cannot have been.
#[test]
fn no_two_operations_create_what_the_other_asserts_to_be_absent() {
    let servers = pair();
    let removed = while_purging(&servers[0].database_url, || {
        let both = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let barrier = Barrier::new(WRITERS);
        rounds(&servers, |writer, round, client| {
            let pair = writer / 2;
            let names = [format!("p{pair}x"), format!("p{pair}y")];
            let (mine, other) = (&names[writer % 2], &names[1 - writer % 2]);
            let content = format!(
                r#"{{"changes": [{{"method": "PUT", "target": "/resources/s/{mine}", "if_none_match": "*", "body": 1}},
                   {{"method": "GET", "target": "/resources/s/{other}", "if_none_match": "*"}}]}}"#
            );
            let opened = client.open_transaction().0;
            let answer = client.send("PUT", &opened, &STAR, Some(&content));
            let done = answer.status == 200;
            assert!(
                done || [410, 412].contains(&answer.status),
                "{}",
                answer.text()
            );
            both[pair].fetch_add(usize::from(done), Ordering::Relaxed);
            barrier.wait();
            assert!(
                both[pair].load(Ordering::Relaxed) <= 1,
                "round {round}: both were applied"
            );
            barrier.wait();
            if writer % 2 == 0 {
                both[pair].store(0, Ordering::Relaxed);
            }
            if done {
                let path = format!("/resources/s/{mine}");
                client.send("DELETE", &path, &STAR, None).expect(204);
            }
        });
    });
    assert!(removed > 0);
}

#[test]
fn several_purges_at_once_remove_what_one_would_and_no_more() {
    let servers = pair();
    let database = servers[0].database_url.clone();
    let mut store = cluster::connect(&database);
    super::backlog::fill(&mut store, 5000);
    let kept = "SELECT count(*) AS number FROM transactions WHERE state = 'open'";
    let open = cluster::number(&mut store, kept);
    let removed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| super::purged(&database).transactions))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    // What one has locked, another passes over.
    let removed = removed + super::purged(&database).transactions;
    assert_eq!(removed, 5000);
    assert_eq!(
        cluster::number(&mut store, "SELECT count(*) AS number FROM transactions"),
        open
    );
    eventually("all sessions have ended", || {
        cluster::blocked(&mut store) == 0
    });
}
