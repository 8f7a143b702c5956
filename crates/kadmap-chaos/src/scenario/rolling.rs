//! D3: half of the processes are killed, what is left repairs itself, new ones come, five times over.

use std::sync::Arc;
use std::time::Duration;

use super::{Needs, Scenario, Sides, Size};
use crate::error::ChaosError;
use crate::history::{Fault, item};
use crate::load::deal;
use crate::stage::{Stage, key_names, read_all};

/// Times that half is killed.
const ROUNDS: usize = 5;
/// Times that half is killed in a short run.
const ROUNDS_SHORT: usize = 2;
/// Clients, of which some lose the node that they joined by in every round.
const CLIENTS: usize = 4;
/// Operations that each of them has on the way at a time.
const IN_FLIGHT: usize = 4;
/// Lists for each value, and items of each.
const VALUES_PER_LIST: usize = 10;
const ITEMS_PER_LIST: usize = 20;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "rolling",
    bar: "D3",
    about: "half of the processes are killed and replaced five times, with a repair between; nothing is lost",
    short: Size { nodes: 8, keys: 60, replication: 20, appends: 0, span: Duration::ZERO },
    full: Size { nodes: 32, keys: 2_000, replication: 20, appends: 0, span: Duration::ZERO },
    needs: Needs { disks: false, sides: Sides::One },
    play,
};

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    let values: Arc<[String]> = key_names("value", stage.plan.keys).into();
    let lists: Arc<[String]> = key_names("list", stage.plan.keys.div_ceil(VALUES_PER_LIST)).into();
    let keys: Arc<[String]> = values.iter().chain(lists.iter()).cloned().collect();
    let writers = stage.clients(&nodes[..CLIENTS], 1)?;
    let items = lists.len() * ITEMS_PER_LIST;
    stage.progress.begin("putting values and items", values.len() + items);
    deal(&writers, IN_FLIGHT, values.len() + items, move |client, number| {
        let (values, lists) = (values.clone(), lists.clone());
        async move {
            match values.get(number) {
                Some(value) => client.put(value, number as u64).await,
                // The items are not in the order of their numbers; the writer is one that nobody judges the order of.
                None => client.append(&lists[number % lists.len()], item(number as u32, 0)).await,
            };
        }
    })?;
    let rounds = if stage.plan.short { ROUNDS_SHORT } else { ROUNDS };
    for round in 1..=rounds {
        play_round(stage, round, &keys)?;
    }
    stage.judge_convergence(&keys)?;
    stage.judge_history();
    Ok(())
}

fn play_round(stage: &mut Stage, round: usize, keys: &Arc<[String]>) -> Result<(), ChaosError> {
    let live = stage.swarm.live();
    let victims: Vec<_> =
        stage.dice.choose(live.len() / 2, live.len()).into_iter().map(|at| live[at]).collect();
    stage.recorder.record_fault(Fault::WIPE, format!("nodes {victims:?}"));
    stage.swarm.kill(&victims)?;
    let repaired = stage.wait_converged(keys)?;
    stage.figure(format!("round_{round}_seconds_until_repaired"), repaired.as_secs_f64());
    stage.grow(victims.len())?;
    let handed_over = stage.wait_converged(keys)?;
    stage.figure(format!("round_{round}_seconds_until_new_ones_hold_all"), handed_over.as_secs_f64());
    // All reads of this run come after such a wait: what one of them lacks is lost.
    if round == 1 {
        stage.recorder.settle();
    }
    let live = stage.swarm.live();
    let readers = stage.clients(&[live[0], live[live.len() - 1]], 1)?;
    stage.progress.begin(format!("reading after round {round}"), keys.len() * readers.len());
    read_all(&readers, keys, stage.plan.seed ^ round as u64)
}
