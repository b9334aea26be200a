//! Requests that are judged before a purge and written after it: real purges, as `epochs` has them played.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use serde_json::json;

use super::{ASSERTS, CREATE, HOUR, STAR, age, id_of, path_from, purged, scene, writes};
use crate::support::client::Response;
use crate::support::server::Server;
use crate::support::{cluster, eventually};

/// Sends a request that has to wait for what `lock` locks, does something meanwhile, and lets it go on.
fn while_it_waits(
    server: &Server,
    store: &mut PgConnection,
    lock: &str,
    (method, path, header, content): (&str, &str, (&str, &str), &str),
    meanwhile: impl FnOnce(),
) -> Response {
    let mut holder = cluster::connect(&server.database_url);
    holder.batch_execute(&format!("BEGIN; {lock}")).unwrap();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| server.client().send(method, path, &[header], Some(content)));
        eventually("it waits", || cluster::blocked(store) == 1);
        meanwhile();
        holder.batch_execute("COMMIT").unwrap();
        sent.join().unwrap()
    })
}

/// The transaction is purged while a copy of its request waits for the resource.
#[test]
fn a_repetition_that_was_judged_before_its_transaction_was_purged_is_gone() {
    for content in [&*writes("b"), ASSERTS] {
        let (server, mut store) = scene();
        server.client().put_new("/resources/a/b", "0");
        let path = path_from(3 * HOUR);
        let before = path_from(4 * HOUR);
        server
            .client()
            .send("PUT", &before, &CREATE, Some(&writes("b")))
            .expect(201);
        age(&mut store);
        // Nothing is known of the id: the horizon passes it while the batch waits.
        let lock = "SELECT FROM resources FOR UPDATE; LOCK TABLE buckets IN SHARE MODE";
        let database = server.database_url.clone();
        let request = ("PUT", &*path, CREATE[0], content);
        let answer = while_it_waits(&server, &mut store, lock, request, || {
            // The purge waits for the bucket too, so it runs beside.
            std::thread::spawn(move || purged(&database));
        });
        // Whichever came first: it ran once, or it is gone.
        let mut client = server.client();
        eventually("the purge is done", || client.get(&before).status == 410);
        match answer.status {
            201 => {
                client.get(&path).expect(200);
            }
            _ => {
                answer.expect_problem(410, "gone");
                client.get(&path).expect_problem(410, "gone");
            }
        }
    }
}

#[test]
fn an_id_that_a_real_purge_passes_while_it_waits_is_gone() {
    let (server, mut store) = scene();
    let tag = server.client().put_new("/resources/a/b", "0");
    let path = path_from(3 * HOUR);
    for condition in [tag.as_str(), "*"] {
        let content = json!({"changes": [
            {"method": "PUT", "target": "/resources/a/b", "if_match": condition, "body": 1}]});
        let content = content.to_string();
        let request = ("PUT", &*path, CREATE[0], &*content);
        // Another transaction makes it worth to move the horizon.
        store
            .batch_execute("UPDATE tenants SET purge_horizon = now() - interval '1 day'; UPDATE buckets SET epoch = epoch + 1")
            .unwrap();
        let answer = while_it_waits(
            &server,
            &mut store,
            "SELECT FROM resources FOR UPDATE",
            request,
            || {
                purged(&server.database_url);
            },
        );
        answer.expect_problem(410, "gone");
        let mut client = server.client();
        client.get(&path).expect_problem(410, "gone");
        assert_eq!(client.get("/resources/a/b").expect(200).etag(), tag);
    }
}

/// A row is locked, by a purge that has not committed, when a repetition meets it: with the snapshot of before the
/// horizon moved, or of after.
#[test]
fn a_repetition_that_waits_for_the_row_that_is_being_deleted_is_gone() {
    for method in ["PUT", "DELETE", "PATCH"] {
        let (server, mut store) = scene();
        let mut client = server.client();
        let path = path_from(3 * HOUR);
        client
            .send("PUT", &path, &CREATE, Some(ASSERTS))
            .expect(201);
        age(&mut store);
        let ground = "UPDATE tenants SET purge_horizon = now() - interval '1 hour'; UPDATE buckets SET epoch = epoch + 1";
        store.batch_execute(ground).unwrap();
        let lock = format!("DELETE FROM transactions WHERE id = '{}'", id_of(&path));
        let request = (
            method,
            &*path,
            STAR[0],
            match method {
                "PATCH" => r#"{"expires_in": 60}"#,
                "DELETE" => "",
                _ => ASSERTS,
            },
        );
        let answer = while_it_waits(&server, &mut store, &lock, request, || {});
        answer.expect_problem(410, "gone");
    }
}

