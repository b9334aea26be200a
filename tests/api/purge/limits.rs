//! How many transactions a tenant may have open.

use diesel::connection::SimpleConnection;

use super::{ASSERTS, CREATE, STAR, path_from};
use crate::support::client::{Client, Response};
use crate::support::cluster;
use crate::support::eventually;
use crate::support::server::Server;

fn limited(max: usize) -> Server {
    Server::with(
        |settings| settings.limits.open_transactions_max = max,
        |_| {},
    )
}

fn post(client: &mut Client, content: &str) -> Response {
    client.send("POST", "/transactions", &[], Some(content))
}

#[track_caller]
fn check_full(client: &mut Client) {
    let refused = post(client, "{}").expect_problem(429, "too-many-requests");
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(refused.header("cache-control").as_deref(), Some("no-store"));
}

#[test]
fn one_more_than_may_be_open_is_refused_until_another_ends() {
    let server = limited(3);
    let mut client = server.client();
    let service = client.get("/").expect(200).json();
    assert_eq!(service["limits"]["open_transactions"], 3);
    let shared = post(&mut client, r#"{"reference": "r"}"#).expect(201);
    let paths: Vec<String> = (0..2).map(|_| client.open_transaction().0).collect();
    check_full(&mut client);
    // What is wrong by itself, or opens nothing, is answered as ever.
    post(&mut client, "[").expect_problem(400, "malformed-request");
    post(&mut client, r#"{"expires_in": 0}"#).expect_problem(422, "invalid-operation");
    assert_eq!(
        post(&mut client, r#"{"reference": "r"}"#)
            .expect(200)
            .location(),
        shared.location()
    );
    client
        .send("PUT", &path_from(0), &CREATE, Some(ASSERTS))
        .expect(201);
    client.put_new("/resources/a/b", "1");
    check_full(&mut client);
    let mut store = cluster::connect(&server.database_url);
    let expire = format!(
        "UPDATE transactions SET expires_at = now() WHERE id = '{}'",
        super::id_of(&shared.location())
    );
    type End<'a> = &'a mut dyn FnMut(&mut Client);
    let mut apply = |client: &mut Client| {
        client
            .send("PUT", &paths[0], &STAR, Some(ASSERTS))
            .expect(200);
    };
    let mut cancel = |client: &mut Client| {
        client.send("DELETE", &paths[1], &STAR, None).expect(204);
    };
    let mut expires = |_: &mut Client| store.batch_execute(&expire).unwrap();
    let ends: [End<'_>; 3] = [&mut apply, &mut cancel, &mut expires];
    for end in ends {
        end(&mut client);
        // As long as Retry-After says, it is not counted again.
        eventually("there is room for one", || {
            post(&mut client, "{}").status == 201
        });
        check_full(&mut client);
    }
}

#[test]
fn many_at_once_do_not_exceed_the_limit_of_one_server() {
    let server = limited(50);
    let created: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mut client = server.client();
                scope.spawn(move || {
                    (0..50)
                        .filter(|_| post(&mut client, "{}").status == 201)
                        .count()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    // A batch of the other committer that is not committed yet is not counted: four clients, four at most.
    assert!((50..=54).contains(&created), "{created}");
    let mut client = server.client();
    check_full(&mut client);
}

#[test]
fn what_another_server_opened_is_counted_when_the_room_is_used_up() {
    let first = limited(4);
    let second = Server::over(
        &first.database_url,
        |settings| settings.limits.open_transactions_max = 4,
        |_| {},
    );
    let mut clients = [first.client(), second.client()];
    for round in 0..4 {
        clients[round % 2].open_transaction();
    }
    let mut created = 4;
    for client in &mut clients {
        while post(client, "{}").status == 201 {
            created += 1;
        }
    }
    assert!(created <= 4 + 3, "{created}");
    for client in &mut clients {
        check_full(client);
    }
}
