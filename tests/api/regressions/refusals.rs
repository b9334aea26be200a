//! Requests that were taken for others, and refusals that said too much or too little.

use serde_json::json;

use super::pointers;
use crate::support::client::Client;
use crate::support::server::Server;

#[test]
fn a_patch_in_another_charset_is_refused() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "{}");
    let (transaction, open) = client.open_transaction();
    for charset in ["iso-8859-1", "utf-16", "\"latin1\""] {
        let media_type = format!("application/json; charset={charset}");
        let headers = [("if-match", "*"), ("content-type", &*media_type)];
        for (path, content) in [
            ("/resources/a/b", "{\"a\": 1}"),
            (&*transaction, "{\"expires_in\": 60}"),
        ] {
            let refused = client
                .send("PATCH", path, &headers, Some(content))
                .expect_problem(415, "unsupported-media-type");
            let types = refused.header("accept-patch").unwrap();
            assert!(types.contains("application/merge-patch+json"), "{types}");
        }
        let change = json!({"method": "PATCH", "target": "/resources/a/b", "if_match": "*", "content_type": media_type,
                            "body": {}});
        let refused = client
            .apply(&transaction, &open, &json!([change]).to_string())
            .expect_problem(422, "invalid-operation");
        assert_eq!(pointers(&refused), ["#/changes/0/content_type"]);
    }
    assert_eq!(client.get("/resources/a/b").expect(200).etag(), tag);
    assert_eq!(client.get(&transaction).expect(200).etag(), open);
    for charset in ["utf-8", "UTF-8", "\"utf-8\""] {
        let media_type = format!("application/json; charset={charset}");
        let headers = [("if-match", "*"), ("content-type", &*media_type)];
        client
            .send("PATCH", "/resources/a/b", &headers, Some("{\"a\": 1}"))
            .expect(204);
    }
}

#[test]
fn only_the_white_space_of_http_may_surround_a_star() {
    let server = Server::start();
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    for star in [
        "\u{a0}*",
        "*\u{a0}",
        "\n*",
        "*\n",
        "\r*",
        "\u{b}*",
        "\u{c}*",
        "\u{2003}*",
        "\u{feff}*",
        "**",
        "",
        "\"*\"",
    ] {
        let change =
            json!({"method": "PUT", "target": "/resources/a/b", "if_none_match": star, "body": 1});
        let assertion = json!({"method": "GET", "target": "/resources/a/c", "if_none_match": star});
        let refused = client
            .apply(&transaction, &tag, &json!([change, assertion]).to_string())
            .expect_problem(422, "invalid-operation");
        let expected = ["#/changes/0/if_none_match", "#/changes/1/if_none_match"];
        assert_eq!(pointers(&refused), expected, "{star:?}");
    }
    client
        .get("/resources/a/b")
        .expect_problem(404, "not-found");
    let change =
        json!({"method": "PUT", "target": "/resources/a/b", "if_none_match": " \t* \t", "body": 1});
    client
        .apply(&transaction, &tag, &json!([change]).to_string())
        .expect(200);
    assert_eq!(client.get("/resources/a/b").expect(200).text(), "1");
}

/// So many members that nobody knows, each beginning with a comma.
fn unknown(count: usize) -> String {
    (0..count)
        .map(|number| format!(",\"x{number}\":0"))
        .collect()
}

#[test]
fn an_operation_with_200_000_faults_is_told_of_some() {
    let server = Server::with(
        |settings| settings.limits.body_bytes_max = 8 * 1024 * 1024,
        |_| {},
    );
    let mut client = server.client();
    let (transaction, tag) = client.open_transaction();
    let members = unknown(200_000);
    let change = r#"{"method": "PUT", "target": "/resources/a/b", "if_none_match": "*", "body": 1"#;
    let many = vec![r#"{"x":0}"#; 1000].join(",");
    for content in [
        format!("{{\"changes\": [{change}}}]{members}}}"),
        format!("{{\"changes\": [{change}{members}}}]}}"),
        format!("{{\"changes\": [{many}]}}"),
    ] {
        let headers = [("if-match", &*tag)];
        let refused = client
            .send("PUT", &transaction, &headers, Some(&content))
            .expect_problem(422, "invalid-operation");
        assert!(refused.body.len() < 200_000, "{} bytes", refused.body.len());
        let told = pointers(&refused);
        assert!(
            !told.is_empty() && told.iter().all(|pointer| pointer.starts_with("#/")),
            "{told:?}"
        );
    }
    let content = format!("{{{}}}", &members[1..]);
    let refused = client
        .send("PATCH", &transaction, &[("if-match", "*")], Some(&content))
        .expect_problem(422, "invalid-operation");
    assert!(refused.body.len() < 200_000, "{} bytes", refused.body.len());
    let refused = client
        .send("POST", "/transactions", &[], Some(&content))
        .expect_problem(422, "invalid-operation");
    assert!(refused.body.len() < 200_000, "{} bytes", refused.body.len());
    assert_eq!(client.get(&transaction).expect(200).etag(), tag);
    client
        .get("/resources/a/b")
        .expect_problem(404, "not-found");
}

#[test]
fn a_repeated_delete_is_shown_the_condition_that_it_sent() {
    let server = Server::start();
    let mut client = server.client();
    let tag = client.put_new("/resources/a/b", "1");
    let deleted = client
        .send("DELETE", "/resources/a/b", &[("if-match", &tag)], None)
        .expect(204);
    let via = deleted.header("link").unwrap();
    let check = |client: &mut Client, method: &str, value: &str, shown: &str| {
        let content = (method == "PATCH").then_some("{}");
        let problem = client
            .send(method, "/resources/a/b", &[("if-match", value)], content)
            .expect_problem(404, "not-found")
            .json();
        let conflict = &problem["conflicts"][0];
        assert_eq!(conflict["if_match"], shown, "{method}: {problem:#}");
        assert_eq!(
            conflict["target"], "/resources/a/b",
            "{method}: {problem:#}"
        );
        assert_eq!(conflict["change"], 0, "{method}: {problem:#}");
        assert!(
            conflict.as_object().unwrap().contains_key("current"),
            "{problem:#}"
        );
        assert!(conflict["current"].is_null(), "{problem:#}");
        let writer = conflict["transaction"].as_str().unwrap();
        assert!(via.contains(writer), "{via} {writer}");
    };
    for method in ["DELETE", "PATCH"] {
        check(&mut client, method, &tag, &tag);
        check(&mut client, method, "*", "*");
        check(&mut client, method, "\"x\" ,\"y\"", "\"x\", \"y\"");
    }
}
