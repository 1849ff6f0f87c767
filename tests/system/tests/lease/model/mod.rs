//! Random lives of sandboxes, against the rules that they live by.

mod known;
mod play;
mod steps;

use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use self::{
    play::Play,
    steps::{Script, Step},
};

/// The gateway under the script.
struct Lives;

impl StateMachineTest for Lives {
    type SystemUnderTest = Play;
    type Reference = Script;

    fn init_test(_: &<Script as ReferenceStateMachine>::State) -> Play {
        Play::begin()
    }

    fn apply(mut play: Play, _: &<Script as ReferenceStateMachine>::State, step: Step) -> Play {
        play.take(&step);
        play
    }

    fn teardown(play: Play, _: <Script as ReferenceStateMachine>::State) {
        play.end();
    }
}

prop_state_machine! {
    #![proptest_config(Config {
        cases: 60,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn the_rules_hold_whatever_happens(sequential 10..28 => Lives);
}
