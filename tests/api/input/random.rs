//! A seeded run of requests made of right and wrong parts; the seed is printed, and can be given again in `IFMATCH_TEST_SEED`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{is_below, request};
use crate::support::client::Client;
use crate::support::cluster;
use crate::support::server::Server;

const REQUESTS: usize = 3000;
const METHODS: &[&str] = &[
    "GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS", "BREW",
];
const TARGETS: &[&[u8]] = &[
    b"/",
    b"/resources",
    b"/resources/a",
    b"/resources/a/b",
    b"/resources/a/%62",
    b"/resources/a/%ff",
    b"/resources/a/%2f",
    b"/resources/a/..",
    b"/resources/a/%252e",
    b"/resources/a/%00",
    b"/resources/a/\xe9",
    b"/transactions",
    b"/transactions/x",
    b"/transactions/01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11",
    b"/transactions/01080f3e-7a10-7c5e-9d0b-6a3f5f0c2b11",
    b"/problems/gone",
    b"/openapi.json",
    b"/health/live",
    b"/nowhere",
    b"*",
];
/// Of such a request so much is right that its condition gets judged: wholly random ones rarely come that far.
const NEAR_TARGETS: &[&[u8]] = &[
    b"/resources/a/b",
    b"/resources/a/%62",
    b"/transactions/01980f3e-7a10-7c5e-9d0b-6a3f5f0c2b11",
];
const NEAR_NAMES: &[&str] = &["if-match", "if-none-match"];
const NEAR_VALUES: &[&[u8]] = &[b"*", b"\"x\"", b"W/\"x\""];
const QUERIES: &[&[u8]] = &[
    b"",
    b"",
    b"",
    b"?",
    b"?limit=1",
    b"?limit=0",
    b"?key=a",
    b"?key=a/b",
    b"?prefix=%ff",
    b"?after=%00",
    b"?x",
    b"?reference=%00",
    b"?state=x",
    b"?%",
];
const VALUES: &[&[u8]] = &[
    b"*",
    b"\"x\"",
    b"W/\"x\"",
    b"",
    b"x",
    b"\"",
    b"\xff",
    b"\"\xe9\"",
    b"*, \"a\"",
    b"application/json",
    b"application/json-patch+json",
    b"application/vnd.ifmatch.increment+json",
    b"application/merge-patch+json",
    b"text/html",
    b"gzip",
    b"identity",
    b"return=representation",
    b"handling=strict",
    b"wait=1",
    b"Sun, 06 Nov 1994 08:49:37 GMT",
    b"sha-256=:AAAA:",
    b"1",
    b"-1",
    b";;;",
    b"a\tb",
];
const NAMES: &[&str] = &[
    "if-match",
    "if-none-match",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "if-modified-since",
    "if",
    "prefer",
    "accept",
    "content-type",
    "content-encoding",
    "content-digest",
    "x-request-id",
    "range",
    "expect",
];
const DOCUMENTS: &[&[u8]] = &[
    b"", b"null", b"{}", b"[]", b"1", b"{\"a\":1}", b"{\"a\":1,\"a\":2}", b"[\"\\u0000\"]", b"[\"\\ud800\"]", b"[1e999999]", b"\xff", b"{", b"\xef\xbb\xbf1",
    b"[{\"op\":\"add\",\"path\":\"/a\",\"value\":1}]", b"[{\"op\":\"test\",\"path\":\"/z\",\"value\":1}]", b"{\"state\":\"cancelled\"}", b"{\"expires_in\":60}",
    b"{\"reference\":\"r\"}", b"{\"changes\":[]}",
    b"{\"changes\":[{\"method\":\"PUT\",\"target\":\"/resources/a/b\",\"if_match\":\"*\",\"body\":1}]}",
    b"{\"changes\":[{\"method\":\"GET\",\"target\":\"/resources/a/b\",\"if_none_match\":\"*\"}]}",
];

fn one_of<'a, T: ?Sized>(random: &mut StdRng, from: &[&'a T]) -> &'a T {
    from[random.random_range(0..from.len())]
}

