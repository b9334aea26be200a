//! `/docs` and its files: what HTTP says of them, and that the page keeps to its own policy (contract §2, §3).
//!
//! Whether a browser agrees is checked by scripts/docs-check.py.

use std::collections::BTreeSet;

use crate::support::client::Response;
use crate::support::server::Server;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// All there is, with its type.
const SITE: [(&str, &str); 7] = [
    ("/docs", "text/html; charset=utf-8"),
    ("/docs/favicon-16x16.png", "image/png"),
    ("/docs/favicon-32x32.png", "image/png"),
    ("/docs/page.css", "text/css; charset=utf-8"),
    ("/docs/page.js", "text/javascript; charset=utf-8"),
    (
        "/docs/swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
    ),
    ("/docs/swagger-ui.css", "text/css; charset=utf-8"),
];

/// The names and values of all fields but those that differ from answer to answer.
fn fields(response: &Response) -> Vec<(&str, &str)> {
    let mut fields: Vec<(&str, &str)> = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !["date", "x-request-id"].contains(name))
        .collect();
    fields.sort_unstable();
    fields
}

/// The fields that an answer must have, in order; no other is allowed.
fn expected<'a>(
    path: &str,
    tag: &'a str,
    content: Option<(&'a str, &'a str)>,
) -> Vec<(&'a str, &'a str)> {
    let mut expected = vec![("cache-control", "max-age=300")];
    if let Some((length, media_type)) = content {
        expected.extend([("content-length", length), ("content-type", media_type)]);
    }
    expected.extend([("etag", tag), ("referrer-policy", "no-referrer")]);
    expected.extend([("vary", "Accept"), ("x-content-type-options", "nosniff")]);
    if path == "/docs" {
        expected.push(("content-security-policy", POLICY));
    }
    expected.sort_unstable();
    expected
}

#[test]
fn each_has_exactly_these_fields_and_a_tag_that_conditions_know() {
    let server = Server::start();
    let mut client = server.client();
    let mut tags = BTreeSet::new();
    for (path, media_type) in SITE {
        let read = client.get(path).expect(200);
        assert!(read.header("x-request-id").is_some(), "{path}");
        let (tag, length) = (read.etag(), read.body.len().to_string());
        assert!(!read.body.is_empty() && tag.starts_with('"'), "{path}");
        let whole = expected(path, &tag, Some((&length, media_type)));
        assert_eq!(fields(&read), whole, "{path}");
        let head = client.send("HEAD", path, &[], None).expect(200);
        assert_eq!(fields(&head), whole, "{path}");
        assert!(head.body.is_empty(), "{path}");
        for method in ["GET", "HEAD"] {
            for tags in [&*tag, &*format!("\"other\", W/{tag}"), "*"] {
                let same = client.send(method, path, &[("if-none-match", tags)], None);
                assert_eq!(fields(&same.expect(304)), expected(path, &tag, None));
            }
        }
        client
            .send("GET", path, &[("if-none-match", "\"other\"")], None)
            .expect(200);
        client
            .send("GET", path, &[("if-match", "\"other\"")], None)
            .expect_problem(412, "stale-resource");
        assert!(tags.insert(tag), "{path} has the tag of another file");
    }
}

#[test]
fn accept_is_judged_by_the_type_of_each() {
    let server = Server::start();
    let mut client = server.client();
    for (path, media_type) in SITE {
        let essence = media_type.split(';').next().unwrap();
        let family = format!("{}/*", essence.split('/').next().unwrap());
        let refused = format!("{essence};q=0, */*");
        for (accept, right) in [
            (essence, true),
            (&*family, true),
            ("*/*;q=0.1", true),
            ("text/html, image/png, text/css, text/javascript", true),
            ("application/json", false),
            ("audio/*", false),
            (&*refused, false),
        ] {
            for method in ["GET", "HEAD"] {
                let answer = client.send(method, path, &[("accept", accept)], None);
                if right {
                    answer.expect(200);
                    continue;
                }
                let answer = answer.expect(406);
                assert_eq!(answer.header("vary").as_deref(), Some("Accept"));
                if method == "GET" {
                    assert_eq!(answer.slug(), "not-acceptable");
                    let detail = format!("Accept: {essence},");
                    assert!(answer.text().contains(&detail), "{}", answer.text());
                }
            }
        }
    }
    // The page is no JSON, and JSON is no page.
    let html = [("accept", "text/html")];
    client
        .send("GET", "/openapi.json", &html, None)
        .expect_problem(406, "not-acceptable");
}

