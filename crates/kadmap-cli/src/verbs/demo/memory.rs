//! How much memory this process takes.

/// Bytes of a page wherever Linux runs with its usual settings; on the others the figure is off by their factor.
const PAGE_BYTES: u64 = 4096;

/// Bytes that are resident; `None` where the system does not tell by `/proc`.
pub(super) fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES)
}
