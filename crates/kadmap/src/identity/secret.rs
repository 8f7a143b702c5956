//! The secret that makes a swarm private.

use std::fmt;

use thiserror::Error;

/// The fewest bytes of a secret: enough that a random one is not guessed over the network, where each guess costs a
/// handshake. It is no stretched password: whoever records a handshake may guess offline, so random text is advised.
const SECRET_BYTES_MIN: usize = 8;

const CA_CONTEXT: &str = "kadmap 1 swarm certificate authority Ed25519 seed";
const PLACE_CONTEXT: &str = "kadmap 1 swarm place key";

/// The operator's secret that all members of a private swarm share.
///
/// ```
/// use kadmap::identity::SwarmSecret;
/// let secret = SwarmSecret::new("correct horse battery staple").unwrap();
/// assert_eq!(format!("{secret:?}"), "SwarmSecret(..)");
/// assert!(SwarmSecret::new("short").is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SwarmSecret {
    ca_seed: [u8; 32],
    place_key: [u8; 32],
}

/// The secret is too short to keep anyone out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the swarm secret has {bytes} bytes, at least {SECRET_BYTES_MIN} are needed; use random text")]
pub struct SecretTooShort {
    /// Bytes in the secret that was given.
    pub bytes: usize,
}

impl SwarmSecret {
    /// Takes a secret, exactly as given: no trimming, no encoding.
    ///
    /// # Errors
    /// [`SecretTooShort`] below 8 bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, SecretTooShort> {
        let secret = secret.as_ref();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(SecretTooShort { bytes: secret.len() });
        }
        Ok(Self {
            ca_seed: blake3::derive_key(CA_CONTEXT, secret),
            place_key: blake3::derive_key(PLACE_CONTEXT, secret),
        })
    }

    /// The key that hashes names to places in this swarm, for `Key::of_name_keyed`.
    pub fn place_key(&self) -> &[u8; 32] {
        &self.place_key
    }

    /// The seed of the Ed25519 key of this swarm's certificate authority.
    pub(super) fn ca_seed(&self) -> &[u8; 32] {
        &self.ca_seed
    }
}

impl fmt::Debug for SwarmSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SwarmSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_of_a_secret_has_its_own_key() {
        let secret = SwarmSecret::new("a secret of some length").unwrap();
        assert_ne!(secret.ca_seed(), secret.place_key());
        assert_eq!(secret, SwarmSecret::new(b"a secret of some length").unwrap());
        assert_ne!(secret, SwarmSecret::new("a secret of some length ").unwrap());
    }

    #[test]
    fn a_short_secret_is_refused_with_its_length() {
        assert_eq!(SwarmSecret::new("1234567"), Err(SecretTooShort { bytes: 7 }));
        assert!(SwarmSecret::new("12345678").is_ok());
    }
}