/// One request, every third near to a right one; with some luck a byte of it is changed.
fn made(random: &mut StdRng) -> (bool, Vec<u8>) {
    let method = one_of(random, METHODS);
    let mut target = [one_of(random, TARGETS), one_of(random, QUERIES)].concat();
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    if random.random_ratio(1, 3) {
        target = one_of(random, NEAR_TARGETS).to_vec();
        headers.push((one_of(random, NEAR_NAMES), one_of(random, NEAR_VALUES)));
    }
    for _ in 0..random.random_range(0..4) {
        let name = one_of(random, NAMES);
        if !headers
            .iter()
            .any(|(other, _)| *other == name && name.starts_with("content"))
        {
            headers.push((name, one_of(random, VALUES)));
        }
    }
    let mut document = one_of(random, DOCUMENTS).to_vec();
    if !document.is_empty() && random.random_ratio(1, 4) {
        let at = random.random_range(0..document.len());
        document[at] = random.random();
    }
    let with_body = !matches!(method, "GET" | "HEAD" | "OPTIONS") || random.random_ratio(1, 10);
    let mut bytes = request(method, &target, &headers, with_body.then_some(&document));
    if random.random_ratio(1, 20) {
        // Only before the first line break: the framing stays as it is, so that one request stays one.
        let line = bytes.iter().position(|byte| *byte == b'\r').unwrap_or(1);
        let at = random.random_range(0..line);
        bytes[at] = random.random_range(0x21..=0xff);
    }
    (bytes.starts_with(b"HEAD "), bytes)
}

/// Checks one answer.
#[track_caller]
fn check(server: &Server, client: &mut Client, head: bool, bytes: &[u8]) -> u16 {
    let shown = || String::from_utf8_lossy(bytes).into_owned();
    let started = Instant::now();
    let response = client.try_raw(bytes, head);
    let response = response.unwrap_or_else(|error| {
        panic!(
            "no answer after {:?}: {error}\n{}",
            started.elapsed(),
            shown()
        )
    });
    assert!(response.status < 500, "{}\n{}", shown(), response.text());
    let problem = (400..500).contains(&response.status);
    if problem && !head && response.status != 417 {
        assert!(
            is_below(&response) || response.slug() != "-",
            "{}\n{} {:?} {}",
            shown(),
            response.status,
            response.headers,
            response.text()
        );
    }
    let of_ours = !is_below(&response) && (!problem || !head);
    if of_ours {
        assert!(response.header("cache-control").is_some(), "{}", shown());
        assert!(response.header("x-request-id").is_some(), "{}", shown());
    }
    // After an answer to HTTP/1.0, which a changed byte makes of a request, the server closes too.
    if is_below(&response) || bytes.windows(8).any(|window| window == b"HTTP/1.0") {
        *client = server.client();
    }
    response.status
}

#[test]
fn whatever_is_sent_is_answered_and_neighbours_are_not_harmed() {
    let seed = std::env::var("IFMATCH_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("IFMATCH_TEST_SEED={seed}");
    let server = Server::start();
    let done = AtomicBool::new(false);
    let mut statuses = std::collections::BTreeMap::new();
    std::thread::scope(|scope| {
        let (other, stop) = (&server, &done);
        // Right requests, in the same batches as the wrong ones.
        let neighbour = scope.spawn(move || {
            let mut client = other.client();
            let mut tag = client.put_new("/resources/neighbour/x", "0");
            let mut writes = 1_i64;
            while !stop.load(Ordering::Relaxed) {
                let body = writes.to_string();
                let written = client.send(
                    "PUT",
                    "/resources/neighbour/x",
                    &[("if-match", &tag)],
                    Some(&body),
                );
                tag = written.expect(204).etag();
                writes += 1;
            }
            writes
        });
        let stopped = StopOnDrop(&done);
        let mut random = StdRng::seed_from_u64(seed);
        let mut client = server.client();
        for _ in 0..REQUESTS {
            let (head, bytes) = made(&mut random);
            *statuses
                .entry(check(&server, &mut client, head, &bytes))
                .or_insert(0_usize) += 1;
        }
        drop(stopped);
        let writes = neighbour.join().unwrap();
        let mut connection = cluster::connect(&server.database_url);
        let count = sql::<BigInt>("(SELECT count(*) FROM versions WHERE collection = 'neighbour')");
        let stored: i64 = diesel::select(count).get_result(&mut connection).unwrap();
        assert_eq!(stored, writes, "each right request was applied once");
        // What got in is JSON that Postgres can read; the cast fails otherwise.
        let readable = sql::<BigInt>("(SELECT count(body::jsonb) - count(body) FROM versions)");
        let unreadable: i64 = diesel::select(readable)
            .get_result(&mut connection)
            .unwrap();
        assert_eq!(unreadable, 0);
    });
    println!("{statuses:?}");
    for status in [200, 204, 400, 404, 405, 412, 428] {
        assert!(
            statuses.contains_key(&status),
            "the run produced no {status}: {statuses:?}"
        );
    }
    server.client().get("/health/ready").expect(200);
}

/// Ends the neighbour however the run ends, or the scope would wait for it for ever.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
