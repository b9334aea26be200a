//! Transactions: create, apply, renew, cancel, read (contract §5).

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};

use super::call::Call;
use super::content::Taken;
use super::document::{self, TransactionDocument};
use super::keys;
use super::query::Query;
use super::respond::{self, NO_STORE, PRIVATE, Representation};
use super::waiting;
use crate::protocol::command::{Action, Done, PutContent, TransactionPatch, Verdict};
use crate::protocol::condition::{ConditionFault, Conditions, TagList};
use crate::protocol::media::ContentType;
use crate::protocol::name::TransactionId;
use crate::protocol::operation::{self, JSON};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::Transaction;

/// `Accept-Patch` of a transaction (RFC 5789 §3.1).
pub(super) const PATCHES: &str = "application/merge-patch+json, application/json";
const TAKES: Taken = Taken {
    takes: is_plain_json,
    advice: "Send Content-Type: application/json.",
    accept_patch: None,
};
const PATCH_TAKES: Taken = Taken {
    takes: |media| is_plain_json(media) || media.is_merge_patch(),
    advice: "Send Content-Type: application/merge-patch+json, or application/json.",
    accept_patch: Some(PATCHES),
};

fn is_plain_json(media: &ContentType) -> bool {
    media.is_json() && media.essence() == JSON
}

/// `POST /transactions`.
pub(super) async fn create_transaction(call: Call) -> Result<HttpResponse, Problem> {
    let answer = create_once(&call).await;
    keys::answered(&call, answer)
}

async fn create_once(call: &Call) -> Result<HttpResponse, Problem> {
    Query::of(call, &[])?;
    let key = keys::key_of(call)?;
    let parse = |bytes: &[u8]| operation::parse_post(bytes, key.is_some());
    let content = match call.is_empty() {
        true => call.no_content().and_then(|()| parse(&[])),
        false => call.content(&TAKES).and_then(|(_, bytes)| parse(&bytes)),
    };
    let command = call
        .command(None, call.conditions(), Action::Create(content))
        .keyed(key);
    match waiting::submit(call, command).await {
        Ok(Done::Again(first)) => answer(call, Ok(*first)).map(keys::replayed),
        verdict => answer(call, verdict),
    }
}

/// `GET /transactions/{id}`.
pub(super) async fn get_transaction(call: Call) -> Result<HttpResponse, Problem> {
    let id = call.transaction_id()?;
    Query::of(&call, &[])?;
    let (found, waited) = waiting::transaction(&call, id).await;
    let answer = found.and_then(|found| shown(&call, id, found));
    waiting::applied(&call, answer, waited)
}

fn shown(
    call: &Call,
    id: TransactionId,
    found: Option<Transaction>,
) -> Result<HttpResponse, Problem> {
    let transaction = found
        .ok_or_else(|| Problem::new(Slug::NotFound, format!("{} does not exist.", id.path())))?;
    let mut shown = Representation::document(&TransactionDocument::of(&transaction), PRIVATE)?;
    shown.tag = Some(transaction.tag.entity_tag());
    shown.location = Some(id.path());
    respond::read(call, shown, |weak| stale(transaction.clone(), weak))
}

/// The problem of a read under a false condition.
fn stale(transaction: Transaction, weak: bool) -> Problem {
    let slug = if weak {
        Slug::WeakEtag
    } else {
        Slug::StaleTransaction
    };
    let why = if weak {
        "A weak tag never matches in If-Match. "
    } else {
        ""
    };
    let detail = format!(
        "{why}The transaction is at {}; see current.",
        transaction.tag
    );
    Problem::new(slug, detail).with_current(transaction)
}

/// `PUT /transactions/{id}`.
pub(super) async fn put_transaction(call: Call) -> Result<HttpResponse, Problem> {
    let id = call.transaction_id()?;
    Query::of(&call, &[])?;
    let conditions = call.conditions();
    let action = Action::Put(put_content(&call, &conditions));
    let verdict = waiting::submit(&call, call.command(Some(id), conditions, action)).await;
    answer(&call, verdict)
}

