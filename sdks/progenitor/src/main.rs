//! A transfer with the SDK that progenitor makes of openapi.yaml, whatever gets in its way.
//!
//!     progenitor-round-trip <server URL> <URL of a proxy before it that loses answers>

use std::error::Error as StdError;

use progenitor_client::{Error, ResponseValue};
use sdk::Client;
use sdk::types::{Change, ChangeMethod, Conflict, Problem, Transaction, TransactionPut};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[allow(dead_code)]
mod sdk {
    progenitor::generate_api!(
        spec = "../../openapi.yaml",
        interface = Builder,
        tags = Merged
    );
}

type Result<T, E = Box<dyn StdError>> = std::result::Result<T, E>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

/// A document, and the tag of this very state.
struct Read {
    account: Account,
    tag: String,
}

const PUTS_MAX: usize = 10; // of one transfer

fn tag<T>(answer: &ResponseValue<T>) -> Result<String> {
    Ok(answer
        .headers()
        .get("etag")
        .ok_or("no ETag")?
        .to_str()?
        .to_owned())
}

async fn read(client: &Client, key: &str) -> Result<Read> {
    let answer = client
        .get_resource()
        .collection("accounts")
        .key(key)
        .send()
        .await?;
    let tag = tag(&answer)?;
    Ok(Read {
        account: serde_json::from_value(answer.into_inner())?,
        tag,
    })
}

fn put(key: &str, if_match: &str, balance: i64) -> Result<Change> {
    let change = Change::builder()
        .method(ChangeMethod::Put)
        .target(format!("/resources/accounts/{key}"))
        .if_match(if_match.to_owned())
        .body(json!(Account { balance }));
    Ok(change.try_into()?)
}

/// The changes that move money between these two states.
async fn movement(client: &Client, source: &str, target: &str, amount: i64) -> Result<Vec<Change>> {
    let giver = read(client, source).await?;
    let taker = read(client, target).await?;
    Ok(vec![
        put(source, &giver.tag, giver.account.balance - amount)?,
        put(target, &taker.tag, taker.account.balance + amount)?,
    ])
}

/// Asks for the changes to be applied: once, in this transaction or never.
async fn apply(
    client: &Client,
    opened: &Transaction,
    changes: Vec<Change>,
) -> Result<Transaction, Error<Problem>> {
    let answer = client
        .put_transaction()
        .id(&opened.id)
        .if_match(&opened.etag)
        .body(TransactionPut::builder().changes(changes))
        .send()
        .await?;
    Ok(answer.into_inner())
}

