//! `sandgate-chaos`: kills what it can reach, and ends 0 only if no rule was broken.

use std::process::ExitCode;

use clap::Parser as _;
use sandgate_chaos::{Args, Failure, asked_to_end, run_until};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Args::parse().options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run_until(options, asked_to_end()).await {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(if matches!(failure, Failure::Broken(_)) {
                1
            } else {
                2
            })
        }
    }
}
