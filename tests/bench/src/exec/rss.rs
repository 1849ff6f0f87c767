//! How much memory a process has, as the kernel counts it.

use std::fs;

/// Memory of one process, in megabytes (10^6).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Resident {
    /// Now.
    pub(super) now: f64,
    /// The most since it began, or since [`forget_peak`].
    pub(super) peak: f64,
}

/// Of a process on this machine; nothing of one that is gone.
pub(super) fn of(pid: u32) -> Resident {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Resident {
        now: field(&text, "VmRSS:"),
        peak: field(&text, "VmHWM:"),
    }
}

/// Lets the peak begin anew (Linux, Documentation/filesystems/proc.rst, clear_refs). Where that is
/// not allowed the peak stays that of the whole life, which is no less.
pub(super) fn forget_peak(pid: u32) {
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The file counts in KiB.
fn field(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or_default() * 1024.0 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_one_that_is_gone_has_none() {
        let own = of(std::process::id());
        assert!(own.now > 0.1 && own.peak >= own.now, "{own:?}");
        assert_eq!(of(u32::MAX), Resident::default());
    }

    #[test]
    fn the_unit_is_megabytes() {
        let text = "Name:\tx\nVmHWM:\t    2000 kB\nVmRSS:\t    1000 kB\n";
        assert_eq!(field(text, "VmRSS:"), 1.024);
        assert_eq!(field(text, "VmHWM:"), 2.048);
    }
}
