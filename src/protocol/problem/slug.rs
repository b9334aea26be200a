//! The problem types: their URIs, status codes and texts. There is a page of each at `/problems/{slug}`.

/// A problem type: the last segment of its URI `/problems/{slug}` (contract §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Slug {
    MalformedRequest,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    TransactionFinished,
    DuplicateReference,
    PatchConflict,
    SchemaConflict,
    TransactionCancelled,
    TransactionExpired,
    Gone,
    StaleResource,
    StaleTransaction,
    AlreadyApplied,
    WeakEtag,
    RequestTooOld,
    ContentTooLarge,
    UnsupportedMediaType,
    InvalidOperation,
    KeyReused,
    SchemaViolation,
    PreconditionRequired,
    TooManyRequests,
    InternalError,
    Unavailable,
}

/// What is said about a problem type: in every problem, and on its page.
struct Description {
    slug: &'static str,
    status: u16,
    title: &'static str,
    meaning: &'static str,
    recovery: &'static str,
}

impl Slug {
    /// Every problem type that this release can answer with.
    pub const ALL: [Slug; 25] = [
        Self::MalformedRequest,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::TransactionFinished,
        Self::DuplicateReference,
        Self::PatchConflict,
        Self::SchemaConflict,
        Self::TransactionCancelled,
        Self::TransactionExpired,
        Self::Gone,
        Self::StaleResource,
        Self::StaleTransaction,
        Self::AlreadyApplied,
        Self::WeakEtag,
        Self::RequestTooOld,
        Self::ContentTooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidOperation,
        Self::KeyReused,
        Self::SchemaViolation,
        Self::PreconditionRequired,
        Self::TooManyRequests,
        Self::InternalError,
        Self::Unavailable,
    ];

