//! What was sent, counted.

use std::collections::BTreeMap;

use crate::Purposes;

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

impl Count {
    fn since(self, earlier: Self) -> Self {
        Self { messages: self.messages - earlier.messages, bytes: self.bytes - earlier.bytes }
    }
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
    /// What it was sent for; empty unless bytes are counted.
    pub purposes: Purposes,
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

    /// What was sent since an earlier time.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |at: usize| earlier.kinds.get(at).map(|(_, count)| *count).unwrap_or_default();
        let kinds = self.kinds.iter().enumerate();
        Self {
            kinds: kinds.map(|(at, (name, count))| (*name, count.since(before(at)))).collect(),
            total: self.total.since(earlier.total),
            delivered: self.delivered - earlier.delivered,
            lost: self.lost - earlier.lost,
            purposes: self.purposes.since(&earlier.purposes),
        }
    }

    /// What was sent to keep records where they belong or to store them: all that neither finds nodes nor reads.
    ///
    /// In times without writes it is what hand-over and repair cost, those by readers included.
    pub fn copying(&self) -> Count {
        let others = ["Ping", "Pong", "FindNode", "Nodes", "Get", "Found", "Summary"];
        let copying = self.by_kind().into_iter().filter(|(kind, _)| !others.contains(kind));
        copying.fold(Count::default(), |sum, (_, count)| Count {
            messages: sum.messages + count.messages,
            bytes: sum.bytes + count.bytes,
        })
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
