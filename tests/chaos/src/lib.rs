//! Gateways and provider as real processes that are killed at random moments while sandboxes come and
//! go and commands run.
//!
//! A kill takes away a process and nothing else, so nothing may be lost: every byte comes exactly
//! once, every execution ends once and truly, a start that is repeated starts nothing, what was cut off
//! is finished or taken back. Only where the
//! first process of the sandbox itself is killed is an execution lost, and then that is said.

mod blow;
mod client;
mod cloud;
mod config;
mod dice;
mod drive;
mod failure;
mod host;
mod life;
mod observer;
mod plan;
mod program;
mod round;
mod runner;
mod sandbox;
mod stack;
mod steps;
mod tally;

use std::sync::Arc;

use sandgate_proto::v1::SandboxState;
use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

use self::{
    client::Client, dice::Dice, failure::Result, host::Namespace, sandbox::Sandbox, stack::Stack,
    tally::Tally,
};
pub use self::{
    config::{Args, Fault, Kind, Options},
    failure::Failure,
    life::{Left, LifeFigures},
    steps::{Action, Case, Table, fail_at_each},
    tally::Figures,
};

/// Plays all rounds and cleans up.
///
/// # Errors
/// The first rule that was broken, or why the run could not go on.
pub async fn run(options: Options) -> std::result::Result<Figures, Failure> {
    run_until(options, std::future::pending()).await
}

/// Plays rounds until all are played or `interrupt` is over, and cleans up either way.
///
/// # Errors
/// As [`run`].
pub async fn run_until(
    options: Options,
    interrupt: impl Future<Output = ()>,
) -> std::result::Result<Figures, Failure> {
    let (count, what) = match options.fault {
        Fault::Life => (options.kills, "kills"),
        Fault::Servers | Fault::Runner => (options.rounds, "rounds"),
    };
    println!(
        "{count} {what} of fault {:?} with provider {}, --seed {}",
        options.fault,
        options.provider.id(),
        options.seed
    );
    if options.fault == Fault::Life {
        return life::run(&options, interrupt).await;
    }
    let tally = Arc::new(Tally::default());
    let mut stack = Stack::start(&options, tally.clone()).await?;
    let client = Client::new(stack.address(), stack.blows(), tally.clone())?;
    let made = Sandbox::create(client, &options).await;
    let mut sandbox = made.map_err(|failure| failure.above(&stack.last_words()))?;
    let played = tokio::select! {
        played = play(&options, &mut stack, &mut sandbox) => played,
        () = interrupt => Err(failure::setup("interrupted")),
    };
    let words = stack.last_words();
    let cleaned = clean(&options, stack, &sandbox).await;
    let figures = tally.figures();
    played.and(cleaned).map_err(|failure| {
        let more = format!("So far:\n{figures}\n{words}");
        failure.at(&format!("--seed {}", options.seed)).above(&more)
    })?;
    Ok(figures)
}

/// Over when either signal comes that asks for an end, so that what runs is removed first.
pub async fn asked_to_end() {
    if let Ok(mut terminate) = signal(SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = ctrl_c() => {}
        }
    } else {
        // Without a handler the signal keeps its usual effect, so waiting for ever is right.
        std::future::pending().await
    }
}

async fn play(options: &Options, stack: &mut Stack, sandbox: &mut Sandbox) -> Result<()> {
    let state = sandbox.get().await?.state();
    failure::same("the new sandbox", &state, &SandboxState::Running)?;
    let mut works = Vec::new();
    for round in 0..options.rounds {
        let dice = Dice::of(options.seed, round);
        let played = match options.fault {
            Fault::Servers => round::play(stack, sandbox, round, dice)
                .await
                .map(|more| works.extend(more)),
            Fault::Runner | Fault::Life => runner::play(options, sandbox, round, dice).await,
        };
        played.map_err(|failure| failure.at(&format!("round {round}")))?;
        sandbox.client.tally.add().rounds += 1;
    }
    if options.fault == Fault::Servers {
        round::check_notes(sandbox, &works).await?;
    }
    Ok(())
}

/// Deletes everything, and looks whether it is gone.
async fn clean(options: &Options, stack: Stack, sandbox: &Sandbox) -> Result<()> {
    let gone = async {
        let namespace = Namespace::of(options.provider, sandbox).await;
        sandbox.delete().await?;
        namespace?.is_gone().await?;
        host::nothing_left(options.provider, &stack).await
    };
    // What is wrong is told, and nothing stays because of it.
    let gone = gone.await;
    let ended = stack.end().await;
    gone.and(ended)
}
