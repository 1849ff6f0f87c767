//! Every two calls of a sandbox's life at the same time, from every state, at one gateway and at
//! two: what comes of it is what one after the other would have done.

use std::time::Duration;

use futures::{StreamExt as _, future::join, stream};
use sandgate_proto::v1::{ListSandboxesRequest, SandboxState};
use sandgate_system::{Act, Fake, Op, reason};
use tokio::time::timeout;
use tonic::Status;

use crate::{
    calls::Named,
    order::{Call, explains},
    pair::{Pair, pausing},
};

/// How often each pair is tried, each time with another distance between its calls.
const REPEATS: u64 = 3;
/// How long one try may take: nothing in it waits for anything but the other call.
const PATIENCE: Duration = Duration::from_secs(15);
/// Pairs that are tried at the same time.
const AT_ONCE: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Round {
    from: SandboxState,
    calls: [Call; 2],
    gateways: [usize; 2],
    /// How much later the second call comes.
    later: Duration,
}

fn rounds() -> Vec<Round> {
    let mut rounds = Vec::new();
    for from in [
        SandboxState::Running,
        SandboxState::Stopped,
        SandboxState::Paused,
    ] {
        for first in Call::ALL {
            for second in Call::ALL {
                for repeat in 0..REPEATS {
                    rounds.extend([[0, 0], [0, 1]].map(|gateways| Round {
                        from,
                        calls: [first, second],
                        gateways,
                        later: Duration::from_millis(repeat * 4),
                    }));
                }
            }
        }
    }
    rounds
}

async fn make(call: Call, one: &Named) -> Result<(), Status> {
    match call {
        Call::Start => one.start().await.map(drop),
        Call::Stop => one.stop().await.map(drop),
        Call::Pause => one.pause(false).await.map(drop),
        Call::Resume => one.resume().await.map(drop),
        Call::Renew => one.renew("").await.map(drop),
        Call::Delete => one.delete().await.map(drop),
    }
}

/// The state that the store has, without a look at the upstream.
pub(crate) async fn stored(one: &Named) -> SandboxState {
    let request = ListSandboxesRequest {
        session_id: one.session_id.clone(),
        states: (1..=10).collect(),
        ..Default::default()
    };
    let listed = one.client.sandboxes().list_sandboxes(request).await;
    let listed = listed.unwrap().into_inner().sandboxes;
    let found = listed.iter().find(|row| row.sandbox_id == one.sandbox_id);
    found.map_or(SandboxState::Deleted, |row| row.state())
}

/// The state that store and upstream agree on.
async fn settled(one: &Named, fake: &Fake) -> Option<SandboxState> {
    for _ in 0..500 {
        let ours = stored(one).await;
        let theirs = fake.upstream(&one.sandbox_id);
        let theirs = theirs.map_or(SandboxState::Deleted, |instance| instance.state);
        if ours == theirs {
            return Some(ours);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    None
}

async fn play(pair: &Pair, round: Round) -> Result<(), String> {
    let one = Named::running(pair.client(0)).await;
    match round.from {
        SandboxState::Stopped => drop(one.stop().await.unwrap()),
        SandboxState::Paused => drop(one.pause(false).await.unwrap()),
        _ => {}
    }
    let at = round.gateways.map(|number| one.at(pair.client(number)));
    let second = async {
        tokio::time::sleep(round.later).await;
        make(round.calls[1], &at[1]).await
    };
    let (first, second) = join(make(round.calls[0], &at[0]), second).await;
    for refused in [&first, &second]
        .into_iter()
        .filter_map(|it| it.as_ref().err())
    {
        let (_, reason) = reason(refused);
        if !["SANDBOX_NOT_RUNNING", "SANDBOX_NOT_FOUND"].contains(&reason.as_str()) {
            return Err(format!("{round:?}: {refused:?}"));
        }
    }
    let Some(end) = settled(&one, &pair.world.fake).await else {
        return Err(format!("{round:?}: store and upstream differ"));
    };
    let done = [first.is_ok(), second.is_ok()];
    let is_explained = explains(round.from, round.calls, done, end);
    let said = format!("{round:?}: {end:?} after {first:?} and {second:?}");
    is_explained.then_some(()).ok_or(said)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pairs_end_as_one_order_explains() {
    let pair = Pair::with(pausing()).await;
    let work = Duration::from_millis(6);
    for op in [Op::Start, Op::Stop, Op::Pause, Op::Resume, Op::Delete] {
        pair.world.fake.set(op, Act::Work(work));
    }
    let pair = &pair;
    let wrong: Vec<String> = stream::iter(rounds())
        .map(|round| async move {
            let played = timeout(PATIENCE, play(pair, round)).await;
            played.unwrap_or_else(|_| Err(format!("{round:?}: no answer")))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |played| played.err())
        .collect()
        .await;
    assert!(
        wrong.is_empty(),
        "{} rounds:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
