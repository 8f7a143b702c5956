//! A control: a harness that leaves something out of what it has read must be found out, so that a swarm that did would
//! be too.

use std::sync::Arc;
use std::time::Duration;

use super::{Needs, Scenario, Sides, Size};
use crate::checker::{register, session, set_full, writer_order};
use crate::error::ChaosError;
use crate::history::{Seen, item};
use crate::load::each;
use crate::stage::Stage;

/// The list of all writers, and the value of the first.
const LIST: &str = "list";
const VALUE: &str = "value";
/// Clients that append.
const WRITERS: usize = 3;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "control-forgetful",
    bar: "",
    about: "a reader forgets, doubles and swaps what a real swarm told it, and the judges must find each",
    short: Size { nodes: 4, keys: 10, replication: 20, appends: 30, span: Duration::ZERO },
    full: Size { nodes: 8, keys: 10, replication: 20, appends: 300, span: Duration::ZERO },
    needs: Needs { disks: false, sides: Sides::One },
    play,
};

fn play(stage: &mut Stage) -> Result<(), ChaosError> {
    let nodes = stage.grow(stage.plan.nodes)?;
    let seats = stage.clients(&nodes[..WRITERS], 1)?;
    let appends = stage.plan.appends as u32;
    stage.progress.begin("appending", WRITERS * appends as usize);
    each(&seats, 1, |client, _| async move {
        for sequence in 0..appends {
            client.append(LIST, item(client.number, sequence)).await;
            client.put(VALUE, item(client.number, sequence)).await;
            client.progress.step();
        }
    })?;
    stage.recorder.settle();
    let reader = &seats[..1];
    let honest = Arc::new(|_: &mut Seen| {});
    look(reader, LIST, honest.clone())?;
    look(reader, VALUE, honest)?;
    let sound = stage.recorder.with(|history| crate::checker::judge(history));
    let breaches: u64 = sound.iter().map(|verdict| verdict.breaches()).sum();
    stage.at_most("breaches before anything was forgotten", breaches as f64, 0.0);

    look(
        reader,
        LIST,
        Arc::new(|seen: &mut Seen| {
            change(seen, |items| {
                items.remove(4);
            })
        }),
    )?;
    look(reader, LIST, Arc::new(|seen: &mut Seen| change(seen, |items| items.push(items[2]))))?;
    look(reader, LIST, Arc::new(|seen: &mut Seen| change(seen, |items| items.reverse())))?;
    look(
        reader,
        LIST,
        Arc::new(|seen: &mut Seen| {
            change(seen, |items| {
                items.remove(4);
            })
        }),
    )?;
    look(reader, VALUE, Arc::new(|seen: &mut Seen| *seen = Seen::Nothing))?;
    let found = stage.recorder.with(|history| {
        [
            ("a forgotten item", set_full(history).count("lost")),
            ("a doubled item", set_full(history).count("duplicated")),
            ("items in another order", writer_order(history).count("out of order")),
            ("a forgotten value", register(history).count("lost")),
            ("an own write forgotten", session(history).count("own write missing")),
        ]
    });
    for (what, count) in found {
        stage.at_least(format!("{what}: found"), count as f64, 1.0);
    }
    Ok(())
}

/// Reads, and writes down what a forgetful reader would have told.
fn look(
    reader: &[crate::load::Seat],
    key: &'static str,
    forget: Arc<impl Fn(&mut Seen) + Send + Sync + 'static>,
) -> Result<(), ChaosError> {
    each(reader, 1, |client, _| {
        let forget = forget.clone();
        async move {
            let mut read = client.look(key).await;
            forget(&mut read.value);
            client.record(read);
        }
    })
    .map(drop)
}

fn change(seen: &mut Seen, change: impl FnOnce(&mut Vec<u64>)) {
    if let Seen::Items(items) = seen {
        change(items);
    }
}
