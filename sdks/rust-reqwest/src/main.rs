//! A transfer with the SDK that openapi-generator's `rust` makes of openapi.yaml, whatever gets in its way.
//!
//!     rust-reqwest-round-trip <server URL> <URL of a proxy before it that loses answers>

use std::error::Error as StdError;

use ifmatch_client::apis::configuration::Configuration;
use ifmatch_client::apis::resources_api::{
    GetResourceParams, ListCollectionsParams, PutResourceError, PutResourceParams, get_resource,
    list_collections, put_resource,
};
use ifmatch_client::apis::transactions_api::{
    CreateTransactionParams, DeleteTransactionParams, PutTransactionError, PutTransactionParams,
    create_transaction, delete_transaction, put_transaction,
};
use ifmatch_client::apis::{Error, ResponseContent};
use ifmatch_client::models::{
    Change, ChangeMethod, Conflict, Problem, Transaction, TransactionPut,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

type Result<T, E = Box<dyn StdError>> = std::result::Result<T, E>;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

/// A document, and the tag of this very state.
#[derive(Debug, PartialEq)]
struct Read {
    account: Account,
    tag: String,
}

const PUTS_MAX: usize = 10; // of one transfer

fn server(url: &str) -> Configuration {
    Configuration {
        base_path: url.to_owned(),
        ..Configuration::default()
    }
}

/// Reads from a list, which has the tags in its content: this SDK shows no header fields. What is listed is one
/// consistent snapshot.
async fn read<const N: usize>(api: &Configuration, keys: [&str; N]) -> Result<[Read; N]> {
    let params = ListCollectionsParams {
        key: Some(keys.iter().map(|key| format!("accounts/{key}")).collect()),
        limit: None,
        after: None,
        prefix: None,
        if_none_match: None,
        x_request_id: None,
    };
    let mut found = list_collections(api, params).await?.items;
    let mut read = Vec::new();
    for key in keys {
        let at = found
            .iter()
            .position(|item| item.key.as_deref() == Some(key))
            .ok_or("not there")?;
        let item = found.swap_remove(at);
        let account = serde_json::from_value(item.body.flatten().ok_or("no document")?)?;
        read.push(Read {
            account,
            tag: item.etag.ok_or("no tag")?,
        });
    }
    read.try_into()
        .map_err(|_| "a document for each key".into())
}

fn put(key: &str, if_match: String, balance: i64) -> Change {
    Change {
        if_match: Some(if_match),
        body: Some(Some(json!(Account { balance }))),
        ..Change::new(ChangeMethod::Put, format!("/resources/accounts/{key}"))
    }
}

/// The changes that move money between these two states.
async fn movement(
    api: &Configuration,
    source: &str,
    target: &str,
    amount: i64,
) -> Result<Vec<Change>> {
    let [giver, taker] = read(api, [source, target]).await?;
    Ok(vec![
        put(source, giver.tag, giver.account.balance - amount),
        put(target, taker.tag, taker.account.balance + amount),
    ])
}

async fn open(api: &Configuration) -> Result<Transaction> {
    let params = CreateTransactionParams {
        transaction_create: None,
        content_digest: None,
        x_request_id: None,
        idempotency_key: None,
    };
    Ok(create_transaction(api, params).await?)
}

/// Asks for the changes to be applied: once, in this transaction or never.
async fn apply(
    api: &Configuration,
    opened: &Transaction,
    changes: Vec<Change>,
    x_request_id: Option<String>,
) -> Result<Transaction, Error<PutTransactionError>> {
    let params = PutTransactionParams {
        id: opened.id.clone(),
        if_match: Some(opened.etag.clone()),
        transaction_put: TransactionPut {
            changes: Some(changes),
            ..TransactionPut::new()
        },
        if_none_match: None,
        prefer: None,
        content_digest: None,
        x_request_id,
    };
    put_transaction(api, params).await
}

/// The problem that a transaction was refused with, or whatever else went wrong.
fn problem(error: Error<PutTransactionError>) -> Result<Problem> {
    match error {
        Error::ResponseError(ResponseContent {
            entity: Some(PutTransactionError::Status4XX(problem)),
            ..
        }) => Ok(problem),
        other => Err(other.into()),
    }
}

/// Moves money. Returns the applied transaction, and the conflicts that were met on the way.
/// Between the first reading and the first writing somebody else does `meanwhile`.
async fn transfer(
    api: &Configuration,
    [source, target]: [&str; 2],
    amount: i64,
    meanwhile: impl Future<Output = Result<()>>,
) -> Result<(Transaction, Vec<Conflict>)> {
    let opened = open(api).await?;
    let mut meanwhile = Some(meanwhile);
    let mut met = Vec::new();
    for _ in 0..PUTS_MAX {
        let changes = movement(api, source, target, amount).await?;
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile.await?;
        }
        let refused = match apply(api, &opened, changes, None).await {
            Ok(applied) => return Ok((applied, met)),
            Err(error) => problem(error)?,
        };
        if refused.r#type != "/problems/stale-resource" {
            return Err(refused.detail.into());
        }
        met.extend(refused.conflicts.unwrap_or_default()); // nothing was applied: read again, same transaction
    }
    Err(format!("{source} is changed all the time").into())
}