fn put_content(
    call: &Call,
    conditions: &Result<Conditions, ConditionFault>,
) -> Result<PutContent, Problem> {
    let naming =
        matches!(conditions, Ok(conditions) if conditions.if_none_match == Some(TagList::Star));
    operation::parse_put(&call.content(&TAKES)?.1, naming)
}

/// `PATCH /transactions/{id}`.
pub(super) async fn patch_transaction(call: Call) -> Result<HttpResponse, Problem> {
    let id = call.transaction_id()?;
    Query::of(&call, &[])?;
    let content = call
        .content(&PATCH_TAKES)
        .and_then(|(_, bytes)| operation::parse_patch(&bytes));
    let action = match content {
        Ok(TransactionPatch::Commit) => Action::Commit,
        Ok(TransactionPatch::Renew(seconds)) => Action::Renew(Ok(seconds)),
        Err(problem) => Action::Renew(Err(problem)),
    };
    let command = call.command(Some(id), call.conditions(), action);
    let verdict = waiting::submit(&call, command).await;
    answer(&call, verdict)
}

/// `DELETE /transactions/{id}`; content means nothing.
pub(super) async fn delete_transaction(call: Call) -> Result<HttpResponse, Problem> {
    let id = call.transaction_id()?;
    Query::of(&call, &[])?;
    let action = Action::Cancel(call.no_content());
    let verdict = waiting::submit(&call, call.command(Some(id), call.conditions(), action)).await;
    answer(&call, verdict)
}

/// Presents what was done. Only POST's answer has an `ETag`: after a PUT it would name the request's
/// content, which no transaction is (RFC 9110 §9.3.4); the tag is in the document.
fn answer(call: &Call, verdict: Verdict) -> Result<HttpResponse, Problem> {
    let (mut response, transaction) = match verdict? {
        Done::Created(transaction) => (
            located(HttpResponse::Created(), transaction.id),
            tagged(transaction),
        ),
        Done::Shared(transaction) => (
            located(HttpResponse::Ok(), transaction.id),
            tagged(transaction),
        ),
        Done::Named(transaction) => (
            located(HttpResponse::Created(), transaction.id),
            untagged(call, transaction),
        ),
        Done::Applied(transaction) | Done::Saved(transaction) => {
            (HttpResponse::Ok(), untagged(call, transaction))
        }
        Done::Replayed(transaction) => {
            let mut response = HttpResponse::Ok();
            response.insert_header(("idempotent-replayed", "true"));
            (response, untagged(call, transaction))
        }
        Done::Renewed(transaction) => (
            HttpResponse::Ok(),
            Shown {
                transaction,
                tagged: false,
                strict: false,
            },
        ),
        Done::Cancelled => {
            return Ok(HttpResponse::NoContent()
                .insert_header((header::CACHE_CONTROL, NO_STORE))
                .finish());
        }
        Done::Written { .. } | Done::Drafted { .. } | Done::Again(_) => {
            return Err(respond::unexpected());
        }
    };
    transaction.present(&mut response)
}

fn located(mut response: HttpResponseBuilder, id: TransactionId) -> HttpResponseBuilder {
    response.insert_header((header::LOCATION, id.path()));
    response
}

fn tagged(transaction: Transaction) -> Shown {
    Shown {
        transaction,
        tagged: true,
        strict: false,
    }
}

fn untagged(call: &Call, transaction: Transaction) -> Shown {
    Shown {
        transaction,
        tagged: false,
        strict: call.preferences().strict,
    }
}

/// A transaction as the content of an answer to a write.
struct Shown {
    transaction: Transaction,
    tagged: bool,
    strict: bool,
}

impl Shown {
    fn present(&self, response: &mut HttpResponseBuilder) -> Result<HttpResponse, Problem> {
        let content = document::pretty(&TransactionDocument::of(&self.transaction))?;
        response.insert_header((header::CONTENT_LOCATION, self.transaction.id.path()));
        response.insert_header((header::CONTENT_TYPE, JSON));
        response.insert_header((header::CACHE_CONTROL, PRIVATE));
        if self.tagged {
            response.insert_header((header::ETAG, self.transaction.tag.to_string()));
        }
        if self.strict {
            response.insert_header(("preference-applied", "handling=strict"));
        }
        Ok(response.body(content))
    }
}
