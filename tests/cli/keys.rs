//! A request with a key that was sent to a server which is killed, and again to the one that takes its place.

use super::program::{DataDir, Serve};

#[test]
fn a_key_is_remembered_after_the_server_was_killed() {
    let data = DataDir::new();
    let mut first = Serve::start(&data, &[]);
    let fields = [("if-none-match", "*"), ("idempotency-key", "\"k\"")];
    let path = "/resources/accounts/a";
    let mut client = first.client();
    let done = client.send("PUT", path, &fields, Some("1")).expect(201);
    // Sent, and killed before anybody could tell what became of it.
    let request = format!(
        "PATCH {path} HTTP/1.1\r\nhost: a\r\nif-match: *\r\nidempotency-key: l\r\n\
         content-type: application/merge-patch+json\r\ncontent-length: 1\r\n\r\n2"
    );
    client.send_and_hang_up(request.as_bytes());
    first.kill();
    let second = Serve::start(&data, &[]);
    let mut client = second.client();
    let again = client.send("PUT", path, &fields, Some("1")).expect(201);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    assert_eq!(again.etag(), done.etag());
    let merge = ("content-type", "application/merge-patch+json");
    let fields = [("if-match", "*"), ("idempotency-key", "l"), merge];
    let patched = client.send("PATCH", path, &fields, Some("2")).expect(204);
    let repeated = client.send("PATCH", path, &fields, Some("2")).expect(204);
    assert_eq!(patched.etag(), repeated.etag());
    let list = client.get(&format!("{path}/versions")).expect(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list}");
}