/// A direct write under one of the two conditions.
async fn write(
    api: &Configuration,
    key: &str,
    document: Value,
    if_match: Option<String>,
    if_none_match: Option<String>,
) -> Result<(), Error<PutResourceError>> {
    let params = PutResourceParams {
        collection: "accounts".to_owned(),
        key: key.to_owned(),
        body: Some(document),
        if_match,
        if_none_match,
        if_unmodified_since: None,
        prefer: None,
        content_digest: None,
        x_request_id: None,
        idempotency_key: None,
    };
    put_resource(api, params).await
}

async fn competes(api: &Configuration, alice: &str, bob: &str) -> Result<()> {
    let mut current = None;
    let meanwhile = async {
        let [seen] = read(api, [alice]).await?;
        write(
            api,
            alice,
            json!(Account { balance: 120 }),
            Some(seen.tag),
            None,
        )
        .await?;
        let [written] = read(api, [alice]).await?;
        current = Some(written.tag);
        Ok(())
    };
    let (applied, met) = transfer(api, [alice, bob], 10, meanwhile).await?;
    assert_eq!(applied.state, "committed");
    let outcomes = applied.outcome.ok_or("no outcome")?.changes;
    // The new tags are here, too.
    let [giver, taker] = read(api, [alice, bob]).await?;
    assert_eq!(
        [&outcomes[0].etag, &outcomes[1].etag],
        [&Some(giver.tag), &Some(taker.tag)]
    );
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

async fn loses_an_answer(
    api: &Configuration,
    lossy_url: &str,
    alice: &str,
    bob: &str,
) -> Result<()> {
    let lossy = server(lossy_url);
    let opened = open(&lossy).await?;
    let changes = movement(api, alice, bob, 10).await?;
    let mark = format!("lose-me-{}", random());
    let mut losses = 0;
    let applied = loop {
        match apply(&lossy, &opened, changes.clone(), Some(mark.clone())).await {
            Ok(applied) => break applied,
            // Applied or not? The same request tells.
            Err(Error::Reqwest(_)) if losses < PUTS_MAX => losses += 1,
            Err(error) => return Err(error.into()),
        }
    };
    assert_eq!((losses, &*applied.state), (1, "committed"));
    let tags = applied
        .outcome
        .ok_or("no outcome")?
        .changes
        .into_iter()
        .map(|change| change.etag);
    let [giver, taker] = read(api, [alice, bob]).await?;
    assert!(tags.eq([Some(giver.tag), Some(taker.tag)])); // nothing was written after that
    Ok(())
}

async fn gives_up(api: &Configuration, alice: &str, bob: &str) -> Result<()> {
    let opened = open(api).await?;
    let late = movement(api, alice, bob, 10).await?;
    let params = DeleteTransactionParams {
        id: opened.id.clone(),
        if_match: Some("*".to_owned()),
        if_none_match: None,
        x_request_id: None,
    };
    delete_transaction(api, params).await?;
    let refused = problem(
        apply(api, &opened, late, None)
            .await
            .err()
            .ok_or("applied, though given up")?,
    )?;
    assert_eq!(
        (refused.status, &*refused.r#type),
        (410, "/problems/transaction-cancelled")
    );
    Ok(())
}

/// What docs/sdks.md says this SDK can and can't do: noticed here once it changes.
async fn limits(api: &Configuration, key: &str) -> Result<()> {
    // A 304 can't be told from an answer that is no JSON.
    let [seen] = read(api, [key]).await?;
    let params = GetResourceParams {
        collection: "accounts".to_owned(),
        key: key.to_owned(),
        if_none_match: Some(seen.tag),
        if_match: None,
        if_modified_since: None,
        if_unmodified_since: None,
        x_request_id: None,
    };
    assert!(matches!(
        get_resource(api, params).await,
        Err(Error::Serde(_))
    ));
    // A null goes both ways, as a document and in a change.
    let null = format!("{key}-null");
    write(api, &null, Value::Null, None, Some("*".to_owned())).await?;
    let change = Change {
        if_match: Some("*".to_owned()),
        body: Some(None),
        ..Change::new(ChangeMethod::Put, format!("/resources/accounts/{null}"))
    };
    let applied = apply(api, &open(api).await?, vec![change], None).await?;
    assert_eq!(applied.changes.ok_or("no changes")?[0].body, Some(None));
    // The error type has no variant for 412 of its own, and a problem of any status is `Status4XX`.
    let unavailable = json!({"type": "/problems/unavailable", "title": "", "status": 503, "detail": "", "instance": ""});
    assert!(matches!(
        serde_json::from_value(unavailable)?,
        PutTransactionError::Status4XX(_)
    ));
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
    let api = server(url);
    let [alice, bob] = ["alice", "bob"].map(|name| format!("{name}+co&sons-{}", random()));
    for (key, balance) in [(&alice, 100), (&bob, 0)] {
        write(
            &api,
            key,
            json!(Account { balance }),
            None,
            Some("*".to_owned()),
        )
        .await?;
    }
    competes(&api, &alice, &bob).await?;
    loses_an_answer(&api, lossy_url, &alice, &bob).await?;
    gives_up(&api, &alice, &bob).await?;
    limits(&api, &alice).await?;
    let balances = read(&api, [&alice, &bob])
        .await?
        .map(|read| read.account.balance);
    assert_eq!(balances, [100, 20]);
    println!("one 412, one lost answer, one 410; 100 and 20 in the end");
    Ok(())
}
