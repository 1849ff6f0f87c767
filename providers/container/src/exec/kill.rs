//! Ends a command and what it started. The engine has no call for that, and the host's process ids
//! mean nothing inside; so each command carries a tag in its environment, and a small script inside
//! looks for it.
//!
//! The script runs with no more rights than the command had: whoever owns the sandbox can replace
//! its shell.

use bollard::{
    Docker,
    exec::{CreateExecOptions, StartExecOptions},
};
use uuid::Uuid;

use crate::{call, fault::Fault};

/// Names a command to the processes it starts.
pub(super) const VARIABLE: &str = "SANDGATE_EXECUTION";

const TERM: &str = "15";
const KILL: &str = "9";

/// Arguments: the tag, the signal. Only builtins of a POSIX shell, so that it works in the smallest
/// image and where no further process can be made.
///
/// A process belongs to the command if its environment has the tag, or if its session is that of
/// one that has: a child that changed its user can no longer be read, but its session can. KILL
/// goes round until nobody is found, since what is found may have forked meanwhile.
const SCRIPT: &str = r#"
exec 2>/dev/null
about() {
  IFS= read -r stat < "$1/stat" || return 1
  set -- ${stat##*) }
  [ "$1" != Z ] && session=$4
}
tagged() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *"SANDGATE_EXECUTION=$tag"*) return 0 ;; esac
  done < "$1/environ"
  return 1
}
tag=$1 signal=$2 round=0 sessions=' '
while [ "$round" -lt 5 ]; do
  round=$((round + 1)) found=
  for process in /proc/[0-9]*; do
    session=0
    about "$process" && tagged "$process" || continue
    found=$found\ ${process#/proc/}
    [ "$session" -gt 1 ] && sessions="$sessions$session "
  done
  for process in /proc/[0-9]*; do
    session=0
    about "$process" || continue
    case $sessions in *" $session "*) found=$found\ ${process#/proc/} ;; esac
  done
  [ -n "$found" ] || exit 0
  for pid in $found; do kill "-$signal" "$pid"; done
  [ "$signal" = 9 ] || exit 0
done
"#;

/// What one command's processes are known by.
#[derive(Debug)]
pub(super) struct Tag(Uuid);

impl Tag {
    pub(super) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// As it goes into the command's environment.
    pub(super) fn assignment(&self) -> String {
        format!("{VARIABLE}={}", self.0)
    }
}

/// Sends TERM, or with `force` KILL, to all that carry the tag. Returns once the script runs.
pub(super) async fn send(
    docker: &Docker,
    container_id: &str,
    user: &str,
    tag: &Tag,
    force: bool,
) -> Result<(), Fault> {
    let signal = if force { KILL } else { TERM };
    let argv = [
        "/bin/sh",
        "-c",
        SCRIPT,
        "sandgate-kill",
        &tag.0.to_string(),
        signal,
    ]
    .map(str::to_owned);
    let options = CreateExecOptions {
        cmd: Some(argv.to_vec()),
        user: (!user.is_empty()).then(|| user.to_owned()),
        working_dir: Some("/".to_owned()),
        privileged: Some(false),
        ..Default::default()
    };
    let created = call::CREATE_EXEC
        .run(docker.create_exec(container_id, options))
        .await?;
    let detached = StartExecOptions {
        detach: true,
        ..Default::default()
    };
    call::START_EXEC
        .run(docker.start_exec(&created.id, Some(detached)))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_looks_for_the_variable() {
        assert!(SCRIPT.contains(VARIABLE));
        assert!(Tag::new().assignment().starts_with("SANDGATE_EXECUTION="));
        assert_ne!(Tag::new().assignment(), Tag::new().assignment());
    }
}
