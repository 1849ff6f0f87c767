//! What a process used: time on processors, and bytes that it had written to disks.

use std::{fs, time::Duration};

use crate::hop::cpu;

/// What was used so far, or since.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) cpu: Duration,
    pub(super) written: u64,
}

impl Used {
    /// So far.
    pub(super) fn by(process: Option<u32>) -> Self {
        let Some(id) = process else {
            return Self::default();
        };
        let text = fs::read_to_string(format!("/proc/{id}/io")).unwrap_or_default();
        let mut lines = text.lines();
        let written = lines.find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
        Self {
            cpu: cpu::used(id),
            written: written.unwrap_or_default(),
        }
    }

    /// Since another look.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            written: self.written.saturating_sub(before.written),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_counted() {
        let own = Some(std::process::id());
        let before = Used::by(own);
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        fs::write(file.path(), vec![1; 1 << 20]).unwrap();
        let used = Used::by(own).since(before);
        assert!(used.written >= 1 << 20, "{used:?}");
    }
}
