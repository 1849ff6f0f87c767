//! Why a command could not be started, from the text that the engine or its runtime writes in place
//! of output. Texts of Docker 20.10 to 28 with runc, crun and runsc; another text is START_FAILED.

use sandgate_kit::Outcome;

/// What a text has in it, what that means, and what to do. The first that fits counts: the text of
/// a missing folder also says that something is no such file.
const KNOWN: &[(&[&str], &str, &str)] = &[
    (
        &[
            "unable to find user",
            "unable to find group",
            "matching entries in passwd",
            "matching entries in group",
        ],
        "USER_NOT_FOUND",
        "the sandbox has no such user or group; leave user empty for the image's own",
    ),
    (
        &[
            "chdir to cwd",
            "current working directory",
            "cwd must be",
            "mkdir working directory",
        ],
        "CWD_NOT_FOUND",
        "cwd is no folder that the user may enter; make it first, or choose another",
    ),
    (
        &["argument list too long"],
        "ARGUMENTS_TOO_LONG",
        "the arguments and the environment are too long; pass them in a file or by stdin",
    ),
    (
        &[
            "resource temporarily unavailable",
            "cannot allocate memory",
            "failed to create new os thread",
        ],
        "OUT_OF_PROCESSES",
        "the sandbox has no room for another process; end some, or make a sandbox with more",
    ),
    (
        &[
            "permission denied",
            "exec format error",
            "is a directory",
            "not executable",
        ],
        "NOT_EXECUTABLE",
        "the program is there but cannot be run; check its mode and that it is made for this machine",
    ),
    (
        &[
            "executable file not found",
            "no such file or directory",
            "not found in $path",
        ],
        "PROGRAM_NOT_FOUND",
        "the sandbox has no such program; install it, or give its absolute path",
    ),
];

/// How a command ended that never ran.
pub(super) fn never_ran(text: &[u8]) -> Outcome {
    let text = String::from_utf8_lossy(text).to_lowercase();
    let known = KNOWN
        .iter()
        .find(|(parts, ..)| parts.iter().any(|part| text.contains(part)));
    let (reason, message) = known.map_or(
        (
            "START_FAILED",
            "the engine could not start the command; this provider's log says why",
        ),
        |(_, reason, message)| (reason, message),
    );
    if reason == "START_FAILED" {
        tracing::warn!(text, "a command could not be started");
    }
    Outcome::StartFailed {
        reason,
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_engines_are_understood() {
        for (text, expected) in [
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nosuch\": executable file not found in $PATH: unknown\r\n",
                "PROGRAM_NOT_FOUND",
            ),
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/nosuch\": stat /nosuch: no such file or directory: unknown",
                "PROGRAM_NOT_FOUND",
            ),
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/etc/passwd\": permission denied: unknown",
                "NOT_EXECUTABLE",
            ),
            (
                "OCI runtime exec failed: exec failed: unable to start container process: chdir to cwd (\"/nope\") set in config.json failed: no such file or directory: unknown",
                "CWD_NOT_FOUND",
            ),
            (
                "unable to find user nobodyx: no matching entries in passwd file",
                "USER_NOT_FOUND",
            ),
            (
                "unable to find group nogrp: no matching entries in group file",
                "USER_NOT_FOUND",
            ),
            (
                "OCI runtime exec failed: exec failed: unable to start container process: argument list too long",
                "ARGUMENTS_TOO_LONG",
            ),
            (
                "OCI runtime exec failed: fork/exec /proc/self/exe: resource temporarily unavailable",
                "OUT_OF_PROCESSES",
            ),
            ("something new", "START_FAILED"),
            ("", "START_FAILED"),
        ] {
            let Outcome::StartFailed { reason, message } = never_ran(text.as_bytes()) else {
                panic!()
            };
            assert_eq!(reason, expected, "{text}");
            assert!(!message.contains("OCI"));
        }
    }
}
