//! Commands and disks that behave badly.

use sandgate_runner_proto::v1::ended::Outcome;

use crate::{
    client::shell,
    program::{Runner, wait_until},
};

#[test]
fn closed_output_is_not_the_end() {
    let runner = Runner::start();
    let seen = runner
        .client()
        .shell("a", "echo x; exec >&- 2>&-; sleep 0.5; exit 7");
    assert_eq!(seen.text(1), "x\n");
    assert_eq!(seen.outcome(), Outcome::ExitCode(7));
    assert!(seen.ended.unwrap().duration_ns >= 500_000_000);
}

#[test]
fn a_flood_of_orphans_leaves_no_zombies() {
    let runner = Runner::start();
    let line = "i=0; while [ $i -lt 500 ]; do (setsid true &); i=$((i + 1)); done; echo done";
    let seen = runner.client().shell("a", line);
    assert_eq!(seen.text(1), "done\n");
    let children = format!("/proc/{0}/task/{0}/children", runner.pid());
    wait_until(|| std::fs::read_to_string(&children).unwrap().is_empty());
}

#[test]
fn a_disk_that_is_full_is_a_gap_and_blocks_nobody() {
    let runner = Runner::on_a_small_disk(2 << 20);
    let mut client = runner.client();
    let call = client.send(shell("a", "head -c 8000000 /dev/zero; echo end; exit 3"));
    let first = client.follow(call);
    assert_eq!(first.outcome(), Outcome::ExitCode(3));

    // Who comes later is told what is missing.
    let again = client.shell("a", "head -c 8000000 /dev/zero; echo end; exit 3");
    assert!(!again.gaps.is_empty());
    assert!(again.gaps.iter().all(|gap| gap.3 == "DISK_FULL"));
    let missing: u64 = again.gaps.iter().map(|gap| gap.2 - gap.1).sum();
    assert_eq!(missing + again.bytes[1].len() as u64, 8_000_004);
    assert!(again.bytes[1].len() > 1 << 20);

    // What it held is given back when it is forgotten, and small outputs need no disk at all.
    assert_eq!(client.shell("b", "echo fine").text(1), "fine\n");
}
