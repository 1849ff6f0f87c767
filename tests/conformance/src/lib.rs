//! The conformance kit: one suite, one check for each rule and rpc of the contract, that runs
//! unchanged against every provider, through a gateway or straight against a provider service.
//!
//! ```text
//! sandgate-conformance --target 127.0.0.1:50051 --provider local
//! sandgate-conformance --target 127.0.0.1:50061 --provider mine --direct --token "$TOKEN"
//! sandgate-conformance --list --only "rule 5"
//! ```
//!
//! It needs nothing but the contract: what a check demands is written beside it (`--list`), and a
//! failure says what was seen instead. The sandboxes need `sh`, `seq`, `head`, `tr`, `cat` and
//! `sleep`; where ports are supported `perl` or `python3` besides. Where they have `git`, a clone is
//! checked, else that it is refused.
//!
//! A check *passes*, *fails*, or is *unsupported*. The last is no excuse but a check of rule 10: the
//! provider's capabilities say UNSUPPORTED of a feature that the check needs, and the call answered
//! UNIMPLEMENTED · CAPABILITY_UNSUPPORTED. One without the other fails.
//!
//! With `--direct` the kit takes the gateway's place: it sends the provider context with each call,
//! keeps the state that answers bring, and sends it back.
//!
//! All that a run makes is deleted at its end, also when checks fail and on Ctrl-C; the last row of
//! the report says whether ListSandboxes agrees. Each check has a deadline of its own.

mod args;
mod checks;
mod collect;
mod failure;
mod numbers;
mod report;
mod subject;
mod suite;
mod world;

use std::pin::pin;

use futures::StreamExt as _;

pub use self::{
    args::Args,
    failure::Failure,
    report::{Report, Row, Verdict},
};
use self::{subject::Subject, world::World};

/// What to check, and how.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the gateway listens, or the provider: HOST:PORT or http://HOST:PORT.
    pub target: String,
    /// Provider id.
    pub provider: String,
    /// The target is the provider service itself.
    pub direct: bool,
    /// Bearer token: of the provider service if direct, else of the gateway.
    pub token: Option<String>,
    /// API key of the gateway; if direct, the key for the upstream.
    pub api_key: Option<String>,
    /// Image of the sandboxes. Unset: the provider's default.
    pub image: Option<String>,
    /// Only checks whose rule and name contain this.
    pub only: Option<String>,
    /// Bytes of output kept of a channel. Unset: what the capabilities say, else 64 MiB.
    pub output_limit: Option<u64>,
    /// Checks at once; 0 counts as 1.
    pub concurrency: usize,
}

/// Runs the suite. Fails only where nothing could be checked: no check is chosen, or the target
/// cannot be reached, makes no session or does not tell its capabilities.
pub async fn run(options: Options) -> Result<Report, Failure> {
    run_until(options, std::future::pending()).await
}

/// Runs the suite until it is through or `interrupt` is over, whichever is first, and cleans up
/// either way.
pub async fn run_until(
    options: Options,
    interrupt: impl Future<Output = ()>,
) -> Result<Report, Failure> {
    let only = options.only.as_deref().unwrap_or_default();
    let chosen = suite::chosen(only);
    if chosen.is_empty() {
        return Err(failure::broken(format!(
            "no check has {only:?} in its rule or name; --list shows them all"
        )));
    }
    let subject = Subject::open(&options).await?;
    let capabilities = match subject.capabilities().await {
        Ok(capabilities) => capabilities,
        Err(failure) => {
            let _ = subject.close().await;
            return Err(failure);
        }
    };
    let world = World::new(subject, capabilities, &options);
    let mut report = Report::new(&options);
    let mut interrupt = pin!(interrupt);
    {
        let checks = chosen
            .iter()
            .enumerate()
            .map(|(place, check)| suite::run(check, place, &world));
        let mut results =
            pin!(futures::stream::iter(checks).buffer_unordered(options.concurrency.max(1)));
        loop {
            tokio::select! {
                next = results.next() => match next {
                    Some((place, row)) => report.add(place, row),
                    None => break,
                },
                () = &mut interrupt => {
                    report.interrupt();
                    break;
                }
            }
        }
    }
    report.add(chosen.len(), suite::nothing_left(&world).await);
    Ok(report)
}

/// The checks and what they demand, those whose rule and name contain `only`.
pub fn list(only: &str) -> String {
    let rows = suite::chosen(only);
    let lines = rows
        .iter()
        .map(|check| format!("{:<18} {:<34} {}\n", check.rule, check.name, check.demand));
    lines.collect()
}
