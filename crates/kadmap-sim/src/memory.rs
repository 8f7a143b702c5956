//! How much memory the process takes.

/// Bytes in a kilobyte as the system counts them.
const KILOBYTE: u64 = 1024;

/// The resident set of this process; 0 where the system does not tell.
///
/// It decides nothing in a simulation: it is a figure of a report.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * KILOBYTE
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn the_resident_set_grows_with_what_is_held() {
        let before = super::resident_bytes();
        let held = vec![1u8; 64 << 20];
        assert!(super::resident_bytes() >= before + (32 << 20), "{before}, {}", held.len());
    }
}
