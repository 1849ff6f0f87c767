//! Measures Sandgate beside what it is compared with: nginx, a gateway that knows hardly anything,
//! the Docker exec API, bubblewrap.

mod child;
mod config;
mod control;
mod error;
mod exec;
mod facts;
mod gateway;
mod hop;
mod life;
mod programs;
mod run;
mod spread;
mod way;

use std::process::ExitCode;

use clap::Parser as _;

use config::{Args, Command};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Some(Command::Provider(args)) => hop::provider::run(args).await,
        None => run::all(&args.run).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
