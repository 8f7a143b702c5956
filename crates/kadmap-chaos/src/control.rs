//! Histories that are broken on purpose: a judge that does not notice is worth nothing.

use kadmap::Version;

use crate::checker::{
    Holding, Verdict, convergence, judge, register, resurrection, session, set_full, writer_order,
};
use crate::history::{History, Kind, Operation, Seen, item};

/// Writers of the sound history.
const WRITERS: u32 = 4;
/// Items that each of them appends.
const ITEMS: u32 = 25;
/// Nanoseconds that an operation of the sound history takes.
const SPAN_NS: u64 = 10;

/// A breach made on purpose, and whether its judge found it.
///
/// ```
/// assert!(kadmap_chaos::controls().iter().all(|control| control.is_caught));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Control {
    /// What was broken.
    pub name: &'static str,
    /// Whether the judge found it, and found nothing in the history before it was broken.
    pub is_caught: bool,
}

/// Breaks a sound history in every way that a judge is there for.
pub fn controls() -> Vec<Control> {
    let sound = sound();
    let is_sound = judge(&sound).iter().all(|verdict| verdict.breaches() == 0 && verdict.judged > 0);
    let spoilt = SPOILERS.iter().map(|(name, check, what, spoil)| {
        let mut history = sound.clone();
        spoil(&mut history);
        Control { name, is_caught: is_sound && check(&history).count(what) > 0 }
    });
    spoilt.chain([unequal_replicas()]).collect()
}

/// A breach: its name, the judge that has to find it, as what, and how it is made.
type Spoiler = (&'static str, fn(&History) -> Verdict, &'static str, fn(&mut History));

const SPOILERS: [Spoiler; 12] = [
    ("an acknowledged item is missing at the end", set_full, "lost", |history| {
        last_list(history).remove(7);
    }),
    ("a whole list is gone at the end", set_full, "lost", |history| last_list(history).clear()),
    ("an item is late", set_full, "stale", |history| {
        let late = history.operations.iter_mut().filter(|read| matches!(read.value, Seen::Items(_)));
        if let Some(Seen::Items(items)) = late.map(|read| &mut read.value).next() {
            items.remove(0);
        }
    }),
    ("an item is there twice", set_full, "duplicated", |history| {
        let items = last_list(history);
        items.push(items[3]);
    }),
    ("an item that nobody appended", set_full, "phantom", |history| {
        last_list(history).push(item(WRITERS + 1, 0));
    }),
    ("two items of one writer have changed places", writer_order, "out of order", |history| {
        last_list(history).swap(0, WRITERS as usize);
    }),
    ("an old value is back at the end", register, "lost", |history| {
        last_read(history, "register").value = Seen::Value(0);
    }),
    ("an acknowledged value is gone at the end", register, "lost", |history| {
        last_read(history, "register").value = Seen::Nothing;
    }),
    ("a value that nobody put", register, "phantom", |history| {
        last_read(history, "register").value = Seen::Value(u64::MAX);
    }),
    ("a value that is no client's", register, "phantom", |history| {
        last_read(history, "register").value = Seen::Strange("?".to_owned());
    }),
    ("a deleted value is back", resurrection, "resurrected", |history| {
        last_read(history, "deleted").value = Seen::Value(1);
    }),
    ("a client does not see its own value", session, "own write missing", |history| {
        last_read(history, "register").value = Seen::Value(0);
    }),
];

/// A history in which every operation meets the swarm alone and everything is as it should be.
fn sound() -> History {
    let mut maker = Maker::default();
    let mut list = Vec::new();
    for sequence in 0..ITEMS {
        for writer in 0..WRITERS {
            let number = item(writer, sequence);
            maker.write(writer, Kind::Append, "list", Seen::Value(number));
            list.push(number);
        }
        maker.read(sequence % WRITERS, "list", Seen::Items(list.clone()));
        maker.write(0, Kind::Put, "register", Seen::Value(u64::from(sequence)));
        maker.read(0, "register", Seen::Value(u64::from(sequence)));
    }
    maker.write(1, Kind::Put, "deleted", Seen::Value(1));
    maker.write(2, Kind::Delete, "deleted", Seen::Nothing);
    maker.history.settled_ns = Some(maker.now_ns);
    maker.read(3, "list", Seen::Items(list));
    maker.read(0, "register", Seen::Value(u64::from(ITEMS - 1)));
    maker.read(3, "deleted", Seen::Nothing);
    maker.history
}

/// Writes operations down one after the other.
#[derive(Default)]
struct Maker {
    history: History,
    now_ns: u64,
}

impl Maker {
    fn write(&mut self, process: u32, kind: Kind, key: &str, value: Seen) {
        let stamp = u128::from(self.now_ns);
        self.add(Operation::new(process, kind, key, value).stamped(stamp));
    }

    fn read(&mut self, process: u32, key: &str, value: Seen) {
        self.add(Operation::new(process, Kind::Get, key, value));
    }

    fn add(&mut self, operation: Operation) {
        self.history.operations.push(operation.at(self.now_ns, self.now_ns + SPAN_NS));
        self.now_ns += 2 * SPAN_NS;
    }
}

fn last_read<'a>(history: &'a mut History, key: &str) -> &'a mut Operation {
    let is_read = |operation: &&mut Operation| operation.kind == Kind::Get && operation.key == key;
    let last = history.operations.iter_mut().rev().find(is_read);
    // The sound history has a read of each of its keys.
    last.unwrap_or_else(|| unreachable!("no read of '{key}'"))
}

fn last_list(history: &mut History) -> &mut Vec<u64> {
    match &mut last_read(history, "list").value {
        Seen::Items(items) => items,
        other => unreachable!("{other:?} is no list"),
    }
}

fn unequal_replicas() -> Control {
    let holding = |node, byte| Holding {
        key: "x".to_owned(),
        node,
        is_responsible: true,
        version: Some(Version::from_bytes([byte; 16])),
    };
    let is_sound = convergence(&[holding(0, 1), holding(1, 1)]).breaches() == 0;
    let is_found = convergence(&[holding(0, 1), holding(1, 2)]).count("differing") == 1;
    Control { name: "two replicas differ", is_caught: is_sound && is_found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_breach_is_caught_and_the_sound_history_has_none() {
        assert_eq!(judge(&sound()).iter().map(Verdict::breaches).sum::<u64>(), 0);
        for control in controls() {
            assert!(control.is_caught, "{}", control.name);
        }
    }
}
