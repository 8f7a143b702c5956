//! Joining while the node runs: a node that started alone, or was cut off, gets to know members by address; and one that
//! has lost its last contact looks again where it found the first.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::join::{Join, JoinPlan, Step};
use crate::error::StartError;
use crate::transport::DialError;

/// How long a node knows nobody before it looks for somebody: who has just left may still answer.
const ALONE_FOR: Duration = Duration::from_secs(5);

/// The joins under way, oldest first.
#[derive(Default)]
pub(super) struct LaterJoins {
    joins: Vec<LaterJoin>,
    /// Where the node found its swarm.
    home: JoinPlan,
    /// The search for somebody there, while the node knows nobody.
    search: Option<Join>,
}

struct LaterJoin {
    /// `None` once a member has answered and the node gets to know its neighbourhood.
    dialling: Option<Join>,
    /// `None` once it is told.
    reply: Option<oneshot::Sender<Result<(), StartError>>>,
}

impl LaterJoin {
    fn tell(&mut self, result: Result<(), StartError>) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(result);
        }
    }

    fn is_over(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl LaterJoins {
    /// No joins yet, of a node that is to find its swarm as planned.
    pub(super) fn new(home: &JoinPlan) -> Self {
        let home = JoinPlan { retry: true, ..home.clone() };
        Self { home, ..Self::default() }
    }

    pub(super) fn begin(&mut self, plan: JoinPlan, reply: oneshot::Sender<Result<(), StartError>>) {
        let dialling = Some(Join::new(plan, Instant::now()));
        self.joins.push(LaterJoin { dialling, reply: Some(reply) });
    }

    /// The addresses to dial now; joins whose time is up are told so. To be told whether the node knows nobody.
    pub(super) fn step(&mut self, is_alone: bool) -> Vec<SocketAddr> {
        let mut to_dial = self.look_for_somebody(is_alone);
        for join in &mut self.joins {
            match join.dialling.as_mut().map(|dialling| dialling.step(Instant::now())) {
                Some(Step::Dial(addresses)) => to_dial.extend(addresses),
                Some(Step::GiveUp(error)) => join.tell(Err(error)),
                Some(Step::Wait | Step::StartAlone) | None => {}
            }
        }
        self.joins.retain(|join| !join.is_over());
        to_dial
    }

    fn look_for_somebody(&mut self, is_alone: bool) -> Vec<SocketAddr> {
        if !is_alone {
            self.search = None;
            return Vec::new();
        }
        let now = Instant::now();
        let search = self.search.get_or_insert_with(|| Join::after(self.home.clone(), now + ALONE_FOR));
        match search.step(now) {
            Step::Dial(addresses) => addresses,
            _ => Vec::new(),
        }
    }

    /// Takes note that a member answered at an address; tells whether a join was waiting for that.
    pub(super) fn connected(&mut self, address: &SocketAddr) -> bool {
        let mut is_wanted = self.search.take_if(|search| search.is_dialling(address)).is_some();
        for join in &mut self.joins {
            is_wanted |= join.dialling.take_if(|dialling| dialling.is_dialling(address)).is_some();
        }
        is_wanted
    }

    /// Takes note that nobody of our swarm answered at an address.
    pub(super) fn failed(&mut self, address: SocketAddr, reason: &DialError) {
        let asked_for = self.joins.iter_mut().filter_map(|join| join.dialling.as_mut());
        for dialling in asked_for.chain(&mut self.search) {
            dialling.failed(Instant::now(), address, reason.clone());
        }
    }

    /// The node knows its neighbourhood: every join that had its member is done.
    pub(super) fn joined(&mut self) {
        for join in self.joins.iter_mut().filter(|join| join.dialling.is_none()) {
            join.tell(Ok(()));
        }
    }

    /// When [`step`](Self::step) has something to do next.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        let asked_for = self.joins.iter().filter_map(|join| join.dialling.as_ref());
        let search = self.search.as_ref().filter(|_| !self.home.is_empty());
        asked_for.chain(search).map(Join::next_timer).min()
    }
}
