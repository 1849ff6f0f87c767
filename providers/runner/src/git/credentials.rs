//! Lends a token to the user's git for a while: in the file of git's credential store, and a line of
//! the user's configuration that says so.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, SystemTime},
};

use rustix::rand::{GetRandomFlags, getrandom};
use sandgate_runner_proto::v1::CredentialsJob;

use super::{
    failure::Failure,
    forget::{Forget, mark},
    job,
    login::{Login, host, percent_encoded},
    report::Report,
    run::missing,
};
use crate::config::traces;

/// What git ends with where there was nothing to take out of the configuration.
const NONE: i32 = 5;
/// The same where it could not write it: mostly another git does, for which it does not wait. How often
/// that is tried anew, and the time between.
const UNWRITTEN: i32 = 255;
const TRIES: usize = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Does what the input says; the code to end with.
pub(crate) fn credentials() -> io::Result<u8> {
    let job: CredentialsJob = job()?;
    let login = Login::checked(job.login.clone().unwrap_or_default())?;
    let mut report = Report {
        path: job.path.clone(),
        authenticated: true,
        ..Report::default()
    };
    let lifetime = Duration::from_secs(job.lifetime_s.into());
    let until = (SystemTime::now() + lifetime).duration_since(SystemTime::UNIX_EPOCH);
    let forget = Forget {
        path: job.path.clone().into(),
        until: u64::try_from(until.map_err(io::Error::other)?.as_millis())
            .map_err(io::Error::other)?,
    };
    let code = match &lent(&login, &job.path, &forget) {
        Ok(()) => 0,
        Err(failure) => {
            report.authenticated = false;
            if let Failure::Refused(word, message) = failure {
                report.refused = word;
                eprintln!("sandgate: {message}");
            }
            failure.code()
        }
    };
    report.print();
    Ok(code)
}

/// Writes the file and has git look there, or leaves no file. The configuration comes last: by it the
/// user's own helpers rest.
fn lent(login: &Login, path: &str, forget: &Forget) -> Result<(), Failure> {
    let written = write(&lines(login, forget.until), &forget.path);
    written.map_err(|error| Failure::of_path(&error, path))?;
    let left = forget.later(None).map_err(Failure::from);
    left.and_then(|()| configure(login, path))
        .inspect_err(|_| forget.now())
}

/// Has the user's git ask for these hosts nobody but a helper that looks into the file: any other, as
/// `store`, would be told a token that was of use, and keep it. What else is configured stays.
fn configure(login: &Login, path: &str) -> Result<(), Failure> {
    let ours = format!("^!f\\(\\) .* --file={} get", path.replace('.', "\\."));
    // Git tells helpers what to keep and to forget, too. The file is not its to change.
    let helper =
        format!("!f() {{ test \"$1\" != get || git credential-store --file={path} get; }}; f");
    for origin in &login.origins {
        // With the slash it means the same to git, and the user's own empty ones are under the other.
        let section = format!("credential.{origin}/");
        let name = format!("{section}.helper");
        let usual = format!("credential.{origin}.helper");
        config(&["--unset-all", &usual, &ours], &[0, NONE])?;
        config(&["--unset-all", &name, &ours], &[0, NONE])?;
        config(&["--unset-all", &name, "^$"], &[0, NONE])?;
        at_the_end(&section, &helper)?;
    }
    Ok(())
}

/// Has nobody but this helper asked: an empty one stands for no helper of those before. So both have to
/// come last, but git adds to a section of that name wherever there is one: they get one of their own,
/// which has another name until it is whole.
fn at_the_end(section: &str, helper: &str) -> Result<(), Failure> {
    let new = format!("{section}{}", unique()?);
    let name = format!("{new}.helper");
    let added = config(&["--add", &name, ""], &[0])
        .and_then(|()| config(&["--add", &name, helper], &[0]))
        .and_then(|()| config(&["--rename-section", &new, section], &[0]));
    added.inspect_err(|_| drop(config(&["--remove-section", &new], &[0])))
}

/// Changes the user's configuration, by a git that has to end so.
fn config(arguments: &[&str], codes: &[i32]) -> Result<(), Failure> {
    let mut command = Command::new("git");
    for variable in traces() {
        command.env_remove(variable);
    }
    command
        .args(["config", "--global"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut tries = 0..TRIES;
    loop {
        let done = command.output();
        let done = done.map_err(|error| missing(error, Path::new("/")))?;
        match done.status.code() {
            Some(code) if codes.contains(&code) => return Ok(()),
            Some(UNWRITTEN) if tries.next().is_some() => sleep(PAUSE),
            _ => {
                let _ = io::stderr().write_all(&done.stderr);
                break;
            }
        }
    }
    let message = "the user's git configuration could not be written; git says why above";
    Err(Failure::Refused("CONFIGURATION", message.to_owned()))
}

/// A name that nothing has.
fn unique() -> io::Result<String> {
    let mut random = [0; 8];
    getrandom(&mut random, GetRandomFlags::empty())?;
    Ok(format!(".sandgate-{:016x}", u64::from_ne_bytes(random)))
}

/// Puts the file there as a whole, for its owner alone; a link in its place is replaced.
fn write(text: &str, path: &Path) -> io::Result<()> {
    let new = path.with_file_name(unique()?);
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// A line for each host, as git's credential store has them, and one that says until when.
fn lines(login: &Login, until: u64) -> String {
    let (username, token) = (
        percent_encoded(&login.username),
        percent_encoded(&login.token),
    );
    let line = |origin: &String| {
        let host = host(origin).unwrap_or_default();
        let scheme = origin.strip_suffix(host).unwrap_or_default();
        format!("{scheme}{username}:{token}@{host}\n")
    };
    let mut lines: String = login.origins.iter().map(line).collect();
    lines.push_str(&mark(until));
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sandgate_runner_proto::v1::GitLogin;

    use super::*;

    fn login() -> Login {
        Login::checked(GitLogin {
            username: "oauth2".to_owned(),
            token: "a/b@c".into(),
            origins: vec![
                "https://github.com".to_owned(),
                "http://127.0.0.1:3000".to_owned(),
            ],
        })
        .unwrap()
    }

    #[test]
    fn a_line_is_a_url() {
        let lines = lines(&login(), 7);
        assert_eq!(
            lines,
            "https://oauth2:a%2Fb%40c@github.com\nhttp://oauth2:a%2Fb%40c@127.0.0.1:3000\n# lent by sandgate until 7\n"
        );
    }

    #[test]
    fn the_file_is_its_owners_alone_and_no_link_leads_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("file"), folder.path().join("other"));
        fs::write(&other, "old").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        for _ in 0..2 {
            write("text", &path).unwrap();
            let facts = fs::symlink_metadata(&path).unwrap();
            assert!(facts.is_file());
            assert_eq!(facts.permissions().mode() & 0o777, 0o600);
            assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(write("text", &folder.path().join("folder")).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
