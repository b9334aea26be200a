//! What is stored comes back byte for byte, and every answer says what it is (contract §3, §4, §8, §9).

mod fields;
mod methods;
mod problems;
mod tags;

use crate::support::client::Client;
use crate::support::server::Server;

/// Documents in spellings that a parser would lose.
const DOCUMENTS: &[&str] = &[
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1.0",
    "1e2",
    "1E+2",
    "0.1000000000000000000000000000000000001",
    "100000000000000000000000000000000000000000000000000000000000001",
    "\"\"",
    "\"\\u00e9 é \\ud83d\\ude00 😀 \\/ /\"",
    "\"\\u007f\u{7f}\u{2028}\"",
    "[]",
    "{}",
    "[ 1,1.0 , 1e0,\t10E-1 ]",
    " \t\r\n{ \"b\" : 1.0 ,\"a\":[ ],\"\" : {} }\r\n\n ",
    "{\"ключ\":\"значение\",\"\\u043a\":2,\"K\":null}",
    "{\"z\":1,\"y\":2,\"x\":{\"w\":[{\"v\":null}]}}",
];

#[test]
fn a_document_comes_back_byte_for_byte() {
    let server = Server::start();
    let mut client = server.client();
    for (index, document) in DOCUMENTS.iter().enumerate() {
        let path = format!("/resources/bytes/{index}");
        let first = client.put_new(&path, document);
        let read = client.get(&path).expect(200);
        assert_eq!(read.text(), *document);
        assert_eq!(read.etag(), first);
        let length = document.len().to_string();
        assert_eq!(read.header("content-length"), Some(length));

        let headers = [("if-match", &*first), ("prefer", "return=representation")];
        let again = client
            .send("PUT", &path, &headers, Some(document))
            .expect(200);
        assert_eq!(again.text(), *document);
        assert_eq!(client.get(&path).expect(200).etag(), again.etag());
    }
}

#[test]
fn a_document_written_by_a_transaction_or_read_in_a_list_keeps_its_spelling() {
    let server = Server::start();
    let mut client = server.client();
    let changes: Vec<String> = DOCUMENTS
        .iter()
        .enumerate()
        .map(|(index, document)| {
            format!(
                "{{\"method\":\"PUT\",\"target\":\"/resources/bytes/{index}\",\"if_none_match\":\"*\",\"body\":{document}}}"
            )
        })
        .collect();
    let (transaction, tag) = client.open_transaction();
    client
        .apply(&transaction, &tag, &format!("[{}]", changes.join(",")))
        .expect(200);
    let list = client.get("/resources/bytes").expect(200).text();
    let document_of_it = client.get(&transaction).expect(200).text();
    for (index, document) in DOCUMENTS.iter().enumerate() {
        // White space around a value belongs to the text that it stood in.
        let value = document.trim();
        let read = client.get(&format!("/resources/bytes/{index}")).expect(200);
        assert_eq!(read.text(), value);
        let member = format!("\"body\": {value}\n");
        assert!(list.contains(&member), "{member} is not in {list}");
        assert!(
            document_of_it.contains(&member),
            "{member} is not in {document_of_it}"
        );
    }
}

#[test]
fn a_document_keeps_its_media_type() {
    let server = Server::start();
    let mut client = server.client();
    for (index, sent) in [
        "application/json",
        "application/vnd.x+json",
        "application/vnd.x+json; charset=utf-8",
        "application/problem+json",
        "application/json;profile=\"a b\"",
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/resources/types/{index}");
        let headers = [("if-none-match", "*"), ("content-type", *sent)];
        let written = client
            .send("PUT", &path, &headers, Some("{\"a\":1}"))
            .expect(201);
        assert_eq!(kept(&mut client, &path), *sent);
        let headers = [("if-match", &*written.etag())];
        client
            .send("PATCH", &path, &headers, Some("{\"b\":2}"))
            .expect(204);
        assert_eq!(
            kept(&mut client, &path),
            *sent,
            "a patch is no change of type"
        );
        assert_eq!(
            client.get(&path).json(),
            serde_json::json!({"a": 1, "b": 2})
        );
    }
    let items = client.get("/resources/types").json()["items"].clone();
    assert_eq!(items[0].get("media_type"), None, "the default is left out");
    assert_eq!(
        items[2]["media_type"],
        "application/vnd.x+json; charset=utf-8"
    );
}