/// Moves money. Returns the applied transaction, and the conflicts that were met on the way.
/// Between the first reading and the first writing somebody else does `meanwhile`.
async fn transfer(
    client: &Client,
    [source, target]: [&str; 2],
    amount: i64,
    meanwhile: impl Future<Output = Result<()>>,
) -> Result<(Transaction, Vec<Conflict>)> {
    let opened = client.create_transaction().send().await?.into_inner();
    let mut meanwhile = Some(meanwhile);
    let mut met = Vec::new();
    for _ in 0..PUTS_MAX {
        let changes = movement(client, source, target, amount).await?;
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile.await?;
        }
        match apply(client, &opened, changes).await {
            Ok(applied) => return Ok((applied, met)),
            Err(Error::ErrorResponse(problem)) if problem.type_ == "/problems/stale-resource" => {
                met.extend(problem.into_inner().conflicts); // nothing was applied: read again, same transaction
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(format!("{source} is changed all the time").into())
}

async fn competes(client: &Client, alice: &str, bob: &str) -> Result<()> {
    let mut current = None;
    let meanwhile = async {
        let seen = read(client, alice).await?;
        let request = client
            .put_resource()
            .collection("accounts")
            .key(alice)
            .if_match(seen.tag);
        let written = request.body(json!(Account { balance: 120 })).send().await?;
        assert_eq!(written.status(), 204);
        current = Some(tag(&written)?);
        Ok(())
    };
    let (applied, met) = transfer(client, [alice, bob], 10, meanwhile).await?;
    assert_eq!(applied.state, "committed");
    assert_eq!(applied.outcome.ok_or("no outcome")?.changes.len(), 2);
    let [conflict] = met.as_slice() else {
        return Err(format!("one conflict, not {met:?}").into());
    };
    assert_eq!(
        (conflict.change, &*conflict.target),
        (0, &*format!("/resources/accounts/{alice}"))
    );
    assert!(current.is_some() && conflict.current == current && conflict.if_match != current);
    assert!(
        conflict
            .transaction
            .as_ref()
            .is_some_and(|uri| uri.starts_with("/transactions/"))
    );
    Ok(())
}

async fn loses_an_answer(client: &Client, lossy_url: &str, alice: &str, bob: &str) -> Result<()> {
    let lossy = Client::new(lossy_url);
    let opened = lossy.create_transaction().send().await?;
    assert_eq!(tag(&opened)?, opened.etag);
    let changes = TransactionPut::builder().changes(movement(client, alice, bob, 10).await?);
    let mark = format!("lose-me-{}", random());
    let mut losses = 0;
    let answer = loop {
        let request = lossy
            .put_transaction()
            .id(&opened.id)
            .if_match(&opened.etag)
            .x_request_id(&mark);
        match request.body(changes.clone()).send().await {
            Ok(answer) => break answer,
            // Applied or not? The same request tells.
            Err(error) if error.is_retryable() && losses < PUTS_MAX => losses += 1,
            Err(error) => return Err(error.into()),
        }
    };
    let replayed = answer
        .headers()
        .get("idempotent-replayed")
        .is_some_and(|value| value == "true");
    assert!(losses == 1 && replayed && answer.state == "committed");
    Ok(())
}

async fn gives_up(client: &Client, alice: &str, bob: &str) -> Result<()> {
    let opened = client.create_transaction().send().await?.into_inner();
    let late = movement(client, alice, bob, 10).await?;
    let given_up = client
        .delete_transaction()
        .id(&opened.id)
        .if_match("*")
        .send()
        .await?;
    assert_eq!(given_up.status(), 204);
    match apply(client, &opened, late).await {
        Err(Error::ErrorResponse(problem)) if problem.status() == 410 => {
            assert_eq!(problem.type_, "/problems/transaction-cancelled");
            Ok(())
        }
        other => Err(format!("410, not {other:?}").into()),
    }
}

/// What docs/sdks.md says this SDK can't do: noticed here once it can.
async fn limits(client: &Client, key: &str) -> Result<()> {
    // A 304 is an error that holds the bare response.
    let seen = read(client, key).await?;
    let request = client
        .get_resource()
        .collection("accounts")
        .key(key)
        .if_none_match(seen.tag);
    let unchanged = request.send().await;
    assert!(matches!(unchanged, Err(Error::UnexpectedResponse(answer)) if answer.status() == 304));
    // A top-level null goes both ways; in a change it is sent, and read back as if there was none.
    let null = format!("{key}-null");
    let target = format!("/resources/accounts/{null}");
    let change = Change::builder().method(ChangeMethod::Put).target(target);
    let change = change
        .if_none_match("*".to_owned())
        .body(Value::Null)
        .try_into()?;
    let opened = client.create_transaction().send().await?.into_inner();
    let applied = apply(client, &opened, vec![change]).await?;
    assert!(applied.changes.iter().all(|change| change.body.is_none()));
    let document = client
        .get_resource()
        .collection("accounts")
        .key(&null)
        .send()
        .await?;
    assert_eq!(*document, Value::Null);
    let request = client
        .put_resource()
        .collection("accounts")
        .key(&null)
        .if_match(tag(&document)?);
    assert_eq!(request.body(Value::Null).send().await?.status(), 204);
    Ok(())
}

/// Something that no other run of this program uses.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, lossy_url] = arguments.as_slice() else {
        return Err("two URLs, please".into());
    };
    let client = Client::new(url);
    let [alice, bob] = ["alice", "bob"].map(|name| format!("{name}+co&sons-{}", random()));
    for (key, balance) in [(&alice, 100), (&bob, 0)] {
        let request = client
            .put_resource()
            .collection("accounts")
            .key(key)
            .if_none_match("*");
        let created = request.body(json!(Account { balance })).send().await?;
        assert_eq!(
            (created.status().as_u16(), tag(&created)?),
            (201, read(&client, key).await?.tag)
        );
    }
    competes(&client, &alice, &bob).await?;
    loses_an_answer(&client, lossy_url, &alice, &bob).await?;
    gives_up(&client, &alice, &bob).await?;
    limits(&client, &alice).await?;
    let keys = vec![format!("accounts/{alice}"), format!("accounts/{bob}")];
    let listed = client.list_collections().key(keys).send().await?;
    let balances: Vec<_> = listed
        .items
        .iter()
        .map(|item| item.body.as_ref().map(|body| &body["balance"]))
        .collect();
    assert_eq!(balances, [Some(&json!(100)), Some(&json!(20))]);
    println!("one 412, one lost answer, one 410; 100 and 20 in the end");
    Ok(())
}
