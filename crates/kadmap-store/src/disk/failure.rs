//! A disk that refuses: why, and when it is tried again.

use std::path::Path;
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::file::Mode;

/// The longest wait between two attempts: a disk that was full for a day works within so long of being cleared.
const RETRY_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// Why no write is taken at present.
#[derive(Debug)]
pub(crate) struct Failure {
    reason: String,
    /// When the disk is tried again; never when the file is damaged, which only a restart mends.
    retry_at: Option<Instant>,
    wait: Duration,
    mode: Mode,
    /// Whether the file has to be opened anew before it can be read.
    reopen: bool,
}

impl Failure {
    /// A fault that has just been met, of a disk that worked until now.
    pub(crate) fn new(path: &Path, fault: &Fault, wait: Duration) -> Self {
        let mut failure =
            Self { reason: String::new(), retry_at: None, wait, mode: Mode::Check, reopen: false };
        failure.note(path, fault);
        failure
    }

    /// An attempt to go on has failed too.
    pub(crate) fn again(&mut self, path: &Path, fault: &Fault) {
        self.wait = (self.wait * 2).min(RETRY_INTERVAL_MAX.max(self.wait));
        self.mode = Mode::Check;
        self.note(path, fault);
    }

    fn note(&mut self, path: &Path, fault: &Fault) {
        self.reason = format!("cannot write '{}': {}; {}", path.display(), fault.reason(), fault.remedy());
        self.retry_at = (!matches!(fault, Fault::Damaged(_))).then(|| Instant::now() + self.wait);
    }

    /// What is wrong, where, and what to do about it.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// No write has failed, so that the file need not be looked through before it is written to again.
    pub(crate) fn trust_the_file(&mut self) {
        self.mode = Mode::Trust;
    }

    /// How to open the file to write to it again.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// How long until the next attempt; `None` for never.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        Some(self.retry_at?.saturating_duration_since(now))
    }

    /// The file cannot be read as it is open now; what is damaged is not touched again.
    pub(crate) fn reopen(&mut self) {
        self.reopen = self.retry_at.is_some();
    }

    /// Whether the file is to be opened anew to read it, asked once.
    pub(crate) fn take_reopen(&mut self) -> bool {
        std::mem::take(&mut self.reopen)
    }
}