    /// The type whose page is `/problems/{slug}`.
    pub fn parse(slug: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == slug)
    }

    /// The slug itself.
    pub fn as_str(self) -> &'static str {
        self.describe().slug
    }

    /// The HTTP status code it is sent with.
    pub fn status(self) -> u16 {
        self.describe().status
    }

    /// One line for people, the same for every occurrence (RFC 9457 §3.1.3).
    pub fn title(self) -> &'static str {
        self.describe().title
    }

    /// What the type means.
    pub fn meaning(self) -> &'static str {
        self.describe().meaning
    }

    /// How to recover.
    pub fn recovery(self) -> &'static str {
        self.describe().recovery
    }

    /// Whether the client may simply send the same request again.
    pub fn repeatable(self) -> bool {
        match self {
            Self::TooManyRequests | Self::InternalError | Self::Unavailable => true,
            Self::MalformedRequest
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::NotAcceptable
            | Self::TransactionFinished
            | Self::DuplicateReference
            | Self::PatchConflict
            | Self::SchemaConflict
            | Self::TransactionCancelled
            | Self::TransactionExpired
            | Self::Gone
            | Self::StaleResource
            | Self::StaleTransaction
            | Self::AlreadyApplied
            | Self::WeakEtag
            | Self::RequestTooOld
            | Self::ContentTooLarge
            | Self::UnsupportedMediaType
            | Self::InvalidOperation
            | Self::KeyReused
            | Self::SchemaViolation
            | Self::PreconditionRequired => false,
        }
    }

    /// Whether it is refused before any condition is looked at, though the content is at fault
    /// (contract §3, "Order").
    pub fn precedes_conditions(self) -> bool {
        matches!(self, Self::ContentTooLarge | Self::UnsupportedMediaType)
    }

    fn describe(self) -> Description {
        let (slug, status, title, meaning, recovery) = match self {
            Self::MalformedRequest => (
                "malformed-request",
                400,
                "The request cannot be read",
                "A header, a query parameter or the content is not what HTTP, JSON or this API allow.",
                "Mend the place that `detail` and `errors` name, then send the request again.",
            ),
            Self::NotFound => (
                "not-found",
                404,
                "There is nothing here",
                "No resource or transaction has this URI, or the URI has a form that none can have.",
                "Check the URI. A resource is created by PUT with If-None-Match: *.",
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                405,
                "This URI does not know that method",
                "The method exists, but not for this URI.",
                "Use one of the methods in the answer's Allow field.",
            ),
            Self::NotAcceptable => (
                "not-acceptable",
                406,
                "No representation of that type",
                "The Accept field leaves out every media type this URI can be read in.",
                "Send Accept: application/json, or no Accept at all.",
            ),
            Self::TransactionFinished => (
                "transaction-finished",
                409,
                "The transaction has been decided",
                "The transaction is no longer open, and this request is not a repetition of what was done.",
                "Read `current`: it says what was done. Create another transaction for anything else.",
            ),
            Self::DuplicateReference => (
                "duplicate-reference",
                409,
                "The reference belongs to another transaction",
                "A transaction of this tenant that is not open any more has the same reference.",
                "Read the transaction in `current`, or use another reference.",
            ),
            Self::PatchConflict => (
                "patch-conflict",
                409,
                "The patch does not fit the resource",
                "A JSON Patch test failed, a path leads nowhere, the result could not be stored, or a draft changes the resource already. Nothing was changed.",
                "Read the resource, make a patch that fits it, and send that under the new tag.",
            ),
            Self::SchemaConflict => (
                "schema-conflict",
                409,
                "The schema cannot be set now",
                "Stored resources break it (`errors` names up to ten), or another change of the schema came in between. Nothing was changed.",
                "Mend those resources, or the schema; then send it again.",
            ),
            Self::TransactionCancelled => (
                "transaction-cancelled",
                410,
                "The transaction was cancelled",
                "It never happened and never will.",
                "Create a new transaction if the change is still wanted.",
            ),
            Self::TransactionExpired => (
                "transaction-expired",
                410,
                "The transaction expired unused",
                "It was still open at its expires_at. It never happened and never will.",
                "Create a new transaction if the change is still wanted.",
            ),
            Self::Gone => (
                "gone",
                410,
                "Too old to tell",
                "The id, or the key, is from before the purge horizon; what it did, if anything, is no longer known. Or a version of a resource is not kept any more.",
                "Read the resources themselves. Transactions are kept for the retention that / names, versions as long as it is configured.",
            ),
            Self::StaleResource => (
                "stale-resource",
                412,
                "A resource is in another state than the request expects",
                "A condition on a resource is false. Nothing was changed; an open transaction stays open.",
                "Read the states in `conflicts`, decide again, and send the request with the new tags.",
            ),
            Self::StaleTransaction => (
                "stale-transaction",
                412,
                "The transaction is in another state than the request expects",
                "The condition in the request's header is false for the transaction.",
                "Read `current`: it is the transaction as it is now.",
            ),
            Self::AlreadyApplied => (
                "already-applied",
                412,
                "This very operation has been applied before",
                "The request repeats what was done, under a condition that allows no repetition.",
                "Nothing is left to do: `current` holds the outcome.",
            ),
            Self::WeakEtag => (
                "weak-etag",
                412,
                "If-Match holds a weak tag, which can never match",
                "If-Match compares strongly (RFC 9110 §13.1.1). A proxy that compresses has usually weakened the tag.",
                "Read the resource with Accept-Encoding: identity and send its strong tag.",
            ),
            Self::RequestTooOld => (
                "request-too-old",
                412,
                "The request was first sent too long ago",
                "Repeatability-First-Sent is from before the purge horizon; whether the request was applied is no longer known.",
                "Read the resources themselves. What is still wanted takes a new Repeatability-Request-ID.",
            ),
            Self::ContentTooLarge => (
                "content-too-large",
                413,
                "The content is too large",
                "The content is longer than this server takes; / names the limit.",
                "Send less at once.",
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "The content has a type or coding that this URI does not take",
                "Content-Type or Content-Encoding names something that cannot be stored here.",
                "Send application/json, uncompressed; for PATCH one of the types in Accept-Patch.",
            ),
            Self::InvalidOperation => (
                "invalid-operation",
                422,
                "The content is JSON, but not what this URI takes",
                "Members are missing, unknown, or do not go together; or an increment meets what is no number.",
                "Mend every place in `errors`, then send the request again.",
            ),
            Self::KeyReused => (
                "key-reused",
                422,
                "The key belongs to another request",
                "The same Idempotency-Key, or Repeatability-Request-ID, came with another request before, which was applied.",
                "Send that request again to see its answer. For another request, make another key.",
            ),
            Self::SchemaViolation => (
                "schema-violation",
                422,
                "A body breaks the schema of its collection",
                "What the request would leave behind does not satisfy /schemas/{collection}. Nothing was changed.",
                "Mend every place in `errors`, then send the request again.",
            ),
            Self::PreconditionRequired => (
                "precondition-required",
                428,
                "The request does not say which state it expects",
                "Every write names the state it expects, so that nothing is overwritten unseen (RFC 6585 §3).",
                "Add If-Match with the tag you read, If-Match: * for any state, or If-None-Match: * to create; or the key that `detail` asks for.",
            ),
            Self::TooManyRequests => (
                "too-many-requests",
                429,
                "Too many transactions are open",
                "The tenant has as many open transactions as it may have. Nothing was created.",
                "Finish or cancel some, or wait until they expire, then send the same request again.",
            ),
            Self::InternalError => (
                "internal-error",
                500,
                "The server failed",
                "Something went wrong that is not the request's fault.",
                "Send the same request again; under its condition it is applied at most once.",
            ),
            Self::Unavailable => (
                "unavailable",
                503,
                "The server cannot do this now",
                "It is overloaded, stopping, or has no database. Nothing was applied, or the same request will tell.",
                "Wait as long as Retry-After says, then send the same request again.",
            ),
        };
        Description {
            slug,
            status,
            title,
            meaning,
            recovery,
        }
    }
}