#[test]
fn other_methods_parameters_and_names_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    for (path, _) in SITE {
        let options = client.send("OPTIONS", path, &[], None).expect(204);
        assert_eq!(options.header("allow").as_deref(), Some(ALLOW), "{path}");
        for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE"] {
            let refused = client
                .send(method, path, &[("accept", "audio/*")], Some("{"))
                .expect_problem(405, "method-not-allowed");
            assert_eq!(refused.header("allow").as_deref(), Some(ALLOW), "{path}");
        }
        for query in ["?x=1", "?url=http://example.org/", "?configUrl=/a"] {
            client
                .get(&format!("{path}{query}"))
                .expect_problem(400, "malformed-request");
        }
    }
    for path in [
        "/docs/",
        "/docs//page.js",
        "/docs/page.js/",
        "/docs/page",
        "/docs/Page.js",
        "/docs/page%252ejs",
        "/docs/..%2fpage.js",
        "/docs/../openapi.yaml",
        "/docs/index.html",
        "/docs/swagger-initializer.js",
        "/docs/swagger-ui-es-bundle.js",
        "/docs/swagger-ui-bundle.js.map",
        "/docs/oauth2-redirect.html",
        "/docs/%",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            client
                .send(method, path, &[("accept", "audio/*")], None)
                .expect_problem(404, "not-found");
        }
        assert_eq!(client.send("HEAD", path, &[], None).status, 404, "{path}");
    }
    // Names are compared after exactly one percent-decoding.
    let read = client.get("/docs/page.js").expect(200);
    assert_eq!(client.get("/docs/%70age%2ejs").expect(200).body, read.body);
}

/// The values of an attribute, wherever it stands.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    page.split(&format!(" {attribute}=\""))
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect()
}

/// What of a page the policy would refuse, or would need another server.
fn breaches(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, _) in page.match_indices('<') {
        let element = page[index + 1..].split('>').next().unwrap();
        let name = element.split(char::is_whitespace).next().unwrap();
        let inline = name == "script" && !element.contains(" src=\"");
        if inline || ["style", "base", "form", "iframe", "object", "embed"].contains(&name) {
            found.push(format!("<{element}>"));
        }
        let attributes = element.split(char::is_whitespace).skip(1);
        for attribute in attributes.filter_map(|text| text.split_once('=')) {
            if attribute.0 == "style" || attribute.0.starts_with("on") {
                found.push(format!("{}={}", attribute.0, attribute.1));
            }
        }
    }
    for place in ["src", "href", "action", "srcset"] {
        for value in values(page, place) {
            if value.contains(':') || value.starts_with('/') {
                found.push(value.to_owned());
            }
        }
    }
    if page.contains("//") {
        found.push("//".to_owned());
    }
    found
}

#[test]
fn the_page_is_all_files_of_this_server() {
    let server = Server::start();
    let mut client = server.client();
    let page = client.get("/docs").expect(200).text();
    assert_eq!(breaches(&page), Vec::<String>::new());
    let (mut files, mut known) = (BTreeSet::new(), BTreeSet::new());
    for relative in values(&page, "src")
        .into_iter()
        .chain(values(&page, "href"))
    {
        // Relative to /docs, so that it works below a prefix too.
        let path = format!("/{relative}");
        client.get(&path).expect(200);
        if path.starts_with("/docs/") {
            files.insert(path);
        }
    }
    known.extend(SITE.iter().map(|(path, _)| (*path).to_owned()));
    known.remove("/docs");
    assert_eq!(files, known);
}

#[test]
fn what_a_policy_would_refuse_is_found() {
    for wrong in [
        "<script>1</script>",
        "<script type=\"module\">1</script>",
        "<style>a{}</style>",
        "<p style=\"color: red\">",
        "<body onload=\"x()\">",
        "<a href=\"javascript:x()\">",
        "<img src=\"data:image/png,\">",
        "<img src=\"//example.org/a.png\">",
        "<link href=\"https://example.org/a.css\">",
        "<a href=\"/docs\">",
        "<base href=\"a\">",
        "see http://example.org",
    ] {
        assert_ne!(breaches(wrong), Vec::<String>::new(), "{wrong}");
    }
    let right = "<script src=\"docs/a.js\" defer></script><p class=\"a\">";
    assert_eq!(breaches(right), Vec::<String>::new());
}

#[test]
fn our_own_files_lead_nowhere_else() {
    let server = Server::start();
    let mut client = server.client();
    for path in ["/docs/page.js", "/docs/page.css"] {
        let text = client.get(path).expect(200).text();
        assert!(!text.contains("://"), "{path}");
    }
    // What page.js calls is in the bundle.
    for path in ["/docs/page.js", "/docs/swagger-ui-bundle.js"] {
        let text = client.get(path).expect(200).text();
        assert!(text.contains("SwaggerUIBundle"), "{path}");
    }
}

#[test]
fn the_service_document_links_to_the_page() {
    let server = Server::start();
    let mut client = server.client();
    let service = client.get("/").expect(200).json();
    assert_eq!(service["links"]["docs"], "/docs");
    client.get("/docs").expect(200);
}
