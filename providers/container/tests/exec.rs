//! Commands in a sandbox on a real engine: every byte, the true end, and nothing left running.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use bytes::Bytes;
use sandgate_kit::{CallContext, Command, Event, Outcome, Process as _, Provider as _};
use support::{PATIENCE, Seen, World, program, shell};
use tokio::time::{sleep, timeout};

/// Processes inside whose command line has this text.
async fn count(world: &World, context: &CallContext, text: &str) -> usize {
    // Brackets, so that those who look do not find themselves.
    let (first, rest) = text.split_at(1);
    let line = format!("grep -lz '[{first}]{rest}' /proc/[0-9]*/cmdline 2>/dev/null | wc -l");
    world
        .sh(context, &line)
        .await
        .text()
        .trim()
        .parse()
        .unwrap()
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
    assert_eq!(
        world
            .run(&context, program(&["echo", "$HOME", "a b"]))
            .await
            .text(),
        "$HOME a b\n"
    );
    assert_eq!(world.sh(&context, "true").await.text(), "");
    // No input: closed from the start.
    assert_eq!(world.run(&context, program(&["cat"])).await.text(), "");
    // A signal cannot be told from an exit.
    assert_eq!(world.sh(&context, "kill -9 $$").await.code(), 137);
    assert_eq!(world.sh(&context, "kill -15 $$").await.code(), 143);
    // Ends after it has closed its output.
    assert_eq!(
        world
            .sh(&context, "exec >&- 2>&-; sleep 0.3; exit 5")
            .await
            .code(),
        5
    );
    // Writes what the engine writes about a command that it cannot start.
    let text = "OCI runtime exec failed: exec: \"x\": executable file not found in $PATH";
    let seen = world
        .run(
            &context,
            program(&["sh", "-c", "echo \"$1\"; exit 126", "sh", text]),
        )
        .await;
    assert_eq!(
        (seen.code(), seen.stdout),
        (126, format!("{text}\n").into_bytes())
    );
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
    // One that does not read its input, and one that ends before it has read it.
    for line in [
        "exec <&-; sleep 0.2; echo done",
        "head -c 1 >/dev/null; echo done",
    ] {
        let command = Command {
            stdin: Bytes::from(input.clone()),
            ..shell(line)
        };
        assert_eq!(world.run(&context, command).await.text(), "done\n");
    }
    let command = Command {
        cwd: "/usr".into(),
        env: [("GREETING".to_owned(), "hello world\nagain".to_owned())].into(),
        user: "daemon".into(),
        ..shell("pwd; id -un; echo \"$GREETING\"")
    };
    assert_eq!(
        world.run(&context, command).await.text(),
        "/usr\ndaemon\nhello world\nagain\n"
    );
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let base = || program(&["true"]);
    for (command, reason) in [
        (program(&["no-such-program"]), "PROGRAM_NOT_FOUND"),
        (program(&["/no/such/program", "x"]), "PROGRAM_NOT_FOUND"),
        (program(&["/etc/passwd"]), "NOT_EXECUTABLE"),
        (program(&["/tmp"]), "NOT_EXECUTABLE"),
        (
            Command {
                cwd: "/no/such/folder".into(),
                ..base()
            },
            "CWD_NOT_FOUND",
        ),
        (
            Command {
                user: "nobody-here".into(),
                ..base()
            },
            "USER_NOT_FOUND",
        ),
        (
            Command {
                user: "root:no-group".into(),
                ..base()
            },
            "USER_NOT_FOUND",
        ),
    ] {
        let seen = world.run(&context, command).await;
        assert_eq!(seen.start_failed(), reason);
        assert_eq!(
            (seen.stdout.len(), seen.stderr.len()),
            (0, 0),
            "the engine's text is no output"
        );
    }
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn much_output_comes_whole_even_if_waits_are_dropped() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let line = "seq 1 1500000; seq 1 200000 >&2";
    let mut process = world.provider.exec(&context, shell(line)).await.unwrap();
    let mut seen = Seen::default();
    let mut dropped = 0;
    while seen.outcome.is_none() {
        match timeout(Duration::from_micros(150), process.next()).await {
            Ok(event) => seen.add(event),
            Err(_) => dropped += 1,
        }
        assert!(dropped < 1_000_000);
    }
    let numbers = |count: u32| {
        (1..=count)
            .map(|number| format!("{number}\n"))
            .collect::<String>()
    };
    assert!(dropped > 0);
    assert!(
        seen.stdout == numbers(1_500_000).into_bytes(),
        "{} bytes",
        seen.stdout.len()
    );
    assert!(
        seen.stderr == numbers(200_000).into_bytes(),
        "{} bytes",
        seen.stderr.len()
    );
    assert_eq!(seen.code(), 0);
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn term_ends_a_command_and_its_children() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let mut process = world
        .provider
        .exec(&context, shell("sleep 4321 & sleep 4321 & echo up; wait"))
        .await
        .unwrap();
    assert!(matches!(process.next().await, Event::Output(..)));
    assert_eq!(count(&world, &context, "4321").await, 3);
    process.kill(false).await;
    let ended = timeout(PATIENCE, process.next()).await.unwrap();
    assert!(
        matches!(ended, Event::Ended(Outcome::Exited(143))),
        "{ended:?}"
    );
    assert_eq!(count(&world, &context, "4321").await, 0);
    // It has ended; being told again is no error, and others are not meant.
    process.kill(true).await;
    assert_eq!(
        world.sh(&context, "echo still here").await.text(),
        "still here\n"
    );
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn kill_reaches_what_ignores_term_leaves_its_session_or_changes_its_user() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    // `env -i` drops the tag, `setsid` leaves the session, setpriv leaves the user.
    let line = "trap '' TERM; setsid sleep 4322 & env -i sleep 4322 & setpriv --reuid=1 --regid=1 --clear-groups sleep 4322 & echo up; wait; wait";
    let mut process = world.provider.exec(&context, shell(line)).await.unwrap();
    let other = world
        .provider
        .exec(&context, shell("sleep 4323"))
        .await
        .unwrap();
    assert!(matches!(process.next().await, Event::Output(..)));
    sleep(Duration::from_millis(300)).await;
    process.kill(false).await;
    assert!(
        timeout(Duration::from_secs(1), process.next())
            .await
            .is_err(),
        "it ignores TERM"
    );
    process.kill(true).await;
    let ended = timeout(PATIENCE, process.next()).await.unwrap();
    assert!(
        matches!(ended, Event::Ended(Outcome::Exited(137))),
        "{ended:?}"
    );
    sleep(Duration::from_millis(300)).await;
    assert_eq!(count(&world, &context, "4322").await, 0);
    assert_ne!(
        count(&world, &context, "4323").await,
        0,
        "another command goes on"
    );
    drop(other);
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn what_outlives_a_term_is_killed_at_the_end() {
    let world = World::new().await;
    let (context, _) = world.sandbox().await;
    let line = "(trap '' TERM; exec >&- 2>&-; while :; do sleep 0.4324; done) & echo up; wait";
    let mut process = world.provider.exec(&context, shell(line)).await.unwrap();
    assert!(matches!(process.next().await, Event::Output(..)));
    process.kill(false).await;
    let ended = timeout(PATIENCE, process.next()).await.unwrap();
    assert!(
        matches!(ended, Event::Ended(Outcome::Exited(143))),
        "{ended:?}"
    );
    sleep(Duration::from_millis(500)).await;
    assert_eq!(count(&world, &context, "0.4324").await, 0);
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_command_is_lost_with_its_sandbox() {
    let world = World::new().await;
    let lost = Outcome::Lost {
        reason: "SANDBOX_GONE",
    };
    for stop in [true, false] {
        let (context, _) = world.sandbox().await;
        let mut process = world
            .provider
            .exec(&context, shell("echo up; sleep 1000"))
            .await
            .unwrap();
        assert!(matches!(process.next().await, Event::Output(..)));
        if stop {
            world.provider.stop(&context).await.unwrap();
        } else {
            world.provider.delete(&context).await.unwrap();
        }
        let Event::Ended(outcome) = timeout(PATIENCE, process.next()).await.unwrap() else {
            panic!()
        };
        assert_eq!(outcome, lost);
        world.provider.delete(&context).await.unwrap();
    }
}
