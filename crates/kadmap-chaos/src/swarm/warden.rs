//! A process that outlives the harness by a moment, to end what the harness has started.
//!
//! The harness tells it by lines on its standard input what there is; when that input ends, for whatever reason (the end
//! of the run, a panic, Ctrl-C, SIGKILL), everything that is still there is killed or removed, each process by its id.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::ChaosError;

/// The hidden word by which this binary is started as a warden.
pub(crate) const WARDEN: &str = "--warden";

/// Something that must not outlive the harness.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ward {
    /// A process of ours.
    Process(u32),
    /// A network namespace of ours, and with it its devices.
    Namespace(String),
    /// A temporary folder of ours.
    Folder(String),
}

impl Ward {
    fn line(&self) -> String {
        match self {
            Self::Process(pid) => format!("process {pid}"),
            Self::Namespace(name) => format!("namespace {name}"),
            Self::Folder(path) => format!("folder {path}"),
        }
    }

    fn of_line(line: &str) -> Option<Self> {
        match line.split_once(' ')? {
            ("process", pid) => pid.parse().ok().map(Self::Process),
            ("namespace", name) => Some(Self::Namespace(name.to_owned())),
            ("folder", path) => Some(Self::Folder(path.to_owned())),
            _ => None,
        }
    }

    /// Makes an end of it; what is gone already is what is wanted.
    fn end(&self) {
        match self {
            Self::Process(pid) => {
                let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
                let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
            }
            Self::Namespace(name) => {
                let _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
            }
            Self::Folder(path) => {
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }
}

/// The warden as the harness sees it; clones speak to the same one.
#[derive(Debug, Clone)]
pub(crate) struct Warden(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    process: Child,
    input: Option<ChildStdin>,
}

impl Warden {
    pub(crate) fn start(own_program: &Path) -> Result<Self, ChaosError> {
        let mut command = Command::new(own_program);
        command.arg(WARDEN).stdin(Stdio::piped()).stdout(Stdio::null());
        // Out of the terminal's group: Ctrl-C is for the harness.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut process = command.spawn().map_err(ChaosError::system("start a warden"))?;
        let input = process.stdin.take();
        Ok(Self(Arc::new(Mutex::new(Inner { process, input }))))
    }

    /// From now on it ends with the harness.
    pub(crate) fn guard(&self, ward: &Ward) -> Result<(), ChaosError> {
        self.tell('+', ward)
    }

    /// The harness has ended it itself.
    pub(crate) fn release(&self, ward: &Ward) {
        // A warden that has gone releases everything.
        let _ = self.tell('-', ward);
    }

    fn tell(&self, sign: char, ward: &Ward) -> Result<(), ChaosError> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = inner.input.as_mut().map(|input| writeln!(input, "{sign}{}", ward.line()));
        told.unwrap_or(Ok(())).map_err(ChaosError::system("speak to the warden"))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.process.wait();
    }
}

/// What a warden does: listens until its input ends, then ends what is left.
pub(crate) fn serve(lines: impl BufRead) {
    let mut wards = BTreeSet::new();
    for line in lines.lines().map_while(Result::ok) {
        let mut characters = line.chars();
        let sign = characters.next();
        match (sign, Ward::of_line(characters.as_str())) {
            (Some('+'), Some(ward)) => drop(wards.insert(ward)),
            (Some('-'), Some(ward)) => drop(wards.remove(&ward)),
            _ => {}
        }
    }
    // In order: processes before the folders they write to.
    wards.iter().for_each(Ward::end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wards_survive_their_lines() {
        let wards = [Ward::Process(7), Ward::Namespace("a".into()), Ward::Folder("/a b".into())];
        for ward in wards {
            assert_eq!(Ward::of_line(&ward.line()), Some(ward));
        }
        assert_eq!(Ward::of_line("else 7"), None);
    }

    #[cfg(unix)]
    #[test]
    fn what_was_not_released_is_ended() {
        let mut kept = Command::new("sleep").arg("600").spawn().unwrap();
        let mut ended = Command::new("sleep").arg("600").spawn().unwrap();
        let lines = format!("+process {0}\n+process {1}\n-process {0}\n", kept.id(), ended.id());
        serve(lines.as_bytes());
        assert!(!ended.wait().unwrap().success());
        assert!(kept.try_wait().unwrap().is_none());
        kept.kill().unwrap();
        kept.wait().unwrap();
    }
}
