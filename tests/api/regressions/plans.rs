//! Every request finds its rows by their keys, also in tables that were never analysed: the planner then takes a
//! tenant's rows for one, and any index that begins with the tenant for good enough.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use ifmatch::protocol::cursor::Cursor;

use super::scene::named;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::{cluster, eventually};

const ROWS: i64 = 20_000;

/// Far more than any of the requests needs, far less than a tenant has.
const ROWS_READ_MAX: i64 = 300;

const FILL: &str = "
    ALTER TABLE resources SET (autovacuum_enabled = off);
    ALTER TABLE versions SET (autovacuum_enabled = off);
    ALTER TABLE transactions SET (autovacuum_enabled = off);
    INSERT INTO resources SELECT t.bucket, t.tenant, 'many', 'k' || n, 1, n, false, 'application/json', '0', t.created_at,
      lpad(to_hex(n), 32, '0')::uuid FROM tenants t, generate_series(1, 20000) n;
    INSERT INTO versions SELECT *, 1 FROM resources;
    INSERT INTO versions SELECT r.bucket, r.tenant, r.collection, r.key, v, v, v % 100 = 0, r.media_type,
      CASE WHEN v % 100 = 0 THEN NULL ELSE '1' END, r.updated_at, r.transaction_id, 1
    FROM resources r, generate_series(2, 20000) v WHERE r.key = 'k42';
    UPDATE resources SET version = 20001 WHERE key = 'k42';
    INSERT INTO transactions (bucket, tenant, id, state, version, nonce, created_at, expires_at, finished_at, reference,
      operation, digest, outcome, commit_number)
    SELECT t.bucket, t.tenant, lpad(to_hex(n), 32, '0')::uuid, 'committed', 1, n, t.created_at, t.created_at, t.created_at,
      'order-' || n, '[]', sha256(''), '[]', n FROM tenants t, generate_series(1, 20000) n;
    ALTER TABLE schemas SET (autovacuum_enabled = off);
    INSERT INTO schemas SELECT t.bucket, t.tenant, 's' || n, 2, n, true, '', NULL, t.created_at, NULL, NULL, NULL
    FROM tenants t, generate_series(1, 20000) n;";

/// What all sessions that have ended have read of the tables and their indexes.
fn rows_read(store: &mut PgConnection) -> i64 {
    eventually("sessions have ended", || cluster::others(store) == 0);
    cluster::number(
        store,
        "SELECT (SELECT coalesce(sum(seq_tup_read), 0) FROM pg_stat_user_tables)::bigint
              + (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes)::bigint AS number",
    )
}

fn put(client: &mut Client, path: &str, condition: (&str, &str), content: &str) -> (u16, String) {
    let answer = client.send("PUT", path, &[condition], Some(content));
    (answer.status, answer.header("etag").unwrap_or_default())
}

fn tag(client: &mut Client, key: &str) -> String {
    client
        .get(&format!("/resources/many/{key}"))
        .expect(200)
        .etag()
}

