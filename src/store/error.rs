//! What can go wrong between us and Postgres, told apart by the kind that diesel makes of the SQLSTATE; by the message
//! only where diesel keeps neither.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke: before COMMIT was sent, so nothing was stored.
    #[error("the database is not reachable")]
    Unreachable(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The transaction lost against another and may be run again.
    #[error("the database asks for another attempt")]
    Conflict(#[source] DieselError),
    /// A lock or a statement took longer than it may; nothing was stored.
    #[error("the database is busy with something else")]
    Busy(#[source] DieselError),
    /// The connection broke while COMMIT was under way.
    #[error("the outcome of COMMIT is not known")]
    InDoubt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Anything else.
    #[error("the database refused a statement")]
    Failed(#[source] DieselError),
    /// Stored data is not what this program writes.
    #[error("stored data cannot be read: {0}")]
    Corrupt(&'static str),
}

impl StoreError {
    /// Whether the whole batch may simply run again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Conflict(_) => true,
            Self::Unreachable(_)
            | Self::Busy(_)
            | Self::InDoubt(_)
            | Self::Failed(_)
            | Self::Corrupt(_) => false,
        }
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match &error {
            DieselError::DatabaseError(kind, information) => match kind {
                DatabaseErrorKind::SerializationFailure | DatabaseErrorKind::UniqueViolation => {
                    Self::Conflict(error)
                }
                DatabaseErrorKind::ClosedConnection => Self::Unreachable(Some(Box::new(error))),
                _ if is_deadlock(information.message()) => Self::Conflict(error),
                _ if is_time_out(information.message()) => Self::Busy(error),
                _ if is_shutdown(information.message()) => Self::Unreachable(Some(Box::new(error))),
                _ => Self::Failed(error),
            },
            DieselError::BrokenTransactionManager => Self::Unreachable(Some(Box::new(error))),
            _ => Self::Failed(error),
        }
    }
}

impl From<r2d2::Error> for StoreError {
    fn from(error: r2d2::Error) -> Self {
        Self::Unreachable(Some(Box::new(error)))
    }
}

/// Diesel hides the SQLSTATE of 40P01; with `lc_messages = C` this is its primary message.
fn is_deadlock(message: &str) -> bool {
    message.starts_with("deadlock detected")
}

/// The same of 55P03 and 57014.
fn is_time_out(message: &str) -> bool {
    message.starts_with("canceling statement due to lock timeout")
        || message.starts_with("canceling statement due to statement timeout")
}

/// The messages of class 57P (shutdown, crash, recovery) and of a connection that is gone.
fn is_shutdown(message: &str) -> bool {
    const SIGNS: [&str; 9] = [
        "terminating connection",
        "the database system is",
        "server closed the connection unexpectedly",
        "could not send data to server",
        "could not receive data from server",
        "no connection to the server",
        "SSL connection has been closed unexpectedly",
        "connection to server",
        "cannot execute",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}
