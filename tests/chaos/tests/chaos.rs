//! A few kills for every change; `make chaos` has many.

use std::env;

use sandgate_chaos::{Fault, Figures, Kind, Options, run};

fn options(provider: Kind, fault: Fault) -> Options {
    Options {
        provider,
        image: None,
        fault,
        kills: 16,
        rounds: 6,
        seed: 7,
        programs: sandgate_system::build(),
    }
}

async fn played(options: Options) -> Figures {
    let figures = run(options).await;
    let figures = figures.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{figures}");
    figures
}

fn assert_lived(figures: &Figures) {
    assert!(figures.kills.values().sum::<u64>() >= 16, "{figures}");
    let life = &figures.life;
    assert!(life.creates.contains_key("came up"), "{figures}");
    assert!(life.notes > 0 && !life.asked_again.is_empty(), "{figures}");
    assert!(life.left.is_some(), "nobody looked: {figures}");
}

#[tokio::test]
async fn nothing_is_left_doubled_or_forgotten_by_the_local_provider() {
    assert_lived(&played(options(Kind::Local, Fault::Life)).await);
}

#[tokio::test]
async fn nothing_is_left_doubled_or_forgotten_by_the_container_provider() {
    let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
    let mut options = options(Kind::Container, Fault::Life);
    options.image = Some(image);
    assert_lived(&played(options).await);
}

#[tokio::test]
async fn nothing_is_left_doubled_or_forgotten_by_the_provider_of_e2b() {
    assert_lived(&played(options(Kind::E2b, Fault::Life)).await);
}

#[tokio::test]
async fn nothing_is_lost_when_gateway_and_provider_are_killed() {
    let figures = played(options(Kind::Local, Fault::Servers)).await;
    assert_eq!(figures.rounds, 6);
    assert!(!figures.resumes.is_empty(), "no stream was cut: {figures}");
}

#[tokio::test]
async fn what_a_killed_runner_ran_is_lost_and_said_to_be() {
    let figures = played(options(Kind::Local, Fault::Runner)).await;
    assert_eq!(figures.kills.get("runner"), Some(&6));
}
