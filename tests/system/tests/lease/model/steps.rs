//! What may happen, and when it makes sense.

use proptest::{prelude::*, sample::select};
use proptest_state_machine::ReferenceStateMachine;
use sandgate_proto::v1::{Lifecycle, OnIdle};

use crate::stand::secs;

/// Sandboxes at most.
const MOST: usize = 4;

/// One thing that happens; numbers are those of sandboxes.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Make(Lifecycle),
    Use(usize),
    Begin(usize),
    Finish(usize),
    Look(usize),
    Renew(usize),
    Stop(usize),
    Start(usize),
    Pause(usize),
    Resume(usize),
    Delete(usize),
    Lose(usize),
    Pass(u64),
    Down,
    Up,
    OtherGateway(bool),
    Restart,
}

/// What of it matters for what may follow.
#[derive(Clone, Debug, Default)]
pub(super) struct Now {
    made: usize,
    down: bool,
    other: bool,
}

/// Makes the steps.
pub(super) struct Script;

fn life() -> impl Strategy<Value = Lifecycle> {
    let idle = select(vec![0, 60, 150, 400]);
    let on_idle = select(vec![OnIdle::Stop, OnIdle::Pause, OnIdle::Delete]);
    let lease = select(vec![90, 300, 1200]);
    let retention = select(vec![100, 500, 3000]);
    let age = select(vec![None, None, Some(700), Some(2000)]);
    (idle, on_idle, lease, retention, age).prop_map(|(idle, on_idle, lease, retention, age)| {
        Lifecycle {
            idle_timeout: secs(idle),
            on_idle: on_idle.into(),
            lease_ttl: secs(lease),
            stopped_retention: secs(retention),
            max_lifetime: age.and_then(secs),
            auto_start: None,
        }
    })
}

impl ReferenceStateMachine for Script {
    type State = Now;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Now> {
        Just(Now::default()).boxed()
    }

    fn transitions(now: &Now) -> BoxedStrategy<Step> {
        let make = life().prop_map(Step::Make);
        let Some(last) = now.made.checked_sub(1) else {
            return make.boxed();
        };
        let one = || 0..=last;
        let provider = if now.down { Step::Up } else { Step::Down };
        prop_oneof![
            4 => make,
            5 => one().prop_map(Step::Use),
            4 => one().prop_map(Step::Begin),
            3 => one().prop_map(Step::Finish),
            2 => one().prop_map(Step::Look),
            3 => one().prop_map(Step::Renew),
            2 => one().prop_map(Step::Stop),
            2 => one().prop_map(Step::Start),
            2 => one().prop_map(Step::Pause),
            1 => one().prop_map(Step::Resume),
            1 => one().prop_map(Step::Delete),
            1 => one().prop_map(Step::Lose),
            14 => (1..700_u64).prop_map(Step::Pass),
            if now.down { 4 } else { 1 } => Just(provider),
            1 => Just(Step::OtherGateway(!now.other)),
            1 => Just(Step::Restart),
        ]
        .boxed()
    }

    fn preconditions(now: &Now, step: &Step) -> bool {
        match step {
            Step::Make(_) => now.made < MOST,
            Step::Use(one) | Step::Begin(one) | Step::Finish(one) | Step::Look(one) => {
                *one < now.made
            }
            Step::Renew(one) | Step::Stop(one) | Step::Start(one) | Step::Pause(one) => {
                *one < now.made
            }
            Step::Resume(one) | Step::Delete(one) | Step::Lose(one) => *one < now.made,
            Step::Down => !now.down,
            Step::Up => now.down,
            Step::OtherGateway(other) => now.other != *other,
            Step::Pass(_) | Step::Restart => true,
        }
    }

    fn apply(mut now: Now, step: &Step) -> Now {
        match step {
            Step::Make(_) => now.made += 1,
            Step::Down => now.down = true,
            Step::Up => now.down = false,
            Step::OtherGateway(other) => now.other = *other,
            _ => {}
        }
        now
    }
}
