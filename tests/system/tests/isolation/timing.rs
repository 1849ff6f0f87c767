//! How long an answer takes does not tell what exists either.

use std::time::{Duration, Instant};

use sandgate_system::{Fields, Rpc, Words};

use crate::people::{Caller, Town, unknown};

/// Calls of each kind, by turns.
const CALLS: usize = 200;
/// A noisy machine gets so many tries.
const TRIES: usize = 3;
/// Medians that differ by less than this tell nothing over a network.
const CLOSE: Duration = Duration::from_micros(300);

const RPCS: [&str; 6] = [
    "GetSession",
    "GetSandbox",
    "Exec",
    "StreamExecution",
    "ListSecrets",
    "GetAgent",
];

async fn timed(caller: &Caller, rpc: &Rpc, ids: &Fields) -> Duration {
    let request = rpc.request(&Words::default(), ids);
    let begun = Instant::now();
    let answer = caller.call(rpc, request).await;
    let time = begun.elapsed();
    assert!(!answer.is_fine(), "{answer:?}");
    time
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The medians for what is ann's, and for what does not exist.
async fn medians(caller: &Caller, rpc: &Rpc, ann: &Fields) -> [Duration; 2] {
    let (mut foreign, mut never) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        foreign.push(timed(caller, rpc, ann).await);
        // Always the same one, or always a new one, is the same to the gateway: it knows neither.
        never.push(timed(caller, rpc, &unknown(ann)).await);
    }
    [median(&mut foreign), median(&mut never)]
}

fn alike([foreign, never]: [Duration; 2]) -> bool {
    let difference = foreign.abs_diff(never);
    difference < CLOSE || difference < foreign.min(never) / 2
}

#[tokio::test]
async fn time_does_not_tell_what_exists() {
    let town = Town::new().await;
    for name in RPCS {
        let rpc = Rpc::named(name);
        let ids = rpc.ids().into_iter().fold(Fields::default(), |all, id| {
            all.with(id, town.ann.ids.get(id))
        });
        let mut seen = Vec::new();
        for _ in 0..TRIES {
            seen.push(medians(&town.carl.caller, &rpc, &ids).await);
            if seen.last().copied().is_some_and(alike) {
                break;
            }
        }
        assert!(seen.last().copied().is_some_and(alike), "{name}: {seen:?}");
    }
}
