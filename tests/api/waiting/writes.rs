//! `Prefer: wait=N` on writes: how long a client waits for its turn (contract §5, "Two at once").

use diesel::connection::SimpleConnection;

use super::CHANGES;
use crate::support::server::Server;
use crate::support::{cluster, eventually};

#[test]
fn a_write_is_503_after_the_seconds_that_its_client_waits_and_its_repetition_tells() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/accounts/b", "1");
    let opened = client.open_transaction();
    let (renewed, cancelled) = (client.open_transaction().0, client.open_transaction().0);
    let mut blocker = cluster::connect(&server.database_url);
    blocker
        .batch_execute("BEGIN; LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let operation = format!("{{\"changes\": {CHANGES}}}");
    let wait = ("prefer", "wait=1, return=representation");
    for (method, path, body) in [
        ("PUT", &*opened.0, Some(&*operation)),
        ("PATCH", &*renewed, Some("{\"expires_in\": 600}")),
        ("DELETE", &*cancelled, None),
        ("POST", "/transactions", None),
        ("PUT", "/resources/accounts/b", Some("2")),
        ("PATCH", "/resources/accounts/b", Some("{}")),
        ("DELETE", "/resources/accounts/b", None),
        // Refused already: the state that it is refused on cannot be read.
        ("PUT", &*opened.0, Some("{")),
    ] {
        let star = ("if-match", "*");
        let refused = client.send(method, path, &[star, wait], body);
        let refused = refused.expect_problem(503, "unavailable");
        assert_eq!(
            refused.header("retry-after").as_deref(),
            Some("1"),
            "{method} {path}"
        );
        assert_eq!(refused.header("preference-applied"), None);
    }
    blocker.batch_execute("ROLLBACK").unwrap();
    eventually("the same request tells", || {
        let repeated = client.apply(&opened.0, &opened.1, CHANGES);
        repeated.status == 200
    });
    // A wait of no second would be a refusal of everything.
    for none in ["wait=0", "wait=x"] {
        client
            .send(
                "PUT",
                "/resources/accounts/c",
                &[("if-none-match", "*"), ("prefer", none)],
                Some("1"),
            )
            .expect(201);
        client
            .send(
                "DELETE",
                "/resources/accounts/c",
                &[("if-match", "*"), ("prefer", none)],
                None,
            )
            .expect(204);
    }
}
