//! Judges of histories: each promise has one, and each judge is tested on histories that break the promise.

mod convergence;
mod register;
mod resurrection;
mod session;
mod set_full;
mod verdict;
mod writer_order;

use std::collections::BTreeMap;

use crate::history::{History, Operation};

pub use convergence::{Holding, convergence};
pub use register::register;
pub use resurrection::resurrection;
pub use session::session;
pub use set_full::set_full;
pub use verdict::{Count, Verdict};
pub use writer_order::writer_order;

/// All judges of a history.
///
/// ```
/// let verdicts = kadmap_chaos::checker::judge(&kadmap_chaos::History::default());
/// assert!(verdicts.iter().all(|verdict| verdict.breaches() == 0));
/// ```
pub fn judge(history: &History) -> Vec<Verdict> {
    [set_full, writer_order, register, resurrection, session].map(|check| check(history)).into()
}

/// The operations on each key, in the order in which they ended.
fn by_key(history: &History) -> BTreeMap<&str, Vec<&Operation>> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in &history.operations {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys
}
