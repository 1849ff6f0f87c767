//! `sandgate-chaos`: kills what it can reach, and ends 0 only if no rule was broken.

use std::process::ExitCode;

use clap::Parser as _;
use sandgate_chaos::{Args, Failure, run_until};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Args::parse().options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let interrupt = async {
        // Without a handler the signal keeps its usual effect, so waiting for ever is right.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    match run_until(options, interrupt).await {
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
