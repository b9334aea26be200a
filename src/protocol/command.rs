//! What a client asks for, and what it is told: the values between `http/` and `engine/`.

use std::sync::Arc;

use super::condition::{ConditionFault, Conditions};
use super::draft::Shown;
use super::key::RequestKey;
use super::name::{ResourceName, Tenant, TransactionId};
use super::operation::{Change, ChangeMethod, Operation};
use super::problem::Problem;
use super::state::{Resource, Transaction};

/// One write, parsed as far as it could be. What could not be parsed is kept as the problem that it
/// is, since the state of what it names may call for another answer first (contract §3, "Order").
#[derive(Clone, Debug)]
pub struct Command {
    /// Whose state it is about.
    pub tenant: Tenant,
    /// The transaction: named by the URI, or fresh for a direct write and for a POST.
    pub id: TransactionId,
    /// Random bits that make the tags of what this command writes unlike any other's.
    pub nonce: i64,
    /// `Prefer: return=representation`.
    pub representation: bool,
    /// `Prefer: handling=strict`.
    pub strict: bool,
    /// The header's conditions.
    pub conditions: Result<Conditions, ConditionFault>,
    /// The key that it came with; of direct writes and `POST /transactions` only.
    pub key: Option<RequestKey>,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Action {
    /// A direct write of one resource: an operation of one change, which carries the header's conditions.
    Write {
        /// PUT, PATCH or DELETE.
        method: ChangeMethod,
        /// The resource.
        target: ResourceName,
        /// The operation, or why the content is refused.
        content: Result<Operation, Problem>,
    },
    /// `POST /transactions`; with an operation, in one command.
    Create(Result<PutContent, Problem>),
    /// `PUT /transactions/{id}`, in both forms.
    Put(Result<PutContent, Problem>),
    /// `PATCH /transactions/{id}` with a new `expires_in`, in seconds.
    Renew(Result<i64, Problem>),
    /// `PATCH /transactions/{id}` with `{"state": "committed"}`: applies the draft.
    Commit,
    /// A write of one resource in a draft.
    Draft {
        /// PUT, PATCH or DELETE.
        method: ChangeMethod,
        /// The resource.
        target: ResourceName,
        /// The change, its conditions aside, or why the content is refused.
        content: Result<Change, Problem>,
    },
    /// `DELETE /transactions/{id}`; its content means nothing, but may be refused.
    Cancel(Result<(), Problem>),
}

/// What a client may say of a transaction that it creates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTransaction {
    /// Seconds from now; the default where left out.
    pub expires_in: Option<i64>,
    /// The client's own name for it.
    pub reference: Option<Arc<str>>,
    /// A JSON object, as it came.
    pub metadata: Option<Arc<str>>,
}

/// The content of `PUT /transactions/{id}` and of `POST /transactions`.
#[derive(Clone, Debug, Default)]
pub struct PutContent {
    /// The operation, or `None` for `{"state": "cancelled"}` and for a POST that creates a context.
    pub operation: Option<Operation>,
    /// `{"state": "open"}`: the operation is kept, not applied.
    pub draft: bool,
    /// Members that only the creating form takes.
    pub new: NewTransaction,
}

/// The content of `PATCH /transactions/{id}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionPatch {
    /// It stays open for so many seconds from now.
    Renew(i64),
    /// Its draft is applied.
    Commit,
}

/// What was done.
#[derive(Clone, Debug)]
pub enum Done {
    /// A direct write.
    Written {
        /// The transaction that did it.
        transaction: TransactionId,
        /// Whether the resource did not exist before.
        created: bool,
        /// The new state, with its body.
        resource: Resource,
    },
    /// A transaction was created by POST.
    Created(Transaction),
    /// A POST met an open transaction with its reference.
    Shared(Transaction),
    /// A transaction was created and decided by PUT.
    Named(Transaction),
    /// The operation was applied.
    Applied(Transaction),
    /// The operation had been applied before.
    Replayed(Transaction),
    /// The operation is kept as the transaction's draft.
    Saved(Transaction),
    /// A change of one resource was recorded in the draft.
    Drafted {
        /// The resource as the draft leaves it now; `None` after a deletion.
        shown: Option<Shown>,
    },
    /// The transaction expires at another time.
    Renewed(Transaction),
    /// The transaction was cancelled.
    Cancelled,
    /// What the first request with the same key did; this one did nothing.
    Again(Box<Done>),
}

/// What a client is told.
pub type Verdict = Result<Done, Problem>;

