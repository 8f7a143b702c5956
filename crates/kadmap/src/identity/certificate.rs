//! Certificates: making a node's own, and reading the id out of anybody's.

use kadmap_core::NodeId;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use thiserror::Error;

use super::{Identity, IdentityError, SwarmSecret};

/// What stands before the 32 key bytes in the SubjectPublicKeyInfo of every Ed25519 key (RFC 8410, section 4).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The bytes offered as a certificate are none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the peer's certificate cannot be read: {reason}")]
pub struct CertificateError {
    /// What the parser said.
    pub reason: String,
}

/// The id that a certificate's key proves, once its owner has signed with that key.
///
/// For an Ed25519 key it is the BLAKE3 of the raw 32 bytes, as for [`Identity`]; for any other key that of the whole
/// SubjectPublicKeyInfo in DER, algorithm included.
///
/// # Errors
/// [`CertificateError`] when the bytes are not an X.509 certificate.
///
/// ```
/// use kadmap::identity::node_id_of_certificate;
/// assert!(node_id_of_certificate(&b"not a certificate".as_slice().into()).is_err());
/// ```
pub fn node_id_of_certificate(certificate: &CertificateDer<'_>) -> Result<NodeId, CertificateError> {
    let parsed = ParsedCertificate::try_from(certificate)
        .map_err(|error| CertificateError { reason: error.to_string() })?;
    let public_key = parsed.subject_public_key_info();
    let proved = match public_key.strip_prefix(&ED25519_SPKI_PREFIX) {
        Some(raw) if raw.len() == 32 => raw,
        _ => &public_key,
    };
    Ok(NodeId::of_public_key(proved))
}

/// The certificate an open node shows: its own key, signed by itself.
pub(super) fn self_signed(identity: &Identity) -> Result<Certificate, IdentityError> {
    params("kadmap node").self_signed(identity.key()).map_err(IdentityError::certificate)
}

/// The certificate authority that a secret yields, the same on every node that knows it.
pub(super) struct SwarmAuthority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl SwarmAuthority {
    pub(super) fn new(secret: &SwarmSecret) -> Result<Self, IdentityError> {
        let key = Identity::key_from_seed(secret.ca_seed()).map_err(IdentityError::certificate)?;
        let mut params = params("kadmap swarm");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).map_err(IdentityError::certificate)?;
        Ok(Self { certificate, issuer: Issuer::new(params, key) })
    }

    /// The authority's own certificate: what its members trust.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        self.certificate.der()
    }

    /// A certificate for the key of `identity`.
    pub(super) fn certify(&self, identity: &Identity) -> Result<Certificate, IdentityError> {
        params("kadmap node").signed_by(identity.key(), &self.issuer).map_err(IdentityError::certificate)
    }
}

/// Everything in a certificate but the key: fixed, so that the same secret always gives the same authority, and with
/// dates no clock leaves, because a swarm must not fall apart on the day a certificate expires.
fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(1975, 1, 1);
    params.not_after = date_time_ymd(4096, 1, 1);
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_carries_the_id_of_its_identity() {
        let identity = Identity::generate().unwrap();
        let own = self_signed(&identity).unwrap();
        assert_eq!(node_id_of_certificate(own.der()), Ok(identity.node_id()));
        let authority = SwarmAuthority::new(&SwarmSecret::new("a swarm secret").unwrap()).unwrap();
        let signed = authority.certify(&identity).unwrap();
        assert_eq!(node_id_of_certificate(signed.der()), Ok(identity.node_id()));
    }

    #[test]
    fn a_secret_always_yields_the_same_authority() {
        let secret = SwarmSecret::new("a swarm secret").unwrap();
        let [one, two] = [(); 2].map(|()| SwarmAuthority::new(&secret).unwrap());
        assert_eq!(one.certificate(), two.certificate());
        let other = SwarmAuthority::new(&SwarmSecret::new("another secret").unwrap()).unwrap();
        assert_ne!(one.certificate(), other.certificate());
    }

    #[test]
    fn the_id_of_another_kind_of_key_covers_the_algorithm() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let certificate = params("ecdsa").self_signed(&key).unwrap();
        let id = node_id_of_certificate(certificate.der()).unwrap();
        assert_eq!(id, NodeId::of_public_key(&rcgen::PublicKeyData::subject_public_key_info(&key)));
    }

    #[test]
    fn damaged_certificates_are_errors() {
        let good = self_signed(&Identity::generate().unwrap()).unwrap().der().to_vec();
        for length in 0..good.len() {
            let cut = CertificateDer::from(&good[..length]);
            assert!(node_id_of_certificate(&cut).is_err());
        }
    }
}
