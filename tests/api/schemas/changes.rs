//! What a schema's URI does.

use super::*;

#[test]
fn a_schema_is_a_document_with_a_tag_that_is_returned_byte_for_byte() {
    let server = Server::start();
    let mut client = server.client();
    client.get(SCHEMA).expect_problem(404, "not-found");
    let text = "{ \"minimum\" : 1.0e0 }\n";
    let created = client.send("PUT", SCHEMA, &NEW, Some(text)).expect(201);
    assert_eq!(created.location(), SCHEMA);
    assert!(created.header("last-modified").is_some());
    let read = client.get(SCHEMA).expect(200);
    assert_eq!(
        (read.text(), read.etag()),
        (text.to_owned(), created.etag())
    );
    assert_eq!(read.header("content-type").unwrap(), "application/json");
    assert_eq!(
        read.header("cache-control").unwrap(),
        "private, no-cache, no-transform"
    );
    assert_eq!(
        read.header("last-modified"),
        created.header("last-modified")
    );
    let tag = read.etag();
    client
        .send("GET", SCHEMA, &[("if-none-match", &tag)], None)
        .expect(304);
    client
        .send("GET", SCHEMA, &[("if-match", "\"1.0\"")], None)
        .expect_problem(412, "stale-resource");
    let head = client.send("HEAD", SCHEMA, &[], None).expect(200);
    assert_eq!((head.etag(), head.body.len()), (tag.clone(), 0));
    let typed = [
        ("if-match", &*tag),
        ("content-type", "application/schema+json"),
    ];
    let next = client
        .send("PUT", SCHEMA, &typed, Some("true"))
        .expect(204)
        .etag();
    assert_ne!(next, tag);
    let read = client.get(SCHEMA).expect(200);
    assert_eq!(
        read.header("content-type").unwrap(),
        "application/schema+json"
    );
    client
        .send("DELETE", SCHEMA, &[("if-match", &tag)], None)
        .expect_problem(412, "stale-resource");
    client
        .send("DELETE", SCHEMA, &[("if-match", &next)], None)
        .expect(204);
    client.get(SCHEMA).expect_problem(404, "not-found");
    let again = set(&mut client, text);
    assert!(
        ![tag, next].contains(&again) && again.starts_with("\"4."),
        "{again}"
    );
}

