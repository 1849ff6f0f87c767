//! The runner: runs processes inside a sandbox and keeps their output. See docs/runner.md.

mod answer;
mod args;
mod bridge;
mod config;
mod connection;
mod engine;
mod execution;
mod files;
mod git;
mod identity;
mod leftovers;
mod modes;
mod outbox;
mod poller;
mod ports;
mod process;
mod reaper;
mod socket;
mod spawner;
mod spool;
mod state;
mod sys;
mod timers;
mod visit;

fn main() -> std::process::ExitCode {
    let mode = args::parse(std::env::args_os().skip(1)).map_err(|usage| (2u8, usage.to_string()));
    let done = mode.and_then(|mode| modes::run(mode).map_err(|error| (1, error.to_string())));
    match done {
        Ok(code) => code.into(),
        Err((code, why)) => {
            eprintln!("sandgate-runner: {why}");
            code.into()
        }
    }
}
