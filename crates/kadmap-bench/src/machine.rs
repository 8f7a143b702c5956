//! Where figures were taken: the processor, the commit, and what the system knows about a process.

use std::process::Command;
use std::time::Duration;

use crate::report::Machine;

/// What is said where the system does not tell.
const UNKNOWN: &str = "unknown";
/// The fields of `/proc/<pid>/stat` that hold user and system time, counted from 0 behind the command's name
/// (proc_pid_stat(5): fields 14 and 15 of the whole line).
const USER_TIME_FIELD: usize = 11;

impl Machine {
    /// This machine.
    pub(crate) fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        Self {
            cpu: model.map_or(UNKNOWN, |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The commit of the working directory's source tree.
pub(crate) fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
    let commit = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    commit
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map_or(UNKNOWN.to_owned(), |text| text.trim().to_owned())
}

/// Memory of a process that is in RAM, in bytes; `None` where the system does not tell.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Processor time that a process has used since its start; `None` where the system does not tell.
pub(crate) fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(USER_TIME_FIELD).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_time() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 0);
        assert!(processor_time(pid).is_some());
        assert!(Machine::here().cores > 0);
    }
}
