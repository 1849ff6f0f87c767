//! A few rounds for every change; `make chaos` plays many.

use sandgate_chaos::{Fault, Kind, Options, run};

fn options(provider: Kind, fault: Fault) -> Options {
    Options {
        provider,
        image: None,
        fault,
        rounds: 6,
        seed: 7,
        programs: sandgate_system::build(),
    }
}

#[tokio::test]
async fn nothing_is_lost_when_gateway_and_provider_are_killed() {
    let figures = run(options(Kind::Local, Fault::Servers)).await;
    let figures = figures.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{figures}");
    assert_eq!(figures.rounds, 6);
    assert!(!figures.resumes.is_empty(), "no stream was cut: {figures}");
}

#[tokio::test]
async fn what_a_killed_runner_ran_is_lost_and_said_to_be() {
    let figures = run(options(Kind::Local, Fault::Runner)).await;
    let figures = figures.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{figures}");
    assert_eq!(figures.kills.get("runner"), Some(&6));
}
