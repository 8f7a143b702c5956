//! A swarm of processes, and what is done to it.

mod lane;
mod network;
mod process;
mod warden;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use kadmap::NodeId;
use rustix::process::Signal;
use tempfile::TempDir;

pub(crate) use lane::Lane;
use network::{Network, SIDES};
use process::{NodeSpec, Process};
use warden::Ward;
pub(crate) use warden::{WARDEN, Warden, serve as serve_as_warden};

use crate::dice::Dice;
use crate::error::ChaosError;

/// Where nodes listen that are in no namespace.
const LOOPBACK: &str = "127.0.0.1";
/// Members that a new node is told of: one would do, unless it is the one that was just killed.
const JOIN_ADDRESSES: usize = 3;
/// The verb's flag for the time between two rounds of repair, if this kadmap has it.
const REPAIR_FLAG: &str = "--repair-interval";

/// How all nodes of a swarm are started.
#[derive(Debug, Clone)]
pub(crate) struct SwarmSpec {
    /// The program that is a node, and what comes before `run`.
    pub(crate) kadmap: Vec<OsString>,
    /// This binary.
    pub(crate) own_program: PathBuf,
    /// Replicas of each record.
    pub(crate) replication: usize,
    /// Further words for `run`.
    pub(crate) args: Vec<OsString>,
    /// Whether nodes have a data folder.
    pub(crate) disks: bool,
    /// Whether there are two sides with a link that can be cut.
    pub(crate) two_sides: bool,
}

/// A node that is, or was, in the swarm.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its side; always 0 where there is only one.
    pub(crate) side: usize,
    /// Its process; `None` once it was killed.
    process: Option<Process>,
    /// Whether it was stopped where it stands.
    is_frozen: bool,
    /// Where it listens, or did last.
    address: SocketAddr,
    id: NodeId,
}

/// The nodes of a run; all are killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Swarm {
    spec: SwarmSpec,
    secret: String,
    members: Vec<Member>,
    dice: Dice,
    network: Option<Network>,
    warden: Warden,
    /// Removed with all it holds when the swarm ends; declared last, so that the nodes are gone before.
    folder: TempDir,
}

impl Swarm {
    /// Prepares a swarm without nodes.
    pub(crate) fn new(spec: SwarmSpec, seed: u64) -> Result<Self, ChaosError> {
        let warden = Warden::start(&spec.own_program)?;
        let folder = tempfile::Builder::new().prefix("kadmap-chaos-").tempdir();
        let folder = folder.map_err(ChaosError::system("make a temporary folder"))?;
        warden.guard(&Ward::Folder(folder.path().display().to_string()))?;
        let network = if spec.two_sides { Some(Network::make(&warden)?) } else { None };
        let mut dice = Dice::new(seed);
        // Not to keep anyone out who reads this, but nodes of other runs on this machine.
        let secret = format!("{:016x}{:08x}", dice.roll(), std::process::id());
        Ok(Self { spec, secret, members: Vec::new(), dice, network, warden, folder })
    }

