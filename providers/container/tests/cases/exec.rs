//! Commands in a sandbox on a real engine: every byte, the true end, and nothing left running.

use std::time::Duration;

use bytes::Bytes;
use sandgate_kit::{CallContext, Provider as _};
use sandgate_runner_proto::v1::{KillGuarantee, ended::Outcome};
use tokio::time::sleep;

use crate::support::{Command, World, runner::program, shell};

/// Processes inside whose command line has this text.
async fn count(world: &World, context: &CallContext, text: &str) -> usize {
    // Brackets, so that those who look do not find themselves.
    let (first, rest) = text.split_at(1);
    let line = format!("grep -lz '[{first}]{rest}' /proc/[0-9]*/cmdline 2>/dev/null | wc -l");
    let seen = world.sh(context, &line).await;
    seen.text().trim().parse().unwrap()
}

#[tokio::test]
async fn output_and_exit_code_are_the_commands_own() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let seen = world.sh(&context, "echo out; echo err >&2; exit 3").await;
    assert_eq!(
        (seen.stdout.as_slice(), seen.stderr.as_slice(), seen.code()),
        (&b"out\n"[..], &b"err\n"[..], 3)
    );
    let seen = world
        .run(&context, program(&["echo", "$HOME", "a b"]))
        .await;
    assert_eq!(seen.text(), "$HOME a b\n");
    // No input: closed from the start.
    assert_eq!(world.run(&context, program(&["cat"])).await.text(), "");
    let killed = world.sh(&context, "kill -9 $$").await.outcome();
    assert!(matches!(killed, Outcome::Signaled(signaled) if signaled.signal == 9));
    // Ends after it has closed its output.
    let line = "exec >&- 2>&-; sleep 0.3; exit 5";
    assert_eq!(world.sh(&context, line).await.code(), 5);
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn input_environment_folder_and_user_reach_the_command() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let input: Vec<u8> = (0..3_000_000u32)
        .map(|number| (number % 251) as u8)
        .collect();
    let command = Command {
        stdin: Bytes::from(input.clone()),
        ..program(&["cat"])
    };
    assert!(world.run(&context, command).await.stdout == input);
    let command = Command {
        cwd: "/usr".into(),
        env: [("GREETING".to_owned(), "hello world\nagain".to_owned())].into(),
        user: "daemon".into(),
        ..shell("pwd; id -un; echo \"$GREETING\"")
    };
    let seen = world.run(&context, command).await;
    assert_eq!(seen.text(), "/usr\ndaemon\nhello world\nagain\n");
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let at = |cwd: &str, user: &str| Command {
        cwd: cwd.to_owned(),
        user: user.to_owned(),
        ..program(&["true"])
    };
    for (command, reason) in [
        (program(&["no-such-program"]), "PROGRAM_NOT_FOUND"),
        (program(&["/etc/passwd"]), "NOT_EXECUTABLE"),
        (at("/no/such/folder", ""), "CWD_NOT_FOUND"),
        (at("", "nobody-here"), "USER_NOT_FOUND"),
        (at("", "root:no-group"), "USER_NOT_FOUND"),
    ] {
        let seen = world.run(&context, command).await;
        assert_eq!(seen.start_failed(), reason);
        assert_eq!((seen.stdout.len(), seen.stderr.len()), (0, 0));
    }
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn much_output_comes_whole() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let line = "seq 1 1500000; seq 1 200000 >&2";
    let seen = world.sh(&context, line).await;
    let numbers = |count: u32| {
        let lines = (1..=count).map(|number| format!("{number}\n"));
        lines.collect::<String>().into_bytes()
    };
    assert!(seen.stdout == numbers(1_500_000), "{}", seen.stdout.len());
    assert!(seen.stderr == numbers(200_000), "{}", seen.stderr.len());
    assert_eq!(seen.code(), 0);
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_cancel_reaches_what_ignores_term_leaves_its_session_or_changes_its_user() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let line = "trap '' TERM; setsid env -i sleep 4322 & env -i setsid sh -c 'sleep 4322 & sleep 4322' & setpriv --reuid=1 --regid=1 --keep-groups sleep 4322 & echo up; wait; wait";
    let mut process = world.start(&context, shell(line)).await;
    let mut other = world.start(&context, shell("echo up; sleep 4323")).await;
    process.speaks().await;
    other.speaks().await;
    sleep(Duration::from_millis(300)).await;
    assert!(count(&world, &context, "4322").await >= 4);
    process.cancel().await;
    let outcome = process.finish().await.outcome();
    assert!(matches!(outcome, Outcome::Cancelled(_)), "{outcome:?}");
    // On a busy machine a killed process takes a while to go.
    let mut left = 1;
    for _ in 0..20 {
        left = count(&world, &context, "4322").await;
        if left == 0 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(left, 0);
    assert_ne!(count(&world, &context, "4323").await, 0, "others go on");
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn what_the_capabilities_say_of_process_trees_holds() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let said = world.provider.capabilities().await.unwrap();
    let mut features = said.features.into_iter();
    let tree = features
        .find(|feature| feature.name == "process_tree")
        .unwrap();
    let mut process = world.start(&context, shell("echo up; sleep 1000")).await;
    process.speaks().await;
    let welcome = process.welcome.clone();
    assert!(welcome.sees_oom);
    let by_cgroup = welcome.kill_guarantee() == KillGuarantee::Cgroup;
    assert_eq!(tree.note.contains("control group"), by_cgroup);
    if by_cgroup {
        // Nothing that a command can shed: neither environment, session nor groups.
        let line = "setsid setpriv --reuid=1 --regid=1 --clear-groups env -i sleep 4325 & echo up; sleep 1000";
        let mut hiding = world.start(&context, shell(line)).await;
        hiding.speaks().await;
        sleep(Duration::from_millis(300)).await;
        assert_eq!(count(&world, &context, "4325").await, 2);
        hiding.cancel().await;
        hiding.finish().await;
        assert_eq!(count(&world, &context, "4325").await, 0);
    }
    process.cancel().await;
    process.finish().await;
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_command_ends_with_its_sandbox() {
    let world = World::new().await;
    for stop in [true, false] {
        let (context, _) = world.sandbox().await;
        let mut process = world.start(&context, shell("echo up; sleep 1000")).await;
        process.speaks().await;
        if stop {
            world.provider.stop(&context).await.unwrap();
        } else {
            world.provider.delete(&context).await.unwrap();
        }
        // What the runner said last may have been lost with it.
        let ended = process.finish().await.ended;
        let outcome = ended.and_then(|ended| ended.outcome);
        assert!(
            matches!(outcome, None | Some(Outcome::Cancelled(_))),
            "{outcome:?}"
        );
        world.provider.delete(&context).await.unwrap();
    }
}
