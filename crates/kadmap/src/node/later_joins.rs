//! Joining while the node runs: a node that started alone, or was cut off, gets to know members by address.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::sync::oneshot;

use super::join::{Join, JoinPlan, Step};
use crate::error::StartError;
use crate::transport::DialError;

/// The joins under way, oldest first.
#[derive(Default)]
pub(super) struct LaterJoins {
    joins: Vec<LaterJoin>,
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
    pub(super) fn begin(&mut self, plan: JoinPlan, reply: oneshot::Sender<Result<(), StartError>>) {
        let dialling = Some(Join::new(plan, Instant::now()));
        self.joins.push(LaterJoin { dialling, reply: Some(reply) });
    }

    /// The addresses to dial now; joins whose time is up are told so.
    pub(super) fn step(&mut self) -> Vec<SocketAddr> {
        let mut to_dial = Vec::new();
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

    /// Takes note that a member answered at an address; tells whether a join was waiting for that.
    pub(super) fn connected(&mut self, address: &SocketAddr) -> bool {
        let mut is_wanted = false;
        for join in &mut self.joins {
            is_wanted |= join.dialling.take_if(|dialling| dialling.is_dialling(address)).is_some();
        }
        is_wanted
    }

    /// Takes note that nobody of our swarm answered at an address.
    pub(super) fn failed(&mut self, address: SocketAddr, reason: &DialError) {
        for dialling in self.joins.iter_mut().filter_map(|join| join.dialling.as_mut()) {
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
        self.joins.iter().filter_map(|join| join.dialling.as_ref().map(Join::next_timer)).min()
    }
}