    /// Starts so many more nodes, dealt to the sides in turn.
    pub(crate) fn grow(&mut self, count: usize, mut tell: impl FnMut()) -> Result<Vec<usize>, ChaosError> {
        let mut grown = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.members.len();
            let side = if self.network.is_some() { number % SIDES } else { 0 };
            let process = self.start(number, side, 0)?;
            let (address, id) = (process.address(), process.id());
            self.members.push(Member { side, process: Some(process), is_frozen: false, address, id });
            grown.push(number);
            tell();
        }
        Ok(grown)
    }

    /// Starts a killed or stopped node again: with its disk it is the same node at the same address, without it a new
    /// one at the same address.
    pub(crate) fn restart(&mut self, number: usize, keeps_disk: bool) -> Result<(), ChaosError> {
        if !keeps_disk {
            let folder = self.data_folder(number);
            if folder.exists() {
                std::fs::remove_dir_all(&folder).map_err(ChaosError::system("remove a node's disk"))?;
            }
        }
        let (side, port) = (self.members[number].side, self.members[number].address.port());
        // Somebody else may have been given the port meanwhile.
        let process = self.start(number, side, port).or_else(|_| self.start(number, side, 0))?;
        let member = &mut self.members[number];
        (member.address, member.id) = (process.address(), process.id());
        (member.process, member.is_frozen) = (Some(process), false);
        Ok(())
    }

    /// Ends nodes at once: the signals go out together, then the processes are waited for.
    pub(crate) fn kill(&mut self, numbers: &[usize]) -> Result<(), ChaosError> {
        let processes: Vec<_> =
            numbers.iter().filter_map(|number| self.members[*number].process.take()).collect();
        for process in &processes {
            process.signal(Signal::KILL)?;
        }
        processes.into_iter().try_for_each(Process::kill)
    }

    /// Stops a node where it stands: its socket is open and nobody answers.
    pub(crate) fn freeze(&mut self, number: usize) -> Result<(), ChaosError> {
        self.members[number].is_frozen = true;
        self.signal(number, Signal::STOP)
    }

    /// Lets a frozen node go on.
    pub(crate) fn thaw(&mut self, number: usize) -> Result<(), ChaosError> {
        self.members[number].is_frozen = false;
        self.signal(number, Signal::CONT)
    }

    /// Lets a node leave.
    pub(crate) fn stop(&mut self, number: usize) -> Result<(), ChaosError> {
        self.members[number].process.take().map_or(Ok(()), |process| process.stop().map(drop))
    }

    /// Cuts the link between the sides, or brings it up again.
    pub(crate) fn set_cut(&self, is_cut: bool) -> Result<(), ChaosError> {
        match &self.network {
            Some(network) if is_cut => network.cut(),
            Some(network) => network.heal(),
            None => Ok(()),
        }
    }

    /// Lets the link between the sides lose and delay packets, in the words of `tc netem`.
    pub(crate) fn disturb(&self, how: &str) -> Result<(), ChaosError> {
        self.network.as_ref().map_or(Ok(()), |network| network.disturb(how))
    }

    /// Whether there is a link that can be cut.
    pub(crate) fn has_two_sides(&self) -> bool {
        self.network.is_some()
    }

    /// Bytes that everybody in the swarm's own network has sent so far; `None` where it has none.
    pub(crate) fn traffic_bytes(&self) -> Result<Option<u64>, ChaosError> {
        self.network.as_ref().map(Network::traffic_bytes).transpose()
    }

    /// The nodes whose processes run and are not frozen.
    pub(crate) fn live(&self) -> Vec<usize> {
        let is_live = |member: &Member| member.process.is_some() && !member.is_frozen;
        (0..self.members.len()).filter(|number| is_live(&self.members[*number])).collect()
    }

    pub(crate) fn member(&self, number: usize) -> &Member {
        &self.members[number]
    }

    /// A thread for clients of a side.
    pub(crate) fn lane(&self, side: usize) -> Result<Lane, ChaosError> {
        Lane::start(self.network.as_ref().map(|network| network.path(side)).as_deref())
    }

    /// Where a client of a side listens.
    pub(crate) fn listen(&self, side: usize, port: u16) -> String {
        match &self.network {
            Some(network) => SocketAddr::new(network.address(side), port).to_string(),
            None => format!("{LOOPBACK}:{port}"),
        }
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    pub(crate) fn replication(&self) -> usize {
        self.spec.replication
    }

    fn signal(&self, number: usize, signal: Signal) -> Result<(), ChaosError> {
        self.members[number].process.as_ref().map_or(Ok(()), |process| process.signal(signal))
    }

    fn start(&mut self, number: usize, side: usize, port: u16) -> Result<Process, ChaosError> {
        let mut args: Vec<OsString> = vec!["--listen".into(), self.listen(side, port).into()];
        args.extend(["--replication".into(), self.spec.replication.to_string().into()]);
        if self.spec.disks {
            args.extend(["--data".into(), self.data_folder(number).into()]);
        }
        let known: Vec<_> = self.live().into_iter().filter(|live| *live != number).collect();
        for at in self.dice.choose(JOIN_ADDRESSES, known.len()) {
            args.extend(["--join".into(), self.members[known[at]].address.to_string().into()]);
        }
        args.extend(self.spec.args.iter().cloned());
        let spec = NodeSpec {
            number,
            program: self.spec.kadmap.clone(),
            args,
            secret: self.secret.clone(),
            namespace: self.network.as_ref().map(|network| network.name(side).to_owned()),
            log: self.folder.path().join(format!("{number}.log")),
        };
        Process::start(&spec, &self.warden)
    }

    fn data_folder(&self, number: usize) -> PathBuf {
        self.folder.path().join(number.to_string())
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        // All signals first: a swarm that dies one by one would spend its last seconds repairing itself.
        let numbers: Vec<_> = (0..self.members.len()).collect();
        let _ = self.kill(&numbers);
    }
}

impl Member {
    pub(crate) fn id(&self) -> NodeId {
        self.id
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }
}

/// The words that set the time between two rounds of repair; `None` where this kadmap has no such setting.
pub(crate) fn repair_args(kadmap: &[OsString], period: std::time::Duration) -> Option<Vec<OsString>> {
    let (program, leading) = kadmap.split_first()?;
    let help = Command::new(program).args(leading).args(["run", "--help"]).output().ok()?;
    let has_flag = String::from_utf8_lossy(&help.stdout).contains(REPAIR_FLAG);
    has_flag.then(|| vec![REPAIR_FLAG.into(), format!("{}ms", period.as_millis()).into()])
}
