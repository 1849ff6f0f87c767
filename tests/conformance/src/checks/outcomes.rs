//! Rule 3: an outcome is what was observed.

use std::time::Duration;

use sandgate_proto::v1::{self, execution_ended::Outcome};

use crate::{
    collect::Collected,
    failure::{Failure, broken, ensure, same},
    subject::line,
    suite::Check,
    world::Context,
};

const RULE: &str = "rule 3";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(
        RULE,
        "exit_codes",
        "A command's exit code is told as it is; a command that fails is a result, not an RPC error.",
        |context| Box::pin(exit_codes(context)),
    ),
    Check::new(
        RULE,
        "signal_deaths",
        "A process that a signal ends is signaled with that signal; the shell's 128 + n of a child stays an exit code.",
        |context| Box::pin(signal_deaths(context)),
    ),
    Check::new(
        RULE,
        "start_failed",
        "No such program, directory or executable: start_failed with its reason.",
        |context| Box::pin(start_failed(context)),
    ),
    Check::new(
        RULE,
        "no_such_user",
        "A user that the sandbox does not have: start_failed USER_NOT_FOUND.",
        |context| Box::pin(no_such_user(context)),
    )
    .needs(&["exec_user"]),
    Check::new(
        RULE,
        "timeout_is_timed_out",
        "A timeout is timed_out, never exit 124; and exit 124 is exit 124.",
        |context| Box::pin(timed_out(context)),
    )
    .needs(&["exec_timeout"]),
    Check::new(
        RULE,
        "timeout_not_reached",
        "A timeout that is not reached changes nothing.",
        |context| Box::pin(timeout_not_reached(context)),
    )
    .needs(&["exec_timeout"]),
    Check::new(
        RULE,
        "times",
        "duration is the time from start to end, and end_time the time of the end.",
        |context| Box::pin(times(context)),
    ),
];

async fn exit_codes(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for code in [0, 1, 2, 42, 124, 127, 128, 137, 254, 255] {
        place.sh(format!("exit {code}")).await?.exited(code)?;
    }
    let seen = place.sh("no-such-program-of-the-shell").await?;
    seen.exited(127)?;
    ensure(
        !seen.stderr.is_empty(),
        || "the shell's complaint is missing in stderr",
    )?;
    place.finish(argv(&["false"])).await?.exited(1)
}

fn argv(words: &[&str]) -> v1::ExecRequest {
    v1::ExecRequest {
        argv: words.iter().map(|word| (*word).to_owned()).collect(),
        ..Default::default()
    }
}

async fn signal_deaths(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for signal in [9, 15, 6, 1] {
        let seen = place.sh(format!("kill -{signal} $$; sleep 5")).await?;
        match seen.outcome()? {
            Outcome::Signaled(by) if by.signal == signal && !by.oom_killed => {}
            other => {
                return Err(broken(format!(
                    "the outcome of `kill -{signal} $$` is {other:?}, due was signaled {signal}"
                )));
            }
        }
    }
    let seen = place.sh("sh -c 'kill -9 $$'; exit $?").await?;
    seen.exited(137)
}

/// Fails unless it never ran, for this reason.
pub(super) fn failed_to_start(seen: &Collected, reason: &str) -> Result<(), Failure> {
    match seen.outcome()? {
        Outcome::StartFailed(failed) => {
            same("start_failed.reason", failed.reason.as_str(), reason)?;
            ensure(
                !failed.message.is_empty(),
                || "start_failed.message is empty",
            )
        }
        other => Err(broken(format!(
            "the outcome is {other:?}, due was start_failed {reason}"
        ))),
    }
}

async fn start_failed(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let seen = place.finish(argv(&["no-such-program-anywhere"])).await?;
    failed_to_start(&seen, "PROGRAM_NOT_FOUND")?;
    let seen = place.finish(argv(&["/no/such/program"])).await?;
    failed_to_start(&seen, "PROGRAM_NOT_FOUND")?;
    let cwd = v1::ExecRequest {
        cwd: "/no/such/directory".to_owned(),
        ..line("echo hi")
    };
    failed_to_start(&place.finish(cwd).await?, "CWD_NOT_FOUND")?;
    place.text("echo plain > plain-file").await?;
    let workspace = place.get().await?.workspace_path;
    let seen = place
        .finish(argv(&[&format!("{workspace}/plain-file")]))
        .await?;
    failed_to_start(&seen, "NOT_EXECUTABLE")
}

async fn no_such_user(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let request = v1::ExecRequest {
        user: "no-such-user-anywhere".to_owned(),
        ..line("echo hi")
    };
    failed_to_start(&place.finish(request).await?, "USER_NOT_FOUND")
}

fn limited(command: &str, timeout: Duration) -> v1::ExecRequest {
    v1::ExecRequest {
        timeout: prost_types::Duration::try_from(timeout).ok(),
        ..line(command)
    }
}

async fn timed_out(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let timeout = Duration::from_secs(1);
    for command in [
        "echo up; sleep 60",
        "echo up; trap 'exit 124' TERM; sleep 60",
    ] {
        let seen = place.finish(limited(command, timeout)).await?;
        let outcome = seen.outcome()?;
        ensure(matches!(outcome, Outcome::TimedOut(_)), || {
            format!(
                "the outcome of {command:?} with a timeout of 1 s is {outcome:?}, due was timed_out"
            )
        })?;
        same(
            "output before the timeout",
            seen.stdout.text().as_str(),
            "up\n",
        )?;
        let ran = duration(&seen)?;
        ensure(ran >= timeout && ran < Duration::from_secs(30), || {
            format!("it ran for {ran:?} with a timeout of 1 s")
        })?;
    }
    place.sh("echo 124; exit 124").await?.exited(124)
}

async fn timeout_not_reached(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let seen = place
        .finish(limited("echo hi; exit 3", Duration::from_secs(60)))
        .await?;
    seen.exited(3)?;
    same("stdout", seen.stdout.text().as_str(), "hi\n")
}

fn duration(seen: &Collected) -> Result<Duration, Failure> {
    let said = seen.ended.as_ref().and_then(|ended| ended.duration);
    said.and_then(|said| Duration::try_from(said).ok())
        .ok_or_else(|| broken("ended.duration is unset or negative"))
}

async fn times(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let seen = place.sh("sleep 1").await?;
    let ran = duration(&seen)?;
    ensure(
        ran >= Duration::from_millis(900) && ran < Duration::from_secs(20),
        || format!("duration of `sleep 1` is {ran:?}"),
    )?;
    let start = seen
        .started
        .start_time
        .ok_or_else(|| broken("started.start_time is unset"))?;
    let end = seen
        .ended
        .and_then(|ended| ended.end_time)
        .unwrap_or_default();
    let between = end.seconds - start.seconds;
    ensure((0..=20).contains(&between), || {
        format!("from start_time to end_time of `sleep 1` are {between} s")
    })
}
