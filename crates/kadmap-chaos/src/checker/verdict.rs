//! What a judge found.

use serde::Serialize;

/// Examples kept at most: enough to see what kind of breach it is.
const EXAMPLES_MAX: usize = 10;

/// How often something was found.
///
/// ```
/// let count = kadmap_chaos::checker::Count { what: "lost", count: 0, is_breach: true };
/// assert!(count.is_breach);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What was found.
    pub what: &'static str,
    /// How often.
    pub count: u64,
    /// Whether once is too often.
    pub is_breach: bool,
}

/// What one judge found in a history.
///
/// ```
/// let verdict = kadmap_chaos::checker::set_full(&kadmap_chaos::History::default());
/// assert_eq!((verdict.checker, verdict.count("lost"), verdict.breaches()), ("set-full", 0, 0));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Which judge.
    pub checker: &'static str,
    /// How many things it looked at: elements, reads, keys.
    pub judged: u64,
    /// What it found.
    pub counts: Vec<Count>,
    /// How long what was late was late: milliseconds at the median, the 99th percentile and the worst; `None` when
    /// nothing was late or the judge does not measure it.
    pub late_ms: Option<[f64; 3]>,
    /// The first breaches, in words.
    pub examples: Vec<String>,
}

impl Verdict {
    pub(super) fn new(checker: &'static str, breaches: &[&'static str], others: &[&'static str]) -> Self {
        let count = |what, is_breach| Count { what, count: 0, is_breach };
        let counts = breaches.iter().map(|what| count(*what, true));
        let counts = counts.chain(others.iter().map(|what| count(*what, false))).collect();
        Self { checker, judged: 0, counts, late_ms: None, examples: Vec::new() }
    }

    /// How often something was found; 0 for what the judge does not look for.
    pub fn count(&self, what: &str) -> u64 {
        self.counts.iter().find(|count| count.what == what).map_or(0, |count| count.count)
    }

    /// How many promises were broken.
    pub fn breaches(&self) -> u64 {
        self.counts.iter().filter(|count| count.is_breach).map(|count| count.count).sum()
    }

    /// Counts one finding; `example` is asked only while there are few.
    pub(super) fn add(&mut self, what: &'static str, example: impl FnOnce() -> String) {
        let Some(count) = self.counts.iter_mut().find(|count| count.what == what) else { return };
        count.count += 1;
        if count.is_breach && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(format!("{what}: {}", example()));
        }
    }

    /// Counts one finding of which there is no more to say.
    pub(super) fn tally(&mut self, what: &'static str) {
        self.add(what, String::new);
    }

    /// Takes in how long things were late.
    pub(super) fn set_late(&mut self, mut late_ns: Vec<u64>) {
        late_ns.sort_unstable();
        let at = |share: f64| {
            let rank = ((late_ns.len() as f64 * share).ceil() as usize).clamp(1, late_ns.len());
            late_ns[rank - 1] as f64 / 1e6
        };
        self.late_ms = (!late_ns.is_empty()).then(|| [at(0.5), at(0.99), at(1.0)]);
    }
}
