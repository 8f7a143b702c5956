//! The settings file of `run`: TOML with the names of the long flags as keys.

use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

use crate::quantity::{ByteCount, Span};
use crate::typed::{ConsistencyName, DurabilityName, TrustArgs};

/// Every key; the test below holds it against [`ConfigFile`].
const KEYS: [&str; 16] = [
    "listen",
    "join",
    "retry",
    "data",
    "secret",
    "secret-file",
    "ca",
    "cert",
    "key",
    "replication",
    "consistency",
    "durability",
    "value-bytes-max",
    "store-bytes-max",
    "repair-interval",
    "scrub-interval",
];

/// What a file says; what it does not is left to the defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct ConfigFile {
    pub(crate) listen: Option<String>,
    pub(crate) join: Vec<String>,
    pub(crate) retry: bool,
    pub(crate) data: Option<PathBuf>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    pub(crate) replication: Option<usize>,
    pub(crate) consistency: Option<ConsistencyName>,
    pub(crate) durability: Option<DurabilityName>,
    pub(crate) value_bytes_max: Option<ByteCount>,
    pub(crate) store_bytes_max: Option<ByteCount>,
    pub(crate) repair_interval: Option<Span>,
    pub(crate) scrub_interval: Option<Span>,
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigFileError {
    #[error("cannot read the config file '{}': {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("line {line} of the config file '{}': {reason}", path.display())]
    Wrong { path: PathBuf, line: usize, reason: String },
    #[error("the config file '{}' has an unknown key '{key}': did you mean '{nearest}'?", path.display())]
    UnknownKey { path: PathBuf, key: String, nearest: &'static str },
}

impl ConfigFile {
    /// Reads a file; relative paths in it start at its folder.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigFileError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigFileError::Unreadable { path: path.to_owned(), source })?;
        let mut file = Self::parse(path, &text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let paths = [&mut file.data, &mut file.secret_file, &mut file.ca, &mut file.cert, &mut file.key];
        for relative in paths.into_iter().flatten() {
            *relative = folder.join(&*relative);
        }
        Ok(file)
    }

    /// What the file says about trust, as one level of it.
    pub(crate) fn trust(&self) -> TrustArgs {
        TrustArgs {
            secret: self.secret.clone(),
            secret_file: self.secret_file.clone(),
            ca: self.ca.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigFileError> {
        let wrong = |error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|&byte| byte == b'\n').count() + 1;
            let reason = error.message().replace('\n', " ");
            ConfigFileError::Wrong { path: path.to_owned(), line, reason }
        };
        let table: toml::Table = toml::from_str(text).map_err(wrong)?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let nearest = nearest_key(key);
            return Err(ConfigFileError::UnknownKey { path: path.to_owned(), key: key.clone(), nearest });
        }
        toml::from_str(text).map_err(wrong)
    }
}

fn nearest_key(key: &str) -> &'static str {
    let distance = |known: &&str| strsim::damerau_levenshtein(&key.replace('_', "-"), known);
    KEYS.into_iter().min_by_key(distance).unwrap_or(KEYS[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ConfigFile, ConfigFileError> {
        ConfigFile::parse(Path::new("node.toml"), text)
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            listen = "127.0.0.1:0"
            join = ["a:1", "b:2"]
            retry = true
            data = "data"
            secret = "correct horse"
            secret-file = "s"
            ca = "ca.pem"
            cert = "cert.pem"
            key = "key.pem"
            replication = 3
            consistency = "all"
            durability = "synced"
            value-bytes-max = "16MiB"
            store-bytes-max = 1000
            repair-interval = "90s"
            scrub-interval = "0s"
        "#;
        let file = parse(text).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains('=')).count(), KEYS.len());
        assert_eq!((file.listen.as_deref(), file.join.len(), file.retry), (Some("127.0.0.1:0"), 2, true));
        assert_eq!((file.replication, file.consistency), (Some(3), Some(ConsistencyName::All)));
        assert_eq!(file.durability, Some(DurabilityName::Synced));
        let (value_max, store_max) = (file.value_bytes_max, file.store_bytes_max);
        assert_eq!((value_max, store_max), (Some(ByteCount(16 << 20)), Some(ByteCount(1_000))));
        assert_eq!(file.repair_interval, Some(Span(std::time::Duration::from_secs(90))));
        assert_eq!(file.scrub_interval, Some(Span(std::time::Duration::ZERO)));
        let trust = file.trust();
        assert_eq!(trust.secret.as_deref(), Some("correct horse"));
        let files = [trust.secret_file, trust.ca, trust.cert, trust.key, file.data];
        assert_eq!(
            files.map(|path| path.unwrap()),
            ["s", "ca.pem", "cert.pem", "key.pem", "data"].map(PathBuf::from)
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_remedy() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(
            message("lisen = \"x\""),
            "the config file 'node.toml' has an unknown key 'lisen': did you mean 'listen'?"
        );
        assert!(message("value_bytes_max = 1").ends_with("did you mean 'value-bytes-max'?"));
        let text = message("retry = true\nreplication = \"many\"");
        assert!(
            text.starts_with("line 2 of the config file 'node.toml': invalid type: string \"many\""),
            "{text}"
        );
        assert!(message("\n\n=").starts_with("line 3 of"), "{}", message("\n\n="));
        let text = message("value-bytes-max = \"big\"");
        assert!(text.contains("'big' is no size"), "{text}");
        let text = message("repair-interval = \"soon\"");
        assert!(text.contains("'soon' is no time such as 10m"), "{text}");
    }
}
