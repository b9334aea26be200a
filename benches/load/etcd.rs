//! The same work for etcd, through its HTTP gateway: a transaction that compares the keys' revisions and puts.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::Rng;
use rand::rngs::SmallRng;
use serde_json::{Value, json};

use crate::http::Connection;
use crate::work::{Shared, Step};

const PREPARE_PUTS: usize = 100;

fn name(key: usize) -> String {
    BASE64.encode(format!("k{key:07}"))
}

async fn post(connection: &mut Connection, content: &Value) -> io::Result<Value> {
    let content = serde_json::to_vec(content)?;
    let status = connection.send("POST", "/v3/kv/txn", "", &content).await?;
    let answer: Value = serde_json::from_slice(connection.content())?;
    if status == 200 {
        Ok(answer)
    } else {
        Err(io::Error::other(format!(
            "unexpected answer {status}: {answer}"
        )))
    }
}

/// Puts all keys; their revisions.
pub(crate) async fn prepare(connection: &mut Connection, keys: usize) -> io::Result<Vec<String>> {
    let value = BASE64.encode(r#"{"balance":1000}"#);
    let mut revisions = Vec::with_capacity(keys);
    for first in (0..keys).step_by(PREPARE_PUTS) {
        let puts: Vec<Value> = (first..keys.min(first + PREPARE_PUTS))
            .map(|key| json!({"requestPut": {"key": name(key), "value": value}}))
            .collect();
        let count = puts.len();
        let answer = post(connection, &json!({"success": puts})).await?;
        revisions.extend(std::iter::repeat_n(revision(&answer), count));
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
    shared: &Shared,
    random: &mut SmallRng,
    count: usize,
    compare: bool,
) -> io::Result<Step> {
    let keys: Vec<usize> = (0..count)
        .map(|_| if compare { shared.take(random) } else { 0 })
        .collect();
    let comparisons: Vec<Value> = keys
        .iter()
        .filter(|_| compare)
        .map(|key| json!({"key": name(*key), "target": "MOD", "result": "EQUAL", "modRevision": shared.tag(*key)}))
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
        &json!({"compare": comparisons, "success": puts}),
    )
    .await?;
    for key in keys.iter().filter(|_| compare) {
        shared.give_back(*key, Some(revision(&answer)));
    }
    let failed = answer["succeeded"] != true;
    Ok(Step {
        round_trips: 1,
        failed,
        conflicts: u64::from(failed),
    })
}
