//! The key pair of a node, and the file it is kept in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use kadmap_core::NodeId;
use rcgen::{KeyPair, PKCS_ED25519};
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::IdentityError;

/// The name of the key file in a node's data folder.
const KEY_FILE: &str = "identity.key";

/// The Ed25519 key pair that gives a node its id.
///
/// ```
/// use kadmap::identity::Identity;
/// let folder = tempfile::tempdir().unwrap();
/// let first = Identity::load_or_create(folder.path()).unwrap();
/// let again = Identity::load_or_create(folder.path()).unwrap();
/// assert_eq!(first.node_id(), again.node_id());
/// ```
pub struct Identity {
    key: KeyPair,
}

impl Identity {
    /// Makes a new key pair, kept nowhere.
    ///
    /// # Errors
    /// [`IdentityError::Certificate`] when the operating system gives no randomness.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(IdentityError::certificate)?;
        Ok(Self { key })
    }

    /// Reads the key pair of a data folder, or makes one there: file `identity.key`, PKCS#8 PEM, mode 0600.
    ///
    /// A new file is complete and on disk before this returns.
    ///
    /// # Errors
    /// [`IdentityError::DamagedKey`] or [`IdentityError::Unreadable`] when there is a file that cannot be used: it
    /// is never replaced. [`IdentityError::Unwritable`] when there is none and none can be made.
    pub fn load_or_create(folder: &Path) -> Result<Self, IdentityError> {
        let path = folder.join(KEY_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_pem(&text)
                .map_err(|reason| IdentityError::DamagedKey { path, reason: reason.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let identity = Self::generate()?;
                write_new(folder, &path, &identity.key.serialize_pem())
                    .map_err(|source| IdentityError::Unwritable { path, source })?;
                Ok(identity)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(IdentityError::DamagedKey { path, reason: error.to_string() })
            }
            Err(source) => Err(IdentityError::Unreadable { path, source }),
        }
    }

    /// The id that this key pair proves.
    pub fn node_id(&self) -> NodeId {
        NodeId::of_public_key(self.key.public_key_raw())
    }

    /// The key pair itself, to sign certificates with.
    pub(super) fn key(&self) -> &KeyPair {
        &self.key
    }

    /// The key pair whose Ed25519 seed is `seed`.
    pub(super) fn key_from_seed(seed: &[u8; 32]) -> Result<KeyPair, rcgen::Error> {
        // RFC 8410 section 7: a PKCS#8 v1 wrapping of a 32-byte Ed25519 seed is this prefix and the seed.
        const PKCS8_PREFIX: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let pkcs8 = [PKCS8_PREFIX.as_slice(), seed].concat();
        KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(pkcs8), &PKCS_ED25519)
    }

    fn from_pem(text: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::from_pkcs8_pem_and_sign_algo(text, &PKCS_ED25519)?;
        Ok(Self { key })
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The private half must never reach a log.
        f.debug_tuple("Identity").field(&self.node_id()).finish()
    }
}

/// Writes `text` under a passing name and renames it, so that a crash leaves a whole key or none.
fn write_new(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let passing = folder.join(format!(".{KEY_FILE}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&passing)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&passing, path)) {
        // The first error is the one worth telling; a passing file left behind harms nobody.
        let _ = fs::remove_file(&passing);
        return Err(error);
    }
    // Windows cannot open a folder as a file, and orders renames itself.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_gives_the_same_id_again() {
        let folder = tempfile::tempdir().unwrap();
        let first = Identity::load_or_create(folder.path()).unwrap().node_id();
        assert_eq!(Identity::load_or_create(folder.path()).unwrap().node_id(), first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_ne!(Identity::generate().unwrap().node_id(), first);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_may_read_the_key_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Identity::load_or_create(folder.path()).unwrap();
        let mode = fs::metadata(folder.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_file_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        let good = Identity::generate().unwrap().key.serialize_pem();
        for bad in [b"".to_vec(), b"\xff\xfe".to_vec(), good.as_bytes()[..good.len() / 2].to_vec()] {
            fs::write(&path, &bad).unwrap();
            let error = Identity::load_or_create(folder.path()).unwrap_err();
            assert!(matches!(error, IdentityError::DamagedKey { .. }), "{error}");
            assert!(error.to_string().contains(KEY_FILE), "{error}");
            assert_eq!(fs::read(&path).unwrap(), bad);
        }
    }

    #[test]
    fn a_folder_that_is_missing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Identity::load_or_create(&folder.path().join("absent")).unwrap_err();
        assert!(matches!(error, IdentityError::Unwritable { .. }), "{error}");
    }

    #[test]
    fn the_private_key_is_not_shown() {
        let identity = Identity::generate().unwrap();
        assert_eq!(format!("{identity:?}"), format!("Identity({:?})", identity.node_id()));
    }
}