#[test]
fn refusals_come_in_their_order() {
    let server = Server::start();
    let mut client = server.client();
    let mut put = |path: &str, headers: &[(&str, &str)], body: &str| {
        client.send("PUT", path, headers, Some(body))
    };
    put("/schemas/Accounts", &NEW, "{}").expect_problem(404, "not-found");
    put("/schemas/accounts?x=1", &NEW, "{}").expect_problem(400, "malformed-request");
    let yaml = [("content-type", "application/yaml")];
    put(SCHEMA, &yaml, "type: string").expect_problem(415, "unsupported-media-type");
    put(
        SCHEMA,
        &[("content-type", "application/merge-patch+json")],
        "{}",
    )
    .expect_problem(415, "unsupported-media-type");
    put(SCHEMA, &[], "nonsense").expect_problem(428, "precondition-required");
    put(SCHEMA, &[("if-match", "nonsense")], "{}").expect_problem(400, "malformed-request");
    put(SCHEMA, &ANY, "nonsense").expect_problem(412, "stale-resource");
    put(SCHEMA, &[("if-match", "W/\"1.0\"")], "{}").expect_problem(412, "weak-etag");
    put(SCHEMA, &NEW, "nonsense").expect_problem(400, "malformed-request");
    let large = "x".repeat(2 << 20);
    put(SCHEMA, &NEW, &large).expect_problem(413, "content-too-large");
    let refused = put(SCHEMA, &NEW, r#"{"type": "numbr", "minimum": "0"}"#);
    let mut places = pointers(&refused.expect_problem(422, "invalid-operation"));
    places.sort();
    assert_eq!(places, ["#/minimum", "#/type"]);
    let tag = put(SCHEMA, &NEW, "{}").expect(201).etag();
    let stale = put(SCHEMA, &NEW, "{}")
        .expect_problem(412, "stale-resource")
        .json();
    assert!(stale["detail"].as_str().unwrap().contains(&tag), "{stale}");
    assert!(stale.get("conflicts").is_none(), "{stale}");
    client
        .send("DELETE", "/schemas/other", &[], None)
        .expect_problem(404, "not-found");
    client
        .send("DELETE", SCHEMA, &[], None)
        .expect_problem(428, "precondition-required");
    let allowed = client
        .send("PATCH", SCHEMA, &ANY, Some("{}"))
        .expect_problem(405, "method-not-allowed");
    assert_eq!(
        allowed.header("allow").unwrap(),
        "GET, HEAD, PUT, DELETE, OPTIONS"
    );
    let options = client.send("OPTIONS", SCHEMA, &[], None).expect(204);
    assert_eq!(options.header("allow"), allowed.header("allow"));
    client
        .send("GET", SCHEMA, &[("accept", "text/plain")], None)
        .expect_problem(406, "not-acceptable");
}

#[test]
fn what_a_schema_refers_to_is_never_fetched() {
    let server = Server::start();
    let mut client = server.client();
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = trap.local_addr().unwrap();
    for keyword in ["$ref", "$dynamicRef", "$schema"] {
        let schema = format!(r#"{{"{keyword}": "http://{address}/schema.json"}}"#);
        let refused = client.send("PUT", SCHEMA, &NEW, Some(&schema));
        let refused = refused.expect_problem(422, "invalid-operation");
        assert_eq!(pointers(&refused), [format!("#/{keyword}")]);
    }
    trap.set_nonblocking(true).unwrap();
    assert!(trap.accept().is_err(), "somebody has called");
    client.get(SCHEMA).expect_problem(404, "not-found");
}

#[test]
fn a_refused_schema_leaves_nothing_behind() {
    let server = Server::start();
    let mut client = server.client();
    let mut store = cluster::connect(&server.database_url);
    client.put_new(ALICE, r#"{"balance": -1}"#);
    client
        .send("PUT", SCHEMA, &NEW, Some(SOLVENT))
        .expect_problem(409, "schema-conflict");
    client.get(SCHEMA).expect_problem(404, "not-found");
    assert_eq!(
        cluster::number(&mut store, "SELECT count(*) AS number FROM schemas"),
        0
    );
    let tag = set(&mut client, "{}");
    client
        .send("PUT", SCHEMA, &ANY, Some(SOLVENT))
        .expect_problem(409, "schema-conflict");
    assert_eq!(client.get(SCHEMA).expect(200).etag(), tag);
    let pending = "SELECT count(pending_nonce) AS number FROM schemas";
    assert_eq!(cluster::number(&mut store, pending), 0);
}

#[test]
fn a_collection_tells_of_its_schema_where_it_has_one() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new(ALICE, r#"{"balance": 1}"#);
    client.put_new("/resources/other/alice", "1");
    let link = |client: &mut Client, path: &str| {
        let read = client.get(path).expect(200);
        let head = client.send("HEAD", path, &[], None).expect(200);
        assert_eq!(read.header("link"), head.header("link"));
        read.header("link").unwrap()
    };
    let describes = r#"</schemas/accounts>; rel="describedby""#;
    assert!(!link(&mut client, ALICE).contains("describedby"));
    set(&mut client, SOLVENT);
    assert!(link(&mut client, ALICE).contains(describes));
    assert!(!link(&mut client, "/resources/other/alice").contains("describedby"));
    client.send("DELETE", SCHEMA, &ANY, None).expect(204);
    assert!(!link(&mut client, ALICE).contains("describedby"));
    let links = client.get("/").expect(200).json()["links"].clone();
    assert_eq!(links["schemas"], "/schemas/{collection}");
}

#[test]
fn a_schema_survives_a_restart() {
    let server = Server::start();
    let mut client = server.client();
    set(&mut client, SOLVENT);
    let database_url = server.database_url.clone();
    drop(server);
    let server = Server::over(&database_url, |_| {}, |_| {});
    let mut client = server.client();
    assert_eq!(client.get(SCHEMA).expect(200).text(), SOLVENT);
    client
        .send("PUT", ALICE, &NEW, Some(r#"{"balance": -1}"#))
        .expect_problem(422, "schema-violation");
}
