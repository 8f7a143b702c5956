//! What the transport needs to prove who it is and to check who others are.

use std::path::Path;
use std::sync::Arc;

use kadmap_core::NodeId;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::certificate::{SwarmAuthority, self_signed};
use super::verifier::PeerVerifier;
use super::{Identity, IdentityError, PkiFiles, Trust, node_id_of_certificate};

/// The application protocol of a swarm whose members prove their membership.
const ALPN_MEMBERS: &[u8] = b"kadmap/1";
/// The application protocol of an open swarm. It differs so that an open node and a member of a private swarm part
/// at the first packet: TLS 1.3 tells a dialler only after its own handshake is complete that it was refused.
const ALPN_OPEN: &[u8] = b"kadmap-open/1";

const RESET_CONTEXT: &str = "kadmap 1 stateless reset key";
const CID_CONTEXT: &str = "kadmap 1 connection id key";

/// A node's proof of identity and its rules for others, ready for TLS.
#[derive(Clone)]
pub(crate) struct Credentials {
    node_id: NodeId,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    /// From the private key, so that a node that restarts can still tell its old peers that it forgot them.
    reset_key: [u8; 32],
    connection_id_key: u64,
}

impl Credentials {
    /// Credentials of `identity` under `trust`; with [`Trust::Pki`] the identity is that of the key file instead.
    pub(crate) fn new(identity: &Identity, trust: &Trust) -> Result<Self, IdentityError> {
        let own_key = || PrivatePkcs8KeyDer::from(identity.key().serialize_der()).into();
        match trust {
            Trust::Open => {
                let certificate = self_signed(identity)?;
                Self::build(None, vec![certificate.der().clone()], own_key(), ALPN_OPEN)
            }
            Trust::Secret(secret) => {
                let authority = SwarmAuthority::new(secret)?;
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate().clone()).map_err(IdentityError::certificate)?;
                let certificate = authority.certify(identity)?;
                Self::build(Some(roots), vec![certificate.der().clone()], own_key(), ALPN_MEMBERS)
            }
            Trust::Pki(files) => Self::from_files(files),
        }
    }

    /// The id that peers will see.
    pub(crate) fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// TLS for the side that was dialled.
    pub(crate) fn server(&self) -> &Arc<ServerConfig> {
        &self.server
    }

    /// TLS for the side that dials.
    pub(crate) fn client(&self) -> &Arc<ClientConfig> {
        &self.client
    }

    /// The key of QUIC's stateless resets, the same after a restart.
    pub(crate) fn reset_key(&self) -> &[u8; 32] {
        &self.reset_key
    }

    /// The key that marks connection ids as ours, the same after a restart.
    pub(crate) fn connection_id_key(&self) -> u64 {
        self.connection_id_key
    }

    fn from_files(files: &PkiFiles) -> Result<Self, IdentityError> {
        let mut roots = RootCertStore::empty();
        for authority in read_certificates(&files.ca, "the certificate authority")? {
            roots.add(authority).map_err(|error| pki_error(&files.ca, "the certificate authority", error))?;
        }
        let chain = read_certificates(&files.cert, "this node's certificate")?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| pki_error(&files.key, "this node's private key", error))?;
        Self::build(Some(roots), chain, key, ALPN_MEMBERS)
    }

    fn build(
        roots: Option<RootCertStore>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        alpn: &[u8],
    ) -> Result<Self, IdentityError> {
        let own =
            chain.first().ok_or_else(|| IdentityError::certificate("the certificate chain is empty"))?;
        let node_id = node_id_of_certificate(own).map_err(IdentityError::certificate)?;
        let reset_key = blake3::derive_key(RESET_CONTEXT, key.secret_der());
        let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(CID_CONTEXT, key.secret_der());

        let provider = provider();
        let verifier = PeerVerifier::new(roots, &provider);
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(IdentityError::certificate)?
            .with_client_cert_verifier(Arc::clone(&verifier) as _)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(IdentityError::certificate)?;
        server.alpn_protocols = vec![alpn.to_vec()];
        // Resumption saves two signatures per handshake and would cost a cache per peer and a proof of identity
        // that is only as good as the ticket. Every connection proves the key itself.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});

        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .map_err(IdentityError::certificate)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(chain, key)
            .map_err(IdentityError::certificate)?;
        client.alpn_protocols = vec![alpn.to_vec()];
        client.resumption = Resumption::disabled();
        // Ids bind, not names, so there is no name to tell an onlooker.
        client.enable_sni = false;

        Ok(Self {
            node_id,
            server: Arc::new(server),
            client: Arc::new(client),
            reset_key,
            connection_id_key: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        })
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Everything else in here is derived from the private key.
        f.debug_tuple("Credentials").field(&self.node_id).finish()
    }
}

/// The cryptography of every connection, chosen here and not by the process, so that no library beside us changes it.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    // AES-128 first: the fastest of the three wherever the processor has AES instructions, and strong enough.
    provider.cipher_suites = vec![
        ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
        ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    ];
    Arc::new(provider)
}

fn read_certificates(path: &Path, role: &'static str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| pki_error(path, role, error))?;
    if certificates.is_empty() {
        return Err(pki_error(path, role, "it holds no certificate in PEM"));
    }
    Ok(certificates)
}

fn pki_error(path: &Path, role: &'static str, reason: impl ToString) -> IdentityError {
    IdentityError::Pki { path: path.to_owned(), role, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::SwarmSecret;

    #[test]
    fn credentials_carry_the_id_of_the_identity() {
        let identity = Identity::generate().unwrap();
        let secret = SwarmSecret::new("a swarm secret").unwrap();
        for trust in [Trust::Open, Trust::Secret(secret)] {
            let credentials = Credentials::new(&identity, &trust).unwrap();
            assert_eq!(credentials.node_id(), identity.node_id());
        }
    }

    #[test]
    fn files_that_are_missing_or_no_pem_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::generate().unwrap();
        let ca = folder.path().join("ca.pem");
        let files = PkiFiles { ca: ca.clone(), cert: ca.clone(), key: ca.clone() };
        for _ in 0..2 {
            let error = Credentials::new(&identity, &Trust::Pki(files.clone())).unwrap_err();
            assert!(error.to_string().contains("ca.pem"), "{error}");
            std::fs::write(&ca, "nothing of use").unwrap();
        }
    }
}
