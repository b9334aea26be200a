//! Views: what a GET shows of a resource in a draft, with which fields, and when it is another.

use super::{INCREMENT, changes, save};
use crate::matrix::rows::linked;
use crate::support::client::Client;
use crate::support::server::Server;

const ALICE: &str = "/resources/accounts/alice";

#[track_caller]
fn cached(client: &mut Client, view: &str, tag: &str, status: u16) {
    client
        .send("GET", view, &[("if-none-match", tag)], None)
        .expect(status);
}

#[test]
fn an_untouched_view_is_the_resource_itself() {
    let server = Server::start();
    let mut client = server.client();
    let kind = ("content-type", "application/vnd.x+json");
    let body = "{\"n\":   1.00}";
    client
        .send("PUT", ALICE, &[("if-none-match", "*"), kind], Some(body))
        .expect(201);
    let own = client.get(ALICE).expect(200);
    let (transaction, tag) = client.open_transaction();
    let view = format!("{transaction}{ALICE}");
    let seen = client.get(&view).expect(200);
    assert_eq!((seen.text(), seen.etag()), (body.to_owned(), own.etag()));
    for name in ["last-modified", "content-type", "cache-control", "vary"] {
        assert_eq!(seen.header(name), own.header(name), "{name}");
    }
    assert_eq!(seen.header("content-location").as_deref(), Some(&*view));
    for relation in ["via", "version-history"] {
        assert_eq!(linked(&seen, relation), linked(&own, relation));
    }
    assert_eq!(linked(&seen, "up"), Some(transaction.clone()));
    assert_eq!(linked(&seen, "working-copy-of").as_deref(), Some(ALICE));
    assert_eq!(
        client.get(&transaction).etag(),
        tag,
        "a read changes nothing"
    );
    client
        .send("PUT", ALICE, &[("if-match", "*")], Some("2"))
        .expect(204);
    cached(&mut client, &view, &own.etag(), 200);
}

#[test]
fn a_drafted_view_is_what_was_sent_byte_for_byte_and_stays_when_the_resource_goes_on() {
    let server = Server::start();
    let mut client = server.client();
    let own = client.put_new(ALICE, "{}");
    let (transaction, _) = client.open_transaction();
    let view = format!("{transaction}{ALICE}");
    let fields = [
        ("if-match", &*own),
        ("content-type", "application/vnd.y+json"),
    ];
    let body = "{ \"b\": 1.0,\n\"a\": \"\\u00e9\" }";
    let tag = client
        .send("PUT", &view, &fields, Some(body))
        .expect(204)
        .etag();
    let head = client.send("HEAD", &view, &[], None).expect(200);
    for _ in 0..2 {
        let seen = client.get(&view).expect(200);
        assert_eq!((seen.text(), seen.etag()), (body.to_owned(), tag.clone()));
        assert_eq!(
            seen.header("content-type").as_deref(),
            Some("application/vnd.y+json")
        );
        assert_eq!(seen.header("last-modified"), None);
        assert_eq!(linked(&seen, "via"), None, "nobody has written it");
        for (name, value) in &head.headers {
            assert!(
                name == "date"
                    || name == "x-request-id"
                    || seen.header(name).as_ref() == Some(value)
            );
        }
        cached(&mut client, &view, &tag, 304);
        client
            .send("PUT", ALICE, &[("if-match", "*")], Some("7"))
            .expect(204);
    }
    // The same bytes again are another state: a write is a write.
    let again = client.send("PUT", &view, &[("if-match", &tag), fields[1]], Some(body));
    assert_ne!(again.expect(204).etag(), tag);
    assert_eq!(
        changes(&mut client, &transaction),
        [format!("PUT {ALICE} {own} -")]
    );
}

#[test]
fn a_patched_view_follows_its_resource() {
    let server = Server::start();
    let mut client = server.client();
    let own = client.put_new(ALICE, "{\"n\": 1.50}");
    let (transaction, _) = client.open_transaction();
    let view = format!("{transaction}{ALICE}");
    let fields = [("if-match", &*own), ("content-type", INCREMENT)];
    let first = client
        .send("PATCH", &view, &fields, Some("{\"n\": 1}"))
        .expect(204)
        .etag();
    assert_eq!(client.get(&view).expect(200).text(), "{\"n\":2.50}");
    cached(&mut client, &view, &first, 304);
    client
        .send("PUT", ALICE, &[("if-match", "*")], Some("{\"n\": 5}"))
        .expect(204);
    let seen = client.get(&view).expect(200);
    assert_eq!(seen.text(), "{\"n\":6}");
    assert_ne!(seen.etag(), first);
    cached(&mut client, &view, &first, 200);
    // Whoever has not seen that does not replace it.
    let stale = client.send("PUT", &view, &[("if-match", &first)], Some("{}"));
    let stale = stale.expect_problem(412, "stale-resource").json();
    assert_eq!(stale["conflicts"][0]["current"], seen.etag());
    assert_eq!(stale["conflicts"][0]["transaction"], transaction);
    client
        .send("PUT", ALICE, &[("if-match", "*")], Some("{\"n\": \"\"}"))
        .expect(204);
    let unfit = client
        .get(&view)
        .expect_problem(409, "patch-conflict")
        .json();
    assert_eq!(unfit["errors"][0]["pointer"], "#/n");
    client
        .send("DELETE", ALICE, &[("if-match", "*")], None)
        .expect(204);
    client.get(&view).expect_problem(404, "not-found");
    client.put_new(ALICE, "{\"n\": 0}");
    assert_eq!(client.get(&view).expect(200).text(), "{\"n\":1}");
}

