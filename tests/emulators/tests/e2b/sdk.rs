//! The official SDKs, unchanged, against the emulator.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto};
use sandgate_emulators::e2b::Emulator;
use tokio::{process::Command, time::timeout};

/// For one script, and for a package manager.
const PATIENCE: Duration = Duration::from_secs(300);

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}

/// A folder below the target folder that one test at a time prepares. What it was prepared with is
/// kept beside it, so that the next run finds it.
async fn prepared<R: Future<Output = ()>>(
    name: &str,
    with: &str,
    prepare: impl FnOnce(PathBuf) -> R,
) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let stamp = folder.with_extension("stamp");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(with) {
        drop(fs::remove_dir_all(&folder));
        prepare(folder.clone()).await;
        fs::write(stamp, with).unwrap();
    }
    folder
}

/// The program and its arguments; the environment is nobody's business.
fn named(command: &Command) -> String {
    let command = command.as_std();
    format!(
        "{:?} {:?}",
        command.get_program(),
        command.get_args().collect::<Vec<_>>()
    )
}

async fn output(command: &mut Command) -> Output {
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let ended = timeout(PATIENCE, running).await;
    let output = ended.unwrap_or_else(|_| panic!("{} does not end", named(command)));
    output.unwrap_or_else(|error| panic!("{} cannot be started: {error}", named(command)))
}

async fn succeeded(command: &mut Command) -> String {
    let output = output(command).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}{err}", named(command));
    out
}

/// A Python with the SDK.
async fn python() -> PathBuf {
    let requirements = sources().join("requirements.txt");
    let with = fs::read_to_string(&requirements).unwrap();
    let folder = prepared("python", &with, |folder| async move {
        succeeded(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--disable-pip-version-check", "-r"]);
        succeeded(pip.arg(requirements)).await;
    });
    folder.await.join("bin/python")
}

/// A folder with the SDK of JavaScript and the scripts.
async fn node() -> PathBuf {
    let with = fs::read_to_string(sources().join("package.json")).unwrap();
    let package = with.clone();
    let folder = prepared("node", &with, |folder| async move {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package.json"), package).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-package-lock", "--no-audit", "--no-fund"]);
        succeeded(npm.current_dir(folder)).await;
    });
    let folder = folder.await;
    // Imports are looked for beside the script that has them.
    for script in fs::read_dir(sources().join("js")).unwrap() {
        let script = script.unwrap();
        fs::copy(script.path(), folder.join(script.file_name())).unwrap();
    }
    folder
}

/// A command with an account of its own at the emulator, and nothing else of E2B's in its
/// environment.
fn script(program: &Path, emulator: &Emulator, name: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| !name.starts_with("E2B_")))
        .env("E2B_API_URL", emulator.url())
        .env("E2B_SANDBOX_URL", emulator.url())
        .env(
            "E2B_API_KEY",
            format!("e2b_{}", name.replace(['.', '/'], "")),
        );
    command
}

async fn runs_python(name: &str) {
    let (python, emulator) = (python().await, crate::support::start().await);
    let mut command = script(&python, &emulator, name);
    command.arg(sources().join("python").join(name));
    if name == "spec.py" {
        let spec = sources().join("../spec/e2b-api.openapi.yml");
        command.arg(spec);
    }
    let said = succeeded(&mut command).await;
    assert!(said.contains("ok "), "{said}");
    emulator.stop().await;
}

async fn runs_node(name: &str) {
    let (folder, emulator) = (node().await, crate::support::start().await);
    let mut command = script(Path::new("node"), &emulator, name);
    let said = succeeded(command.arg(folder.join(name))).await;
    assert!(said.contains("ok "), "{said}");
    emulator.stop().await;
}

#[tokio::test]
async fn python_runs_commands() {
    runs_python("commands.py").await;
}

#[tokio::test]
async fn python_has_files() {
    runs_python("filesystem.py").await;
}

#[tokio::test]
async fn python_has_terminals() {
    runs_python("terminal.py").await;
}

#[tokio::test]
async fn python_reaches_ports() {
    runs_python("ports.py").await;
}

#[tokio::test]
async fn python_lives() {
    runs_python("life.py").await;
}

#[tokio::test]
async fn python_lists() {
    runs_python("listing.py").await;
}

#[tokio::test]
async fn python_is_told_what_is_wrong() {
    runs_python("errors.py").await;
}

#[tokio::test]
async fn answers_are_as_described() {
    runs_python("spec.py").await;
}

#[tokio::test]
async fn javascript_runs_commands() {
    runs_node("commands.mjs").await;
}

#[tokio::test]
async fn javascript_has_files() {
    runs_node("filesystem.mjs").await;
}

#[tokio::test]
async fn javascript_reaches_ports() {
    runs_node("ports.mjs").await;
}

#[tokio::test]
async fn javascript_lives() {
    runs_node("life.mjs").await;
}

/// Every name with its number and type.
fn messages(prefix: &str, all: &[DescriptorProto], found: &mut Vec<String>) {
    for message in all {
        let name = format!("{prefix}.{}", message.name());
        for field in &message.field {
            found.push(format!(
                "{name}.{} = {} {:?} {:?} {} optional={}",
                field.name(),
                field.number(),
                field.label(),
                field.r#type(),
                field.type_name().trim_start_matches('.'),
                field.proto3_optional(),
            ));
        }
        messages(&name, &message.nested_type, found);
        enums(&name, &message.enum_type, found);
    }
}

fn enums(prefix: &str, all: &[EnumDescriptorProto], found: &mut Vec<String>) {
    for one in all {
        for value in &one.value {
            let name = format!("{prefix}.{}.{}", one.name(), value.name());
            found.push(format!("{name} = {}", value.number()));
        }
    }
}

fn names(file: &FileDescriptorProto) -> Vec<String> {
    let mut found = Vec::new();
    messages(file.package(), &file.message_type, &mut found);
    enums(file.package(), &file.enum_type, &mut found);
    for service in &file.service {
        for method in &service.method {
            found.push(format!(
                "{}.{} {} {} {} {}",
                service.name(),
                method.name(),
                method.input_type(),
                method.output_type(),
                method.client_streaming(),
                method.server_streaming(),
            ));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn our_descriptors_are_the_sdks() {
    let script = sources().join("python/descriptors.py");
    let said = succeeded(Command::new(python().await).arg(script)).await;
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers/e2b/envd/proto");
    let ours = protox::compile(["process.proto", "filesystem.proto"], [proto]).unwrap();
    let mut compared = 0;
    for line in said.lines() {
        let digit = |at| u8::from_str_radix(&line[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..line.len()).step_by(2).map(digit).collect();
        let theirs = FileDescriptorProto::decode(&bytes[..]).unwrap();
        let mut all = ours.file.iter();
        let ours = all.find(|file| file.package() == theirs.package()).unwrap();
        assert_eq!(names(ours), names(&theirs));
        compared += names(&theirs).len();
    }
    assert!(compared > 100, "{compared}");
}
