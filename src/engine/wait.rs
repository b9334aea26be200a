//! A read of a transaction that waits until there is something to tell (contract §5, "Watch").

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::watch::{News, Watch};
use super::{Engine, batch};
use crate::protocol::clock::Timestamp;
use crate::protocol::decide::answerable;
use crate::protocol::name::{Tenant, TransactionId};
use crate::protocol::problem::{Problem, Slug};
use crate::protocol::state::{State, Transaction};

/// How long a read in company may take; after it, the waiter reads by itself.
const READ_TIME: Duration = Duration::from_secs(1);

/// How much later than it reckons a waiter asks whether the transaction has expired: clocks are not read at once.
const EXPIRY_MARGIN: Duration = Duration::from_millis(2);

/// What a waiter is told.
pub struct Waited {
    /// As [`Engine::transaction_fetch`] tells it.
    pub found: Result<Option<Transaction>, Problem>,
    /// Whether the wait was granted: false where too many wait already, where the server is stopping, and where there
    /// is nothing to wait for, or no database to ask.
    pub honoured: bool,
}

/// A transaction, and the database's clock when it was read.
type Seen = (Transaction, Timestamp);

impl Engine {
    /// One transaction, as soon as it is decided or `enough` says so, and after `time` in any case.
    pub async fn transaction_wait(
        &self,
        tenant: &Tenant,
        id: TransactionId,
        time: Duration,
        enough: impl Fn(&Transaction) -> bool,
    ) -> Waited {
        let deadline = Instant::now() + time;
        let Some(mut watch) = self.shared.watches.watch(tenant, id) else {
            return Waited {
                found: self.transaction_fetch(tenant, id).await,
                honoured: false,
            };
        };
        let mut seen = self.read_in_company(tenant, id, &mut watch).await;
        loop {
            let (transaction, now) = match seen {
                Ok(Some(found)) => found,
                Ok(None) => {
                    return Waited {
                        found: Ok(None),
                        honoured: false,
                    };
                }
                Err(problem) => {
                    return Waited {
                        honoured: is_end(&problem),
                        found: Err(problem),
                    };
                }
            };
            if transaction.state != State::Open || enough(&transaction) {
                return told(transaction, true);
            }
            if Instant::now() >= deadline {
                return told(transaction, true);
            }
            watch.knows(transaction.tag.version);
            let expiry = Instant::now() + time_until(transaction.expires_at, now);
            seen = match timeout_at(deadline.min(expiry), watch.news()).await {
                Ok(News::Stop) => return told(transaction, false),
                // A read of its own may have overtaken the one in company.
                Ok(News::Is(found, _)) if found.tag.version < transaction.tag.version => {
                    self.transaction_seen(tenant, id).await
                }
                Ok(news) => self.read_news(tenant, id, news).await,
                Err(_) if Instant::now() >= expiry => self.transaction_seen(tenant, id).await,
                Err(_) => self.read_in_company(tenant, id, &mut watch).await,
            };
        }
    }

    /// How many clients wait for something new of a transaction.
    pub fn waiters(&self) -> usize {
        self.shared.watches.waiting()
    }

    /// Ends all waiting: whoever waits is answered with what is now, and nobody waits from now on.
    pub fn stop_waiting(&self) {
        self.shared.watches.stop();
    }

    /// The transaction as it is now. Thousands who come together, or whose time is up together, share their reads.
    async fn read_in_company(
        &self,
        tenant: &Tenant,
        id: TransactionId,
        watch: &mut Watch,
    ) -> Result<Option<Seen>, Problem> {
        let news = timeout(READ_TIME, watch.read()).await;
        self.read_news(tenant, id, news.unwrap_or(News::Ask)).await
    }

    async fn read_news(
        &self,
        tenant: &Tenant,
        id: TransactionId,
        news: News,
    ) -> Result<Option<Seen>, Problem> {
        match news {
            News::Is(transaction, now) => {
                answerable(id, Some(&transaction), now, now)?;
                Ok(Some((Transaction::clone(&transaction), now)))
            }
            News::None | News::Ask | News::Stop => self.transaction_seen(tenant, id).await,
        }
    }

    /// [`Engine::transaction_fetch`], with the clock.
    async fn transaction_seen(
        &self,
        tenant: &Tenant,
        id: TransactionId,
    ) -> Result<Option<Seen>, Problem> {
        let tenant = tenant.clone();
        let mut opened = self
            .read(move |connection| batch::transactions_settled(connection, &tenant, &[id]))
            .await?;
        let (now, horizon) = (opened.ground.now, opened.ground.purge_horizon);
        let found = opened.transactions.pop();
        answerable(id, found.as_ref(), now, horizon)?;
        Ok(found.map(|found| (found, now)))
    }
}

fn told(transaction: Transaction, honoured: bool) -> Waited {
    Waited {
        found: Ok(Some(transaction)),
        honoured,
    }
}

/// Whether a refusal is what the transaction has come to.
fn is_end(problem: &Problem) -> bool {
    matches!(
        problem.slug,
        Slug::TransactionCancelled | Slug::TransactionExpired
    )
}

fn time_until(then: Timestamp, now: Timestamp) -> Duration {
    let micros = then.micros().saturating_sub(now.micros());
    Duration::from_micros(u64::try_from(micros).unwrap_or_default()) + EXPIRY_MARGIN
}
