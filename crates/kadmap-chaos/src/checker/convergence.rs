//! Whether all nodes responsible for a key hold the same.

use std::collections::BTreeMap;

use kadmap::Version;

use super::Verdict;

/// What one node told of one key when it alone was asked.
///
/// ```
/// use kadmap_chaos::checker::Holding;
/// let holding = Holding { key: "colour".into(), node: 3, is_responsible: true, version: Some(kadmap::Version::ABSENT) };
/// assert!(holding.version.unwrap().is_absent());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The name.
    pub key: String,
    /// Which node.
    pub node: usize,
    /// Whether it is among the closest that are to hold the key.
    pub is_responsible: bool,
    /// The state of what it holds, absent for nothing; `None` when it did not answer.
    pub version: Option<Version>,
}

/// Judges what the nodes hold: `differing` and `silent` are breaches, one for each key and each node.
///
/// A node that is no longer responsible may keep an old copy, which no read asks for.
///
/// ```
/// use kadmap::Version;
/// use kadmap_chaos::checker::{Holding, convergence};
/// let of = |node, version| Holding { key: "colour".into(), node, is_responsible: true, version: Some(version) };
/// let holdings = [of(0, Version::ABSENT), of(1, Version::from_bytes([1; 16]))];
/// assert_eq!(convergence(&holdings).count("differing"), 1);
/// ```
pub fn convergence(holdings: &[Holding]) -> Verdict {
    let mut verdict = Verdict::new("convergence", &["differing", "silent"], &["old copies elsewhere"]);
    let mut keys: BTreeMap<&str, Vec<&Holding>> = BTreeMap::new();
    for holding in holdings {
        keys.entry(&holding.key).or_default().push(holding);
    }
    for (key, holdings) in keys {
        verdict.judged += 1;
        judge_key(key, &holdings, &mut verdict);
    }
    verdict
}

fn judge_key(key: &str, holdings: &[&Holding], verdict: &mut Verdict) {
    let (responsible, others): (Vec<_>, Vec<_>) =
        holdings.iter().copied().partition(|holding| holding.is_responsible);
    for silent in responsible.iter().filter(|holding| holding.version.is_none()) {
        verdict.add("silent", || format!("node {} says nothing of '{key}'", silent.node));
    }
    let told = |holding: &&Holding| Some((holding.node, holding.version?));
    let versions: Vec<_> = responsible.iter().filter_map(told).collect();
    let Some((first, version)) = versions.first().copied() else { return };
    if versions.iter().any(|(_, other)| *other != version) {
        verdict.add("differing", || {
            let differ: Vec<_> =
                versions.iter().map(|(node, version)| format!("{node}: {version}")).collect();
            format!("'{key}' on node {first} and others: {}", differ.join(", "))
        });
    }
    let is_old =
        |holding: &&&Holding| holding.version.is_some_and(|other| other != version && !other.is_absent());
    for _ in others.iter().filter(is_old) {
        verdict.tally("old copies elsewhere");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(node: usize, is_responsible: bool, version: Option<u8>) -> Holding {
        let version = version.map(|byte| Version::from_bytes([byte; 16]));
        Holding { key: "x".into(), node, is_responsible, version }
    }

    #[test]
    fn equal_replicas_are_fine_and_one_that_differs_or_lacks_it_is_not() {
        let equal = [holding(0, true, Some(1)), holding(1, true, Some(1))];
        assert_eq!(convergence(&equal).breaches(), 0);
        for other in [2, 0] {
            let differ = [holding(0, true, Some(1)), holding(1, true, Some(other))];
            assert_eq!(convergence(&differ).count("differing"), 1);
        }
    }

    #[test]
    fn old_copies_elsewhere_are_told_and_no_breach() {
        let strays = [holding(0, true, Some(1)), holding(1, false, Some(2)), holding(2, false, Some(0))];
        let verdict = convergence(&strays);
        assert_eq!((verdict.breaches(), verdict.count("old copies elsewhere")), (0, 1));
    }

    #[test]
    fn a_silent_replica_proves_nothing() {
        assert_eq!(convergence(&[holding(0, true, None), holding(1, true, Some(1))]).count("silent"), 1);
    }
}
