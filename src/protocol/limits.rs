//! Every limit of the contract, in one place, each with the reason for its value.
//!
//! Only numbers live here. What is done with a value past its limit (which status, which pointer) is decided where the value is
//! parsed; this module must not know of it.

/// Bytes of one request's content, unless configured otherwise (1 MiB): a document a person still reads as one thing, and small
/// enough that hundreds of requests at once fit into a small server's memory.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Levels of nesting of a JSON value, the outermost array or object being level 1: below the 128 at which common parsers give up,
/// so that what is stored can be read by everyone.
pub const JSON_DEPTH_MAX: usize = 100;

/// Changes of one transaction: all of their rows are locked together, and a longer lock would be felt by everybody else.
pub const CHANGES_MAX: usize = 1000;

/// Items of one page of a list, at most: one statement's worth of rows without a noticeable pause. An `i64`, as SQL's `LIMIT` is.
pub const LIST_LIMIT_MAX: i64 = 1000;

/// Items of one page of a list when the client names no `limit`: enough for most, cheap for all. An `i64`, as SQL's `LIMIT` is.
pub const LIST_LIMIT_DEFAULT: i64 = 100;

/// Values of `key=` in one query: 100 keys of usual length stay below the 7 to 9 KB at which proxies refuse a URI.
pub const LIST_KEYS_MAX: usize = 100;

/// Seconds until an open transaction expires when the client names no `expires_in` (24 hours): a person may sleep over a decision.
pub const EXPIRES_SECONDS_DEFAULT: i64 = 86_400;

/// Seconds until an open transaction expires, at most (7 days): well within the retention, so that an expired one can still be told
/// from one that never was.
pub const EXPIRES_SECONDS_MAX: i64 = 604_800;

/// Seconds by which the time within a client's own transaction id may be ahead of the server's clock (5 minutes): usual clock
/// errors pass, but an id from far in the future would outlive the purge horizon.
pub const CLIENT_ID_AHEAD_SECONDS: i64 = 300;

/// Seconds for which a finished transaction is kept, unless configured otherwise (30 days): longer than any client should go on
/// repeating a request.
pub const RETENTION_SECONDS_DEFAULT: i64 = 30 * 86_400;

/// Seconds for which a finished transaction is kept, at least (1 minute): a server asks for half of that what became of a commit
/// whose acknowledgement was lost, and must find it.
pub const RETENTION_SECONDS_MIN: i64 = 60;

/// Transactions that a tenant may have open at a time, unless configured otherwise (100,000): a day's worth of forgotten ones at one
/// a second, and still counted in milliseconds.
pub const OPEN_TRANSACTIONS_MAX: usize = 100_000;

/// Characters (Unicode scalar values) of a transaction's `reference`: an order number or a URI fits, and so it does into an index
/// entry.
pub const REFERENCE_CHARS_MAX: usize = 255;

/// Characters of a key that a client sends with a request: UUIDs and hashes fit several times over, and it fits into an index entry.
pub const KEY_CHARS_MAX: usize = 255;

/// Bytes of a transaction's `metadata` as JSON (16 KiB): it is carried along in every answer and list, so it is for labels, not data.
pub const METADATA_BYTES_MAX: usize = 16_384;

/// Bytes of one page of a list (8 MiB): a page of documents of the greatest size must not take a gigabyte, so it ends early.
pub const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a media type with its parameters: RFC 6838 §4.2 allows 127 for the type and for the subtype each; it is stored with
/// every state and sent with every answer.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// Seconds of `Prefer: wait` on a read (RFC 7240 §4.3); more is taken as this: proxies give up on an answer after 60.
pub const WAIT_SECONDS_MAX: u32 = 50;

/// Clients that wait for transactions at one server, unless configured otherwise: some kilobytes of memory and an open connection
/// each; one more is answered at once.
pub const WAITERS_MAX: usize = 50_000;

/// Bytes of the JSON text of `contains`: percent-encoded in the link to the next page it is three times as long, and fields over
/// 4 KB make proxies answer 502.
pub const CONTAINS_BYTES_MAX: usize = 1024;

/// Seconds that a page of a list with `contains` may take in the database: a thread that reads is busy with it.
pub const CONTAINS_SECONDS_MAX: u64 = 10;

/// Bytes of a schema (64 KiB): the largest that people write by hand are smaller, and it is compiled by every server.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// Levels of nesting of a schema as JSON: each level of a document takes two of its schema, so documents of 25 levels can be
/// described without a reference.
pub const SCHEMA_DEPTH_MAX: usize = 50;

/// Values of a schema whose references are followed: a chain of references that each lead twice to the next would otherwise cost
/// as much as a schema without end.
pub const SCHEMA_UNFOLDED_MAX: u64 = 10_000;

/// Subschemas within each other, references followed: each takes a part of a thread's stack while a body is judged.
pub const SCHEMA_UNFOLDED_DEPTH_MAX: usize = 100;

/// The same for a body: subschemas of a schema that applies itself, times levels of the body.
pub const SCHEMA_RECURSION_MAX: usize = 2_000;

/// Bytes of a regular expression in a schema: longer ones are lists, which `enum` says better.
pub const SCHEMA_PATTERN_BYTES_MAX: usize = 1_000;

/// Regular expressions of a schema: their compiled forms are held by every server, some 25 MiB at worst.
pub const SCHEMA_PATTERNS_MAX: usize = 100;

/// Bytes of a compiled regular expression: the time to match is linear in the text, times at most this.
pub const SCHEMA_PATTERN_COMPILED_BYTES_MAX: usize = 256 * 1024;

/// Values of an operation's bodies times values of their unfolded schemas: about a second of work at worst, under locks.
pub const SCHEMA_JUDGEMENTS_MAX: u64 = 50_000_000;

/// Bytes of a string that count as one value more: a regular expression reads each of them.
pub const SCHEMA_STRING_BYTES: u64 = 16;

/// Values of a body times values of its unfolded schema up to which every violation is looked for: what finds them all holds them all in memory.
pub const SCHEMA_LISTING_MAX: u64 = 5_000_000;

/// Digits of a number that is judged by a schema, written without an exponent: comparing it takes that many steps.
pub const SCHEMA_DIGITS_MAX: usize = 1_000;

/// Digits up to which a number is as good as any other: those of a double.
pub const SCHEMA_DIGITS_SHORT: usize = 20;

/// Digits of all longer numbers of a body together: `uniqueItems` compares each with each, digit by digit.
pub const SCHEMA_LONG_DIGITS_MAX: usize = 10_000;

/// Violations told of at once: a document that is wrong everywhere is wrong for one reason, most likely.
pub const SCHEMA_ERRORS_MAX: usize = 100;

/// Stored resources named at most that break a new schema: enough to see what they have in common.
pub const SCHEMA_CONFLICTS_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_lie_within_their_maxima() {
        const { assert!(LIST_LIMIT_DEFAULT <= LIST_LIMIT_MAX) };
        const { assert!(EXPIRES_SECONDS_DEFAULT <= EXPIRES_SECONDS_MAX) };
        const { assert!(EXPIRES_SECONDS_MAX < RETENTION_SECONDS_DEFAULT) };
        const { assert!(METADATA_BYTES_MAX < BODY_BYTES_MAX && BODY_BYTES_MAX < PAGE_BYTES_MAX) };
        const { assert!(JSON_DEPTH_MAX < 128) };
    }
}
