//! `Prefer: wait=N` (RFC 7240 §4.3): on a read of a transaction how long its client waits for something new, on a write
//! how long it waits for its turn (contract §5, "Watch" and "Two at once").

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};

use super::call::Call;
use super::problems;
use crate::protocol::command::{Command, Verdict};
use crate::protocol::condition::{Judgement, Selected};
use crate::protocol::limits::WAIT_SECONDS_MAX;
use crate::protocol::media;
use crate::protocol::name::TransactionId;
use crate::protocol::problem::Problem;
use crate::protocol::state::Transaction;

/// The transaction, and how many seconds of waiting were granted, where the client asked for them: then it is told as
/// soon as the transaction is decided, or the answer is another than the `304` that it would be now.
pub(super) async fn transaction(
    call: &Call,
    id: TransactionId,
) -> (Result<Option<Transaction>, Problem>, Option<u32>) {
    let Some(seconds) = call.preferences().wait_seconds else {
        return (call.engine.transaction_fetch(&call.tenant, id).await, None);
    };
    let seconds = seconds.min(WAIT_SECONDS_MAX);
    let time = Duration::from_secs(seconds.into());
    let waited = call
        .engine
        .transaction_wait(&call.tenant, id, time, |found| is_enough(call, found))
        .await;
    (waited.found, waited.honoured.then_some(seconds))
}

/// Whether an open transaction is answer enough: a refusal, or another state than the client has.
fn is_enough(call: &Call, found: &Transaction) -> bool {
    if !media::accepts_json(&call.lines(header::ACCEPT)) {
        return true;
    }
    let Ok(conditions) = call.conditions() else {
        return true;
    };
    let judged = conditions.judge_read(Selected::Present {
        tag: &found.tag.entity_tag(),
        modified: None,
    });
    match judged {
        Judgement::Holds => conditions.if_none_match.is_some(),
        Judgement::IfNoneMatchFalse | Judgement::ModifiedSinceFalse => false,
        Judgement::IfMatchFalse { .. } | Judgement::UnmodifiedSinceFalse => true,
    }
}

/// The answer, which says how many seconds of waiting were granted; a problem too.
pub(super) fn applied(
    call: &Call,
    answer: Result<HttpResponse, Problem>,
    seconds: Option<u32>,
) -> Result<HttpResponse, Problem> {
    let Some(value) =
        seconds.and_then(|seconds| HeaderValue::try_from(format!("wait={seconds}")).ok())
    else {
        return answer;
    };
    let mut response = answer.unwrap_or_else(|problem| problems::response(&call.request, &problem));
    let name = HeaderName::from_static("preference-applied");
    response.headers_mut().append(name, value);
    Ok(response)
}

/// Submits a command; its client waits no longer than it likes to. A wait of no second at all would be a refusal of
/// whatever it asks for, so it is disregarded.
///
/// # Errors
/// As [`crate::engine::Engine::submit`].
pub(super) async fn submit(call: &Call, command: Command) -> Verdict {
    let seconds = call
        .preferences()
        .wait_seconds
        .filter(|seconds| *seconds > 0);
    let time = seconds.map(|seconds| Duration::from_secs(seconds.into()));
    call.engine.submit(command, time).await
}
