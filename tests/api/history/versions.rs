//! What a version is, whichever way it was written, and that nothing ever changes it.

use serde_json::{Value, json};

use super::{items, numbers};
use crate::matrix::rows::{linked, writer};
use crate::support::client::{Client, Response};
use crate::support::server::Server;

const ALICE: &str = "/resources/accounts/alice";
const STAR: (&str, &str) = ("if-match", "*");
const CREATE: (&str, &str) = ("if-none-match", "*");
const IMMUTABLE: &str = "private, immutable, max-age=31536000";

/// A state as its writer and its readers saw it.
#[derive(Debug)]
struct Seen {
    /// `None` where it was deleted.
    state: Option<(Vec<u8>, String, String)>,
    writer: String,
}

/// Looks at the resource after a write.
#[track_caller]
fn seen(client: &mut Client, path: &str, writer: String) -> Seen {
    let read = client.get(path);
    let state = (read.status == 200).then(|| {
        let media_type = read.header("content-type").unwrap();
        (read.body.clone(), read.etag(), media_type)
    });
    Seen { state, writer }
}

#[track_caller]
fn write(client: &mut Client, method: &str, fields: &[(&str, &str)], body: Option<&str>) -> Seen {
    let answer = client.send(method, ALICE, fields, body);
    assert!((200..300).contains(&answer.status), "{answer:#?}");
    seen(client, ALICE, writer(&answer).unwrap())
}

/// One state of each way to write, the resource deleted and created again between them.
fn lived(client: &mut Client) -> Vec<Seen> {
    let vendor = ("content-type", "application/vnd.x+json; v=\"1, 2\"");
    let patch = ("content-type", "application/json-patch+json");
    let mut all = vec![write(client, "PUT", &[CREATE], Some(" {\"n\" : 1.0 }\n"))];
    let tag = all[0].state.clone().unwrap().1;
    all.push(write(
        client,
        "PATCH",
        &[("if-match", &tag)],
        Some("{\"m\":null,\"k\":[1e2]}"),
    ));
    all.push(write(client, "PUT", &[STAR, vendor], Some("{\"n\":[ ]}")));
    let tag = all[2].state.clone().unwrap().1;
    let test = r#"[{"op":"add","path":"/n/0","value":7}]"#;
    all.push(write(
        client,
        "PATCH",
        &[("if-match", &tag), patch],
        Some(test),
    ));
    // Equal bytes are a new version all the same.
    let body = String::from_utf8(all[3].state.clone().unwrap().0).unwrap();
    all.push(write(client, "PUT", &[STAR, vendor], Some(&body)));
    all.push(write(client, "DELETE", &[STAR], None));
    all.push(write(client, "PUT", &[CREATE], Some("null")));
    let (transaction, tag) = client.open_transaction();
    let changes = json!([
        {"method": "PUT", "target": "/resources/accounts/bob", "if_none_match": "*", "body": 1},
        {"method": "PATCH", "target": ALICE, "if_match": "*", "body": {"by": "transaction"}},
        {"method": "GET", "target": "/resources/accounts/zoe", "if_none_match": "*"},
    ]);
    client
        .apply(&transaction, &tag, &changes.to_string())
        .expect(200);
    all.push(seen(client, ALICE, transaction));
    let (transaction, tag) = client.open_transaction();
    let delete = json!([{"method": "DELETE", "target": ALICE, "if_match": "*"}]);
    client
        .apply(&transaction, &tag, &delete.to_string())
        .expect(200);
    all.push(seen(client, ALICE, transaction));
    all
}

#[track_caller]
fn version(client: &mut Client, number: usize) -> Response {
    client.get(&format!("{ALICE}/versions/{number}"))
}

/// Checks every version against what was seen when it was the newest.
#[track_caller]
fn check(client: &mut Client, all: &[Seen]) {
    for (index, seen) in all.iter().enumerate() {
        let number = index + 1;
        let read = version(client, number);
        let Some((body, tag, media_type)) = &seen.state else {
            let problem = read.expect_problem(404, "not-found").json();
            let detail = problem["detail"].as_str().unwrap();
            let start = format!(
                "Version {number} of {ALICE} is its deletion, by {}",
                seen.writer
            );
            assert!(detail.starts_with(&start), "{detail}");
            continue;
        };
        let read = read.expect(200);
        assert_eq!((&read.body, &read.etag()), (body, tag), "{number}");
        assert_eq!(read.header("content-type").as_ref(), Some(media_type));
        assert_eq!(read.header("cache-control").as_deref(), Some(IMMUTABLE));
        assert_eq!(writer(&read).as_ref(), Some(&seen.writer));
    }
}

