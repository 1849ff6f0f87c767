//! Makes a sandbox fit to be used: the runner in its place, and where its user lives known.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use sandgate_kit::{Kind, ProviderError};
use sandgate_proto::Outcome;
use sandgate_runner_bundle::{FILE_NAME, RUNNER};

use crate::{
    envd::{Envd, EnvdFault, Visits},
    kept::Kept,
};

/// Folder of the runner and its socket. Root's, whom the sandbox's own user is not.
const FOLDER: &str = "/usr/local/lib/sandgate";
/// The runner's way in; no port is opened.
const SOCKET: &str = "/run/sandgate/runner";
/// Frames of a visit; the folder is the runner's alone.
const FRAMES: &str = "/run/sandgate/frames";
/// The environment of all commands.
const VARIABLES: &str = "/usr/local/lib/sandgate/environment";
/// Folder for output past what the runner holds in memory.
const SPOOL: &str = "/var/lib/sandgate";
/// For a few small programs.
const WITHIN: Duration = Duration::from_secs(30);

/// Environment of all commands.
pub(crate) type Environment = BTreeMap<String, String>;

/// Arguments: the runner, the user, the working folder or nothing, the upload of the runner, the file of
/// the environment, its upload or nothing. Prints home and working folder. The runner appears by a rename:
/// an upload may be cut off at any byte, and another one be under way while commands run.
const SCRIPT: &str = r#"set -e
trap 'rm -f "$4" ${6:+"$6"}' EXIT
chmod 0755 "$4"
[ -z "$6" ] || { chmod 0600 "$6"; mv -f "$6" "$5"; }
home=
while IFS=: read -r name _ _ _ _ at _; do
    [ "$name" != "$2" ] || home=$at
done < /etc/passwd
[ -n "$home" ] || { echo "no user $2" >&2; exit 3; }
dir=${3:-$home}
[ -d "$dir" ] || { mkdir -p "$dir"; chown "$2": "$dir"; }
"$4" version >&2
mv -f "$4" "$1"
printf '%s\n%s\n' "$home" "$dir"
"#;
/// The script's, for a user who is not there.
const NO_USER: i32 = 3;

/// Path of the runner.
pub(crate) fn program() -> String {
    format!("{FOLDER}/{FILE_NAME}")
}

/// Puts the runner into a sandbox, and looks where its user lives. With an environment: that of all its
/// commands, also after E2B's own memory of it is gone with a disk-only boot.
pub(crate) async fn prepare(
    envd: &Envd,
    kept: &mut Kept,
    env: Option<&Environment>,
) -> Result<(), ProviderError> {
    let program = program();
    let upload = |name: &str| format!("{FOLDER}/{name}.{}", uuid::Uuid::new_v4());
    let runner = upload(FILE_NAME);
    let mut files = vec![(runner.clone(), Bytes::from_static(RUNNER))];
    let mut variables = String::new();
    if let Some(env) = env.filter(|env| !env.is_empty()) {
        variables = upload("environment");
        files.push((variables.clone(), text(env)));
    }
    envd.upload(files).await.map_err(unready)?;
    let (user, workdir) = (&kept.user, &kept.workdir);
    let args = [
        "-c", SCRIPT, "sh", &program, user, workdir, &runner, VARIABLES, &variables,
    ];
    let ran = envd.run("/bin/sh", &args, WITHIN).await.map_err(unready)?;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    match (ran.exit_code, &said.lines().collect::<Vec<_>>()[..]) {
        (0, [home, workdir]) => {
            (*home).clone_into(&mut kept.home);
            (*workdir).clone_into(&mut kept.workdir);
            Ok(())
        }
        (NO_USER, _) => Err(ProviderError::new(
            Kind::InvalidField("spec.user"),
            format!("the template has no user {}; leave user out, or use another template", kept.user),
        )),
        _ => Err(ProviderError::new(
            Kind::Unsupported("exec"),
            "the template cannot run Sandgate's runner: it needs Linux on x86-64 with /bin/sh, as E2B's `base` has",
        )
        .caused_by(format!(
            "exit code {}: {}",
            ran.exit_code,
            String::from_utf8_lossy(&ran.stderr)
        ))),
    }
}

fn unready(fault: EnvdFault) -> ProviderError {
    let message = "E2B's daemon in the sandbox does not answer just now; repeat the call";
    fault.told(Outcome::Ambiguous, message)
}

/// As the runner reads it.
fn text(env: &Environment) -> Bytes {
    let pairs = env.iter().map(|(name, value)| format!("{name}={value}\0"));
    pairs.collect::<String>().into()
}

/// The way to the runner of a prepared sandbox.
pub(crate) fn visits(envd: Envd, kept: &Kept, output_limit: u64) -> Visits {
    let total = output_limit.saturating_mul(4);
    let args = [
        "--socket",
        SOCKET,
        "--",
        "--user",
        &kept.user,
        "--cwd",
        &kept.workdir,
        "--spool-dir",
        SPOOL,
        "--env-file",
        VARIABLES,
        "--output-limit",
        &output_limit.to_string(),
        "--total-limit",
        &total.to_string(),
    ];
    let env = [
        ("HOME", &kept.home),
        ("USER", &kept.user),
        ("LOGNAME", &kept.user),
    ];
    Visits {
        envd,
        user: kept.user.clone(),
        frames: FRAMES,
        program: program(),
        args: args.map(str::to_owned).into(),
        env: env
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .into(),
    }
}
