//! Which versions are kept, and what is said of those that are not.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;

use super::{HOUR, STAR, age, purge_with, purged, scene};
use crate::support::client::Client;
use crate::support::cluster::number;
use crate::support::server::Server;

const PATH: &str = "/resources/a/b";

/// Writes so many versions of a resource, the first a creation.
fn write(client: &mut Client, path: &str, versions: usize) {
    client.put_new(path, "1");
    for version in 2..=versions {
        client
            .send("PUT", path, &STAR, Some(&version.to_string()))
            .expect(204);
    }
}

fn numbers(client: &mut Client, path: &str) -> Vec<i64> {
    let list = client
        .get(&format!("{path}/versions?limit=1000"))
        .expect(200)
        .json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["version"].as_i64().unwrap())
        .collect()
}

fn keep(server: &Server, newest: Option<i64>, seconds: Option<i64>) -> usize {
    let removed = purge_with(&server.database_url, |limits| {
        limits.keep.newest = newest;
        limits.keep.seconds = seconds;
    });
    removed.versions
}

/// Lets the successor of each version up to this one be so many hours old, and so on: version `n` took its place `n` hours
/// before the newest.
fn spread(store: &mut PgConnection) {
    store
        .batch_execute(
            "UPDATE versions v SET updated_at = now() - (r.version - v.version) * interval '1 hour' FROM resources r \
             WHERE r.collection = v.collection AND r.key = v.key",
        )
        .unwrap();
}

#[test]
fn all_are_kept_unless_something_else_is_asked_for() {
    let (server, mut store) = scene();
    let mut client = server.client();
    write(&mut client, PATH, 5);
    spread(&mut store);
    assert_eq!(purged(&server.database_url).versions, 0);
    assert_eq!(numbers(&mut client, PATH), [5, 4, 3, 2, 1]);
}

#[test]
fn what_either_setting_keeps_is_kept_and_the_newest_always() {
    // Version n of six was followed by the next 5 - n hours ago.
    let rows: [(Option<i64>, Option<i64>, &[i64]); 9] = [
        (Some(6), None, &[6, 5, 4, 3, 2, 1]),
        (Some(4), None, &[6, 5, 4, 3]),
        (Some(1), None, &[6]),
        (None, Some(0), &[6]),
        (None, Some(HOUR / 2), &[6, 5]),
        (None, Some(5 * HOUR / 2), &[6, 5, 4, 3]),
        (None, Some(100 * HOUR), &[6, 5, 4, 3, 2, 1]),
        (Some(2), Some(5 * HOUR / 2), &[6, 5, 4, 3]),
        (Some(5), Some(HOUR / 2), &[6, 5, 4, 3, 2]),
    ];
    for (newest, seconds, kept) in rows {
        let (server, mut store) = scene();
        let mut client = server.client();
        write(&mut client, PATH, 6);
        spread(&mut store);
        keep(&server, newest, seconds);
        assert_eq!(numbers(&mut client, PATH), kept, "{newest:?} {seconds:?}");
        assert_eq!(keep(&server, newest, seconds), 0, "once is enough");
    }
}

#[test]
fn a_version_that_is_not_kept_is_gone_and_nothing_leads_to_it() {
    let (server, _) = scene();
    let mut client = server.client();
    write(&mut client, PATH, 6);
    let tag = client.get(&format!("{PATH}/versions/2")).expect(200).etag();
    let current = client.get(PATH).expect(200);
    assert_eq!(keep(&server, Some(2), None), 4);
    for number in 1..=4 {
        let path = format!("{PATH}/versions/{number}");
        for headers in [
            &[][..],
            &[("if-none-match", &*tag)],
            &STAR,
            &[("accept", "text/html")],
        ] {
            let gone = client
                .send("GET", &path, headers, None)
                .expect_problem(410, "gone");
            assert_eq!(gone.header("cache-control").as_deref(), Some("no-store"));
            assert_eq!(client.send("HEAD", &path, headers, None).status, 410);
        }
    }
    for number in [0, 7, 8, i64::MAX] {
        let path = format!("{PATH}/versions/{number}");
        client.get(&path).expect_problem(404, "not-found");
    }
    let fifth = client.get(&format!("{PATH}/versions/5")).expect(200);
    let links = fifth.header("link").unwrap();
    assert!(
        !links.contains("predecessor-version") && links.contains("/versions/6>"),
        "{links}"
    );
    let after = client.get(PATH).expect(200);
    assert_eq!(
        (after.text(), after.etag()),
        (current.text(), current.etag())
    );
    // A page that was begun before ends earlier.
    let page = client
        .get(&format!("{PATH}/versions?limit=1"))
        .expect(200)
        .json();
    let next = page["next"].as_str().unwrap().to_owned();
    assert_eq!(keep(&server, Some(1), None), 1);
    let rest = client.get(&next).expect(200).json();
    assert_eq!(
        (rest["items"].as_array().unwrap().len(), &rest["next"]),
        (0, &serde_json::Value::Null)
    );
    // Old tags are of nothing that there is.
    client
        .send("PUT", PATH, &[("if-match", &tag)], Some("7"))
        .expect_problem(412, "stale-resource");
    client
        .send("GET", PATH, &[("if-none-match", &tag)], None)
        .expect(200);
}