impl Command {
    /// The command of a request that came with this key. A key is forgotten with its transaction, and one that is older than
    /// the horizon is too old to tell: so the transaction must not be older than the key says that it is itself.
    pub fn keyed(mut self, key: Option<RequestKey>) -> Self {
        let claimed = key.as_ref().and_then(RequestKey::claimed_at);
        let millis = claimed.and_then(|time| u64::try_from(time.micros() / 1000).ok());
        if let Some(millis) = millis {
            self.id = self.id.not_before(millis + 1);
        }
        self.key = key;
        self
    }

    /// Whether it can be answered from what was read without locks: it writes nothing for certain.
    pub fn is_refused_already(&self) -> bool {
        let content_refused = match &self.action {
            Action::Write { content, .. } => content.is_err(),
            Action::Draft { content, .. } => content.is_err(),
            Action::Commit => false,
            Action::Put(content) => content.is_err(),
            Action::Renew(content) => content.is_err(),
            Action::Create(content) => return content.is_err() || self.conditions.is_err(),
            Action::Cancel(content) => content.is_err(),
        };
        let unconditional = match &self.conditions {
            Ok(conditions) => !conditions.satisfies_write_rule(),
            Err(_) => true,
        };
        content_refused || unconditional
    }

    /// The resources that it reads or writes, and how. Those of [`Action::Commit`] are in the draft that it applies.
    pub fn accesses(&self) -> Vec<Access<'_>> {
        match &self.action {
            Action::Write {
                content: Ok(operation),
                ..
            }
            | Action::Put(Ok(PutContent {
                operation: Some(operation),
                draft: false,
                ..
            }))
            | Action::Create(Ok(PutContent {
                operation: Some(operation),
                ..
            })) => operation
                .changes
                .iter()
                .map(|change| self.access(change))
                .collect(),
            Action::Put(Ok(PutContent {
                operation: Some(operation),
                ..
            })) => operation
                .changes
                .iter()
                .map(|change| self.access(change).recorded())
                .collect(),
            Action::Draft { method, target, .. } => vec![Access {
                name: target,
                writes: false,
                may_create: false,
                reads_body: self.representation || matches!(method, ChangeMethod::Patch(_)),
            }],
            Action::Write { target, .. } => vec![Access {
                name: target,
                writes: true,
                may_create: false,
                reads_body: self.representation,
            }],
            Action::Put(_)
            | Action::Create(_)
            | Action::Renew(_)
            | Action::Commit
            | Action::Cancel(_) => Vec::new(),
        }
    }

    /// How many resources it may use, as far as that can be told before its transaction was read.
    pub fn weight(&self) -> usize {
        match self.action {
            Action::Commit => DRAFT_WEIGHT,
            _ => self.accesses().len(),
        }
    }

    /// How it uses the resource of one of the changes that it applies.
    pub fn access<'a>(&self, change: &'a Change) -> Access<'a> {
        Access {
            name: &change.target,
            writes: change.method.writes(),
            may_create: change.conditions.if_match.is_none(),
            reads_body: self.representation || matches!(change.method, ChangeMethod::Patch(_)),
        }
    }

    /// Whether it may create a transaction and leave it open.
    pub fn may_open(&self) -> bool {
        match &self.action {
            Action::Create(Ok(content)) => content.operation.is_none(),
            Action::Put(Ok(content)) => content.draft,
            _ => false,
        }
    }

    /// The existing transaction that it is about, if any.
    pub fn transaction(&self) -> Option<TransactionId> {
        match self.action {
            Action::Put(_)
            | Action::Renew(_)
            | Action::Commit
            | Action::Draft { .. }
            | Action::Cancel(_) => Some(self.id),
            Action::Write { .. } | Action::Create(_) => None,
        }
    }

    /// The reference that it wants to take, if any.
    pub fn reference(&self) -> Option<&Arc<str>> {
        match &self.action {
            Action::Create(Ok(content)) | Action::Put(Ok(content)) => {
                content.new.reference.as_ref()
            }
            _ => None,
        }
    }
}

/// Resources that the commit of a draft counts for: most have far fewer, some ten times as many.
const DRAFT_WEIGHT: usize = 100;

/// How a command uses one resource.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The resource.
    pub name: &'a ResourceName,
    /// Written, so locked exclusively; else asserted, so locked against writers only.
    pub writes: bool,
    /// Its condition can be true of what does not exist, so the name itself is locked.
    pub may_create: bool,
    /// The stored bytes are needed.
    pub reads_body: bool,
}

impl Access<'_> {
    /// The same for a change that is recorded and not applied: its condition is judged, and nothing of it written.
    fn recorded(self) -> Self {
        Self {
            writes: false,
            may_create: false,
            ..self
        }
    }
}
