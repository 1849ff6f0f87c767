//! Commands: what they say and how they end.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use common::{Provider, gone, line_of, map, mark, processes, read, read_until};
use sandgate_proto::v1::{ExecRequest, SandboxSpec, execution_ended::Outcome};

fn seconds(seconds: i64) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos: 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn output_and_codes_are_told_as_they_are() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let run = sandbox.sh("echo out; echo err >&2; exit 7").await;
    assert_eq!(
        (run.text(), run.errors(), run.code()),
        ("out".into(), "err".into(), 7)
    );
    for code in [0, 1, 124, 126, 127, 137, 255] {
        assert_eq!(sandbox.sh(&format!("exit {code}")).await.code(), code);
    }
    let run = sandbox
        .sh("head -c 3000000 /dev/zero; head -c 70000 /dev/zero >&2")
        .await;
    assert_eq!((run.stdout.len(), run.stderr.len()), (3_000_000, 70_000));
    let run = sandbox
        .sh("echo 'bwrap: execvp x: No such file or directory' >&2; exit 3")
        .await;
    assert_eq!(
        (run.errors().as_str(), run.code()),
        ("bwrap: execvp x: No such file or directory", 3)
    );
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_are_told_as_signals() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    for signal in [6, 9, 11, 15] {
        assert_eq!(
            sandbox.sh(&format!("kill -{signal} $$")).await.signal(),
            (signal, false)
        );
    }
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_start_is_told_apart_from_a_failed_command() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let argv = |argv: &[&str]| ExecRequest {
        argv: argv.iter().map(|&one| one.to_owned()).collect(),
        ..Default::default()
    };
    let run = sandbox.exec(argv(&["no-such-program"])).await;
    assert_eq!(
        (run.start_failed(), run.stderr.len()),
        ("PROGRAM_NOT_FOUND", 0)
    );
    assert_eq!(
        sandbox.exec(argv(&["/etc/passwd"])).await.start_failed(),
        "NOT_EXECUTABLE"
    );
    let away = ExecRequest {
        cwd: "/workspace/away".into(),
        ..line_of("true")
    };
    assert_eq!(sandbox.exec(away).await.start_failed(), "CWD_NOT_FOUND");
    let many: Vec<String> = (0..200_000).map(|_| "x".repeat(15)).collect();
    let many = ExecRequest {
        argv: [vec!["true".into()], many].concat(),
        ..Default::default()
    };
    let refused = sandbox.stream(many).await;
    assert_eq!(common::code(refused), tonic::Code::InvalidArgument);
    let env = (0..9000)
        .map(|number| (format!("V{number}"), String::new()))
        .collect();
    let env = ExecRequest {
        env,
        ..line_of("env | grep -c ^V")
    };
    assert_eq!(sandbox.exec(env).await.text(), "9000");
    // A program looks the same from inside a shell, and is the shell's business.
    assert_eq!(sandbox.sh("no-such-program").await.code(), 127);
    // Looked up in PATH, as its arguments are.
    let run = sandbox
        .exec(argv(&["printf", "%s|", "a b", "$HOME", ""]))
        .await;
    assert_eq!(run.text(), "a b|$HOME||");
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn surroundings_are_what_was_asked_for() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    let spec = SandboxSpec {
        env: map(&[("FROM_SPEC", "spec"), ("BOTH", "spec")]),
        workdir: "/workspace/app".into(),
        ..Default::default()
    };
    let made = sandbox.try_create(spec).await.unwrap();
    assert_eq!(made.workspace_path, "/workspace/app");
    let request = ExecRequest {
        env: map(&[("BOTH", "request"), ("TEXT", "a b\n\"$c")]),
        ..line_of("echo $FROM_SPEC $BOTH; echo \"$TEXT\"; pwd; echo $HOME $USER")
    };
    let run = sandbox.exec(request).await;
    let expected = "spec request\na b\n\"$c\n/workspace/app\n/home/sandbox sandbox";
    assert_eq!(run.text(), expected);
    // Nothing of the host's; what the runner adds is its mark and the shell.
    let names = sandbox.sh("env | cut -d= -f1 | sort | xargs").await;
    assert_eq!(
        names.text(),
        "BOTH FROM_SPEC HOME LANG LOGNAME PATH PWD SANDGATE_EXECUTION SHELL USER"
    );
    let request = ExecRequest {
        cwd: "/tmp".into(),
        ..line_of("pwd; id -un; id -u; hostname")
    };
    assert_eq!(
        sandbox.exec(request).await.text(),
        "/tmp\nsandbox\n1000\nsandbox"
    );
    let request = ExecRequest {
        user: "root".into(),
        ..line_of("true")
    };
    let refused = sandbox.stream(request).await;
    assert_eq!(common::code(refused), tonic::Code::Unimplemented);
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn input_arrives_whole_and_ends() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    assert_eq!(sandbox.sh("cat | wc -c").await.text(), "0");
    let stdin: Vec<u8> = (0..2_000_000u32).map(|byte| byte as u8).collect();
    let request = ExecRequest {
        stdin: stdin.clone().into(),
        ..line_of("cat")
    };
    assert_eq!(sandbox.exec(request).await.stdout, stdin);
    let request = ExecRequest {
        stdin: stdin.into(),
        ..line_of("true")
    };
    assert_eq!(sandbox.exec(request).await.code(), 0);
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_asks_first_and_reaches_what_called_setsid() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let mark = mark();
    let line = format!(
        "setsid sleep {mark} & trap 'echo asked; exit 3' TERM; echo up; sleep {mark} & wait"
    );
    let began = Instant::now();
    let run = sandbox
        .exec(ExecRequest {
            timeout: seconds(1),
            ..line_of(&line)
        })
        .await;
    assert_eq!(run.outcome, Some(Outcome::TimedOut(Default::default())));
    assert_eq!(run.text(), "up\nasked");
    assert!(began.elapsed() < Duration::from_secs(4));
    gone(&mark).await;
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_what_does_not_listen() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let mark = mark();
    let line = format!("trap '' TERM; (trap '' TERM; setsid sleep {mark}) & sleep {mark}");
    let run = sandbox
        .exec(ExecRequest {
            timeout: seconds(1),
            ..line_of(&line)
        })
        .await;
    assert_eq!(run.outcome, Some(Outcome::TimedOut(Default::default())));
    gone(&mark).await;
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_finds_what_hides_where_there_are_control_groups() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let features = sandbox.capabilities().await.features;
    let tree = features.iter().find(|one| one.name == "process_tree");
    if tree.unwrap().note.contains("control group") {
        let mark = mark();
        // No environment, no session, no parent of the command's.
        let hidden = format!("trap \"\" TERM; sleep {mark} & sleep {mark}");
        let line = format!("(env -i setsid sh -c '{hidden}' &); sleep {mark}");
        let run = sandbox
            .exec(ExecRequest {
                timeout: seconds(1),
                ..line_of(&line)
            })
            .await;
        assert_eq!(run.outcome, Some(Outcome::TimedOut(Default::default())));
        gone(&mark).await;
    }
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_lives_on_until_the_sandbox_ends_and_does_not_hold_the_stream() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let mark = mark();
    let began = Instant::now();
    let run = sandbox
        .sh(&format!("setsid sleep {mark} & echo started"))
        .await;
    assert_eq!((run.text().as_str(), run.code()), ("started", 0));
    assert!(began.elapsed() < Duration::from_secs(4));
    let seen = sandbox
        .sh(&format!("pgrep -f 'sleep {mark}' | wc -l"))
        .await;
    assert_ne!(seen.text(), "0");
    assert!(!processes(&mark).is_empty());
    sandbox.stop().await.unwrap();
    assert!(processes(&mark).is_empty());
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_ends_a_command_only_if_asked() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    for cancel_on_disconnect in [false, true] {
        let mark = mark();
        let request = ExecRequest {
            cancel_on_disconnect,
            ..line_of(&format!("echo up; exec sleep {mark}"))
        };
        let mut stream = sandbox.stream(request).await.unwrap();
        read_until(&mut stream, "up").await;
        drop(stream);
        if cancel_on_disconnect {
            gone(&mark).await;
        } else {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert!(!processes(&mark).is_empty());
        }
    }
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_do_not_mix() {
    let provider = Provider::start().await;
    let sandbox = provider.client().await;
    sandbox.create().await;
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..100 {
        let sandbox = sandbox.clone();
        runs.spawn(async move {
            let stream = sandbox
                .stream(line_of(&format!("echo {number}; sleep 0.5; exit {number}")))
                .await;
            let run = read(stream.unwrap()).await;
            assert_eq!((run.text(), run.code()), (number.to_string(), number));
        });
    }
    while let Some(run) = runs.join_next().await {
        run.unwrap();
    }
    provider.stop().await;
}
