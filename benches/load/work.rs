//! What a connection can do, again and again.

use clap::ValueEnum;

/// What every connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// `PUT` of one resource under its exact tag.
    Put,
    /// `PUT` of one and the same resource under `If-Match: *`.
    Hot,
    /// A transaction that takes 1 from one and the same account, under `*`.
    Increment,
    /// An operation of two changes under exact tags.
    Two,
    /// Read two, decide, apply under their exact tags; after a `412` read again.
    Transfer,
    /// The same, deciding after a `412` from the bodies in it.
    TransferBodies,
    /// An operation of 100 changes under exact tags.
    Large,
    /// `GET` of one resource.
    Get,
    /// `GET` of one resource whose tag is known: `304`.
    NotModified,
    /// The same transaction again, which was applied long ago.
    Replay,
    /// etcd: one put, compared with the key's revision.
    EtcdPut,
    /// etcd: two puts, compared with the keys' revisions.
    EtcdTwo,
    /// etcd: one put of one and the same key.
    EtcdHot,
}

impl Work {
    /// Whether etcd does it.
    pub(crate) fn is_etcd(self) -> bool {
        matches!(self, Work::EtcdPut | Work::EtcdTwo | Work::EtcdHot)
    }

    /// Whether it names states by their exact tags, without having read them itself.
    pub(crate) fn needs_tags(self) -> bool {
        matches!(
            self,
            Work::Put | Work::Two | Work::Large | Work::NotModified | Work::EtcdPut | Work::EtcdTwo
        )
    }
}

/// What became of one operation.
#[derive(Default)]
pub(crate) struct Step {
    pub(crate) round_trips: u64,
    pub(crate) conflicts: u64,
    pub(crate) failed: bool,
}

impl Step {
    /// Done by one request.
    pub(crate) fn once() -> Self {
        Self {
            round_trips: 1,
            ..Self::default()
        }
    }
}
