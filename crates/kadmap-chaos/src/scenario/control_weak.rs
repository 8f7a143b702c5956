//! A control: a swarm that keeps one copy of everything and loses half of its processes must be found out.

use std::sync::Arc;
use std::time::Duration;

use kadmap::Consistency;

use super::{Needs, Scenario, Sides, Size};
use crate::checker::{register, set_full};
use crate::error::ChaosError;
use crate::load::deal;
use crate::stage::{Stage, key_names, read_all};

/// Values or items that a client has on the way at a time.
const IN_FLIGHT: usize = 4;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "control-weak",
    bar: "",
    about: "a swarm with one replica loses half of its processes, and the judges must say that values are lost",
    short: Size { nodes: 6, keys: 60, replication: 1, appends: 0, span: Duration::ZERO },
    full: Size { nodes: 12, keys: 1_000, replication: 1, appends: 0, span: Duration::ZERO },
    needs: Needs { disks: false, sides: Sides::One },
    play,
};

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    let writers = weak(stage, &nodes[..1])?;
    let keys: Arc<[String]> = key_names("value", stage.plan.keys).into();
    let lists: Arc<[String]> = key_names("list", stage.plan.keys).into();
    stage.progress.begin("putting values and items on one node each", keys.len());
    let (names, list_names) = (keys.clone(), lists.clone());
    deal(&writers, IN_FLIGHT, keys.len(), move |client, number| {
        let (names, list_names) = (names.clone(), list_names.clone());
        async move {
            client.put(&names[number], number as u64).await;
            client.append(&list_names[number], number as u64).await;
        }
    })?;
    // Not the node that the client joined by, or it could not tell.
    let victims: Vec<_> = nodes[nodes.len() / 2..].to_vec();
    stage.recorder.record_fault("kill", format!("nodes {victims:?}"));
    stage.swarm.kill(&victims)?;
    stage.recorder.settle();
    let all: Arc<[String]> = keys.iter().chain(lists.iter()).cloned().collect();
    stage.progress.begin("reading what is left", all.len());
    let readers = weak(stage, &nodes[..1])?;
    read_all(&readers, &all, stage.plan.seed)?;

    let (values, items) = stage.recorder.with(|history| (register(history), set_full(history)));
    stage.at_least("values that the judge calls lost", values.count("lost") as f64, 1.0);
    stage.at_least("items that the judge calls lost", items.count("lost") as f64, 1.0);
    Ok(())
}

/// Clients that are content with one replica.
fn weak(stage: &mut Stage, through: &[usize]) -> Result<Vec<crate::load::Seat>, ChaosError> {
    let mut seats = stage.clients(through, 1)?;
    for seat in &mut seats {
        seat.client = seat.client.clone().with_consistency(Consistency::One);
    }
    Ok(seats)
}
