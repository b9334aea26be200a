//! What a connection does, again and again; and the tags that all of them know.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

use clap::ValueEnum;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::etcd;
use crate::http::Connection;

/// Changes of a large operation, and of an operation that prepares.
const LARGE_CHANGES: usize = 100;
const PREPARE_CHANGES: usize = 1000;

/// What every connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// `PUT` of one resource under its exact tag.
    Put,
    /// `PUT` of one and the same resource under `If-Match: *`.
    Hot,
    /// An operation of two changes under exact tags.
    Two,
    /// Read two, decide, apply under their exact tags; after a `412` read again.
    Transfer,
    /// The same, deciding after a `412` from the bodies in it.
    TransferBodies,
    /// An operation of 100 changes under `*`.
    Large,
    /// `GET` of one resource.
    Get,
    /// `GET` of one resource whose tag is known: `304`.
    NotModified,
    /// The same transaction again, which was applied long ago.
    Replay,
    /// etcd: one put, compared with the key's revision.
    EtcdPut,
    /// etcd: two puts, compared with the keys' revisions.
    EtcdTwo,
    /// etcd: one put of one and the same key.
    EtcdHot,
}

impl Work {
    fn is_etcd(self) -> bool {
        matches!(self, Work::EtcdPut | Work::EtcdTwo | Work::EtcdHot)
    }
}

/// What became of one operation.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) round_trips: u64,
    pub(crate) conflicts: u64,
    pub(crate) failed: bool,
}

/// The newest tag of every key, and which are being written.
pub(crate) struct Shared {
    collection: String,
    /// The tags; for etcd the revisions.
    pub(crate) tags: RefCell<Vec<String>>,
    busy: RefCell<Vec<bool>>,
}

impl Shared {
    /// Reads the tags of `keys` resources, which it creates where they are not there.
    pub(crate) async fn prepare(
        address: &str,
        work: Work,
        collection: &str,
        keys: usize,
    ) -> io::Result<Self> {
        let mut connection = Connection::open(address).await?;
        let tags = if work.is_etcd() {
            etcd::prepare(&mut connection, keys).await?
        } else {
            create(&mut connection, collection, keys).await?;
            read_tags(&mut connection, collection, keys).await?
        };
        Ok(Self {
            collection: collection.to_owned(),
            tags: RefCell::new(tags),
            busy: RefCell::new(vec![false; keys]),
        })
    }

    /// A key that no other connection is writing.
    pub(crate) fn take(&self, random: &mut SmallRng) -> usize {
        let mut busy = self.busy.borrow_mut();
        loop {
            let key = random.random_range(0..busy.len());
            if !std::mem::replace(&mut busy[key], true) {
                return key;
            }
        }
    }

    pub(crate) fn give_back(&self, key: usize, tag: Option<String>) {
        self.busy.borrow_mut()[key] = false;
        if let Some(tag) = tag {
            self.tags.borrow_mut()[key] = tag;
        }
    }

    pub(crate) fn tag(&self, key: usize) -> String {
        self.tags.borrow()[key].clone()
    }

    fn target(&self, key: usize) -> String {
        format!("/resources/{}/k{key:07}", self.collection)
    }
}

fn expected(status: u16, connection: &Connection) -> io::Error {
    let content = String::from_utf8_lossy(connection.content()).into_owned();
    io::Error::other(format!("unexpected answer {status}: {content}"))
}

