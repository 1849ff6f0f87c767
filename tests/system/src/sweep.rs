//! What a test leaves running.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};

/// Kills the sandboxes that the local provider has made in its data folder: they are to outlive it, but
/// not the test.
pub fn kill_sandboxes(data: &Path) {
    let Ok(made) = fs::read_dir(data.join("local")) else {
        return;
    };
    let ids: Vec<_> = made
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    let processes = fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    for pid in pids {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        let is_runner = words.any(|word| word == b"--sandbox")
            && words
                .next()
                .is_some_and(|id| ids.iter().any(|made| made.as_bytes() == id));
        if is_runner {
            // It may have ended by now.
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}