#[test]
fn versions_of_a_deleted_resource_go_by_the_same_settings() {
    let (server, _) = scene();
    let mut client = server.client();
    write(&mut client, PATH, 4);
    client.send("DELETE", PATH, &STAR, None).expect(204);
    assert_eq!(keep(&server, Some(3), None), 2);
    assert_eq!(numbers(&mut client, PATH), [5, 4, 3]);
    assert_eq!(keep(&server, Some(1), None), 2);
    assert_eq!(numbers(&mut client, PATH), [5]);
    client
        .get(&format!("{PATH}/versions/4"))
        .expect_problem(410, "gone");
    client
        .get(&format!("{PATH}/versions/5"))
        .expect_problem(404, "not-found");
    assert_eq!(client.put_new(PATH, "1").split('.').next().unwrap(), "\"6");
}

#[test]
fn an_old_deletion_goes_with_all_versions_as_if_the_name_had_never_been() {
    let (server, mut store) = scene();
    let mut client = server.client();
    write(&mut client, PATH, 4);
    client.send("DELETE", PATH, &STAR, None).expect(204);
    client.put_new("/resources/a/other", "1");
    let removed = purged(&server.database_url);
    assert_eq!(
        (removed.resources, removed.versions),
        (0, 0),
        "it was deleted just now"
    );
    age(&mut store);
    let removed = purged(&server.database_url);
    assert_eq!((removed.resources, removed.versions), (1, 5));
    for path in ["", "/versions", "/versions/1", "/versions/5"] {
        client
            .get(&format!("{PATH}{path}"))
            .expect_problem(404, "not-found");
    }
    client.get("/resources/a/other").expect(200);
    let sql =
        "SELECT (SELECT count(*) FROM resources) * 10 + (SELECT count(*) FROM versions) AS number";
    assert_eq!(number(&mut store, sql), 11);
    let tag = client.put_new(PATH, "1");
    assert!(tag.starts_with("\"6."), "{tag}");
    // Its numbers have never been another state's.
    for (number, status) in [(1, 410), (5, 410), (6, 200), (7, 404)] {
        assert_eq!(
            client.get(&format!("{PATH}/versions/{number}")).status,
            status,
            "{number}"
        );
    }
    assert_eq!(numbers(&mut client, PATH), [6]);
}

#[test]
fn an_old_state_that_was_deleted_lately_stays() {
    let (server, mut store) = scene();
    let mut client = server.client();
    write(&mut client, PATH, 2);
    age(&mut store);
    client.send("DELETE", PATH, &STAR, None).expect(204);
    write(&mut client, "/resources/a/again", 1);
    client
        .send("DELETE", "/resources/a/again", &STAR, None)
        .expect(204);
    age(&mut store);
    client
        .send("DELETE", PATH, &STAR, None)
        .expect_problem(404, "not-found");
    client.put_new("/resources/a/again", "2");
    store
        .batch_execute("UPDATE resources SET updated_at = now() WHERE key = 'b'")
        .unwrap();
    assert_eq!(purged(&server.database_url).resources, 0);
    assert_eq!(numbers(&mut client, PATH), [3, 2, 1]);
    assert_eq!(numbers(&mut client, "/resources/a/again"), [3, 2, 1]);
}

#[test]
fn thousands_of_versions_of_one_name_and_of_many_go_in_chunks() {
    let (server, mut store) = scene();
    let mut client = server.client();
    client.put_new(PATH, "1");
    store
        .batch_execute(
            "INSERT INTO versions SELECT r.bucket, r.tenant, r.collection, r.key, n, n, false, r.media_type, r.body, \
               r.updated_at, r.transaction_id, 1 FROM resources r, generate_series(2, 3000) n; \
             UPDATE resources SET version = 3000; \
             INSERT INTO resources SELECT r.bucket, r.tenant, c, 'k' || n, 3, n, false, r.media_type, r.body, r.updated_at, \
               r.transaction_id FROM resources r, generate_series(1, 600) n, unnest(ARRAY['a', 'b', 'c']) c; \
             INSERT INTO versions SELECT r.bucket, r.tenant, r.collection, r.key, v, v, false, r.media_type, r.body, \
               r.updated_at, r.transaction_id, 1 FROM resources r, generate_series(1, 3) v WHERE r.version = 3",
        )
        .unwrap();
    assert_eq!(keep(&server, Some(2), None), 2998 + 1800);
    assert_eq!(numbers(&mut client, PATH), [3000, 2999]);
    assert_eq!(numbers(&mut client, "/resources/c/k600"), [3, 2]);
    let sql = "SELECT count(*) AS number FROM versions";
    assert_eq!(number(&mut store, sql), 2 + 3600);
}