#[test]
fn a_target_out_of_the_draft_is_the_resource_again() {
    let server = Server::start();
    let mut client = server.client();
    let own = client.put_new(ALICE, "1");
    let (transaction, _) = client.open_transaction();
    let view = format!("{transaction}{ALICE}");
    let put = format!(r#"{{"method":"PUT","target":"{ALICE}","if_match":"*","body":2}}"#);
    let other = r#"{"method":"PUT","target":"/resources/a/other","if_none_match":"*","body":3}"#;
    save(&mut client, &transaction, "*", &format!("[{put},{other}]")).expect(200);
    assert_eq!(client.get(&view).expect(200).text(), "2");
    save(&mut client, &transaction, "*", &format!("[{other}]")).expect(200);
    let seen = client.get(&view).expect(200);
    assert_eq!((seen.text(), seen.etag()), ("1".into(), own));
    client
        .send(
            "DELETE",
            &format!("{transaction}/resources/a/other"),
            &[("if-match", "*")],
            None,
        )
        .expect(204);
    let document = client.get(&transaction).expect(200).json();
    assert_eq!(
        (document.get("changes"), &document["state"]),
        (None, &"open".into())
    );
    client
        .send("PATCH", &transaction, &[("if-match", "*")], super::COMMIT)
        .expect_problem(422, "invalid-operation");
}

#[test]
fn names_and_queries_are_as_elsewhere() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/x+y", "1");
    let (transaction, _) = client.open_transaction();
    for (path, status) in [
        ("resources/a/x%2By", 200),
        ("resources/a/x+y", 200),
        ("resources/%61/x+y", 200),
        ("resources/a/x%252By", 404),
        ("resources/A/x", 404),
        ("resources/a/..", 404),
        ("resources/a/x+y/versions", 404),
        ("resources/a", 404),
        ("resources", 404),
        ("resources/a/", 404),
        ("resources/a/x+y?limit=1", 400),
    ] {
        let got = client.get(&format!("{transaction}/{path}"));
        assert_eq!(got.status, status, "{path}");
    }
    for path in [
        "/transactions/1/resources/a/b",
        "/transactions/x/resources/A/b",
    ] {
        client
            .send("PUT", path, &[("if-match", "*")], Some("1"))
            .expect_problem(404, "not-found");
        client
            .send("POST", path, &[], Some("1"))
            .expect_problem(404, "not-found");
    }
    let offered = client.send(
        "OPTIONS",
        &format!("{transaction}/resources/a/b"),
        &[],
        None,
    );
    let allow = offered.header("allow").unwrap();
    assert_eq!(allow, "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
    assert!(offered.header("accept-patch").unwrap().contains(INCREMENT));
}

#[test]
fn a_tag_names_the_very_bytes_that_the_draft_keeps() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, _) = client.open_transaction();
    let view = format!("{transaction}/resources/a/k");
    let create = [("if-none-match", "*"), ("prefer", "return=representation")];
    let spaced = client.send("PUT", &view, &create, Some(" {\"b\": 1} \n"));
    assert_eq!(spaced.clone().expect(200).text(), "{\"b\": 1}");
    assert_eq!(spaced.header("etag"), None, "it is not what was sent");
    let kept = client.get(&view).expect(200);
    assert_eq!(kept.text(), "{\"b\": 1}");
    let exact = [("if-match", &*kept.etag())];
    let again = client.send("PUT", &view, &exact, Some("{\"b\": 1}"));
    assert_eq!(
        again.expect(204).etag(),
        client.get(&view).expect(200).etag()
    );
}

#[test]
fn a_deletion_is_answered_without_a_tag_though_somebody_else_has_created_it() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, _) = client.open_transaction();
    let view = format!("{transaction}/resources/a/k");
    let create = [("if-none-match", "*")];
    let drafted = client.send("PUT", &view, &create, Some("1")).expect(204);
    client.put_new("/resources/a/k", "2");
    let dropped = client.send("DELETE", &view, &[("if-match", &*drafted.etag())], None);
    assert_eq!(dropped.expect(204).header("etag"), None);
    assert_eq!(client.get(&view).expect(200).text(), "2");
}
