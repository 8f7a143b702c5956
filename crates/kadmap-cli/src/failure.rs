//! Why a verb failed: one line for a person, one kind and one exit code for a script.

use std::io;
use std::time::Duration;

use kadmap::{
    AnnounceError, BeginWatchError, ListError, PutError, ReadError, RemoteError, Shape, Stamp, StartError,
    Stopped, ValueError, WatchError, WriteError,
};
use serde::Serialize;
use thiserror::Error;

use crate::config_file::ConfigFileError;
use crate::input::{InputError, shown_name};
use crate::trust::TrustError;

/// What a script does about a failure; each is one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    NotFound,
    Lost,
    Interrupted,
    Usage,
    Unreachable,
    Timeout,
    Quorum,
    Rejected,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NotFound | Self::Lost | Self::Interrupted => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Timeout => 4,
            Self::Quorum => 5,
            Self::Rejected => 6,
        }
    }
}

/// Why a verb failed. Names are escaped and shortened by whoever fills them in.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("nothing is stored under '{name}'")]
    NameNotFound { name: String },
    #[error("the map under '{name}' has no field '{field}'")]
    FieldNotFound { name: String, field: String },
    #[error("the list under '{name}' has no item {id}: `items` tells which it has")]
    ItemNotFound { name: String, id: Stamp },
    #[error("what is stored under '{name}' is a {found}, not a list")]
    NotAList { name: String, found: Shape },
    #[error("nobody is announced under '{name}'")]
    NobodyAnnounced { name: String },
    #[error(
        "announce whom? give --as with an id or any text of your own, or --hold to announce this command while it runs"
    )]
    NobodyToAnnounce,
    #[error("'{name}' holds a {found}, not announcements: choose another name")]
    NotAnnouncements { name: String, found: Shape },
    #[error("--ttl of {}: choose 3s to 24h", humantime::format_duration(*.ttl))]
    AnnouncementTtl { ttl: Duration },
    #[error("what is stored under '{name}' is no map: read it without --field")]
    NotAMap { name: String },
    #[error(
        "the demo lost {lost} of {keys} keys, and {wrong} examples went wrong: run it with -v to see why"
    )]
    Lost { lost: usize, keys: usize, wrong: usize },
    #[error("a promise was broken: {what}")]
    Broken { what: String },
    #[error("cannot measure: {0}")]
    Bench(#[source] kadmap_bench::BenchError),
    #[error("interrupted; what was started is gone")]
    Interrupted,
    #[error("'{text}' is no log level: choose off, error, warn, info, debug or trace")]
    LogLevel { text: String },
    #[error(transparent)]
    Config(#[from] ConfigFileError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("{source}{}", remedy_of_start(.source))]
    Start {
        #[from]
        source: StartError,
    },
    #[error("cannot {what} '{name}' within {}: {source}; give it more --timeout", humantime::format_duration(*.timeout))]
    TimeOut {
        what: &'static str,
        name: String,
        timeout: Duration,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot {what} '{name}': {source}{}", remedy_of_write(.source))]
    Write { what: &'static str, name: String, source: WriteError },
    #[error("cannot read '{name}': {source}{}", remedy_of_read(.source))]
    Read { name: String, source: ReadError },
    #[error("cannot watch '{name}': {source}")]
    Watch { name: String, source: BeginWatchError },
    #[error("cannot use the value under '{name}': {source}")]
    Value { name: String, source: ValueError },
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error("none of {count} pings to {member} was answered: is it overloaded, or the network between?")]
    NoPong { count: u32, member: String },
    #[error("the member that was joined by has gone again: try once more")]
    NoMember,
    #[error("the node has stopped by itself; the log above tells why")]
    Stopped(#[from] Stopped),
    #[error("cannot {what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

impl Failure {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::NameNotFound { .. }
            | Self::FieldNotFound { .. }
            | Self::ItemNotFound { .. }
            | Self::NobodyAnnounced { .. } => Kind::NotFound,
            Self::Lost { .. } | Self::Broken { .. } => Kind::Lost,
            Self::Interrupted => Kind::Interrupted,
            Self::NotAMap { .. }
            | Self::NotAList { .. }
            | Self::NotAnnouncements { .. }
            | Self::Value { .. } => Kind::Rejected,
            Self::Bench(_) | Self::LogLevel { .. } | Self::Config(_) | Self::Trust(_) | Self::Input(_) => {
                Kind::Usage
            }
            Self::System { .. } | Self::Output(_) | Self::NobodyToAnnounce | Self::AnnouncementTtl { .. } => {
                Kind::Usage
            }
            Self::Start { source: StartError::Join { .. } } => Kind::Unreachable,
            Self::Start { .. } => Kind::Usage,
            Self::TimeOut { .. } | Self::NoPong { .. } => Kind::Timeout,
            Self::Write { source: WriteError::TooFewAcks { .. }, .. } => Kind::Quorum,
            Self::Write { .. } => Kind::Rejected,
            Self::Read { source: ReadError::TooFewAnswers { .. }, .. } => Kind::Quorum,
            Self::Read { .. } => Kind::Rejected,
            Self::Watch { source: BeginWatchError::TooFewReplicas { .. }, .. } => Kind::Quorum,
            Self::Watch { .. } => Kind::Rejected,
            Self::Remote(RemoteError::Ask(_)) => Kind::Timeout,
            Self::Remote(RemoteError::Unexpected { .. }) => Kind::Rejected,
            Self::Remote(_) | Self::NoMember | Self::Stopped(_) => Kind::Unreachable,
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_closed_pipe() { 0 } else { self.kind().code() }
    }

    /// Whether the reader of our output had enough, as `head` does: no failure at all.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The failure of a write, told apart by whether its time was over.
    pub(crate) fn of_write(
        what: &'static str,
        name: String,
        error: PutError,
        timeout: Duration,
        elapsed: Duration,
    ) -> Self {
        match error {
            PutError::Write(source @ WriteError::TooFewAcks { .. }) if elapsed >= timeout => {
                Self::TimeOut { what, name, timeout, source: Box::new(source) }
            }
            PutError::Write(source) => Self::Write { what, name, source },
            PutError::Value(source) => Self::Value { name, source },
            _ => Self::Stopped(Stopped),
        }
    }

    /// The failure of what was done to a list, or read of it.
    pub(crate) fn of_list(what: &'static str, name: &[u8], error: ListError) -> Self {
        let name = shown_name(name);
        match error {
            ListError::NotAList { found, .. } => Self::NotAList { name, found },
            ListError::NoSuchItem { id, .. } => Self::ItemNotFound { name, id },
            ListError::Read(source) => Self::Read { name, source },
            ListError::Write(source) => Self::Write { what, name, source },
            _ => Self::Stopped(Stopped),
        }
    }

    /// The failure of an announcement, or of asking who is announced.
    pub(crate) fn of_announcement(name: &[u8], error: AnnounceError) -> Self {
        let name = shown_name(name);
        match error {
            AnnounceError::Ttl { ttl } => Self::AnnouncementTtl { ttl },
            AnnounceError::Taken { found, .. } => Self::NotAnnouncements { name, found },
            AnnounceError::Put(PutError::Write(source)) => {
                Self::Write { what: "announce under", name, source }
            }
            AnnounceError::Put(PutError::Value(source)) => Self::Value { name, source },
            AnnounceError::Get(kadmap::GetError::Read(source)) => Self::Read { name, source },
            _ => Self::Stopped(Stopped),
        }
    }

    /// The failure of a watch that did not begin, told apart by whether its time was over.
    pub(crate) fn of_watch(name: String, error: WatchError, timeout: Duration, elapsed: Duration) -> Self {
        match error {
            WatchError::Begin(source @ BeginWatchError::TooFewReplicas { .. }) if elapsed >= timeout => {
                Self::TimeOut { what: "watch", name, timeout, source: Box::new(source) }
            }
            WatchError::Begin(source) => Self::Watch { name, source },
            _ => Self::Stopped(Stopped),
        }
    }

    /// The failure of a read, told apart by whether its time was over.
    pub(crate) fn of_read(
        name: String,
        error: kadmap::GetError,
        timeout: Duration,
        elapsed: Duration,
    ) -> Self {
        match error {
            kadmap::GetError::Read(source @ ReadError::TooFewAnswers { .. }) if elapsed >= timeout => {
                Self::TimeOut { what: "read", name, timeout, source: Box::new(source) }
            }
            kadmap::GetError::Read(source) => Self::Read { name, source },
            kadmap::GetError::Value(source) => Self::Value { name, source },
            _ => Self::Stopped(Stopped),
        }
    }
}

fn remedy_of_start(error: &StartError) -> &'static str {
    match error {
        StartError::Join { .. } => {
            "; is a node running there, and is it the same --secret or certificate authority?"
        }
        _ => "",
    }
}

fn remedy_of_write(error: &WriteError) -> &'static str {
    match error {
        WriteError::TooFewAcks { .. } => "; try again, or make do with less by --consistency one",
        WriteError::Refused { refusal: kadmap::Refusal::WrongShape { .. }, .. } => {
            "; put something else there first, or choose another name"
        }
        WriteError::Refused { refusal: kadmap::Refusal::Conflict { .. }, .. } => {
            "; read it again and decide with what is there now"
        }
        WriteError::Refused { refusal: kadmap::Refusal::TooLarge { .. }, .. } => {
            "; store it in parts, or raise --value-bytes-max on every node"
        }
        WriteError::ValueTooLarge { .. } => "; a node's limit is its --value-bytes-max",
        WriteError::NameTooLong { .. } => "; choose a shorter name",
        _ => "",
    }
}

fn remedy_of_read(error: &ReadError) -> &'static str {
    match error {
        ReadError::TooFewAnswers { .. } => "; try again, or make do with less by --consistency one",
        ReadError::NameTooLong { .. } => "; choose a shorter name",
        ReadError::Busy { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn too_few_acks() -> PutError {
        let error = WriteError::TooFewAcks { acks: vec![], need: 2, refused: vec![], silent: vec![] };
        PutError::Write(error)
    }

    #[test]
    fn too_few_answers_and_too_little_time_are_told_apart() {
        let (timeout, name) = (Duration::from_secs(5), || "colour".to_owned());
        let early = Failure::of_write("put", name(), too_few_acks(), timeout, Duration::from_secs(1));
        assert_eq!(early.kind().code(), 5);
        assert_eq!(
            early.to_string(),
            "cannot put 'colour': too few acknowledgements: 0 of 2 needed (0 silent, 0 refused); \
             try again, or make do with less by --consistency one"
        );
        let late = Failure::of_write("put", name(), too_few_acks(), timeout, timeout);
        assert_eq!(late.kind().code(), 4);
        assert!(late.to_string().starts_with("cannot put 'colour' within 5s: too few"), "{late}");
        let error = || kadmap::GetError::Read(ReadError::TooFewAnswers { answers: 1, need: 2 });
        assert_eq!(Failure::of_read(name(), error(), timeout, Duration::ZERO).kind(), Kind::Quorum);
        assert_eq!(Failure::of_read(name(), error(), timeout, timeout).kind(), Kind::Timeout);
    }

    #[test]
    fn a_reader_that_had_enough_is_no_failure() {
        let failure = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(failure.exit_code(), 0);
        assert_eq!(Failure::Output(io::ErrorKind::StorageFull.into()).exit_code(), 2);
    }
}
