//! The provider as a process: as an ordinary user, and killed while commands run.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{Client, Data, gone, line_of, mark, processes};
use sandgate_proto::v1::{
    ExecRequest, Resources, SandboxSpec, execution_ended::Outcome, stream_execution_response::Event,
};

const NOBODY: u32 = 65534;

/// A running provider program; killed when dropped.
struct Process(Child, std::net::SocketAddr);

impl Process {
    fn start(mut command: Command, data: &Path) -> Self {
        command
            .args(["--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.rsplit(' ').next().unwrap().parse().unwrap();
        Self(child, address)
    }

    async fn client(&self) -> Client {
        Client::connect(self.1).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_sandgate-provider-local").into()
}

/// The program as `nobody`, and a folder of its own; none where these tests are not run by root.
fn as_nobody() -> Option<(Command, Data)> {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let data = Data::new();
    chown(data.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    // Where the target folder is closed to others, a copy is not.
    let copy = data.path().join("provider");
    std::fs::copy(program(), &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(copy);
    Some((command, data))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_can_run_it() {
    let Some((command, data)) = as_nobody() else {
        return;
    };
    let provider = Process::start(command, data.path());
    let sandbox = provider.client().await;
    sandbox.create().await;
    let run = sandbox.sh("id -u; echo x > f; cat f; exit 5").await;
    assert_eq!((run.text().as_str(), run.code()), ("1000\nx", 5));
    assert_eq!(sandbox.sh("kill -9 $$").await.signal(), (9, false));
    assert_ne!(
        sandbox
            .sh("ls /root /work /etc/shadow /home/nobody")
            .await
            .code(),
        0
    );
    assert_ne!(sandbox.sh("unshare -U true").await.code(), 0);
    assert_eq!(sandbox.sh("grep -c : /proc/net/dev").await.text(), "1");

    let mark = mark();
    let line = format!(
        "setsid sleep {mark} & trap 'echo asked; exit 3' TERM; echo up; sleep {mark} & wait"
    );
    let timeout = Some(prost_types::Duration {
        seconds: 1,
        nanos: 0,
    });
    let run = sandbox
        .exec(ExecRequest {
            timeout,
            ..line_of(&line)
        })
        .await;
    assert_eq!(run.outcome, Some(Outcome::TimedOut(Default::default())));
    assert_eq!(run.text(), "up\nasked");
    gone(&mark).await;

    assert_eq!(
        sandbox
            .sh("mkdir -p a/b; touch a/b/f; chmod 0 a/b a")
            .await
            .code(),
        0
    );
    sandbox.delete().await.unwrap();
    assert!(!data.path().join("local").join(sandbox.id()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_user_has_limits_too() {
    let Some((command, data)) = as_nobody() else {
        return;
    };
    let provider = Process::start(command, data.path());
    let sandbox = provider.client().await;
    let resources = Resources {
        memory_bytes: 64 << 20,
        pids: 32,
        ..Default::default()
    };
    let spec = SandboxSpec {
        resources: Some(resources),
        ..Default::default()
    };
    sandbox.try_create(spec).await.unwrap();
    let run = sandbox
        .sh("head -c 400000000 /dev/zero | tail -c 390000000 | wc -c")
        .await;
    assert_ne!(run.text(), "390000000");
    let line = "i=0; while [ $i -lt 100 ]; do sleep 20 & i=$((i+1)); done; echo all";
    let timeout = Some(prost_types::Duration {
        seconds: 1,
        nanos: 0,
    });
    let run = sandbox
        .exec(ExecRequest {
            timeout,
            ..line_of(&format!("{line}; sleep 20"))
        })
        .await;
    assert_ne!(run.text(), "all", "a hundred processes where 32 may be");
    sandbox.stop().await.unwrap();
    sandbox.start().await.unwrap();
    assert_eq!(sandbox.sh("echo well").await.text(), "well");
}

/// Kills a provider while a command prints, and starts it anew over the same folder.
async fn killed_half_way(command: impl Fn() -> Command, data: &Data) {
    let provider = Process::start(command(), data.path());
    let sandbox = provider.client().await;
    let made = sandbox.create().await;
    let mark = mark();
    let line = format!(
        "setsid sleep {mark} & i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo line $i; sleep 0.02; done"
    );
    let id = sandbox.begin(&line).await;
    let mut text = String::new();
    let mut stream = sandbox.watch(&id, 0).await.unwrap();
    while text.len() < 200 {
        let event = stream.message().await.unwrap().unwrap().event;
        assert!(!take(event, &mut text));
    }
    drop((provider, stream));
    assert!(!processes(&mark).is_empty());

    let provider = Process::start(command(), data.path());
    let mut again = provider.client().await;
    again.context = sandbox.context.clone();
    assert_eq!(again.get().await.unwrap(), made);
    let mut stream = again.watch(&id, text.len() as u64).await.unwrap();
    while !take(stream.message().await.unwrap().unwrap().event, &mut text) {}
    let whole: String = (1..=150).map(|number| format!("line {number}\n")).collect();
    assert_eq!(text, whole);
    assert!(!processes(&mark).is_empty());
    assert_eq!(again.sh("echo well").await.text(), "well");
    again.delete().await.unwrap();
    assert!(processes(&mark).is_empty());
}

/// Adds output, which must go on where it was; true: it was the end.
fn take(event: Option<Event>, text: &mut String) -> bool {
    match event {
        Some(Event::Output(chunk)) => {
            assert_eq!(chunk.offset, text.len() as u64);
            text.push_str(std::str::from_utf8(&chunk.data).unwrap());
            false
        }
        Some(Event::Ended(ended)) => {
            assert_eq!(ended.outcome, Some(Outcome::ExitCode(0)));
            true
        }
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_go_on_when_the_provider_is_killed() {
    let data = Data::new();
    killed_half_way(|| Command::new(program()), &data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_users_commands_go_on_when_the_provider_is_killed() {
    let Some((_, data)) = as_nobody() else { return };
    let copy = data.path().join("provider");
    let command = || {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&copy);
        command
    };
    killed_half_way(command, &data).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_it_and_not_its_sandboxes() {
    let data = Data::new();
    let mut command = Command::new(program());
    command.args(["--drain-seconds", "1"]);
    let mut provider = Process::start(command, data.path());
    let sandbox = provider.client().await;
    sandbox.create().await;
    let mark = mark();
    sandbox.begin(&format!("exec sleep {mark}")).await;
    let pid = provider.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    for _ in 0..100 {
        if provider.0.try_wait().unwrap().is_some() {
            assert!(!processes(&mark).is_empty());
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the provider does not end");
}
