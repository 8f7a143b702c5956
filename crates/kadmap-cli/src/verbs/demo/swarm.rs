//! A swarm in one process, half of which is doomed.

use std::time::{Duration, Instant};

use kadmap::{Dht, DhtBuilder, StartError};
use tempfile::TempDir;

use super::dice::Dice;
use super::figures::Times;
use super::group::Group;
use crate::failure::Failure;
use crate::progress::bar;

/// Keeps strangers on this machine out, as in any swarm with a secret; who can read this memory needs none.
const SECRET_BYTES: usize = 32;

/// A node and the group it runs in.
struct Member {
    dht: Dht,
    is_doomed: bool,
}

/// The nodes: the doomed on one thread, the others on another, each thread with one core's worth of work.
pub(super) struct Swarm {
    members: Vec<Member>,
    survivors: Group,
    doomed: Option<Group>,
    /// Removed with all it holds when the swarm ends; declared last, so that the nodes are gone before.
    _folder: TempDir,
}

impl Swarm {
    /// Starts the nodes one after the other, each by the address of a random one before it.
    pub(super) async fn start(nodes: usize, dice: &mut Dice) -> Result<(Self, Times), Failure> {
        let system = |source| Failure::System { what: "prepare the demo", source };
        let secret: Vec<u8> = (0..SECRET_BYTES).map(|_| dice.below(256) as u8).collect();
        let mut swarm = Self {
            members: Vec::with_capacity(nodes),
            survivors: Group::start("survivors").map_err(system)?,
            doomed: Some(Group::start("doomed").map_err(system)?),
            _folder: tempfile::Builder::new().prefix("kadmap-demo-").tempdir().map_err(system)?,
        };
        let (bar, mut times) = (bar("starting nodes", nodes), Times::default());
        for number in 0..nodes {
            let folder = swarm._folder.path().join(number.to_string());
            let mut builder = Dht::builder().listen("127.0.0.1:0").secret(&secret).data_dir(folder);
            if number > 0 {
                builder = builder.join([swarm.random_member(dice).dht.address().to_string()]);
            }
            let is_doomed = number % 2 == 1;
            let (time, dht) = swarm.start_one(builder, is_doomed).await?;
            swarm.members.push(Member { dht, is_doomed });
            times.take("", (time, Ok(true)));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok((swarm, times))
    }

    async fn start_one(&self, builder: DhtBuilder, is_doomed: bool) -> Result<(Duration, Dht), Failure> {
        let start = Instant::now();
        let group = self.group(is_doomed);
        let started: Option<Result<Dht, StartError>> = group.run(builder.spawn()).await;
        let dht = started.ok_or(kadmap::Stopped)??;
        Ok((start.elapsed(), dht))
    }

    /// Does something with a random node, on its thread.
    pub(super) async fn at_random<T, F>(
        &self,
        dice: &mut Dice,
        work: impl FnOnce(Dht) -> F,
    ) -> (Duration, Result<T, String>)
    where
        T: Send + 'static,
        F: Future<Output = (Duration, Result<T, String>)> + Send + 'static,
    {
        let member = self.random_member(dice);
        let group = self.group(member.is_doomed);
        let stopped = || (Duration::ZERO, Err(kadmap::Stopped.to_string()));
        group.run(work(member.dht.clone())).await.unwrap_or_else(stopped)
    }

    /// The number and handle of a random node.
    pub(super) fn random_node(&self, dice: &mut Dice) -> (usize, Dht) {
        let number = dice.below(self.members.len());
        (number, self.members[number].dht.clone())
    }

    /// Ends half of the nodes at once and tells how many.
    pub(super) fn kill_the_doomed(&mut self) -> usize {
        if let Some(mut group) = self.doomed.take() {
            group.kill();
        }
        let nodes = self.members.len();
        self.members.retain(|member| !member.is_doomed);
        nodes - self.members.len()
    }

    fn random_member(&self, dice: &mut Dice) -> &Member {
        &self.members[dice.below(self.members.len())]
    }

    fn group(&self, is_doomed: bool) -> &Group {
        self.doomed.as_ref().filter(|_| is_doomed).unwrap_or(&self.survivors)
    }
}
