//! What becomes of a key when what it stands for is forgotten.

use diesel::connection::SimpleConnection;
use ifmatch::protocol::name::{Tenant, TransactionId};
use ifmatch::store::keys::keys_purge_in_txn;
use uuid::Uuid;

use super::check_again;
use crate::matrix::rows::writer;
use crate::support::client::{Client, Response};
use crate::support::cluster;
use crate::support::server::Server;

const PATH: &str = "/resources/keys/k";

fn put(client: &mut Client, key: &str, prefer: &str) -> Response {
    let fields = [
        ("if-match", "*"),
        ("idempotency-key", key),
        ("prefer", prefer),
    ];
    client.send("PUT", PATH, &fields, Some("1"))
}

fn transaction_of(answer: &Response) -> TransactionId {
    let path = writer(answer).unwrap();
    TransactionId::parse_segment(path.rsplit('/').next().unwrap()).unwrap()
}

#[test]
fn without_its_version_the_answer_comes_without_content() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let first = put(&mut client, "k", "a").expect(204);
    let shown = put(&mut client, "k", "return=representation").expect(200);
    assert_eq!(shown.text(), "1");
    let mut store = cluster::connect(&server.database_url);
    store
        .batch_execute("DELETE FROM versions WHERE version = 2")
        .unwrap();
    check_again(&first, &put(&mut client, "k", "a"));
    let minimal = put(&mut client, "k", "return=representation").expect(204);
    assert_eq!(minimal.etag(), first.etag());
    assert_eq!(minimal.header("preference-applied"), None);
}

#[test]
fn with_its_transaction_a_key_is_forgotten_and_one_that_tells_its_time_is_gone() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(PATH, "0");
    let dated = Uuid::now_v7().to_string();
    let first = put(&mut client, "k", "a").expect(204);
    let second = put(&mut client, &dated, "a").expect(204);
    let kept = put(&mut client, "kept", "a").expect(204);
    let purged = [transaction_of(&first), transaction_of(&second)];
    let mut store = cluster::connect(&server.database_url);
    let count = keys_purge_in_txn(&mut store, &Tenant::default(), &purged).unwrap();
    assert_eq!(count, 2);
    let none = keys_purge_in_txn(
        &mut store,
        &Tenant::parse("other").unwrap(),
        &[transaction_of(&kept)],
    );
    assert_eq!(none.unwrap(), 0, "of another tenant");
    // As who purges does, in the same transaction.
    let horizon = "UPDATE tenants SET purge_horizon = clock_timestamp(); UPDATE buckets SET epoch = epoch + 1";
    store.batch_execute(horizon).unwrap();
    let gone = put(&mut client, &dated, "a").expect_problem(410, "gone");
    assert!(
        gone.json()["detail"]
            .as_str()
            .unwrap()
            .starts_with("Nothing was changed. The key")
    );
    let anew = put(&mut client, "k", "a").expect(204);
    assert_eq!(anew.header("idempotent-replayed"), None);
    assert_ne!(anew.etag(), first.etag());
    check_again(&kept, &put(&mut client, "kept", "a"));
}

#[test]
fn a_key_that_is_purged_while_it_is_looked_for_is_not_taken_for_a_new_one() {
    let server = Server::with(|engine| engine.committers = 1, |_| {});
    let mut client = server.client();
    client.put_new(PATH, "0");
    let dated = Uuid::now_v7().to_string();
    let first = put(&mut client, &dated, "a").expect(204);
    let mut store = cluster::connect(&server.database_url);
    // Waits in the middle of the purge, with the resource's row.
    store
        .batch_execute("BEGIN; SELECT FROM resources WHERE key = 'k' FOR UPDATE")
        .unwrap();
    let repeated = std::thread::scope(|scope| {
        let repeated = scope.spawn(|| put(&mut server.client(), &dated, "a"));
        let mut watch = cluster::connect(&server.database_url);
        crate::support::eventually("it waits for the row", || cluster::blocked(&mut watch) > 0);
        keys_purge_in_txn(&mut store, &Tenant::default(), &[transaction_of(&first)]).unwrap();
        let horizon = "UPDATE tenants SET purge_horizon = clock_timestamp(); UPDATE buckets SET epoch = epoch + 1; COMMIT";
        store.batch_execute(horizon).unwrap();
        repeated.join().unwrap()
    });
    repeated.expect_problem(410, "gone");
}
