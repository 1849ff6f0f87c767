//! `sandgate-conformance`: runs the suite and ends 0 only if nothing failed.

use std::process::ExitCode;

use clap::Parser as _;
use sandgate_conformance::{Args, list, run_until};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let Some(options) = args.options().filter(|_| !args.list) else {
        print!("{}", list(args.only.as_deref().unwrap_or_default()));
        return ExitCode::SUCCESS;
    };
    let interrupt = async {
        // Without a handler the signal keeps its usual effect, so waiting for ever is right.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    match run_until(options, interrupt).await {
        Ok(report) => {
            let text = if args.json {
                report.to_json()
            } else {
                report.to_string()
            };
            println!("{text}");
            ExitCode::from(u8::from(!report.is_good()))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
