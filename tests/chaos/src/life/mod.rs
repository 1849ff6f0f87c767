//! Fault `life`: two gateways on one store and a provider are killed at any moment, while workers
//! make, use, stop, start and delete sandboxes through either gateway.
//!
//! Whatever a kill cut off is finished by who comes next. So there are no two sandboxes for one
//! request, no command runs twice, no outcome that was told is lost, and when all sessions are
//! deleted and the upstream was swept once, nothing is left.

pub(crate) mod answers;
pub(crate) mod ask;
mod book;
mod cover;
mod doubles;
mod drive;
mod errand;
mod figures;
pub(crate) mod house;
pub(crate) mod left;
mod make;
mod observe;
mod play;
pub(crate) mod settle;
pub(crate) mod stage;
mod tree;
pub(crate) mod upstream;

use std::sync::Arc;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use self::{ask::Caller, doubles::Doubles, stage::Stage, upstream::Upstream};
pub use self::{figures::LifeFigures, left::Left};
use crate::{
    blow::Blow,
    client::channel,
    config::{Kind, Options},
    dice::Dice,
    failure::{Failure, Result, setup},
    stack::Stack,
    tally::{Figures, Tally},
};

/// Workers at a time.
const WORKERS: u64 = 6;
/// Longest time between two blows, in milliseconds; a container takes longer to come up, and one that
/// never does has no life.
const REST: [(Kind, u64); 3] = [
    (Kind::Local, 900),
    (Kind::Container, 2500),
    (Kind::E2b, 1500),
];

/// Plays until so much was killed as the options say, or `interrupt` is over, and cleans up.
pub(crate) async fn run(options: &Options, interrupt: impl Future<Output = ()>) -> Result<Figures> {
    let tally = Arc::new(Tally::default());
    let mut stack = Stack::start(options, tally.clone()).await?;
    let upstream = Upstream::new(options.provider, &stack);
    let played = tokio::select! {
        played = play(options, &mut stack, &upstream, &tally) => played,
        () = interrupt => Err(setup("interrupted")),
    };
    let words = stack.last_words();
    let ended = stack.end().await;
    let purged = upstream.purge().await;
    played.map_err(|failure| {
        let more = format!("So far:\n{}\n{words}", tally.figures());
        let seed = format!("--seed {}", options.seed);
        failure.at(&seed).above(&more)
    })?;
    ended.and(purged)?;
    Ok(tally.figures())
}

async fn play(
    options: &Options,
    stack: &mut Stack,
    upstream: &Upstream,
    tally: &Arc<Tally>,
) -> Result<()> {
    let begin = Instant::now();
    let mut dice = Dice::of(options.seed, 0);
    let gates = stack.gateways().into_iter().map(channel);
    let gates: Arc<[_]> = gates.collect::<Result<Vec<_>>>()?.into();
    let caller = |dice| Caller::new(gates.clone(), dice, tally.clone());
    let stage = Arc::new(Stage::new(caller(dice.fork()), options));
    // Dropping the set ends what is in it.
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (stage, caller) = (stage.clone(), caller(dice.fork()));
        workers.spawn(async move { play::worker(&stage, &caller).await });
    }
    let work = async {
        while let Some(done) = workers.join_next().await {
            done.map_err(|error| setup(error.to_string()))??;
        }
        Ok::<_, Failure>(())
    };
    let blows = async {
        let fell = blows(options, stack, dice.fork()).await;
        stage.end();
        fell
    };
    let mut doubles = Doubles::new(upstream, &stage);
    tokio::try_join!(work, blows, doubles.watch())?;
    doubles.settled().await?;
    settle::settle(&stage, upstream).await?;
    tally.add().life.took = begin.elapsed();
    Ok(())
}

/// Blows at random moments, until they were so many kills.
async fn blows(options: &Options, stack: &mut Stack, mut dice: Dice) -> Result<()> {
    let rest = REST.iter().find(|(kind, _)| *kind == options.provider);
    let rest = rest.map_or(0, |(_, rest)| *rest);
    let mut done = 0;
    while done < options.kills {
        sleep(dice.pause(rest)).await;
        let blow = dice.pick([
            Blow::Gateway,
            Blow::Gateway,
            Blow::Other,
            Blow::Other,
            Blow::Provider,
            Blow::Provider,
            Blow::Gateways,
            Blow::Both,
            Blow::All,
        ]);
        done += stack.strike(blow, &mut dice).await?;
    }
    Ok(())
}
