//! What can go wrong before a node has an identity.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a node has no identity or no credentials; every variant is found at start, before a socket is opened.
///
/// ```
/// use kadmap::identity::{Identity, IdentityError};
/// let folder = tempfile::tempdir().unwrap();
/// std::fs::write(folder.path().join("identity.key"), "not a key").unwrap();
/// let error = Identity::load_or_create(folder.path()).unwrap_err();
/// assert!(matches!(error, IdentityError::DamagedKey { .. }));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The key file is there but cannot be read; it was left as it is.
    #[error("cannot read the key file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A new key could not be written; no file of that name exists.
    #[error("cannot write the key file {}: {source}; make the folder writable", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The key file does not hold an Ed25519 private key; it was left as it is.
    #[error("{} holds no Ed25519 key ({reason}); restore it, or move it away to start under a new id", path.display())]
    DamagedKey {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// A file of the operator's certificate authority is missing or does not hold what it should.
    #[error("cannot use {} as {role}: {reason}", path.display())]
    Pki {
        /// The file.
        path: PathBuf,
        /// What it was given as: the authority, the certificate or the key.
        role: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// A key or certificate could not be made or used.
    #[error("cannot build this node's certificate: {reason}")]
    Certificate {
        /// What the cryptography library said.
        reason: String,
    },
}

impl IdentityError {
    /// An error of the certificate machinery, whatever its type.
    pub(super) fn certificate(reason: impl ToString) -> Self {
        Self::Certificate { reason: reason.to_string() }
    }
}
