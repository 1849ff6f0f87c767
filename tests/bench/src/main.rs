//! Measures what a call costs on its way through the gateway, beside nginx and beside no hop at all.

mod child;
mod config;
mod cpu;
mod error;
mod facts;
mod gateway;
mod load;
mod nginx;
mod provider;
mod rounds;
mod samples;
mod setup;
mod table;

use std::process::ExitCode;

use clap::Parser as _;

use config::{Args, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Some(Command::Provider) => provider::run().await,
        None => rounds::run(&args.run).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
