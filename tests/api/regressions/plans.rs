//! Every request finds its rows by their keys, also in tables that were never analysed: the planner then takes a
//! tenant's rows for one, and any index that begins with the tenant for good enough.

use diesel::connection::SimpleConnection;
use diesel::pg::PgConnection;
use ifmatch::protocol::cursor::Cursor;
use ifmatch::protocol::name::{Tenant, TransactionId};
use ifmatch::store::keys::keys_purge_in_txn;

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
    ALTER TABLE keys SET (autovacuum_enabled = off);
    INSERT INTO keys SELECT t.bucket, t.tenant, '', 'key-' || n, sha256(''), lpad(to_hex(n), 32, '0')::uuid, true, 'many',
      'k' || n, 1, n, false, t.created_at FROM tenants t, generate_series(1, 20000) n;
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

/// Recorded one by one, saved whole, seen and committed: some 38 rows each time, once more than Postgres plans a
/// prepared statement for the very values that it is sent.
fn drafts(client: &mut Client) {
    for number in 0..6 {
        let (path, _) = client.open_transaction();
        let view = format!("{path}/resources/many/k{}", 300 + number);
        assert_eq!(put(client, &view, ("if-match", "*"), "3").0, 204);
        let fresh = format!("{path}/resources/many/fresh{number}");
        assert_eq!(put(client, &fresh, ("if-none-match", "*"), "3").0, 204);
        client.get(&view).expect(200);
        client
            .get(&format!("{path}/resources/many/k9000"))
            .expect(200);
        client
            .get(&format!("{path}/resources/many/nowhere"))
            .expect(404);
        let save = format!(r#"{{"state":"open","changes":[{}]}}"#, change("k400", "*"));
        assert_eq!(put(client, &path, ("if-match", "*"), &save).0, 200);
        let commit = Some(r#"{"state": "committed"}"#);
        client
            .send("PATCH", &path, &[("if-match", "*")], commit)
            .expect(200);
    }
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

/// New keys, and repeated ones.
fn keys(client: &mut Client) {
    for number in 1..4 {
        let (direct, command) = (format!("direct-{number}"), format!("command-{number}"));
        let path = format!("/resources/many/k{number}5");
        let fields = [("if-match", "*"), ("idempotency-key", &*direct)];
        let mut put = || client.send("PUT", &path, &fields, Some("1")).status;
        assert_eq!((put(), put()), (204, 204));
        let content = format!(r#"{{"changes":[{}]}}"#, change("k9", "*"));
        let fields = [("idempotency-key", &*command)];
        let mut post = || {
            client
                .send("POST", "/transactions", &fields, Some(&content))
                .status
        };
        assert_eq!((post(), post()), (201, 201));
    }
}

/// Keys that are other requests': with a lock, and refused by what is read without any.
fn used_keys(client: &mut Client) {
    for number in 1..OFTEN {
        let used = format!("key-{number}77");
        let fields = [("idempotency-key", &*used), ("if-match", "*")];
        let mut put = |fields| {
            client
                .send("PUT", "/resources/many/k8", fields, Some("1"))
                .status
        };
        assert_eq!((put(&fields), put(&fields[..1])), (422, 422));
    }
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

/// Found by the index, though nearly every state in it is of others.
fn contains(client: &mut Client) {
    client.put_new("/resources/many/rare", r#"{"rare": [1, "x"]}"#);
    for value in ["%7B%22rare%22:[1]%7D", "%7B%22never%22:0%7D", "%22never%22"] {
        for _ in 0..OFTEN {
            let path = format!("/resources/many?limit=5&contains={value}");
            let items = client.get(&path).expect(200).json()["items"].clone();
            let expected = usize::from(value.contains("rare"));
            assert_eq!(items.as_array().unwrap().len(), expected);
        }
    }
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
        client.get("/transactions?limit=2&state=open").expect(200);
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
    let kinds: [(&str, Requests); 16] = [
        ("exact tags", exact_tags),
        ("any tag", any_tag),
        ("contexts", contexts),
        ("drafts", drafts),
        ("keys", keys),
        ("used keys", used_keys),
        ("read", read),
        ("schemas", schemas),
        ("read named", read_named),
        ("read versions", read_versions),
        ("list versions", list_versions),
        ("list resources", list_resources),
        ("contains", contains),
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
    // Never analysed, the table is read once for all that is purged together, by its primary key.
    store.batch_execute("ANALYZE keys").unwrap();
    drop(store);
    let mut store = cluster::connect(&database);
    let before = rows_read(&mut store);
    let mut purge = cluster::connect(&database);
    // As a committer's session is told.
    let settings = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; \
                    SET enable_material = off; SET plan_cache_mode = force_generic_plan";
    purge.batch_execute(settings).unwrap();
    let id = TransactionId::parse_segment("00000000-0000-0000-0000-0000000003e8").unwrap();
    assert_eq!(
        keys_purge_in_txn(&mut purge, &Tenant::default(), &[id]).unwrap(),
        1
    );
    drop(purge);
    let read = rows_read(&mut store) - before;
    assert!(
        (1..=ROWS_READ_MAX).contains(&read),
        "purging keys: {read} rows"
    );
}