#[test]
fn a_version_stays_what_the_resource_was() {
    let server = Server::start();
    let mut client = server.client();
    let mut all = lived(&mut client);
    check(&mut client, &all);
    client.get(ALICE).expect_problem(404, "not-found");
    // Written again, the numbers go on.
    all.push(write(&mut client, "PUT", &[CREATE], Some("2")));
    check(&mut client, &all);
    let next = all.len() + 1;
    version(&mut client, next).expect_problem(404, "not-found");
    // Every writer is a transaction that names the resource.
    for seen in &all {
        let transaction = client.get(&seen.writer).expect(200).json();
        let changes = transaction["changes"].as_array().unwrap();
        assert!(changes.iter().any(|change| change["target"] == ALICE));
    }
}

#[test]
fn the_list_has_every_version_newest_first_and_says_which_are_deletions() {
    let server = Server::start();
    let mut client = server.client();
    let all = lived(&mut client);
    let found = items(&mut client, ALICE, 1000);
    assert_eq!(numbers(&found), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    let mut newer: Option<String> = None;
    for (item, seen) in found.iter().zip(all.iter().rev()) {
        let number = item["version"].as_u64().unwrap();
        let updated = item["updated_at"].as_str().unwrap().to_owned();
        let mut expected = json!({
            "href": format!("{ALICE}/versions/{number}"), "version": number, "updated_at": updated,
            "deleted": seen.state.is_none(), "transaction": seen.writer,
        });
        if let Some((_, tag, media_type)) = &seen.state {
            expected["etag"] = tag.as_str().into();
            if media_type != "application/json" {
                expected["media_type"] = media_type.as_str().into();
            }
        }
        assert_eq!(*item, expected);
        assert!(updated.ends_with('Z') && newer.is_none_or(|newer| updated <= newer));
        newer = Some(updated);
    }
    // The newest is the resource as it is now.
    let tag = write(&mut client, "PUT", &[CREATE], Some("1"))
        .state
        .unwrap()
        .1;
    let newest = items(&mut client, ALICE, 1)[0].clone();
    assert_eq!(
        (&newest["version"], &newest["etag"]),
        (&10.into(), &tag.into())
    );
    let current = client.get(ALICE).expect(200);
    let same = client.get(newest["href"].as_str().unwrap()).expect(200);
    for name in ["etag", "last-modified", "content-type", "content-length"] {
        assert_eq!(current.header(name), same.header(name), "{name}");
    }
    assert_eq!(current.body, same.body);
}

#[test]
fn one_transaction_writes_a_version_of_each_of_its_resources() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/x", "0");
    client.put_new("/resources/a/z", "0");
    let (transaction, tag) = client.open_transaction();
    let changes = json!([
        {"method": "PUT", "target": "/resources/a/x", "if_match": "*", "body": 1},
        {"method": "PUT", "target": "/resources/b/y", "if_none_match": "*", "body": 1},
        {"method": "DELETE", "target": "/resources/a/z", "if_match": "*"},
        {"method": "GET", "target": "/resources/a/none", "if_none_match": "*"},
    ]);
    let applied = client.apply(&transaction, &tag, &changes.to_string());
    let outcome = applied.expect(200).json()["outcome"]["changes"].clone();
    for (index, path, number) in [
        (0, "/resources/a/x", 2),
        (1, "/resources/b/y", 1),
        (2, "/resources/a/z", 2),
    ] {
        let newest = items(&mut client, path, 10)[0].clone();
        assert_eq!(newest["version"], number);
        assert_eq!(newest["transaction"], *transaction);
        assert_eq!(newest.get("etag"), outcome[index].get("etag"));
        assert_eq!(newest["deleted"], path.ends_with('z'));
    }
    // A repetition writes nothing, a refusal neither.
    client
        .apply(&transaction, &tag, &changes.to_string())
        .expect(200);
    let stale = [("if-match", "\"1.0\"")];
    client
        .send("PUT", "/resources/a/x", &stale, Some("2"))
        .expect(412);
    client
        .send("PUT", "/resources/a/never", &stale, Some("2"))
        .expect(412);
    assert_eq!(numbers(&items(&mut client, "/resources/a/x", 10)), [2, 1]);
    for path in ["/resources/a/none", "/resources/a/never"] {
        client
            .get(&format!("{path}/versions"))
            .expect_problem(404, "not-found");
    }
}

