//! What is stored is checked before a schema is set, without a lock.

use diesel::connection::SimpleConnection;

use super::*;

const PENDING: &str = "SELECT count(pending_nonce) AS number FROM schemas";

/// Resources of accounts with keys `a00001` and so on, and these bodies (SQL, of `n`).
fn fill(server: &Server, count: usize, body: &str) {
    let mut store = cluster::connect(&server.database_url);
    let rows = format!(
        "INSERT INTO resources SELECT t.bucket, t.tenant, 'accounts', 'a' || lpad(n::text, 5, '0'), 1, n, false, \
         'application/json', {body}, t.created_at, lpad(to_hex(n), 32, '0')::uuid \
         FROM tenants t, generate_series(1, {count}) n"
    );
    store.batch_execute(&rows).unwrap();
}

#[test]
fn up_to_ten_resources_that_break_it_are_named_with_their_places() {
    let server = Server::start();
    let mut client = server.client();
    // Every hundredth, in all chunks; one of them deleted.
    fill(
        &server,
        1_300,
        r#"'{"balance": ' || (CASE WHEN n % 100 = 0 THEN -1 ELSE n END) || '}'"#,
    );
    client
        .send("DELETE", "/resources/accounts/a00100", &ANY, None)
        .expect(204);
    let refused = client.send("PUT", SCHEMA, &NEW, Some(SOLVENT));
    let named = pointers(&refused.expect_problem(409, "schema-conflict"));
    let expected: Vec<String> = (2..12)
        .map(|n| format!("/resources/accounts/a{:05}#/balance", n * 100))
        .collect();
    assert_eq!(named, expected);
    let mut store = cluster::connect(&server.database_url);
    store.batch_execute(r#"UPDATE resources SET body = '{"balance": 0}' WHERE body = '{"balance": -1}' AND key <> 'a01300'"#).unwrap();
    let refused = client.send("PUT", SCHEMA, &NEW, Some(SOLVENT));
    let named = pointers(&refused.expect_problem(409, "schema-conflict"));
    assert_eq!(named, ["/resources/accounts/a01300#/balance"]);
    client
        .send(
            "PUT",
            "/resources/accounts/a01300",
            &ANY,
            Some(r#"{"balance": 0}"#),
        )
        .expect(204);
    set(&mut client, SOLVENT);
}

#[test]
fn large_bodies_are_read_a_few_at_a_time() {
    let server = Server::start();
    let mut client = server.client();
    fill(
        &server,
        30,
        r#"'{"balance": 1, "text": "' || repeat('x', 900000) || '"}'"#,
    );
    set(&mut client, SOLVENT);
}

#[test]
fn nothing_is_locked_while_resources_are_checked_and_no_lock_is_waited_for() {
    let server = Server::start();
    let mut client = server.client();
    let mut store = cluster::connect(&server.database_url);
    let mut holder = cluster::connect(&server.database_url);
    fill(&server, 5_000, r#"'{"balance": ' || n || '}'"#);
    // The rows of all of them are locked by somebody: they are read all the same.
    holder
        .batch_execute("BEGIN; SELECT FROM resources FOR UPDATE")
        .unwrap();
    let tag = set(&mut client, SOLVENT);
    holder
        .batch_execute("ROLLBACK; BEGIN; LOCK TABLE resources IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    std::thread::scope(|scope| {
        let setting = scope.spawn(|| {
            server
                .client()
                .send("PUT", SCHEMA, &[("if-match", &tag)], Some(SOLVENT))
        });
        eventually("the check waits", || cluster::blocked(&mut store) == 1);
        let locks = "SELECT count(*) AS number FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
            WHERE a.datname = current_database() AND l.granted AND (l.mode IN ('RowShareLock', 'RowExclusiveLock') \
            OR l.locktype = 'transactionid') AND NOT EXISTS (SELECT FROM pg_locks h WHERE h.pid = l.pid \
            AND h.granted AND h.mode = 'AccessExclusiveLock')";
        assert_eq!(cluster::number(&mut store, locks), 0);
        assert_eq!(cluster::number(&mut store, PENDING), 1);
        // Others write to other tables' rows, and to the bucket, as ever.
        server
            .client()
            .send("POST", "/transactions", &[], None)
            .expect(201);
        holder.batch_execute("ROLLBACK").unwrap();
        setting.join().unwrap().expect(204);
    });
    assert_eq!(cluster::number(&mut store, PENDING), 0);
}

/// Waits in the check, while somebody writes what breaks the schema: one of both is refused.
#[test]
fn a_write_during_the_check_and_the_schema_never_both_succeed() {
    let server = Server::start();
    let mut client = server.client();
    let mut store = cluster::connect(&server.database_url);
    let mut holder = cluster::connect(&server.database_url);
    client.put_new("/resources/accounts/zoe", r#"{"balance": 1}"#);
    for round in 0..20 {
        holder
            .batch_execute("BEGIN; LOCK TABLE resources IN ACCESS EXCLUSIVE MODE")
            .unwrap();
        let (schema, written) = std::thread::scope(|scope| {
            let setting = scope.spawn(|| server.client().send("PUT", SCHEMA, &NEW, Some(SOLVENT)));
            eventually("the check waits", || cluster::blocked(&mut store) == 1);
            let writing = scope.spawn(|| {
                server
                    .client()
                    .send("PUT", ALICE, &NEW, Some(r#"{"balance": -1}"#))
            });
            eventually("the writer waits", || cluster::blocked(&mut store) == 2);
            holder.batch_execute("ROLLBACK").unwrap();
            (setting.join().unwrap(), writing.join().unwrap())
        });
        match (schema.status, written.status) {
            (409, 201) => {
                assert_eq!(schema.slug(), "schema-conflict");
                assert!(
                    pointers(&schema)[0].starts_with("/resources/accounts/alice#"),
                    "{round}"
                );
                client.send("DELETE", ALICE, &ANY, None).expect(204);
            }
            (201, 422) => {
                client.send("DELETE", SCHEMA, &ANY, None).expect(204);
            }
            other => panic!("{round}: {other:?}\n{}\n{}", schema.text(), written.text()),
        }
    }
}

#[test]
fn a_schema_that_a_dead_server_left_pending_harms_nobody_and_is_replaced() {
    let server = Server::start();
    let mut client = server.client();
    let mut store = cluster::connect(&server.database_url);
    store
        .batch_execute(
            "INSERT INTO schemas SELECT bucket, tenant, 'accounts', 0, 0, true, '', NULL, now(), 'false', 7 FROM tenants; \
             UPDATE buckets SET epoch = epoch + 1",
        )
        .unwrap();
    client.get(SCHEMA).expect_problem(404, "not-found");
    client
        .send("DELETE", SCHEMA, &ANY, None)
        .expect_problem(404, "not-found");
    let mut tag = client.put_new(ALICE, r#"{"balance": 1}"#);
    for balance in 2..6 {
        let body = json!({"balance": balance}).to_string();
        tag = client
            .send("PUT", ALICE, &[("if-match", &tag)], Some(&body))
            .expect(204)
            .etag();
    }
    let broken = "SELECT count(broken_by) AS number FROM schemas";
    assert_eq!(cluster::number(&mut store, broken), 1);
    set(&mut client, SOLVENT);
    assert_eq!(cluster::number(&mut store, PENDING), 0);
    client
        .send("PUT", ALICE, &ANY, Some("{}"))
        .expect_problem(422, "schema-violation");
}

#[test]
fn a_stored_schema_that_cannot_be_read_lets_nothing_pass_until_it_is_replaced() {
    let server = Server::start();
    let mut client = server.client();
    set(&mut client, "{}");
    cluster::connect(&server.database_url)
        .batch_execute("UPDATE schemas SET nonce = nonce + 1, content = '{\"format\": \"of-another-release\"}'; UPDATE buckets SET epoch = epoch + 1")
        .unwrap();
    client
        .send("PUT", ALICE, &NEW, Some("{}"))
        .expect_problem(422, "schema-violation");
    client.put_new("/resources/other/alice", "{}");
    client.send("PUT", SCHEMA, &ANY, Some("{}")).expect(204);
    client.put_new(ALICE, "{}");
}
