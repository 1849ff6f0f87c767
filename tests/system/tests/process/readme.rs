//! The README's walk, run as a reader would: every marked block in order, in one shell.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use sandgate_system::{GitServer, Repositories, build};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::walk::{Block, Kind, Step, blocks};

/// How long the server may take to be ready, and a step to end: an image may have to be pulled.
const PATIENCE: Duration = Duration::from_secs(180);

/// Printed by the shell after each step.
const MARK: &str = "@@ end of step @@";

/// Where the walk takes place.
struct Place {
    root: PathBuf,
    path: String,
    data: tempfile::TempDir,
    _repositories: Repositories,
    server: GitServer,
}

impl Place {
    async fn new() -> Self {
        let binaries = build();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .canonicalize()
            .unwrap();
        let path = env::var("PATH").unwrap_or_default();
        let path = format!(
            "{}:{}:{path}",
            binaries.display(),
            root.join(".tools/bin").display()
        );
        let repositories = Repositories::new();
        repositories.small("hello.git");
        let server = GitServer::start(repositories.root()).await;
        Self {
            root,
            path,
            data: tempfile::tempdir().unwrap(),
            _repositories: repositories,
            server,
        }
    }

    fn shell(&self) -> Command {
        let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
        let repository = format!("http://127.0.0.1:{}/open/hello.git", self.server.port);
        let mut shell = Command::new("bash");
        shell
            .current_dir(&self.root)
            .env("PATH", &self.path)
            .env("SANDGATE_LOG", "error")
            .env("SANDGATE_DATA_DIR", self.data.path())
            .env("SANDGATE_CONTAINER_IMAGE", image)
            .env("REPOSITORY", repository)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0);
        shell
    }

    /// Starts the server and waits until it says that it is ready.
    async fn serve(&self, commands: &str) -> Server {
        let script = format!("set -euo pipefail\n{commands}");
        let mut shell = self.shell();
        let mut child = shell
            .args(["-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let group = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let server = Server { child, group };
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if line.contains("ready") {
                    return;
                }
            }
            panic!("the server ended before it was ready");
        };
        timeout(PATIENCE, ready)
            .await
            .expect("the server is not ready");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        server
    }
}

/// The server, with all that its shell started. Ended when dropped.
struct Server {
    child: Child,
    group: Pid,
}

impl Server {
    async fn end(mut self) {
        let _ = kill_process_group(self.group, Signal::TERM);
        timeout(PATIENCE, self.child.wait())
            .await
            .expect("the server does not end")
            .unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}

/// The one shell that the blocks run in.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    transcript: String,
}

impl Shell {
    async fn start(place: &Place) -> Self {
        let mut child = place.shell().spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input
            .write_all(b"set -euo pipefail\nexec 2>&1\n")
            .await
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            input,
            output,
            transcript: String::new(),
        }
    }

    /// Runs commands; what they printed. The test fails where the shell ends.
    async fn run(&mut self, step: &Step) -> String {
        let script = format!(
            "{{\n{}\n}} </dev/null\nprintf '\\n{MARK}\\n'\n",
            step.commands
        );
        self.input.write_all(script.as_bytes()).await.unwrap();
        let mut printed = String::new();
        loop {
            let line = timeout(PATIENCE, self.output.next_line()).await;
            let line = line
                .unwrap_or_else(|_| panic!("README.md:{} takes too long:\n{printed}", step.line));
            match line.unwrap() {
                Some(line) if line == MARK => break,
                Some(line) => {
                    printed.push_str(&line);
                    printed.push('\n');
                }
                None => panic!(
                    "README.md:{} failed:\n{}\n{printed}",
                    step.line, step.commands
                ),
            }
        }
        self.transcript.push_str(&printed);
        printed
    }

    /// Everything that was printed, and the values of all variables.
    async fn finish(mut self) -> String {
        let all = Step {
            commands: "set".to_owned(),
            ..Step::default()
        };
        self.run(&all).await;
        drop(self.input);
        assert!(self.child.wait().await.unwrap().success());
        self.transcript
    }
}

async fn check(shell: &mut Shell, block: &Block) {
    for step in &block.steps {
        let printed = shell.run(step).await;
        for expected in &step.expected {
            assert!(
                printed.contains(expected),
                "README.md:{}: no {expected:?} in\n{printed}",
                step.line
            );
        }
    }
}

/// Every UUID in a text.
fn ids(text: &str) -> BTreeSet<&str> {
    let is_id = |word: &&str| uuid::Uuid::parse_str(word).is_ok() && word.len() == 36;
    text.split(|c: char| !c.is_ascii_hexdigit() && c != '-')
        .filter(is_id)
        .collect()
}

/// What the engine has of ours, with all labels.
async fn engine(arguments: &[&str]) -> String {
    let mut docker = Command::new("docker");
    if let Ok(host) = env::var("CONTAINER_SANDBOX_DOCKER_HOST") {
        docker.args(["-H", &host]);
    }
    docker.args(arguments).args([
        "--filter",
        "label=managed-by=sandgate",
        "--format",
        "{{.ID}} {{.Labels}}",
    ]);
    let listed = docker.output().await.unwrap();
    assert!(
        listed.status.success(),
        "{}",
        String::from_utf8_lossy(&listed.stderr)
    );
    String::from_utf8(listed.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_works_as_it_is_written() {
    let place = Place::new().await;
    let page =
        std::fs::read_to_string(place.root.join("README.md")).expect("there is no README.md");
    let blocks = blocks(&page);
    assert!(
        blocks.iter().any(|block| block.kind == Kind::Walk),
        "the README has no walk"
    );
    let mut server = None;
    if !blocks.iter().any(|block| block.kind == Kind::Serve) {
        server = Some(place.serve("exec sandgate serve").await);
    }
    let mut shell = Shell::start(&place).await;
    for block in &blocks {
        match block.kind {
            Kind::Walk => check(&mut shell, block).await,
            Kind::Serve => server = Some(place.serve(&block.steps[0].commands).await),
        }
    }
    let transcript = shell.finish().await;
    if let Some(server) = server {
        server.end().await;
    }
    let ids = ids(&transcript);
    assert!(!ids.is_empty(), "the walk names no session");
    for listing in [
        &["ps", "--all", "--no-trunc"][..],
        &["network", "ls", "--no-trunc"],
    ] {
        let left = engine(listing).await;
        let ours: Vec<_> = left
            .lines()
            .filter(|line| ids.iter().any(|id| line.contains(id)))
            .collect();
        assert!(ours.is_empty(), "left behind: {ours:#?}");
    }
}
