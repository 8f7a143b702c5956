//! A second process: this program again, which can be measured from outside, stopped and killed.
//!
//! The task travels as JSON in a hidden argument. The child says that it is ready in one line of JSON, answers every
//! line it reads with its state, and ends when its input does: it does not outlive its parent.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use kadmap::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;

use crate::error::BenchError;
use crate::redundancy::Redundancy;
use crate::swarm::{Swarm, SwarmSpec};
use crate::{Launch, echo};

/// The most that a child may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
/// The most that a child may take to tell its state.
const STATE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Send UDP packets back.
    Echo,
    /// Host nodes.
    Nodes(Hosting),
}

/// The nodes that a child hosts, in memory and on one thread.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Hosting {
    pub(crate) nodes: usize,
    pub(crate) redundancy: Redundancy,
    /// A member to join; `None`: a swarm of their own.
    pub(crate) join: Option<SocketAddr>,
    /// When connections without traffic close; `None`: when they do by themselves.
    pub(crate) idle_timeout_ms: Option<u64>,
}

/// What a child says when it is ready: the addresses it listens at, with the ids of nodes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ready {
    nodes: Vec<(String, SocketAddr)>,
    address: Option<SocketAddr>,
}

/// How the nodes of a child are.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct State {
    /// Open connections, the sum of all nodes.
    pub(crate) connections: u64,
    /// Contacts of the node that has the fewest.
    pub(crate) contacts_min: u64,
    /// Records of the node that has the most.
    pub(crate) records_max: u64,
}

/// A child as its parent sees it; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    task: &'static str,
    ready: Ready,
}

impl Task {
    fn name(&self) -> &'static str {
        match self {
            Self::Echo => "the UDP echo",
            Self::Nodes(_) => "hosting nodes",
        }
    }
}

impl Child {
    pub(crate) fn start(launch: &Launch, task: &Task) -> Result<Self, BenchError> {
        let own = || std::env::current_exe().map_err(BenchError::system("the path of this program"));
        let program = launch.program.clone().map_or_else(own, Ok)?;
        let text = serde_json::to_string(task).map_err(|error| failed(task.name(), error))?;
        let mut process = Command::new(program)
            .args(&launch.leading_args)
            .arg("--child")
            .arg(text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::system("a second process"))?;
        let (sender, lines) = mpsc::channel();
        let output = process.stdout.take();
        std::thread::spawn(move || {
            let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines());
            lines.map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let input = process.stdin.take();
        let ready = Ready { nodes: Vec::new(), address: None };
        let mut child = Self { process, input, lines, task: task.name(), ready };
        child.ready = child.receive(READY_TIMEOUT)?;
        Ok(child)
    }

    /// The address of a child that echoes.
    pub(crate) fn address(&self) -> Result<SocketAddr, BenchError> {
        self.ready.address.ok_or_else(|| failed(self.task, "it told no address"))
    }

    /// The first node of a child that hosts some.
    pub(crate) fn first_node(&self) -> Result<(NodeId, SocketAddr), BenchError> {
        let (id, address) = self.ready.nodes.first().ok_or_else(|| failed(self.task, "it told no node"))?;
        Ok((id.parse().map_err(|_| failed(self.task, format!("'{id}' is no node id")))?, *address))
    }

    /// How its nodes are now.
    pub(crate) fn state(&mut self) -> Result<State, BenchError> {
        let task = self.task;
        let input = self.input.as_mut().ok_or_else(|| failed(task, "its input is closed"))?;
        writeln!(input, "state").and_then(|()| input.flush()).map_err(|error| failed(task, error))?;
        self.receive(STATE_TIMEOUT)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends the process at once: its sockets are closed.
    pub(crate) fn kill(&mut self) -> Result<(), BenchError> {
        self.signal(Signal::KILL)
    }

    /// Stops the process where it stands: its sockets stay open and nobody answers.
    pub(crate) fn freeze(&mut self) -> Result<(), BenchError> {
        self.signal(Signal::STOP)
    }

    fn signal(&self, signal: Signal) -> Result<(), BenchError> {
        kill_process(Pid::from_child(&self.process), signal).map_err(|error| failed(self.task, error))
    }

    fn receive<T: DeserializeOwned>(&self, timeout: Duration) -> Result<T, BenchError> {
        let line = self.lines.recv_timeout(timeout).map_err(|error| match error {
            mpsc::RecvTimeoutError::Timeout => BenchError::NoAnswer { what: self.task.to_owned() },
            mpsc::RecvTimeoutError::Disconnected => failed(self.task, "it ended"),
        })?;
        serde_json::from_str(&line).map_err(|error| failed(self.task, format!("it said '{line}': {error}")))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already, which is what is wanted. Waiting keeps it from staying a zombie.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Does what a child is told to, until its input ends.
pub(crate) fn serve(task: &str, out: &mut dyn Write) -> Result<(), BenchError> {
    let task: Task = serde_json::from_str(task).map_err(|error| failed("a parent", error))?;
    match task {
        Task::Echo => serve_echo(out),
        Task::Nodes(hosting) => hosting.serve(out),
    }
}

fn serve_echo(out: &mut dyn Write) -> Result<(), BenchError> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(BenchError::system("a runtime"))?;
    runtime.block_on(async {
        let socket = echo::bind().await?;
        let address = socket.local_addr().map_err(BenchError::system("a UDP socket"))?;
        say(out, &Ready { nodes: Vec::new(), address: Some(address) })?;
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            std::io::stdin().lines().map_while(Result::ok).for_each(drop);
            drop(ended);
        });
        tokio::select! {
            () = echo::serve(socket) => {}
            _ = end => {}
        }
        Ok(())
    })
}

impl Hosting {
    fn serve(&self, out: &mut dyn Write) -> Result<(), BenchError> {
        let mut builder = self.redundancy.builder();
        if let Some(timeout_ms) = self.idle_timeout_ms {
            builder = builder.idle_timeout(Duration::from_millis(timeout_ms));
        }
        let spec = SwarmSpec { nodes: self.nodes, threads: 1, builder, data: None, join: self.join };
        let swarm = Swarm::spawn(&spec)?;
        swarm.first_gets()?;
        let nodes = swarm.nodes().map(|node| (node.id().to_string(), node.address())).collect();
        say(out, &Ready { nodes, address: None })?;
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            say(out, &state_of(&swarm)?)?;
        }
        Ok(())
    }
}

/// How the nodes of a swarm are.
pub(crate) fn state_of(swarm: &Swarm) -> Result<State, BenchError> {
    let states =
        swarm.ask_all("the state of every node", STATE_TIMEOUT, |node| async move { node.status().await })?;
    let states: Vec<_> = states.into_iter().flatten().collect();
    Ok(State {
        connections: states.iter().map(|status| status.connections).sum(),
        contacts_min: states.iter().map(|status| status.contacts).min().unwrap_or(0),
        records_max: states.iter().map(|status| status.records).max().unwrap_or(0),
    })
}

fn say<T: Serialize>(out: &mut dyn Write, what: &T) -> Result<(), BenchError> {
    let line = serde_json::to_string(what).map_err(std::io::Error::from);
    line.and_then(|line| writeln!(out, "{line}"))
        .and_then(|()| out.flush())
        .map_err(BenchError::system("the output"))
}

fn failed(task: &'static str, reason: impl std::fmt::Display) -> BenchError {
    BenchError::Child { task, reason: reason.to_string() }
}
