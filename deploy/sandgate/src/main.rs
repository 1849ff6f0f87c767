//! Sandgate all in one, and the operator's tools.

mod all_in_one;
mod config;
mod doctor;
mod embedded;
mod keygen;
mod quickstart;

use std::process::ExitCode;

use config::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let cli: Cli =
        sandgate_service::process::load(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let result = match cli.command {
        Command::Quickstart(args) => quickstart::run(args).await,
        Command::Serve(args) => all_in_one::serve(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Keygen => keygen::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
