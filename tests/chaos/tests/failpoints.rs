//! Every step of create, stop and delete: once the program dies there, and once the call fails there.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, env, fs, path::Path};

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

#[tokio::test]
async fn no_step_of_the_provider_of_e2b_leaks_or_doubles() {
    play(Kind::E2b, None, cases(sandgate_provider_e2b::STEPS)).await;
}

/// Counts the places where each step is reached.
fn count(folder: &Path, counts: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count(&path, counts);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("step::reached(\"").skip(1) {
            let name = rest.split('"').next().unwrap();
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
}

#[test]
fn each_step_is_reached_at_one_place() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (folder, steps) in [
        ("gateway/src", sandgate_gateway::STEPS),
        ("providers/local/src", sandgate_provider_local::STEPS),
        (
            "providers/container/src",
            sandgate_provider_container::STEPS,
        ),
        ("providers/e2b/src", sandgate_provider_e2b::STEPS),
    ] {
        let mut counts = BTreeMap::new();
        count(&top.join(folder), &mut counts);
        let listed = steps.iter().map(|step| ((*step).to_owned(), 1));
        assert_eq!(counts, listed.collect(), "{folder}");
    }
}
