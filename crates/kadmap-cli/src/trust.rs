//! Whom we trust, from what was given at three levels: flags, environment, config file.

use std::io;
use std::path::{Path, PathBuf};

use kadmap::DhtBuilder;
use kadmap::identity::PkiFiles;
use thiserror::Error;

use crate::typed::TrustArgs;

/// What proves that we belong to the swarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trust {
    Open,
    Secret(Vec<u8>),
    Pki(PkiFiles),
}

/// Why we cannot prove that we belong.
#[derive(Debug, Error)]
pub(crate) enum TrustError {
    #[error("cannot read the secret file '{}': {source}", path.display())]
    SecretFile { path: PathBuf, source: io::Error },
    #[error("{level} gives more than one of secret, secret file and certificates: give one")]
    Ambiguous { level: &'static str },
    #[error("{level} gives only some of ca, cert and key: give all three")]
    Incomplete { level: &'static str },
}

impl Trust {
    /// What the first level that says anything says: a secret on the command line makes certificates in a file void.
    pub(crate) fn resolve(flags: &TrustArgs, file: &TrustArgs) -> Result<Self, TrustError> {
        let environment = from_environment();
        let levels =
            [("the command line", flags), ("the environment", &environment), ("the config file", file)];
        match levels.into_iter().find(|(_, typed)| **typed != TrustArgs::default()) {
            Some((level, typed)) => Self::of_level(level, typed),
            None => Ok(Self::Open),
        }
    }

    pub(crate) fn apply(&self, builder: DhtBuilder) -> DhtBuilder {
        match self {
            Self::Open => builder,
            Self::Secret(secret) => builder.secret(secret),
            Self::Pki(files) => builder.pki(files.clone()),
        }
    }

    fn of_level(level: &'static str, typed: &TrustArgs) -> Result<Self, TrustError> {
        let TrustArgs { secret, secret_file, ca, cert, key } = typed;
        let pki = [ca, cert, key].map(Option::is_some);
        let kinds = [secret.is_some(), secret_file.is_some(), pki.contains(&true)];
        if kinds.into_iter().filter(|&given| given).count() > 1 {
            return Err(TrustError::Ambiguous { level });
        }
        match (secret, secret_file, ca, cert, key) {
            (Some(secret), ..) => Ok(Self::Secret(secret.clone().into_bytes())),
            (_, Some(path), ..) => read_secret(path).map(Self::Secret),
            (_, _, Some(ca), Some(cert), Some(key)) => {
                Ok(Self::Pki(PkiFiles { ca: ca.clone(), cert: cert.clone(), key: key.clone() }))
            }
            _ => Err(TrustError::Incomplete { level }),
        }
    }
}

fn from_environment() -> TrustArgs {
    let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    TrustArgs {
        secret: std::env::var("KADMAP_SECRET").ok().filter(|secret| !secret.is_empty()),
        secret_file: path("KADMAP_SECRET_FILE"),
        ca: path("KADMAP_CA"),
        cert: path("KADMAP_CERT"),
        key: path("KADMAP_KEY"),
    }
}

/// The content of a file without the line end that editors add.
fn read_secret(path: &Path) -> Result<Vec<u8>, TrustError> {
    let mut secret =
        std::fs::read(path).map_err(|source| TrustError::SecretFile { path: path.to_owned(), source })?;
    for end in [b'\n', b'\r'] {
        secret.pop_if(|last| *last == end);
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_is_taken_as_a_whole_and_must_be_clear() {
        let secret = TrustArgs { secret: Some("correct horse".into()), ..TrustArgs::default() };
        assert_eq!(Trust::of_level("it", &secret).unwrap(), Trust::Secret(b"correct horse".to_vec()));
        let both = TrustArgs { ca: Some("ca".into()), ..secret };
        assert!(matches!(Trust::of_level("it", &both), Err(TrustError::Ambiguous { .. })));
        let some = TrustArgs { ca: Some("ca".into()), ..TrustArgs::default() };
        let error = Trust::of_level("the config file", &some).unwrap_err();
        assert_eq!(error.to_string(), "the config file gives only some of ca, cert and key: give all three");
    }

    #[test]
    fn the_line_end_of_a_secret_file_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for text in ["correct horse", "correct horse\n", "correct horse\r\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_secret(&path).unwrap(), b"correct horse");
        }
    }
}
