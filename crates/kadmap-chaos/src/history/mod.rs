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
    /// So many processes stand still that a quorum of some records is among them: as good as a cut.
    pub const SPLIT: &'static str = "split";
    /// No fault: replicas were seen to be equal, so that what was divided is one again.
    pub const EQUAL: &'static str = "equal";
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
    /// Which reads may be late before all is settled.
    pub excuses: Excuses,
    /// Replicas that a reader hears which counts as many as a record is to have; 0 when that is not known.
    pub read_quorum: u32,
}

/// Which reads may lack what was acknowledged before them, until all is settled.
///
/// ```
/// assert_eq!(kadmap_chaos::Excuses::default(), kadmap_chaos::Excuses::Division);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Excuses {
    /// None.
    Nothing,
    /// Those that a divided swarm explains: from the moment in which so many nodes are out of others' reach that a quorum
    /// may be among them, until all replicas were seen to be equal again; and those whose reader heard fewer replicas
    /// than a quorum of all has, because it took the others for dead.
    #[default]
    Division,
    /// All, once anything was done to the swarm.
    Disturbance,
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

    /// Whether a read must show what was acknowledged before it.
    pub(crate) fn is_strict(&self, read: &Operation) -> bool {
        let excused = || match self.excuses {
            Excuses::Nothing => false,
            Excuses::Division => read.acks < self.read_quorum || self.is_divided(read),
            Excuses::Disturbance => self.faults.iter().any(|fault| fault.at_ns <= read.end_ns),
        };
        self.is_settled(read) || !excused()
    }

    /// Whether the swarm was divided, or not yet one again, at any time of an operation.
    fn is_divided(&self, read: &Operation) -> bool {
        let mut since_ns = None;
        for fault in &self.faults {
            match fault.fault.as_str() {
                Fault::CUT | Fault::SPLIT => since_ns = since_ns.or(Some(fault.at_ns)),
                Fault::EQUAL => {
                    let overlaps = |since_ns| since_ns <= read.end_ns && read.start_ns <= fault.at_ns;
                    if since_ns.take().is_some_and(overlaps) {
                        return true;
                    }
                }
                _ => {}
            }
        }
        since_ns.is_some_and(|since_ns| since_ns <= read.end_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(start_ns: u64, end_ns: u64) -> Operation {
        Operation::new(1, Kind::Get, "x", Seen::Nothing).at(start_ns, end_ns)
    }

    #[test]
    fn only_a_divided_swarm_excuses_a_read_unless_told_otherwise() {
        let fault = |fault: &str, at_ns| Fault { fault: fault.to_owned(), target: String::new(), at_ns };
        let faults = vec![
            fault(Fault::KILL, 10),
            fault(Fault::CUT, 20),
            fault(Fault::HEAL, 30),
            fault(Fault::EQUAL, 40),
        ];
        let history = History { faults, settled_ns: Some(100), read_quorum: 2, ..History::default() };
        let strict = |history: &History, start_ns, acks| {
            history.is_strict(&Operation { acks, ..read(start_ns, start_ns + 2) })
        };
        let at = [12, 19, 25, 35, 41, 101];
        assert_eq!(at.map(|at| strict(&history, at, 2)), [true, false, false, false, true, true]);
        assert_eq!(at.map(|at| strict(&history, at, 1)), [false, false, false, false, false, true]);
        let lenient = History { excuses: Excuses::Disturbance, ..history.clone() };
        assert_eq!(at.map(|at| strict(&lenient, at, 2)), [false, false, false, false, false, true]);
        let hard = History { excuses: Excuses::Nothing, ..history };
        assert_eq!(at.map(|at| strict(&hard, at, 1)), [true; 6]);
    }
}
