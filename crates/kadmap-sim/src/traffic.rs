//! What was sent, counted.

use std::collections::BTreeMap;

/// Messages and bytes of one kind of message, or of all.
///
/// ```
/// assert_eq!(kadmap_sim::Count::default().messages, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Messages handed to the network, lost ones as well.
    pub messages: u64,
    /// Their bytes as frames, without those of the transport; 0 unless bytes are counted.
    pub bytes: u64,
}

/// All that the nodes of a simulation have sent.
///
/// ```
/// assert_eq!(kadmap_sim::Traffic::default().total().messages, 0);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// By the number of the kind.
    kinds: Vec<(&'static str, Count)>,
    total: Count,
    /// Messages that arrived, copies as well.
    pub delivered: u64,
    /// Messages that found nobody: cut off, lost on the way, or to a node that is down.
    pub lost: u64,
}

impl Traffic {
    pub(crate) fn sent(&mut self, (kind, name): (u8, &'static str), bytes: u64) {
        let kind = usize::from(kind);
        if self.kinds.len() <= kind {
            self.kinds.resize(kind + 1, ("", Count::default()));
        }
        self.kinds[kind].0 = name;
        for count in [&mut self.kinds[kind].1, &mut self.total] {
            count.messages += 1;
            count.bytes += bytes;
        }
    }

    /// Everything together.
    pub fn total(&self) -> Count {
        self.total
    }

    /// Each kind that was sent at all, by name; a response whose request has the same name counts with it.
    pub fn by_kind(&self) -> BTreeMap<&'static str, Count> {
        let mut by_kind = BTreeMap::<_, Count>::new();
        for (name, count) in self.kinds.iter().filter(|(_, count)| count.messages > 0) {
            let sum = by_kind.entry(*name).or_default();
            sum.messages += count.messages;
            sum.bytes += count.bytes;
        }
        by_kind
    }
}
