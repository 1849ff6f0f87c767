//! What the machine and the programs are that a figure was taken on.

use std::{fmt, fs, path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// How long a program may take to tell its version.
const PATIENCE: Duration = Duration::from_secs(10);
const UNKNOWN: &str = "unknown";

/// Facts to print below a table.
pub(crate) struct Facts {
    /// Model of the processor.
    cpu: String,
    /// Processors that a program may use.
    cores: usize,
    /// Bytes of memory, in GiB.
    memory_gib: u64,
    /// Name of the distribution.
    system: String,
    /// Release of the kernel.
    kernel: String,
    /// What compiled gateway, provider and client.
    rustc: String,
}

impl Facts {
    /// Asks the machine. What it does not tell is `unknown`.
    pub(crate) async fn gather() -> Self {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory_kib = field("/proc/meminfo", "MemTotal", ':').and_then(|text| {
            text.split_whitespace()
                .next()
                .and_then(|number| number.parse::<u64>().ok())
        });
        Self {
            cpu: field("/proc/cpuinfo", "model name", ':').unwrap_or_else(|| UNKNOWN.into()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_kib.unwrap_or_default().div_ceil(1024 * 1024),
            system: field("/etc/os-release", "PRETTY_NAME", '=').unwrap_or_else(|| UNKNOWN.into()),
            kernel: Some(kernel.trim().to_owned())
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| UNKNOWN.into()),
            rustc: version(rustc.as_ref(), "--version").await,
        }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "- cores: {}\n- CPU: {}", self.cores, self.cpu)?;
        writeln!(f, "- memory: {} GiB", self.memory_gib)?;
        writeln!(f, "- system: {}, Linux {}", self.system, self.kernel)?;
        writeln!(f, "- {}", self.rustc)
    }
}

/// The value of the first line that begins with `name`.
fn field(file: &str, name: &str, between: char) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, value) = text
        .lines()
        .find(|line| line.starts_with(name))?
        .split_once(between)?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// What a program says of itself; nginx says it to stderr.
pub(crate) async fn version(program: &Path, flag: &str) -> String {
    let mut command = Command::new(program);
    command.arg(flag).stdin(Stdio::null());
    let Ok(Ok(output)) = timeout(PATIENCE, command.output()).await else {
        return UNKNOWN.into();
    };
    let said = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = String::from_utf8_lossy(&said);
    text.trim().trim_start_matches("nginx version: ").to_owned()
}
