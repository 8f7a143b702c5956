//! Real processes of the built binary.

// Every test file uses its own part of this.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a condition may take to come true: far beyond what it takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The binary, with none of this machine's own settings.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kadmap"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"KADMAP_") {
            command.env_remove(name);
        }
    }
    command
}

/// What a finished process left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("text on standard output")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The lines of standard output, sorted.
    pub(crate) fn sorted_lines(&self) -> Vec<&str> {
        let mut lines: Vec<_> = self.text().lines().collect();
        lines.sort_unstable();
        lines
    }

    /// Demands success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Demands an exit code, nothing on standard output, and one line on standard error that contains `parts`.
    #[track_caller]
    pub(crate) fn fails(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        let errors: Vec<_> = self.stderr.lines().filter(|line| line.starts_with("kadmap: ")).collect();
        assert_eq!(errors.len(), 1, "{self:?}");
        assert!(self.stderr.ends_with(&format!("{}\n", errors[0])), "{self:?}");
        for part in parts {
            assert!(errors[0].contains(part), "'{part}' is not in: {}", errors[0]);
        }
        self
    }
}

/// Runs the binary to its end.
pub(crate) fn kadmap<S: AsRef<OsStr>>(args: &[S]) -> Ran {
    finish(command().args(args), b"")
}

/// Runs the binary to its end with something on standard input.
pub(crate) fn finish(command: &mut Command, stdin: &[u8]) -> Ran {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A child that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().expect("an exit code"),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "never came true: {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// A node in a process of its own, killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: String,
    pub(crate) id: String,
    folder: TempDir,
}

impl Node {
    /// Starts a node on a free port of loopback and waits until it serves.
    #[track_caller]
    pub(crate) fn start<S: AsRef<OsStr>>(args: &[S]) -> Self {
        Self::spawn(command().args(["run", "--listen", "127.0.0.1:0", "--json"]).args(args))
    }

    /// Starts `run --json` as it was put together.
    #[track_caller]
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, line) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        let mut node = Self { child, address: String::new(), id: String::new(), folder };
        let line = line.recv_timeout(PATIENCE).expect("the node says that it serves");
        let serving: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}: {}", node.log()));
        node.address = serving["address"].as_str().unwrap().to_owned();
        node.id = serving["id"].as_str().unwrap().to_owned();
        node
    }

    /// Several nodes that all know each other.
    #[track_caller]
    pub(crate) fn swarm(nodes: usize, args: &[&str]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for _ in 0..nodes {
            let join: Vec<_> =
                all.first().map(|first| format!("--join={}", first.address)).into_iter().collect();
            let args: Vec<_> = args.iter().copied().chain(join.iter().map(String::as_str)).collect();
            all.push(Self::start(&args));
        }
        for node in &all {
            let trust: Vec<_> = args.iter().copied().filter(|arg| arg.starts_with("--secret")).collect();
            eventually("the nodes know each other", || {
                let args: Vec<_> = ["peers", "--json"].into_iter().chain(trust.iter().copied()).collect();
                node.run(&args).json().as_array().is_some_and(|peers| peers.len() == nodes - 1)
            });
        }
        all
    }

    /// Runs a short verb against this node.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        self.run_with(args, b"")
    }

    /// Runs a short verb against this node with something on standard input.
    pub(crate) fn run_with<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8]) -> Ran {
        finish(command().env("KADMAP_NODE", &self.address).args(args), stdin)
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Sends a signal, such as `TERM`.
    #[cfg(unix)]
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> ExitStatus {
        let mut status = None;
        eventually("the node ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Ends it at once, as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder in a temporary folder, as text for a flag.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
