//! An S3-compatible server as a program of its own, and gateways that keep session files there.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sandgate_gateway::FilesPlace;
use sandgate_system::Plan;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// For a package manager, and for the server.
const PATIENCE: Duration = Duration::from_secs(300);

/// A bucket, which is gone with its server when this is dropped.
pub(crate) struct Bucket {
    server: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Where it answers.
    endpoint: String,
    pub(crate) key_id: String,
    pub(crate) secret: String,
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("s3")
}

async fn succeeded(command: &mut Command) {
    let ended = command.stdin(Stdio::null()).kill_on_drop(true).status();
    let status = timeout(PATIENCE, ended).await.expect("it does not end");
    let program = command.as_std().get_program();
    assert!(status.unwrap().success(), "{program:?} failed");
}

/// A Python with what the server is made of, prepared by one test at a time. It is kept for the next
/// run with the list of what it has.
async fn python() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("s3");
    let requirements = sources().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    tokio::task::block_in_place(|| lock.lock().unwrap());
    let stamp = folder.with_extension("stamp");
    if fs::read_to_string(&stamp).ok() != Some(wanted.clone()) {
        drop(fs::remove_dir_all(&folder));
        succeeded(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check"]);
        succeeded(pip.args(["--no-deps", "-r"]).arg(requirements)).await;
        fs::write(stamp, wanted).unwrap();
    }
    folder.join("bin/python")
}

impl Bucket {
    pub(crate) async fn start() -> Self {
        let mut server = Command::new(python().await)
            .arg(sources().join("server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let input = server.stdin.take().unwrap();
        let mut output = BufReader::new(server.stdout.take().unwrap()).lines();
        let said = said(&mut output).await;
        let word = |name: &str| said[name].as_str().unwrap().to_owned();
        Self {
            endpoint: word("url"),
            key_id: word("key_id"),
            secret: word("secret"),
            server,
            input,
            output,
        }
    }

    /// Settings of a gateway, as an operator gives them.
    pub(crate) fn settings(&self, secret: &str) -> [(&'static str, String); 2] {
        let (endpoint, key_id) = (&self.endpoint, &self.key_id);
        let options = format!(
            "endpoint={endpoint},allow_http=true,region=us-east-1,access_key_id={key_id},secret_access_key={secret}"
        );
        [
            ("SANDGATE_FILES_URL", "s3://files/some/prefix".to_owned()),
            ("SANDGATE_FILES_OPTIONS", options),
        ]
    }

    /// A gateway that keeps its files here.
    pub(crate) fn plan(&self) -> Plan {
        let [(_, url), (_, options)] = self.settings(&self.secret);
        let options = options.split(',').map(|option| {
            let (name, value) = option.split_once('=').unwrap();
            (name.to_owned(), value.into())
        });
        Plan {
            files: Some(FilesPlace::Store {
                url,
                options: options.collect(),
            }),
            ..Plan::default()
        }
    }

    async fn ask(&mut self, command: &str) -> Value {
        let line = format!("{command}\n");
        self.input.write_all(line.as_bytes()).await.unwrap();
        said(&mut self.output).await
    }

    /// Names of all objects.
    pub(crate) async fn objects(&mut self) -> Vec<String> {
        let listed = self.ask("list").await;
        let names = listed.as_array().unwrap().iter();
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until there are so many.
    pub(crate) async fn has(&mut self, objects: usize) {
        for _ in 0..600 {
            if self.objects().await.len() == objects {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "not {objects} objects within a minute: {:?}",
            self.objects().await
        );
    }

    /// Removes an object behind the gateway's back.
    pub(crate) async fn drop_object(&mut self, name: &str) {
        self.ask(&format!("drop {name}")).await;
    }

    /// Ends the server.
    pub(crate) async fn end(mut self) {
        self.server.kill().await.unwrap();
    }
}

async fn said(output: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = timeout(PATIENCE, output.next_line()).await;
    let line = line.expect("the server says nothing").unwrap();
    serde_json::from_str(&line.expect("the server has ended")).unwrap()
}