fn change(key: &str, tag: &str) -> String {
    let tag = serde_json::to_string(tag).unwrap();
    format!(r#"{{"method":"PUT","target":"/resources/many/{key}","if_match":{tag},"body":1}}"#)
}

/// Writes under exact tags: the first by the long way, later ones by belief, alone and as an operation.
fn exact_tags(client: &mut Client) {
    let mut known = tag(client, "k77");
    for _ in 0..4 {
        let (status, next) = put(client, "/resources/many/k77", ("if-match", &known), "1");
        assert_eq!(status, 204);
        known = next;
    }
    let changes: Vec<String> = ["k78", "k79", "k19999"]
        .iter()
        .map(|key| change(key, &tag(client, key)))
        .collect();
    let content = format!(r#"{{"changes":[{}]}}"#, changes.join(","));
    let path = named();
    let mut apply = || put(client, &path, ("if-none-match", "*"), &content).0;
    assert_eq!((apply(), apply()), (201, 412));
}

fn any_tag(client: &mut Client) {
    let mut put = |path: &str, condition| put(client, path, condition, "2").0;
    assert_eq!(put("/resources/many/k5", ("if-match", "*")), 204);
    assert_eq!(put("/resources/many/new", ("if-none-match", "*")), 201);
    assert_eq!(put("/resources/many/k6", ("if-none-match", "*")), 412);
    assert_eq!(put("/resources/many/k6", ("if-match", "\"1.0\"")), 412);
    client
        .send("DELETE", "/resources/many/k7", &[("if-match", "*")], None)
        .expect(204);
}

fn contexts(client: &mut Client) {
    let (path, tag) = client.open_transaction();
    let changes = format!("[{}]", change("k9", "*"));
    client.apply(&path, &tag, &changes).expect(200);
    client.apply(&path, &tag, &changes).expect(200);
    client.get(&path).expect(200);
    let (path, tag) = client.open_transaction();
    client
        .send("DELETE", &path, &[("if-match", &tag)], None)
        .expect(204);
}

fn read(client: &mut Client) {
    client.get("/resources/many/k1234").expect(200);
    client.get("/resources/many/nowhere").expect(404);
    client
        .get("/transactions/00000000-0000-0000-0000-0000000003e8")
        .expect(200);
}

fn schemas(client: &mut Client) {
    client.get("/schemas/s77").expect(404);
    let new = [("if-none-match", "*")];
    for path in ["/schemas/s77", "/schemas/few"] {
        client.send("PUT", path, &new, Some("{}")).expect(201);
        client.get(path).expect(200);
        client
            .send("DELETE", path, &[("if-match", "*")], None)
            .expect(204);
    }
    client.put_new("/resources/few/one", "1");
}

fn read_named(client: &mut Client) {
    client
        .get("/resources?key=many/k3&key=many/k19998")
        .expect(200);
}

/// More often than Postgres plans a prepared statement for the very values that it is sent.
fn read_versions(client: &mut Client) {
    for number in [1, 2, 99, 101, 5000, 10000, 10001, 15000, 19999, 20000] {
        for _ in 0..2 {
            let deleted = number % 100 == 0;
            client
                .get(&format!("/resources/many/k42/versions/{number}"))
                .expect(if deleted { 404 } else { 200 });
        }
    }
    client.get("/resources/many/k42/versions/30000").expect(404);
}

fn list_versions(client: &mut Client) {
    let path = "/resources/many/k42/versions";
    for position in [20000, 19000, 15000, 10000, 5000, 1000, 500, 100, 10, 2] {
        let cursor = Cursor {
            scope: path.to_owned(),
            position: position.to_string(),
        };
        let after = cursor.encode();
        for _ in 0..2 {
            let page = client.get(&format!("{path}?limit=3&after={after}"));
            let newest = page.expect(200).json()["items"][0]["version"].clone();
            assert_eq!(newest, position - 1);
        }
    }
    client.get(&format!("{path}?limit=3")).expect(200);
    client.get("/resources/many/nowhere/versions").expect(404);
}

fn list_resources(client: &mut Client) {
    client.get("/resources/many?limit=5").expect(200);
    client.get("/resources/many?limit=5&prefix=k77").expect(200);
}

fn list_collections(client: &mut Client) {
    client.get("/resources?limit=5").expect(200);
}

/// More often than a prepared statement gets plans of its own.
const OFTEN: usize = 8;

fn list_transactions(client: &mut Client) {
    let cursor = Cursor {
        scope: "transactions".to_owned(),
        position: "00000000-0000-0000-0000-0000000003e8".to_owned(),
    };
    let after = cursor.encode();
    for _ in 0..OFTEN {
        client.get("/transactions?limit=2").expect(200);
        let page = client.get(&format!("/transactions?limit=2&after={after}"));
        let items = page.expect(200).json()["items"].clone();
        assert_eq!(items[0]["id"], "00000000-0000-0000-0000-0000000003e7");
    }
}

fn references(client: &mut Client) {
    for number in 0..OFTEN {
        let path = format!("/transactions?reference=order-{}", 77 + number);
        let items = client.get(&path).expect(200).json()["items"].clone();
        assert_eq!(items.as_array().unwrap().len(), 1, "{items}");
        let none = client.get(&format!("{path}&state=open")).expect(200).json();
        assert_eq!(none["items"].as_array().unwrap().len(), 0, "{none}");
        let content = format!(r#"{{"reference":"new-{number}"}}"#);
        let mut create = || client.send("POST", "/transactions", &[], Some(&content));
        assert_eq!((create().status, create().status), (201, 200));
        let taken = format!(r#"{{"reference":"order-{}"}}"#, 99 + number);
        client
            .send("POST", "/transactions", &[], Some(&taken))
            .expect_problem(409, "duplicate-reference");
    }
}

#[test]
fn no_request_reads_a_tenants_rows_to_find_a_few_of_them() {
    let database = cluster::database();
    let mut store = cluster::connect(&database);
    store.batch_execute(FILL).unwrap();
    assert_eq!(
        cluster::number(&mut store, "SELECT count(*) AS number FROM resources"),
        ROWS
    );
    type Requests = fn(&mut Client);
    let kinds: [(&str, Requests); 12] = [
        ("exact tags", exact_tags),
        ("any tag", any_tag),
        ("contexts", contexts),
        ("read", read),
        ("schemas", schemas),
        ("read named", read_named),
        ("read versions", read_versions),
        ("list versions", list_versions),
        ("list resources", list_resources),
        ("list collections", list_collections),
        ("list transactions", list_transactions),
        ("references", references),
    ];
    // The session that filled the tables tells of its own counts when it ends.
    drop(store);
    let mut store = cluster::connect(&database);
    for (kind, requests) in kinds {
        if kind == "references" {
            // Never analysed, up to some 40,000 transactions seem to be one; the index by reference is no better then.
            store.batch_execute("ANALYZE transactions").unwrap();
            drop(store);
            store = cluster::connect(&database);
        }
        let before = rows_read(&mut store);
        let server = Server::over(&database, |_| {}, |_| {});
        requests(&mut server.client());
        drop(server);
        let read = rows_read(&mut store) - before;
        assert!(read > 0, "{kind}: nothing was counted");
        assert!(read <= ROWS_READ_MAX, "{kind}: {read} rows were read");
    }
}
