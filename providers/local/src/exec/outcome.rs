//! What bwrap's end tells about its command.

use sandgate_kit::Outcome;

/// What was seen when a bwrap ended.
#[derive(Debug, Default)]
pub(super) struct Seen<'a> {
    /// What it said that the command returned. It says so only of a command that it could run.
    pub(super) code: Option<i32>,
    /// Whether it, or the namespace, was killed from outside.
    pub(super) killed: bool,
    /// Whether the kernel ended a process of this execution for want of memory.
    pub(super) out_of_memory: bool,
    /// What it wrote to stderr; its own words where the command never ran.
    pub(super) words: &'a [u8],
}

/// Signals that end a process by default, and so can have ended the command: signal(7) without
/// CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG and WINCH. Real-time signals are left out: an exit code
/// that large is more often just that.
const DEADLY: u32 = {
    let all = !1u32;
    all & !(1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23 | 1 << 28)
};

/// The outcome.
///
/// bwrap returns 128 + n for a command that signal n ended, as shells do, and nothing else tells the
/// two apart: its init reaps the command before anyone outside could look. Such a code is taken for
/// the signal, which is what it nearly always stands for, also where a shell returns it for its
/// child.
pub(super) fn outcome(seen: &Seen<'_>) -> Outcome {
    match seen.code {
        Some(code) => {
            let signal = code - 128;
            if (1..32).contains(&signal) && DEADLY & (1 << signal) != 0 {
                let oom_killed = seen.out_of_memory && signal == libc::SIGKILL;
                return Outcome::Signaled { signal, oom_killed };
            }
            Outcome::Exited(code)
        }
        None if seen.killed && seen.words.is_empty() => Outcome::Signaled {
            signal: libc::SIGKILL,
            oom_killed: seen.out_of_memory,
        },
        None => start_failed(&String::from_utf8_lossy(seen.words)),
    }
}

/// bwrap's words are its own and the C library's, in English since it has no locale: `bwrap: execvp
/// PROGRAM: ERROR` and `bwrap: Can't chdir to FOLDER: ERROR` (bubblewrap.c).
fn start_failed(words: &str) -> Outcome {
    let error = words.trim_end().rsplit(": ").next().unwrap_or_default();
    let (reason, message) = if words.starts_with("bwrap: Can't chdir to ") {
        (
            "CWD_NOT_FOUND",
            "cwd is not there or is no folder that the sandbox's user may enter; make it first, or leave cwd empty for the workspace",
        )
    } else if words.starts_with("bwrap: execvp ") {
        match error {
            "No such file or directory" => (
                "PROGRAM_NOT_FOUND",
                "no such program, or the interpreter that its first line names is missing; the sandbox sees what the host has in /usr, and its own files",
            ),
            "Permission denied" | "Exec format error" => (
                "NOT_EXECUTABLE",
                "this file is no program that the sandbox's user may run; check its mode (chmod +x) and its kind",
            ),
            "Argument list too long" => (
                "ARGUMENTS_TOO_LONG",
                "arguments and environment are too long; pass large data in stdin or a file",
            ),
            _ => ("START_FAILED", "the program could not be started"),
        }
    } else if error == "Resource temporarily unavailable" {
        (
            "OUT_OF_PROCESSES",
            "the sandbox has as many processes as it may; end some, or ask for more in spec.resources.pids",
        )
    } else {
        tracing::warn!(bwrap = words, "a command could not be started");
        (
            "START_FAILED",
            "the sandbox could not be entered; the provider's log says why",
        )
    };
    Outcome::StartFailed {
        reason,
        message: message.to_owned(),
    }
}

/// A command that cannot even be handed to bwrap.
pub(super) fn arguments_too_long() -> Outcome {
    start_failed("bwrap: execvp program: Argument list too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> Outcome {
        outcome(&Seen {
            code: Some(code),
            ..Seen::default()
        })
    }

    #[test]
    fn codes_that_stand_for_deadly_signals_are_signals() {
        for signal in [1, 2, 6, 9, 11, 15, 24, 31] {
            assert_eq!(
                of(128 + signal),
                Outcome::Signaled {
                    signal,
                    oom_killed: false
                }
            );
        }
        for code in [0, 1, 124, 126, 127, 128, 128 + 17, 128 + 19, 160, 200, 255] {
            assert_eq!(of(code), Outcome::Exited(code));
        }
    }

    #[test]
    fn want_of_memory_is_told_only_of_a_kill() {
        let seen = Seen {
            code: Some(137),
            out_of_memory: true,
            ..Seen::default()
        };
        assert_eq!(
            outcome(&seen),
            Outcome::Signaled {
                signal: 9,
                oom_killed: true
            }
        );
        let seen = Seen {
            code: Some(1),
            out_of_memory: true,
            ..Seen::default()
        };
        assert_eq!(outcome(&seen), Outcome::Exited(1));
    }

    #[test]
    fn a_failed_start_is_named() {
        for (words, expected) in [
            (
                "bwrap: execvp a: b: No such file or directory\n",
                "PROGRAM_NOT_FOUND",
            ),
            ("bwrap: execvp /etc: Permission denied\n", "NOT_EXECUTABLE"),
            (
                "bwrap: execvp x: Argument list too long\n",
                "ARGUMENTS_TOO_LONG",
            ),
            (
                "bwrap: Can't chdir to /x: No such file or directory\n",
                "CWD_NOT_FOUND",
            ),
            (
                "bwrap: Can't fork for pid 1: Resource temporarily unavailable\n",
                "OUT_OF_PROCESSES",
            ),
            ("bwrap: something else\n", "START_FAILED"),
            ("", "START_FAILED"),
        ] {
            let Outcome::StartFailed { reason, .. } = outcome(&Seen {
                words: words.as_bytes(),
                ..Seen::default()
            }) else {
                panic!("{words}")
            };
            assert_eq!(reason, expected, "{words}");
        }
    }
}
