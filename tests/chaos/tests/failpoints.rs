//! Every step of create, stop and delete: once the program dies there, and once the call fails there.

use std::env;

use sandgate_chaos::{Action, Case, Fault, Kind, Options, fail_at_each};

/// Steps at which a call that fails is not seen, and why. The end of a name stands for all before it.
const SWALLOWED: [(&str, &str); 2] = [
    (
        "container.pool.",
        "nobody waits for it; it is made again later",
    ),
    ("container.take.", "one is made in the usual way instead"),
];

fn cases(steps: &'static [&'static str]) -> Vec<Case> {
    let both = |step: &'static str| {
        [Action::Crash, Action::Error].map(|action| {
            let mut case = Case::new(step, action);
            let known = SWALLOWED.iter().find(|(name, _)| step.starts_with(name));
            if case.is_in_background() || action == Action::Error {
                case.swallowed = known.map(|(_, why)| *why);
            }
            case
        })
    };
    steps.iter().copied().flat_map(both).collect()
}

async fn play(provider: Kind, image: Option<String>, cases: Vec<Case>) {
    let options = Options {
        provider,
        image,
        fault: Fault::Servers,
        kills: 0,
        rounds: 0,
        seed: 7,
        programs: sandgate_system::build_with_failpoints(),
    };
    let count = cases.len();
    let table = fail_at_each(&options, cases).await;
    let table = table.unwrap_or_else(|failure| panic!("{failure}"));
    println!("{table}");
    assert_eq!(table.len(), count);
}

#[tokio::test]
async fn no_step_of_the_gateway_or_the_local_provider_leaks_or_doubles() {
    // The one that waits is the longest, so it begins.
    let mut waits = Case::new("gateway.create.intended", Action::Crash);
    waits.alone = true;
    let mut all = vec![waits];
    all.extend(cases(sandgate_gateway::STEPS));
    all.extend(cases(sandgate_provider_local::STEPS));
    play(Kind::Local, None, all).await;
}

#[tokio::test]
async fn no_step_of_the_container_provider_leaks_or_doubles() {
    let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
    let all = cases(sandgate_provider_container::STEPS);
    play(Kind::Container, Some(image), all).await;
}
