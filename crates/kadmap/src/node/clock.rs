//! What the log says of a clock that was set.

use std::time::Duration;

use tracing::warn;

/// Says that the wall clock jumped, and what that does.
pub(super) fn warn(by_ms: i64) {
    let by = Duration::from_millis(by_ms.unsigned_abs());
    if by_ms > 0 {
        warn!(
            ?by,
            "the clock of this machine was set ahead: if that is wrong, set it right within the hour, before what \
             should not have expired is dropped here; others refuse what this node writes meanwhile"
        );
    } else {
        warn!(
            ?by,
            "the clock of this machine was set back: if that is wrong, set it right, or this node refuses what others \
             write, as stamped ahead of time"
        );
    }
}