async fn create(connection: &mut Connection, collection: &str, keys: usize) -> io::Result<()> {
    let last = keys - 1;
    let probe = format!("/resources/{collection}/k{last:07}");
    if connection.send("HEAD", &probe, "", b"").await? == 200 {
        return Ok(());
    }
    for first in (0..keys).step_by(PREPARE_CHANGES) {
        let changes: Vec<String> = (first..keys.min(first + PREPARE_CHANGES))
            .map(|key| {
                format!(
                    r#"{{"method":"PUT","target":"/resources/{collection}/k{key:07}","if_none_match":"*","body":{{"balance":1000}}}}"#
                )
            })
            .collect();
        let content = format!(r#"{{"changes":[{}]}}"#, changes.join(","));
        let target = format!("/transactions/{}", Uuid::now_v7());
        let status = connection
            .send("PUT", &target, "If-None-Match: *\r\n", content.as_bytes())
            .await?;
        // 412: an earlier run was cut off after these.
        if status != 201 && status != 412 {
            return Err(expected(status, connection));
        }
    }
    Ok(())
}

async fn read_tags(
    connection: &mut Connection,
    collection: &str,
    keys: usize,
) -> io::Result<Vec<String>> {
    let mut tags = Vec::with_capacity(keys);
    let mut next = Some(format!("/resources/{collection}?limit=1000"));
    while let Some(target) = next.take().filter(|_| tags.len() < keys) {
        let status = connection.send("GET", &target, "", b"").await?;
        let page: serde_json::Value = serde_json::from_slice(connection.content())?;
        let items = page["items"]
            .as_array()
            .ok_or_else(|| expected(status, connection))?;
        tags.extend(
            items
                .iter()
                .filter_map(|item| item["etag"].as_str().map(str::to_owned)),
        );
        next = page["next"].as_str().map(str::to_owned);
    }
    tags.truncate(keys);
    Ok(tags)
}

/// One connection's part.
pub(crate) struct Worker {
    work: Work,
    shared: Rc<Shared>,
    random: SmallRng,
    replayed: Option<(String, String)>,
}

impl Worker {
    pub(crate) fn new(work: Work, number: usize, shared: Rc<Shared>) -> Self {
        Self {
            work,
            shared,
            random: SmallRng::seed_from_u64(number as u64),
            replayed: None,
        }
    }

    /// What is done once, before anything is measured.
    pub(crate) async fn start(&mut self, connection: &mut Connection) -> io::Result<()> {
        if self.work == Work::Replay {
            let key = self.shared.take(&mut self.random);
            let content = self.operation(&[(key, "*".to_owned(), 1)]);
            let target = format!("/transactions/{}", Uuid::now_v7());
            let status = connection
                .send("PUT", &target, "If-None-Match: *\r\n", content.as_bytes())
                .await?;
            self.shared.give_back(key, None);
            if status != 201 {
                return Err(expected(status, connection));
            }
            self.replayed = Some((target, content));
        }
        Ok(())
    }

    /// One operation.
    pub(crate) async fn step(&mut self, connection: &mut Connection) -> io::Result<Step> {
        match self.work {
            Work::Put => self.put(connection).await,
            Work::Hot => self.hot(connection).await,
            Work::Two => self.two(connection).await,
            Work::Transfer => self.transfer(connection, false).await,
            Work::TransferBodies => self.transfer(connection, true).await,
            Work::Large => self.large(connection).await,
            Work::Get => self.get(connection, false).await,
            Work::NotModified => self.get(connection, true).await,
            Work::Replay => self.replay(connection).await,
            Work::EtcdPut | Work::EtcdTwo | Work::EtcdHot => {
                let count = if self.work == Work::EtcdTwo { 2 } else { 1 };
                let compare = self.work != Work::EtcdHot;
                etcd::step(connection, &self.shared, &mut self.random, count, compare).await
            }
        }
    }

    async fn put(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let key = self.shared.take(&mut self.random);
        let fields = format!("If-Match: {}\r\n", self.shared.tag(key));
        let content = format!(r#"{{"balance":{}}}"#, self.random.random_range(0..10_000));
        let target = self.shared.target(key);
        let status = connection
            .send("PUT", &target, &fields, content.as_bytes())
            .await?;
        self.shared
            .give_back(key, connection.etag().map(str::to_owned));
        if status != 204 {
            return Err(expected(status, connection));
        }
        Ok(Step {
            round_trips: 1,
            ..Step::default()
        })
    }

    async fn hot(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let content = format!(r#"{{"balance":{}}}"#, self.random.random_range(0..10_000));
        let target = self.shared.target(0);
        let status = connection
            .send("PUT", &target, "If-Match: *\r\n", content.as_bytes())
            .await?;
        if status != 204 {
            return Err(expected(status, connection));
        }
        Ok(Step {
            round_trips: 1,
            ..Step::default()
        })
    }

    async fn two(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let keys = [(); 2].map(|()| self.shared.take(&mut self.random));
        let changes = keys.map(|key| {
            (
                key,
                self.shared.tag(key),
                self.random.random_range(0..10_000),
            )
        });
        let content = self.operation(&changes);
        let (status, tag) = self.apply(connection, &content, "").await?;
        for key in keys {
            self.shared.give_back(key, None);
        }
        if status != 201 {
            return Err(expected(status, connection));
        }
        for (key, tag) in keys.into_iter().zip(tag) {
            self.shared.give_back(key, Some(tag));
        }
        Ok(Step {
            round_trips: 1,
            ..Step::default()
        })
    }

    /// Money from one account to the other; the accounts are pairs, so that `keys` of them meet.
    async fn transfer(&mut self, connection: &mut Connection, bodies: bool) -> io::Result<Step> {
        let pairs = self.shared.tags.borrow().len() / 2;
        let first = 2 * self.random.random_range(0..pairs);
        let mut step = Step::default();
        let mut read = None;
        loop {
            let accounts = match read.take() {
                Some(accounts) => accounts,
                None => {
                    step.round_trips += 1;
                    self.read_pair(connection, first).await?
                }
            };
            let [(from_tag, from), (to_tag, to)] = accounts;
            let content =
                self.operation(&[(first, from_tag, from - 1), (first + 1, to_tag, to + 1)]);
            step.round_trips += 1;
            let prefer = if bodies {
                "Prefer: return=representation\r\n"
            } else {
                ""
            };
            let (status, _) = self.apply(connection, &content, prefer).await?;
            match status {
                201 => return Ok(step),
                412 => {
                    step.conflicts += 1;
                    if bodies {
                        read = conflicting_pair(connection);
                    }
                }
                _ => return Err(expected(status, connection)),
            }
        }
    }

    async fn read_pair(
        &self,
        connection: &mut Connection,
        first: usize,
    ) -> io::Result<[(String, i64); 2]> {
        let target = format!(
            "/resources/{}?key=k{first:07}&key=k{:07}",
            self.shared.collection,
            first + 1
        );
        let status = connection.send("GET", &target, "", b"").await?;
        let page: serde_json::Value = serde_json::from_slice(connection.content())?;
        let account = |index: usize| {
            let item = &page["items"][index];
            Some((
                item["etag"].as_str()?.to_owned(),
                item["body"]["balance"].as_i64()?,
            ))
        };
        match (account(0), account(1)) {
            (Some(from), Some(to)) => Ok([from, to]),
            _ => Err(expected(status, connection)),
        }
    }

    async fn large(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let keys = self.shared.tags.borrow().len();
        let first = self
            .random
            .random_range(0..keys.saturating_sub(LARGE_CHANGES).max(1));
        let changes: Vec<_> = (first..first + LARGE_CHANGES)
            .map(|key| (key, "*".to_owned(), self.random.random_range(0..10_000)))
            .collect();
        let content = self.operation(&changes);
        let (status, _) = self.apply(connection, &content, "").await?;
        if status != 201 {
            return Err(expected(status, connection));
        }
        Ok(Step {
            round_trips: 1,
            ..Step::default()
        })
    }

    async fn get(&mut self, connection: &mut Connection, tagged: bool) -> io::Result<Step> {
        let key = self.random.random_range(0..self.shared.tags.borrow().len());
        let fields = if tagged {
            format!("If-None-Match: {}\r\n", self.shared.tag(key))
        } else {
            String::new()
        };
        let target = self.shared.target(key);
        let status = connection.send("GET", &target, &fields, b"").await?;
        if status != if tagged { 304 } else { 200 } {
            return Err(expected(status, connection));
        }
        Ok(Step {
            round_trips: 1,
            ..Step::default()
        })
    }

    async fn replay(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let (target, content) = self.replayed.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let status = connection
            .send("PUT", target, "If-Match: *\r\n", content.as_bytes())
            .await?;
        if status != 200 {
            return Err(expected(status, connection));
        }
        Ok(Step {
            round_trips: 1,
            ..Step::default()
        })
    }

    /// Applies an operation under an id of its own; the status, and the new tags.
    async fn apply(
        &self,
        connection: &mut Connection,
        content: &str,
        prefer: &str,
    ) -> io::Result<(u16, Vec<String>)> {
        let target = format!("/transactions/{}", Uuid::now_v7());
        let fields = format!("If-None-Match: *\r\n{prefer}");
        let status = connection
            .send("PUT", &target, &fields, content.as_bytes())
            .await?;
        if status != 201 || self.work != Work::Two {
            return Ok((status, Vec::new()));
        }
        let transaction: serde_json::Value = serde_json::from_slice(connection.content())?;
        let changes = transaction["outcome"]["changes"].as_array();
        let tags = changes.into_iter().flatten();
        let tags = tags.filter_map(|change| change["etag"].as_str().map(str::to_owned));
        Ok((status, tags.collect()))
    }

    fn operation(&self, changes: &[(usize, String, i64)]) -> String {
        let mut text = String::from(r#"{"changes":["#);
        for (index, (key, tag, balance)) in changes.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let target = self.shared.target(*key);
            let tag = tag.trim_matches('"');
            let _ = write!(
                text,
                r#"{comma}{{"method":"PUT","target":"{target}","if_match":"{tag}","body":{{"balance":{balance}}}}}"#
            );
        }
        text.push_str("]}");
        text
    }
}

/// Both accounts out of the conflicts of a `412`, where it names both.
fn conflicting_pair(connection: &Connection) -> Option<[(String, i64); 2]> {
    let problem: serde_json::Value = serde_json::from_slice(connection.content()).ok()?;
    let account = |index: usize| {
        let conflict = &problem["conflicts"][index];
        Some((
            conflict["current"].as_str()?.to_owned(),
            conflict["body"]["balance"].as_i64()?,
        ))
    };
    Some([account(0)?, account(1)?])
}
