//! What one worker does: sandboxes, one after the other, each with a life of its own.

use futures::future::try_join_all;
use sandgate_proto::v1::SandboxState;
use tokio::time::sleep;

use super::{
    ask::Caller,
    drive::{check_notes, count, look_again, run, start_over},
    errand::Errand,
    house::House,
    make::{make, repeat},
    stage::Stage,
};
use crate::failure::{Failure, Result, setup};

/// Latest stop, start or delete in the midst of something, in milliseconds.
const MIDST: u64 = 1200;
/// The day on which it is deleted.
const LAST: u64 = 9;

/// A change to a sandbox.
#[derive(Clone, Copy, Debug)]
enum Act {
    Start,
    Stop,
    Delete,
}

impl Act {
    async fn on(self, house: &House, caller: &Caller) -> Result<()> {
        match self {
            Self::Start => house.start(caller).await,
            Self::Stop => house.stop(caller).await,
            Self::Delete => house.delete_known(caller).await,
        }
    }
}

/// Plays until enough was killed.
pub(crate) async fn worker(stage: &Stage, caller: &Caller) -> Result<()> {
    while !stage.is_over() {
        let session_id = stage.session(caller).await?;
        let lives = caller.roll(|dice| dice.between(1, 3));
        let dies = stage.deletes_sessions && caller.roll(|dice| dice.one_in(2));
        for life in 1..=lives {
            if stage.is_over() {
                break;
            }
            live(stage, caller, &session_id, dies && life == lives).await?;
        }
        if dies {
            stage.delete_session(caller, &session_id).await?;
        }
    }
    Ok(())
}

/// One sandbox. It is left to the delete of its session if that comes next.
async fn live(stage: &Stage, caller: &Caller, session_id: &str, is_last: bool) -> Result<()> {
    let room = stage.room.acquire().await;
    let _room = room.map_err(|error| setup(error.to_string()))?;
    let Some(house) = make(stage, caller, session_id).await? else {
        return Ok(());
    };
    let lived = days(stage, &house, is_last).await;
    lived.map_err(|failure: Failure| failure.at(&format!("sandbox {}", house.sandbox_id)))?;
    count(&house)
}

async fn days(stage: &Stage, house: &House, is_last: bool) -> Result<()> {
    if roll(house, 0, 2) == 0 {
        repeat(house).await?;
    }
    for day in 0..roll(house, 1, 3) {
        match roll(house, 0, 3) {
            0 => work(house, day).await?,
            1 => {
                work(house, day).await?;
                rest(house).await?;
            }
            2 => {
                tokio::try_join!(work(house, day), later(house, house.stop(&house.caller)))?;
                rest(house).await?;
            }
            _ => {
                tangle(house, day).await?;
                rest(house).await?;
            }
        }
        check_notes(house, day).await?;
        if stage.is_over() {
            break;
        }
    }
    if stage.is_over() || (is_last && roll(house, 0, 1) == 0) {
        return Ok(());
    }
    end(house).await
}

/// Some commands at once.
async fn work(house: &House, day: u64) -> Result<()> {
    let errands = house.caller.roll(|dice| {
        let places = 0..dice.between(1, 4);
        let errands = places.map(|place| Errand::any(format!("e{day}-{place}"), dice));
        errands.collect::<Vec<_>>()
    });
    let runs = errands.into_iter().map(|errand| run(house, errand));
    try_join_all(runs).await.map(drop)
}

/// Stopped, looked at, and started again, by one gateway or by both at once.
async fn rest(house: &House) -> Result<()> {
    by_some(house, Act::Stop).await?;
    house.is_now(SandboxState::Stopped).await?;
    look_again(house, "while stopped").await?;
    house.is_now(SandboxState::Stopped).await?;
    if roll(house, 0, 3) > 0 {
        by_some(house, Act::Start).await?;
        house.is_now(SandboxState::Running).await?;
    }
    start_over(house).await?;
    look_again(house, "after a start").await
}

/// Started and stopped by both gateways at once, while commands run.
async fn tangle(house: &House, day: u64) -> Result<()> {
    let (one, other) = (house.caller.at(0), house.caller.at(1));
    tokio::try_join!(
        work(house, day),
        later(house, house.stop(&one)),
        later(house, house.start(&other)),
        later(house, house.stop(&other)),
    )?;
    Ok(())
}

/// Deleted by one gateway or by both at once, also while commands run or it is stopped or started.
async fn end(house: &House) -> Result<()> {
    let (one, other) = (house.caller.at(0), house.caller.at(1));
    match roll(house, 0, 3) {
        0 => by_some(house, Act::Delete).await?,
        1 => {
            let delete = later(house, house.delete_known(&one));
            tokio::try_join!(work(house, LAST), delete)?;
        }
        2 => {
            let delete = later(house, house.delete_known(&one));
            let again = later(house, house.delete_known(&other));
            let stop = later(house, house.stop(&other));
            tokio::try_join!(work(house, LAST), delete, again, stop)?;
        }
        _ => {
            tokio::try_join!(
                house.delete_known(&one),
                house.start(&other),
                house.stop(&other)
            )?;
        }
    }
    house.is_now(SandboxState::Deleted).await?;
    look_again(house, "after a delete").await?;
    if roll(house, 0, 1) == 0 {
        repeat(house).await?;
    }
    Ok(())
}

/// By one gateway, or by both at once.
async fn by_some(house: &House, act: Act) -> Result<()> {
    if roll(house, 0, 1) == 0 {
        return act.on(house, &house.caller).await;
    }
    let (one, other) = (house.caller.at(0), house.caller.at(1));
    tokio::try_join!(act.on(house, &one), act.on(house, &other)).map(drop)
}

/// In the midst of something else.
async fn later(house: &House, act: impl Future<Output = Result<()>>) -> Result<()> {
    sleep(house.caller.roll(|dice| dice.pause(MIDST))).await;
    act.await
}

fn roll(house: &House, first: u64, last: u64) -> u64 {
    house.caller.roll(|dice| dice.between(first, last))
}
