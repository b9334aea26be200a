//! The same work for etcd, through its HTTP gateway: a transaction that compares the keys' revisions and puts.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::http::Connection;
use crate::keys::Keys;
use crate::work::Step;

/// Puts of a transaction that prepares; 128 is the most that etcd takes.
const PREPARE_PUTS: usize = 100;
/// Keys whose revisions are read at once.
const PAGE_KEYS: usize = 10_000;

fn name(key: usize) -> String {
    BASE64.encode(format!("k{key:07}"))
}

async fn post(connection: &mut Connection, target: &str, content: &Value) -> io::Result<Value> {
    let content = serde_json::to_vec(content)?;
    let status = connection.send("POST", target, "", &content).await?;
    let answer: Value = serde_json::from_slice(connection.content())?;
    if status == 200 {
        Ok(answer)
    } else {
        Err(io::Error::other(format!(
            "unexpected answer {status}: {answer}"
        )))
    }
}

/// The revisions of all keys, which it puts where they are not there.
pub(crate) async fn prepare(
    connection: &mut Connection,
    keys: usize,
) -> io::Result<Vec<Option<String>>> {
    let revisions = read_revisions(connection, keys).await?;
    if revisions.len() == keys {
        return Ok(revisions);
    }
    let value = BASE64.encode(r#"{"balance":1000}"#);
    for first in (0..keys).step_by(PREPARE_PUTS) {
        let puts: Vec<Value> = (first..keys.min(first + PREPARE_PUTS))
            .map(|key| json!({"requestPut": {"key": name(key), "value": value}}))
            .collect();
        post(connection, "/v3/kv/txn", &json!({"success": puts})).await?;
    }
    read_revisions(connection, keys).await
}

async fn read_revisions(
    connection: &mut Connection,
    keys: usize,
) -> io::Result<Vec<Option<String>>> {
    let mut revisions = Vec::with_capacity(keys);
    while revisions.len() < keys {
        let last = (revisions.len() + PAGE_KEYS).min(keys);
        let range = json!({"key": name(revisions.len()), "rangeEnd": name(last), "keysOnly": true});
        let page = post(connection, "/v3/kv/range", &range).await?;
        let found = page["kvs"].as_array().map_or(&[][..], Vec::as_slice);
        if found.len() != last - revisions.len() {
            break;
        }
        let read = |pair: &Value| pair["mod_revision"].as_str().map(str::to_owned);
        revisions.extend(found.iter().map(read));
    }
    Ok(revisions)
}

fn revision(answer: &Value) -> String {
    answer["header"]["revision"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// One transaction over `count` keys; without `compare` always over the first.
pub(crate) async fn step(
    connection: &mut Connection,
    all: &Keys,
    random: &mut SmallRng,
    count: usize,
    compare: bool,
) -> io::Result<Step> {
    let keys: Vec<usize> = (0..count)
        .map(|_| if compare { all.take(random) } else { 0 })
        .collect();
    let comparisons: Vec<Value> = keys
        .iter()
        .filter(|_| compare)
        .map(|key| json!({"key": name(*key), "target": "MOD", "result": "EQUAL", "modRevision": all.tag(*key)}))
        .collect();
    let puts: Vec<Value> = keys
        .iter()
        .map(|key| {
            let value = format!(r#"{{"balance":{}}}"#, random.random_range(0..10_000));
            json!({"requestPut": {"key": name(*key), "value": BASE64.encode(value)}})
        })
        .collect();
    let answer = post(
        connection,
        "/v3/kv/txn",
        &json!({"compare": comparisons, "success": puts}),
    )
    .await?;
    for key in keys.iter().filter(|_| compare) {
        all.give_back(*key, Some(revision(&answer)));
    }
    let failed = answer["succeeded"] != true;
    Ok(Step {
        round_trips: 1,
        failed,
        conflicts: u64::from(failed),
    })
}
