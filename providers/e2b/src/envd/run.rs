//! A program that ends soon, and what it printed.

use std::time::Duration;

use sandgate_e2b_envd::process::{ProcessConfig, StartRequest};
use tokio::time::timeout;

use super::{Envd, EnvdFault, visit::Running};

/// Most that is kept of what it prints, bytes.
const MOST: usize = 64 * 1024;

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) exit_code: i32,
    pub(crate) stdout: Vec<u8>,
    /// For the log.
    pub(crate) stderr: Vec<u8>,
}

impl Envd {
    /// Runs a program as root.
    pub(crate) async fn run(
        &self,
        cmd: &str,
        args: &[&str],
        within: Duration,
    ) -> Result<Ran, EnvdFault> {
        let request = StartRequest {
            process: ProcessConfig {
                cmd: cmd.to_owned(),
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                // The template's own may be gone.
                cwd: Some("/".to_owned()),
                ..ProcessConfig::default()
            }
            .into(),
            stdin: Some(false),
            ..StartRequest::default()
        };
        let ran = async {
            let mut running = Running::start(self, request).await?;
            let mut stdout = Vec::new();
            while let Some(bytes) = running.next().await? {
                if stdout.len() < MOST {
                    stdout.extend_from_slice(&bytes);
                }
            }
            Ok(Ran {
                exit_code: running.exit_code.unwrap_or(-1),
                stdout,
                stderr: running.stderr,
            })
        };
        let late = || EnvdFault::Garbage("it did not end in time".to_owned());
        timeout(within, ran).await.map_err(|_| late())?
    }
}
