//! Who a node is and whom it trusts: its key pair, the swarm's secret, certificates.
//!
//! **Invariant**: everything here runs once, when a node starts, except the two verifiers, which run once per
//! handshake and see bytes of strangers.

mod certificate;
mod credentials;
mod error;
mod key_pair;
mod secret;
mod trust;
mod verifier;

pub use certificate::{CertificateError, node_id_of_certificate};
pub(crate) use credentials::Credentials;
pub use error::IdentityError;
pub use key_pair::Identity;
pub use secret::{SecretTooShort, SwarmSecret};
pub use trust::{PkiFiles, Trust};
