//! The runner: runs processes inside a sandbox and keeps their output. See docs/runner.md.

mod answer;
mod args;
mod bridge;
mod config;
mod connection;
mod engine;
mod execution;
mod identity;
mod leftovers;
mod modes;
mod outbox;
mod poller;
mod process;
mod reaper;
mod socket;
mod spawner;
mod spool;
mod state;
mod sys;
mod timers;

fn main() -> std::process::ExitCode {
    let mode = match args::parse(std::env::args_os().skip(1)) {
        Ok(mode) => mode,
        Err(usage) => {
            eprintln!("sandgate-runner: {usage}");
            return 2.into();
        }
    };
    match modes::run(mode) {
        Ok(()) => 0.into(),
        Err(error) => {
            eprintln!("sandgate-runner: {error}");
            1.into()
        }
    }
}