/// A plain GET of an expired one waits for whoever may be committing it; if it is purged meanwhile it is gone.
#[test]
fn an_expired_one_that_is_purged_while_somebody_asks_for_it_is_gone() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let path = path_from(3 * HOUR);
    client
        .send("PUT", &path, &CREATE, Some(ASSERTS))
        .expect(201);
    store
        .batch_execute(
            "UPDATE transactions SET state = 'open', finished_at = NULL, commit_number = NULL, \
             expires_at = now() - interval '2 hours'",
        )
        .unwrap();
    let lock = "UPDATE tenants SET purge_horizon = now() - interval '1 hour'; UPDATE buckets SET epoch = epoch + 1; \
                DELETE FROM transactions";
    let request = ("GET", &*path, STAR[0], "");
    let answer = while_it_waits(&server, &mut store, lock, request, || {});
    answer.expect_problem(410, "gone");
}

#[test]
fn a_purge_passes_over_what_is_locked() {
    let (server, mut store) = scene();
    let mut client = server.client();
    let paths: Vec<String> = (0..3).map(|_| path_from(3 * HOUR)).collect();
    for path in &paths {
        client.send("PUT", path, &CREATE, Some(ASSERTS)).expect(201);
    }
    for key in ["one", "two"] {
        let path = format!("/resources/a/{key}");
        client.put_new(&path, "1");
        client.send("DELETE", &path, &STAR, None).expect(204);
    }
    age(&mut store);
    let mut holder = cluster::connect(&server.database_url);
    let lock = format!(
        "BEGIN; SELECT FROM transactions WHERE id = '{}' FOR UPDATE; SELECT FROM resources WHERE key = 'one' FOR SHARE",
        id_of(&paths[1])
    );
    holder.batch_execute(&lock).unwrap();
    let removed = purged(&server.database_url);
    assert_eq!((removed.transactions, removed.resources), (2, 1));
    client.get(&paths[1]).expect(200);
    client.get(&paths[0]).expect_problem(410, "gone");
    holder.batch_execute("COMMIT").unwrap();
    let removed = purged(&server.database_url);
    assert_eq!((removed.transactions, removed.resources), (1, 1));
}

/// The name's placeholder was not inserted, since there was a tombstone; then the tombstone is purged, and what is
/// asserted to be absent is locked by nothing, unless the batch begins anew.
#[test]
fn an_absence_that_is_asserted_of_a_tombstone_holds_though_the_tombstone_goes() {
    let (server, mut store) = scene();
    let mut client = server.client();
    client.put_new("/resources/a/aaa", "1");
    client.put_new("/resources/a/none", "1");
    client
        .send("DELETE", "/resources/a/none", &STAR, None)
        .expect(204);
    // The floor covers it already: the purge of this tombstone begins no epoch.
    store
        .batch_execute(
            "UPDATE tenants SET version_floor = 99; UPDATE buckets SET epoch = epoch + 1",
        )
        .unwrap();
    age(&mut store);
    purge_nothing_new(&server, &mut store);
    let content = r#"{"changes": [
        {"method": "PUT", "target": "/resources/a/aaa", "if_match": "*", "body": 2},
        {"method": "GET", "target": "/resources/a/none", "if_none_match": "*"}]}"#;
    let mut holder = cluster::connect(&server.database_url);
    holder
        .batch_execute("BEGIN; SELECT FROM resources WHERE key = 'aaa' FOR UPDATE")
        .unwrap();
    let mut inserter = cluster::connect(&server.database_url);
    let path = path_from(0);
    let answer = std::thread::scope(|scope| {
        let sent = scope.spawn(|| server.client().send("PUT", &path, &CREATE, Some(content)));
        eventually("it waits for the first", || {
            cluster::blocked(&mut store) == 1
        });
        // Before it comes to the second, that is purged; and somebody begins to create it, but does not commit.
        assert_eq!(purged(&server.database_url).resources, 1);
        inserter
            .batch_execute(
                "BEGIN; INSERT INTO resources SELECT bucket, tenant, collection, 'none', 100, 1, false, media_type, '1', \
                 updated_at, transaction_id FROM resources WHERE key = 'aaa'",
            )
            .unwrap();
        holder.batch_execute("COMMIT").unwrap();
        eventually("it waits for whoever creates the second", || {
            sent.is_finished() || cluster::blocked(&mut store) == 1
        });
        assert!(
            !sent.is_finished(),
            "it does not assert what nobody has locked"
        );
        inserter.batch_execute("COMMIT").unwrap();
        sent.join().unwrap()
    });
    answer.expect_problem(412, "stale-resource");
    assert_eq!(client.get("/resources/a/aaa").expect(200).text(), "1");
}

/// So that the next purge need not move the horizon.
fn purge_nothing_new(server: &Server, store: &mut PgConnection) {
    let name = "UPDATE resources SET updated_at = now() WHERE deleted";
    let back = "UPDATE resources SET updated_at = now() - interval '2 hours' WHERE deleted";
    store.batch_execute(name).unwrap();
    assert_eq!(purged(&server.database_url).resources, 0);
    store.batch_execute(back).unwrap();
}