fn kept(client: &mut Client, path: &str) -> String {
    client.get(path).expect(200).header("content-type").unwrap()
}

#[test]
fn another_type_is_not_stored() {
    let server = Server::start();
    let mut client = server.client();
    for sent in [
        "text/plain",
        "application/xml",
        "json",
        "",
        "application/json, application/json",
        "application/+json",
        "text/json",
        "application/merge-patch",
    ] {
        let headers = [("if-none-match", "*"), ("content-type", sent)];
        client
            .send("PUT", "/resources/types/a", &headers, Some("1"))
            .expect_problem(415, "unsupported-media-type");
    }
    let bare = format!(
        "PUT /resources/types/a HTTP/1.1\r\nhost: {}\r\nif-none-match: *\r\ncontent-length: 1\r\n\r\n1",
        server.address
    );
    client
        .raw(bare.as_bytes(), false)
        .expect_problem(415, "unsupported-media-type");
    for coding in ["gzip", "identity, gzip", "br", "x"] {
        let headers = [("if-none-match", "*"), ("content-encoding", coding)];
        let refused = client
            .send("PUT", "/resources/types/a", &headers, Some("1"))
            .expect_problem(415, "unsupported-media-type");
        assert_eq!(refused.header("accept-encoding").unwrap(), "identity");
    }
    client
        .get("/resources/types/a")
        .expect_problem(404, "not-found");
    let headers = [("if-none-match", "*"), ("content-encoding", "identity")];
    client
        .send("PUT", "/resources/types/a", &headers, Some("1"))
        .expect(201);
}

#[test]
fn a_preference_is_honoured_and_said_so() {
    let server = Server::start();
    let mut client = server.client();
    let path = "/resources/a/b";
    let headers = [("if-none-match", "*"), ("prefer", "return=representation")];
    let created = client
        .send("PUT", path, &headers, Some("{ \"n\": 1 }"))
        .expect(201);
    assert_eq!(created.text(), "{ \"n\": 1 }");
    for (name, value) in [
        ("location", path),
        ("content-location", path),
        ("preference-applied", "return=representation"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(created.header(name).as_deref(), Some(value), "{name}");
    }
    let headers = [("if-match", "*"), ("prefer", "return=minimal")];
    let minimal = client
        .send("PUT", path, &headers, Some("{\"n\":2}"))
        .expect(204);
    assert_eq!(
        minimal.header("preference-applied").as_deref(),
        Some("return=minimal")
    );
    assert_eq!(minimal.header("content-location"), None);

    let headers = [
        ("if-match", "*"),
        ("prefer", "foo, return=\"representation\"; x=y"),
    ];
    let patched = client
        .send("PATCH", path, &headers, Some("{\"m\":null,\"o\":3}"))
        .expect(200);
    assert_eq!(patched.json(), serde_json::json!({"n": 2, "o": 3}));
    assert_eq!(patched.header("content-location").as_deref(), Some(path));
    assert_eq!(patched.text(), client.get(path).text());

    let headers = [("if-match", "*"), ("prefer", "return=unheard-of")];
    let ignored = client.send("PUT", path, &headers, Some("3")).expect(204);
    assert_eq!(ignored.header("preference-applied"), None);
}

#[test]
fn documents_of_the_server_are_indented_and_end_in_a_newline() {
    let server = Server::start();
    let mut client = server.client();
    client.put_new("/resources/a/b", "{}");
    let (open, _) = client.open_transaction();
    for path in [
        "/",
        "/resources",
        "/resources/a",
        "/resources?key=a/b",
        "/transactions",
        &open,
        "/problems/gone",
        "/openapi.json",
        "/health/live",
        "/health/ready",
    ] {
        let text = client.get(path).expect(200).text();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::to_string_pretty(&value).unwrap() + "\n";
        assert_eq!(text, expected, "{path}");
    }
    // What a client wrote stays on one line though it stands in a document of the server's.
    client.put_new("/resources/a/c", "{\"x\":[1,2]}");
    let list = client.get("/resources/a").expect(200).text();
    assert!(list.contains("      \"body\": {\"x\":[1,2]}\n"), "{list}");
}
