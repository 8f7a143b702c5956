//! Making a failing hunt short enough to read.

use super::{Plan, Verdict, run};

/// Hunts that are tried at most.
const ATTEMPTS_MAX: usize = 200;

/// The shortest failing hunt with the same seed that is found by leaving out steps from the end, then nodes.
pub fn shrink(failing: Verdict) -> Verdict {
    let mut best = failing;
    let mut attempts = 0;
    let mut fails = |plan: Plan| {
        attempts += 1;
        (attempts <= ATTEMPTS_MAX).then(|| run(&plan)).filter(|verdict| !verdict.breaches.is_empty())
    };
    for nodes in 2..best.plan.nodes {
        if let Some(shorter) = fails(Plan { nodes, ..best.plan }) {
            best = shorter;
            break;
        }
    }
    let mut cut = best.plan.steps / 2;
    while cut > 0 {
        match fails(Plan { steps: best.plan.steps - cut, ..best.plan }) {
            Some(shorter) => {
                best = shorter;
                cut = cut.min(best.plan.steps / 2);
            }
            None => cut /= 2,
        }
    }
    best
}
