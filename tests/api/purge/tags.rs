//! No tag and no number of a version ever comes back, whatever is written, deleted, purged and created again.

use std::collections::HashMap;

use diesel::pg::PgConnection;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{STAR, age, purge_with, scene};
use crate::support::client::Client;
use crate::support::server::Server;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(usize),
    Delete(usize),
    Age,
    Purge(Option<i64>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3usize).prop_map(Step::Put),
        3 => (0..3usize).prop_map(Step::Delete),
        2 => Just(Step::Age),
        3 => prop_oneof![Just(None), (1..3i64).prop_map(Some)].prop_map(Step::Purge),
    ]
}

const NAMES: [&str; 3] = ["/resources/a/x", "/resources/a/y", "/resources/b/x"];

/// Every state that was ever seen under a URI and a tag, and the greatest number of a version.
#[derive(Default)]
struct Seen {
    states: HashMap<(String, String), String>,
    newest: HashMap<String, i64>,
}

impl Seen {
    /// What a URI has under a tag is what it had before, if it was there.
    fn see(&mut self, path: &str, tag: String, text: &str) {
        let known = self
            .states
            .insert((path.to_owned(), tag.clone()), text.to_owned());
        assert!(
            known.is_none_or(|known| known == text),
            "{path} {tag} is another now"
        );
    }

    fn written(&mut self, path: &str, tag: &str) {
        let number: i64 = tag
            .trim_matches('"')
            .split('.')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let before = self
            .newest
            .insert(path.to_owned(), number)
            .unwrap_or_default();
        assert!(number > before, "{path}: {number} after {before}");
    }

    fn look(&mut self, client: &mut Client) {
        for path in NAMES {
            let read = client.get(path);
            if read.status == 200 {
                self.see(path, read.etag(), &read.text());
            }
            for number in 1..=self.newest.get(path).copied().unwrap_or_default() + 1 {
                let path = format!("{path}/versions/{number}");
                let read = client.get(&path);
                if read.status == 200 {
                    // Whatever its tag: it is cached under its URI for ever.
                    self.see(&path, read.etag(), &read.text());
                    self.see(&path, "immutable".to_owned(), &read.text());
                }
            }
        }
    }
}

fn run(server: &Server, store: &mut PgConnection, steps: &[Step]) {
    let mut client = server.client();
    let mut seen = Seen::default();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Put(name) => {
                let (path, body) = (NAMES[*name], number.to_string());
                let condition = match client.get(path).status {
                    200 => ("if-match", "*"),
                    _ => ("if-none-match", "*"),
                };
                let written = client.send("PUT", path, &[condition], Some(&body));
                let tag = written.etag();
                seen.written(path, &tag);
                let new = seen.states.insert((path.to_owned(), tag), body);
                assert!(new.is_none(), "the tag was there before");
            }
            Step::Delete(name) => {
                client.send("DELETE", NAMES[*name], &STAR, None);
            }
            Step::Age => age(store),
            Step::Purge(keep) => {
                purge_with(&server.database_url, |limits| limits.keep.newest = *keep);
            }
        }
        seen.look(&mut client);
    }
    // Old tags are judged as tags of other states: nothing is mistaken for unchanged.
    for ((path, tag), text) in seen
        .states
        .iter()
        .filter(|((_, tag), _)| tag != "immutable")
    {
        let read = client.send("GET", path, &[("if-none-match", tag)], None);
        let now = client.get(path);
        let same = now.status == 200 && now.etag() == *tag;
        assert_eq!(read.status == 304, same, "{path} {tag} {text}");
    }
}

#[test]
fn whatever_happens_no_tag_names_another_state() {
    let config = Config {
        cases: 12,
        failure_persistence: None,
        max_shrink_iters: 30,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 10..40), |steps| {
            let (server, mut store) = scene();
            run(&server, &mut store, &steps);
            Ok(())
        })
        .unwrap();
}
