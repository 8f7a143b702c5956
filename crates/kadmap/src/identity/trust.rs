//! Whom a node lets in.

use std::path::PathBuf;

use super::SwarmSecret;

/// Whom a node talks to; all members of a swarm use the same kind.
///
/// ```
/// use kadmap::identity::{SwarmSecret, Trust};
/// let trust = Trust::Secret(SwarmSecret::new("correct horse battery staple").unwrap());
/// assert!(!matches!(trust, Trust::Open));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trust {
    /// Anyone. Certificates are self-signed and prove the possession of a key, nothing else.
    Open,
    /// Whoever knows the secret: it yields a certificate authority, and TLS keeps everybody else out.
    Secret(SwarmSecret),
    /// Whoever holds a certificate of the operator's own authority.
    Pki(PkiFiles),
}

/// The PEM files of an operator's own certificate authority.
///
/// The node's id is that of the key in `key`. Certificates that restrict their use must allow both server and
/// client authentication, because every member is both.
///
/// ```
/// use kadmap::identity::{PkiFiles, Trust};
/// let files = PkiFiles { ca: "ca.pem".into(), cert: "node.pem".into(), key: "node.key".into() };
/// assert!(matches!(Trust::Pki(files), Trust::Pki(_)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PkiFiles {
    /// One or more certificates of authorities whose members are trusted.
    pub ca: PathBuf,
    /// This node's certificate, followed by the intermediate ones if there are any.
    pub cert: PathBuf,
    /// The private key of the first certificate in `cert`.
    pub key: PathBuf,
}
