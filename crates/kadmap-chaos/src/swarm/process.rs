//! One node in a process of its own.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kadmap::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::warden::{Ward, Warden};
use crate::error::ChaosError;

/// How long a node may take until it serves, and until it has left: far beyond what it takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a process is asked whether it has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Characters of a log that an error quotes.
const LOG_TAIL: usize = 600;

/// How a node is started.
#[derive(Debug, Clone)]
pub(crate) struct NodeSpec {
    /// For messages.
    pub(crate) number: usize,
    /// The program and what comes before `run`.
    pub(crate) program: Vec<OsString>,
    /// What comes after `run`.
    pub(crate) args: Vec<OsString>,
    /// What keeps strangers out.
    pub(crate) secret: String,
    /// The network namespace to be in.
    pub(crate) namespace: Option<String>,
    /// Where it logs.
    pub(crate) log: PathBuf,
}

/// What a node says when it serves.
#[derive(Debug, Deserialize)]
struct Serving {
    id: String,
    address: SocketAddr,
}

/// A node that serves, in a process of its own.
#[derive(Debug)]
pub(crate) struct Process {
    running: Running,
    id: NodeId,
    address: SocketAddr,
}

/// A process, killed when dropped.
#[derive(Debug)]
struct Running {
    number: usize,
    child: Child,
    warden: Warden,
    log: PathBuf,
}

impl Process {
    /// Starts a node and waits until it serves.
    pub(crate) fn start(spec: &NodeSpec, warden: &Warden) -> Result<Self, ChaosError> {
        let log = std::fs::File::options().create(true).append(true).open(&spec.log);
        let log = log.map_err(ChaosError::system("open a node's log"))?;
        let mut command = spec.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        // Out of the terminal's group: Ctrl-C is for the harness.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(ChaosError::system("start a node"))?;
        let stdout = child.stdout.take();
        let running = Running { number: spec.number, child, warden: warden.clone(), log: spec.log.clone() };
        warden.guard(&Ward::Process(running.child.id()))?;
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = stdout.map(|stdout| BufReader::new(stdout).read_line(&mut line));
            let _ = sender.send(read.map(|_| line).unwrap_or_default());
        });
        let line = line.recv_timeout(PATIENCE).map_err(|_| running.failed("it said nothing"))?;
        let serving: Serving =
            serde_json::from_str(&line).map_err(|_| running.failed(&format!("it said '{line}'")))?;
        let id = serving.id.parse().map_err(|_| running.failed("it told no id"))?;
        Ok(Self { running, id, address: serving.address })
    }

    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// Sends a signal and does not wait for what comes of it.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), ChaosError> {
        let sent = kill_process(Pid::from_child(&self.running.child), signal);
        sent.map_err(|error| ChaosError::system(format!("signal node {}", self.running.number))(error.into()))
    }

    /// Ends it at once and takes it from the table of processes.
    pub(crate) fn kill(self) -> Result<(), ChaosError> {
        self.signal(Signal::KILL)?;
        drop(self);
        Ok(())
    }

    /// Lets it leave and waits until it has.
    pub(crate) fn stop(mut self) -> Result<Duration, ChaosError> {
        let start = Instant::now();
        self.signal(Signal::TERM)?;
        while self.running.child.try_wait().map_err(ChaosError::system("wait for a node"))?.is_none() {
            if start.elapsed() > PATIENCE {
                return Err(self.running.failed("it does not end when asked to"));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(start.elapsed())
    }
}

impl Running {
    fn failed(&self, reason: &str) -> ChaosError {
        ChaosError::Node { node: self.number, reason: reason.to_owned(), log: tail(&self.log) }
    }
}

impl NodeSpec {
    fn command(&self) -> Command {
        let mut words = Vec::new();
        if let Some(namespace) = &self.namespace {
            words.extend(["ip", "netns", "exec", namespace].map(OsString::from));
        }
        words.extend(self.program.iter().cloned());
        words.extend(["run", "--json"].map(OsString::from));
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        // What is set on this machine for its own nodes is not for these.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"KADMAP_"))
        {
            command.env_remove(name);
        }
        command.env("KADMAP_SECRET", &self.secret);
        command
    }
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let skipped = text.chars().count().saturating_sub(LOG_TAIL);
    text.chars().skip(skipped).collect()
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted. Waiting keeps it from staying a zombie.
        let _ = self.child.kill();
        self.warden.release(&Ward::Process(self.child.id()));
        let _ = self.child.wait();
    }
}