/// What a version links to: history, newest, the states before and after.
fn links(client: &mut Client, number: usize) -> [Option<String>; 4] {
    let read = version(client, number).expect(200);
    [
        "version-history",
        "latest-version",
        "predecessor-version",
        "successor-version",
    ]
    .map(|relation| linked(&read, relation))
}

#[test]
fn links_lead_from_state_to_state_and_never_to_a_deletion() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(ALICE, "1");
    let path = |number: usize| Some(format!("{ALICE}/versions/{number}"));
    let ends = || (Some(format!("{ALICE}/versions")), Some(ALICE.to_owned()));
    let check = |client: &mut Client, number, before: Option<usize>, after: Option<usize>| {
        let expected = [
            ends().0,
            ends().1,
            before.and_then(path),
            after.and_then(path),
        ];
        assert_eq!(links(client, number), expected, "{number}");
    };
    check(&mut client, 1, None, None);
    client.send("PUT", ALICE, &[STAR], Some("2")).expect(204);
    check(&mut client, 1, None, Some(2));
    check(&mut client, 2, Some(1), None);
    client.send("DELETE", ALICE, &[STAR], None).expect(204);
    check(&mut client, 2, Some(1), None);
    client.put_new(ALICE, "4");
    check(&mut client, 2, Some(1), Some(4));
    check(&mut client, 4, Some(2), None);
    // All of it is reached from the resource.
    let resource = client.get(ALICE).expect(200);
    let history = linked(&resource, "version-history").unwrap();
    let list = client.get(&history).expect(200);
    assert_eq!(linked(&list, "latest-version").as_deref(), Some(ALICE));
    let mut next = list.json()["items"][0]["href"].as_str().map(str::to_owned);
    let mut texts = Vec::new();
    while let Some(href) = next {
        let read = client.get(&href).expect(200);
        texts.push(read.text());
        next = linked(&read, "predecessor-version");
    }
    assert_eq!(texts, ["4", "2", "1"]);
}

#[test]
fn histories_of_odd_names_are_their_own() {
    let server = Server::start();
    let mut client = server.client();
    let keys = [
        "versions",
        "1",
        "~!$&'()*+,;=:@-",
        "...",
        "A",
        "a",
        "a.b",
        &"k".repeat(255),
    ];
    for (index, key) in keys.iter().enumerate() {
        let path = format!("/resources/a-b_c/{key}");
        client.put_new(&path, &index.to_string());
        client
            .send("PUT", &path, &[STAR], Some("\"now\""))
            .expect(204);
        let next = client
            .get(&format!("{path}/versions?limit=1"))
            .expect(200)
            .json()["next"]
            .clone();
        assert!(
            next.as_str()
                .unwrap()
                .starts_with(&format!("{path}/versions?limit=1&after="))
        );
        let rest = client.get(next.as_str().unwrap()).expect(200).json();
        assert_eq!(rest["items"][0]["href"], format!("{path}/versions/1"));
    }
    for (index, key) in keys.iter().enumerate() {
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for (spelt, number) in [(*key, "1"), (&*encoded, "%31")] {
            let read = client.get(&format!("/resources/a-b_c/{spelt}/versions/{number}"));
            let read = read.expect(200);
            assert_eq!(read.text(), index.to_string());
            let place = format!("/resources/a-b_c/{key}/versions/1");
            assert_eq!(read.header("content-location"), Some(place));
        }
        let list = client.get(&format!("/resources/a-b_c/{encoded}/versions"));
        assert_eq!(
            list.expect(200).json()["items"].as_array().map(Vec::len),
            Some(2)
        );
    }
    client
        .get("/resources/a-b_c/b/versions")
        .expect_problem(404, "not-found");
}

#[test]
fn bodies_come_back_byte_for_byte_however_large() {
    let server = Server::start();
    let mut client = server.client();
    let large = format!("[ \"{}\" ]", "é\\u00e9".repeat(100_000));
    client.put_new(ALICE, &large);
    client.send("PUT", ALICE, &[STAR], Some("0")).expect(204);
    client.send("DELETE", ALICE, &[STAR], None).expect(204);
    let read = version(&mut client, 1).expect(200);
    assert!(read.text() == large, "not the bytes that were sent");
    let page = client.get(&format!("{ALICE}/versions")).expect(200);
    assert!(page.body.len() < 2000, "no bodies in the list");
    assert_eq!(page.json()["items"][2].get("body"), None::<&Value>);
}
