//! The modes for git that need no server.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use prost::Message;
use sandgate_runner_proto::v1::{CloneJob, CredentialsJob, GitLogin};

use crate::program::{PROGRAM, wait_until};

/// Runs a mode with this input, in a home of its own.
fn run(mode: &str, job: &impl Message, home: &Path, path: Option<&str>) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg(mode).env("HOME", home).current_dir(home);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let pipes = command
        .env_remove("XDG_CONFIG_HOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&job.encode_to_vec()).unwrap();
    drop(input);
    child.wait_with_output().unwrap()
}

fn credentials(path: &Path, lifetime_s: u32) -> CredentialsJob {
    let login = GitLogin {
        username: "oauth2".to_owned(),
        token: "sesame-open".into(),
        origins: vec!["https://github.com".to_owned()],
    };
    CredentialsJob {
        login: Some(login),
        path: path.to_str().unwrap().to_owned(),
        lifetime_s,
    }
}

#[test]
fn a_lent_token_goes_when_its_time_is_over() {
    let home = tempfile::tempdir().unwrap();
    let (short, long) = (home.path().join("short"), home.path().join("long"));
    for (path, lifetime) in [(&short, 2), (&long, 2), (&long, 60)] {
        let done = run(
            "credentials",
            &credentials(path, lifetime),
            home.path(),
            None,
        );
        assert!(done.status.success(), "{done:?}");
        let text = fs::read_to_string(path).unwrap();
        assert!(
            text.starts_with("https://oauth2:sesame-open@github.com\n"),
            "{text}"
        );
    }
    wait_until(|| !short.exists());
    // That one was lent anew, for longer.
    std::thread::sleep(Duration::from_secs(2));
    assert!(long.exists());
    // Whoever is to remove it goes, too.
    fs::remove_file(&long).unwrap();
}

/// The user's own git, in this home.
fn git(home: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    let own = command.env("HOME", home).env_remove("XDG_CONFIG_HOME");
    let done = own.current_dir(home).args(arguments).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_helper_comes_last_and_all_else_stays() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let at = path.display();
    let own = "[credential \"https://github.com\"]\n\thelper =\n\thelper = !gh\n";
    let slash = "[credential \"https://github.com/\"]\n\tusername = oauth2\n";
    let rest = "[credential]\n\thelper = store\n";
    let old = format!("\thelper = \"!f() {{ git credential-store --file={at} get; }}; f\"\n");
    let config = home.path().join(".gitconfig");
    fs::write(&config, [own, &old, slash, rest].concat()).unwrap();
    for _ in 0..2 {
        let done = run("credentials", &credentials(&path, 60), home.path(), None);
        assert!(done.status.success(), "{done:?}");
        let text = fs::read_to_string(&config).unwrap();
        let ours = text.strip_prefix(&[own, slash, rest].concat());
        let ours: Vec<_> = ours.unwrap_or(&text).lines().map(str::trim).collect();
        assert_eq!(
            ours[..2],
            [slash.lines().next().unwrap(), "helper ="],
            "{text}"
        );
        assert!(
            ours[2].starts_with("helper = \"!f()") && ours.len() == 3,
            "{text}"
        );
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn calls_at_once_wait_for_each_other() {
    let home = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..4)
        .map(|name| home.path().join(name.to_string()))
        .collect();
    let lock = home.path().join(".gitconfig.lock");
    fs::write(&lock, "").unwrap();
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(|| {
                let done = run("credentials", &credentials(path, 60), home.path(), None);
                assert!(done.status.success(), "{done:?}");
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        fs::remove_file(&lock).unwrap();
    });
    let helpers = [
        "config",
        "--get-all",
        "credential.https://github.com/.helper",
    ];
    let helpers = git(home.path(), &helpers);
    for path in paths {
        let ours = format!("--file={} ", path.display());
        assert_eq!(helpers.matches(&ours).count(), 1, "{helpers}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_cannot_be_lent_whole_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let lock = home.path().join(".gitconfig.lock");
    fs::write(&lock, "").unwrap();
    let done = run("credentials", &credentials(&path, 60), home.path(), None);
    assert!(!done.status.success() && !path.exists(), "{done:?}");
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(said.matches("could not lock").count(), 1, "{said}");
    fs::remove_file(&lock).unwrap();
    // The configuration is left alone where the file cannot be written.
    fs::create_dir(&path).unwrap();
    let done = run("credentials", &credentials(&path, 60), home.path(), None);
    assert!(!done.status.success(), "{done:?}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn without_git_nothing_is_written() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("file");
    let done = run(
        "credentials",
        &credentials(&path, 60),
        home.path(),
        Some("/nowhere"),
    );
    assert!(!done.status.success());
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("\"refused\":\"GIT_MISSING\""), "{said}");
    let job = CloneJob {
        url: "https://sandgate.invalid/o/r".to_owned(),
        path: "o/r".to_owned(),
        ..CloneJob::default()
    };
    let done = run("clone", &job, home.path(), Some("/nowhere"));
    assert!(!done.status.success());
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("\"refused\":\"GIT_MISSING\""), "{said}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn what_says_nothing_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for mode in ["clone", "credentials"] {
        let done = Command::new(PROGRAM)
            .arg(mode)
            .current_dir(home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!done.status.success(), "{mode}: {done:?}");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
