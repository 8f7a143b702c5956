//! What clients did and what they saw, for checkers to judge.

mod operation;
mod recorder;
mod token;

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

pub use operation::{Kind, Mark, Operation, Outcome, Seen};
pub(crate) use recorder::Recorder;
pub(crate) use token::{item, item_parts, token_of_value, value_of_token};

/// Something done to the swarm on purpose.
///
/// ```
/// use kadmap_chaos::Fault;
/// let fault = Fault { fault: "kill".into(), target: "node 3".into(), at_ns: 7 };
/// assert_eq!(serde_json::to_value(&fault).unwrap()["fault"], "kill");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What was done.
    pub fault: String,
    /// To whom.
    pub target: String,
    /// When, on the clock of the operations.
    pub at_ns: u64,
}

impl Fault {
    /// A process was killed, and its disk kept.
    pub const KILL: &'static str = "kill";
    /// A process was killed, and its disk is gone.
    pub const WIPE: &'static str = "wipe";
    /// A process was stopped where it stood.
    pub const FREEZE: &'static str = "freeze";
    /// A frozen process went on.
    pub const THAW: &'static str = "thaw";
    /// The link between the sides was taken down.
    pub const CUT: &'static str = "cut";
    /// The link came up again.
    pub const HEAL: &'static str = "heal";
    /// A process was asked to leave.
    pub const STOP: &'static str = "stop";
    /// A process was started again.
    pub const RESTART: &'static str = "restart";
}

/// The clients' operations and the faults of one run.
///
/// ```
/// use kadmap_chaos::{History, Kind, Operation, Seen};
/// let mut history = History::default();
/// history.operations.push(Operation::new(1, Kind::Put, "colour", Seen::Value(7)).at(0, 5));
/// let mut lines = Vec::new();
/// history.write(&mut lines).unwrap();
/// assert_eq!(History::read(&lines[..]).unwrap(), history);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// In the order in which they ended.
    pub operations: Vec<Operation>,
    /// In the order in which they were done.
    pub faults: Vec<Fault>,
    /// From when on all faults were over and the swarm had come to itself: what reads begun after it lack is lost
    /// rather than late.
    pub settled_ns: Option<u64>,
    /// Whether a late read is a breach even while faults go on.
    pub excuses_nothing: bool,
}

/// The line that tells from when on a history is settled.
#[derive(Debug, Serialize, Deserialize)]
struct Settled {
    settled_ns: u64,
}

/// Any line of a history.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Operation(Operation),
    Fault(Fault),
    Settled(Settled),
}

impl History {
    /// Writes one JSON object a line: operations, faults, and when all was settled.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        for operation in &self.operations {
            serde_json::to_writer(&mut out, operation)?;
            out.write_all(b"\n")?;
        }
        for fault in &self.faults {
            serde_json::to_writer(&mut out, fault)?;
            out.write_all(b"\n")?;
        }
        if let Some(settled_ns) = self.settled_ns {
            serde_json::to_writer(&mut out, &Settled { settled_ns })?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// Those of `lines`, and [`io::ErrorKind::InvalidData`] for a line that is none of a history.
    pub fn read(lines: impl io::BufRead) -> io::Result<Self> {
        let mut history = Self::default();
        for line in lines.lines() {
            match serde_json::from_str(&line?)? {
                Line::Operation(operation) => history.operations.push(operation),
                Line::Fault(fault) => history.faults.push(fault),
                Line::Settled(settled) => history.settled_ns = Some(settled.settled_ns),
            }
        }
        Ok(history)
    }

    /// Whether a read began when all faults were over.
    pub(crate) fn is_settled(&self, read: &Operation) -> bool {
        self.settled_ns.is_some_and(|settled_ns| read.start_ns >= settled_ns)
    }

    /// Whether a read must show what was acknowledged before it: when all is settled, and as long as nothing was done to
    /// the swarm. In between others stand in for nodes that are gone, and a reader may count other nodes than the
    /// writer did; that excuses it, unless the run is to excuse nothing.
    pub(crate) fn is_strict(&self, read: &Operation) -> bool {
        let is_undisturbed = || !self.faults.iter().any(|fault| fault.at_ns <= read.end_ns);
        self.excuses_nothing || self.is_settled(read) || is_undisturbed()
    }
}
