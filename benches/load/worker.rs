//! One connection's part of the work.

use std::fmt::Write as _;
use std::io;
use std::rc::Rc;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::etcd;
use crate::http::Connection;
use crate::keys::{Keys, unexpected};
use crate::work::{Step, Work};

/// Changes of a large operation.
const LARGE_CHANGES: usize = 100;

/// One connection's part.
pub(crate) struct Worker {
    work: Work,
    keys: Rc<Keys>,
    random: SmallRng,
    replayed: Option<(String, String)>,
    apart: bool,
}

impl Worker {
    /// `apart`: works on resources that no other work names.
    pub(crate) fn new(work: Work, number: usize, keys: Rc<Keys>, apart: bool) -> Self {
        Self {
            work,
            keys,
            random: SmallRng::seed_from_u64(number as u64),
            replayed: None,
            apart,
        }
    }

    /// What is done once, before anything is measured.
    pub(crate) async fn start(&mut self, connection: &mut Connection) -> io::Result<()> {
        if self.work == Work::Replay {
            let key = self.keys.take(&mut self.random);
            let content = self.operation(&[(key, "*".to_owned(), 1)]);
            let target = format!("/transactions/{}", Uuid::now_v7());
            let status = connection
                .send("PUT", &target, "If-None-Match: *\r\n", content.as_bytes())
                .await?;
            self.keys.give_back(key, None);
            if status != 201 {
                return Err(unexpected(status, connection));
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
            Work::Increment => self.increment(connection).await,
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
                etcd::step(connection, &self.keys, &mut self.random, count, compare).await
            }
        }
    }

    async fn put(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let key = self.keys.take(&mut self.random);
        let fields = format!("If-Match: {}\r\n", self.keys.tag(key));
        let content = format!(r#"{{"balance":{}}}"#, self.random.random_range(0..10_000));
        let target = self.keys.target(key);
        let status = connection
            .send("PUT", &target, &fields, content.as_bytes())
            .await?;
        self.keys
            .give_back(key, connection.etag().map(str::to_owned));
        if status != 204 {
            return Err(unexpected(status, connection));
        }
        Ok(Step::once())
    }

    async fn hot(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let content = format!(r#"{{"balance":{}}}"#, self.random.random_range(0..10_000));
        let target = self.keys.target(0);
        let status = connection
            .send("PUT", &target, "If-Match: *\r\n", content.as_bytes())
            .await?;
        if status != 204 {
            return Err(unexpected(status, connection));
        }
        Ok(Step::once())
    }

    async fn increment(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let content = format!(
            r#"{{"changes":[{{"method":"PATCH","target":"{}","if_match":"*","content_type":"application/vnd.ifmatch.increment+json","body":{{"balance":-1}}}}]}}"#,
            self.keys.target(0)
        );
        let (status, _) = self.apply(connection, &content, "").await?;
        if status != 201 {
            return Err(unexpected(status, connection));
        }
        Ok(Step::once())
    }

    async fn two(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let keys = [(); 2].map(|()| self.keys.take(&mut self.random));
        let changes =
            keys.map(|key| (key, self.keys.tag(key), self.random.random_range(0..10_000)));
        let content = self.operation(&changes);
        let (status, tag) = self.apply(connection, &content, "").await?;
        for key in keys {
            self.keys.give_back(key, None);
        }
        if status != 201 {
            return Err(unexpected(status, connection));
        }
        for (key, tag) in keys.into_iter().zip(tag) {
            self.keys.give_back(key, Some(tag));
        }
        Ok(Step::once())
    }

    /// Money from one account to the other; the accounts are pairs, so that `keys` of them meet.
    async fn transfer(&mut self, connection: &mut Connection, bodies: bool) -> io::Result<Step> {
        let pairs = self.keys.count() / 2;
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
                _ => return Err(unexpected(status, connection)),
            }
        }
    }

    async fn read_pair(
        &self,
        connection: &mut Connection,
        first: usize,
    ) -> io::Result<[(String, i64); 2]> {
        let target = self.keys.pair_target(first);
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
            _ => Err(unexpected(status, connection)),
        }
    }

    async fn large(&mut self, connection: &mut Connection) -> io::Result<Step> {
        if self.apart {
            return self.large_apart(connection).await;
        }
        let first = self.keys.take_block(&mut self.random, LARGE_CHANGES);
        let keys = first..first + LARGE_CHANGES;
        let changes: Vec<_> = keys
            .clone()
            .map(|key| (key, self.keys.tag(key), self.random.random_range(0..10_000)))
            .collect();
        let content = self.operation(&changes);
        let (status, tags) = self.apply(connection, &content, "").await?;
        if status != 201 {
            return Err(unexpected(status, connection));
        }
        for (key, tag) in keys.zip(tags) {
            self.keys.give_back(key, Some(tag));
        }
        Ok(Step::once())
    }

    /// The same, with resources of its own, whose tags nobody remembers.
    async fn large_apart(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let keys = self.keys.count();
        let last = keys.saturating_sub(LARGE_CHANGES).max(1);
        let first = keys + self.random.random_range(0..last);
        let changes: Vec<_> = (first..first + LARGE_CHANGES)
            .map(|key| (key, "*".to_owned(), self.random.random_range(0..10_000)))
            .collect();
        let content = self.operation(&changes);
        let (status, _) = self.apply(connection, &content, "").await?;
        if status != 201 {
            return Err(unexpected(status, connection));
        }
        Ok(Step::once())
    }

    async fn get(&mut self, connection: &mut Connection, tagged: bool) -> io::Result<Step> {
        let key = self.random.random_range(0..self.keys.count());
        let fields = if tagged {
            format!("If-None-Match: {}\r\n", self.keys.tag(key))
        } else {
            String::new()
        };
        let target = self.keys.target(key);
        let status = connection.send("GET", &target, &fields, b"").await?;
        if status != if tagged { 304 } else { 200 } {
            return Err(unexpected(status, connection));
        }
        Ok(Step::once())
    }

    async fn replay(&mut self, connection: &mut Connection) -> io::Result<Step> {
        let (target, content) = self.replayed.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let status = connection
            .send("PUT", target, "If-Match: *\r\n", content.as_bytes())
            .await?;
        if status != 200 {
            return Err(unexpected(status, connection));
        }
        Ok(Step::once())
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
        let remembers = matches!(self.work, Work::Two | Work::Large) && !self.apart;
        if status != 201 || !remembers {
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
            let target = self.keys.target(*key);
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
