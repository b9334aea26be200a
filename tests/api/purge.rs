//! What is forgotten, when, and what can never come back (contract §3, §5 "Life and purge").

mod backlog;
mod forgotten;
mod limits;
mod open;
mod plans;
mod races;
mod table;
mod tags;
mod versions;
mod waiting;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use ifmatch::engine::purge::{Removed, purge};
use ifmatch::engine::{Limits, Settings};
use uuid::{NoContext, Timestamp, Uuid};

use crate::support::cluster;
use crate::support::server::Server;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const STAR: [(&str, &str); 1] = [("if-match", "*")];
const CREATE: [(&str, &str); 1] = [("if-none-match", "*")];

/// A path whose id is from so many seconds ago; ahead where negative.
fn path_from(seconds_ago: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let distance = Duration::from_secs(seconds_ago.unsigned_abs());
    let at = match seconds_ago {
        0.. => now - distance,
        _ => now + distance,
    };
    let time = Timestamp::from_unix(NoContext, at.as_secs(), at.subsec_nanos());
    format!("/transactions/{}", Uuid::new_v7(time))
}

fn id_of(path: &str) -> &str {
    path.trim_start_matches("/transactions/")
}

/// Purges all that is due, with a retention of an hour and other limits.
fn purge_with(database_url: &str, limits: impl FnOnce(&mut Limits)) -> Removed {
    let mut settings = Settings::new(database_url);
    settings.limits.retention_seconds = HOUR;
    limits(&mut settings.limits);
    purge(&settings).unwrap()
}

fn purged(database_url: &str) -> Removed {
    purge_with(database_url, |_| {})
}

/// Lets all ends and deletions so far lie two hours back, and with them all versions.
const AGE: &str = "UPDATE transactions SET finished_at = finished_at - interval '2 hours', expires_at = expires_at - interval '2 hours'; \
     UPDATE resources SET updated_at = updated_at - interval '2 hours'; \
     UPDATE versions SET updated_at = updated_at - interval '2 hours'";

fn age(store: &mut PgConnection) {
    store.batch_execute(AGE).unwrap();
}

/// An operation that writes one resource, whatever is there.
fn writes(key: &str) -> String {
    format!(
        r#"{{"changes": [{{"method": "PUT", "target": "/resources/a/{key}", "if_match": "*", "body": 1}}]}}"#
    )
}

/// An operation that asserts that something is not there.
const ASSERTS: &str =
    r#"{"changes": [{"method": "GET", "target": "/resources/a/none", "if_none_match": "*"}]}"#;

fn scene() -> (Server, PgConnection) {
    let server = Server::start();
    let store = cluster::connect(&server.database_url);
    (server, store)
}
