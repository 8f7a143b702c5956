//! What keeps the file from doing as asked, and the wall that no panic of redb's gets through.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What keeps the file from doing as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its content is not what was written.
    Damaged(String),
    /// Another process holds it.
    InUse,
    /// The operating system refused.
    Io {
        /// What it said.
        reason: String,
        /// What kind of refusal that is.
        kind: ErrorKind,
    },
}

impl Fault {
    pub(crate) fn reason(&self) -> &str {
        match self {
            Self::Damaged(reason) | Self::Io { reason, .. } => reason,
            Self::InUse => "another process holds the file",
        }
    }

    /// What to do about it while the node runs.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Self::Damaged(_) => {
                "restart the node: it then checks the file, and sets it aside if it is damaged"
            }
            Self::InUse => "stop the other process",
            Self::Io { kind, .. } => match kind {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    "make room on its disk: writes are taken again soon after"
                }
                ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                    "make its disk writable: writes are taken again soon after"
                }
                _ => "check the disk: writes are taken again soon after it works",
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        redb::Error::Io(error).into()
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match &error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::InUse,
            redb::Error::Io(io) => match io.kind() {
                // What redb says of a file that ends before it should.
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Damaged(error.to_string()),
                kind => Self::Io { reason: io.to_string(), kind },
            },
            redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableDoesNotExist(_)
            | redb::Error::LockPoisoned(_)
            | redb::Error::TransactionPoisoned => Self::Damaged(error.to_string()),
            _ => Self::Io { reason: error.to_string(), kind: ErrorKind::Other },
        }
    }
}

/// Runs calls into redb, which may panic when the file holds what it never wrote.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(Fault::from),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(Fault::Damaged(format!("the file is not as it was written: {text}")))
        }
    }
}

/// Lets go of something of redb's.
pub(crate) fn drop_quietly<T>(held: Option<T>) {
    // What is let go of cannot fail the caller.
    let _ = guarded(|| {
        drop(held);
        Ok(())
    });
}
