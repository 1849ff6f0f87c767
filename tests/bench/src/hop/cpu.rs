//! Processor time that other processes have used: a figure that a busy machine hardly blurs.

use std::{fs, time::Duration};

/// What a process and the processes that it started have used so far, all threads together. Threads
/// and processes that have ended do not count.
pub(crate) fn used(pid: u32) -> Duration {
    let mut total = Duration::ZERO;
    for thread in threads(pid) {
        let folder = format!("/proc/{pid}/task/{thread}");
        total += on_cpu(&format!("{folder}/schedstat"));
        let children = fs::read_to_string(format!("{folder}/children")).unwrap_or_default();
        total += children
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .map(used)
            .sum::<Duration>();
    }
    total
}

fn threads(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    names.collect()
}

/// The first word of the file: nanoseconds (Linux, Documentation/scheduler/sched-stats.rst).
fn on_cpu(file: &str) -> Duration {
    let text = fs::read_to_string(file).unwrap_or_default();
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_and_a_process_that_is_gone_has_used_nothing() {
        let own = std::process::id();
        let before = used(own);
        let mut sum = 0u64;
        while used(own) < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
        }
        assert_eq!(used(u32::MAX), Duration::ZERO);
    }
}
