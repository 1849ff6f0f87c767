//! A command as it was asked for, checked, becomes the start of an execution.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use sandgate_proto::v1::{self, ExecRequest};
use sandgate_runner_proto::v1::{Facts, Start, TerminalSize};
use sha2::{Digest as _, Sha256};

use crate::{Kind, ProviderError, environment, runner::FACTS_BYTES, spec::no_nul};

/// Longest single argument or `NAME=value`: the kernel takes 128 KiB with its NUL.
pub(crate) const STRING_BYTES: usize = 128 * 1024 - 1;
/// Most arguments and environment together, each with its NUL.
const STRINGS_BYTES: usize = 1024 * 1024;

/// Checks a request.
pub(crate) fn checked(mut request: ExecRequest) -> Result<Start, ProviderError> {
    let execution_id = execution_id(std::mem::take(&mut request.execution_id))?;
    if !request.cwd.is_empty() && !request.cwd.starts_with('/') {
        return Err(invalid("cwd", "must be an absolute path"));
    }
    no_nul("cwd", &request.cwd)?;
    no_nul("user", &request.user)?;
    let timeout = request.timeout.map(positive).transpose()?;
    let env = environment::merged(&request.env, &request.gateway_payload)?;
    let terminal = request.terminal.map(terminal).transpose()?;
    let cancel_on_disconnect = request.cancel_on_disconnect;
    let facts = facts(&request, timeout);
    let fingerprint = fingerprint(&mut request);
    let argv = argv(request.command, request.argv)?;
    fits(&argv, &env)?;
    Ok(Start {
        execution_id,
        fingerprint,
        facts,
        argv,
        env,
        cwd: request.cwd,
        user: request.user,
        timeout_ms: timeout.map_or(0, millis),
        stdin: request.stdin,
        stdin_open: request.stdin_open,
        terminal,
        observe: None,
        cancel_on_disconnect,
        grace_ms: 0,
    })
}

/// What makes two requests the same: all but how this caller wants to be answered, where it runs,
/// and values that the gateway resolves anew each time. Maps are sorted, so that the encoding is
/// the same for the same request.
fn fingerprint(request: &mut ExecRequest) -> Bytes {
    request.session_id.clear();
    request.sandbox_id.clear();
    request.cancel_on_disconnect = false;
    request.gateway_payload.clear();
    Bytes::copy_from_slice(&Sha256::digest(request.encode_to_vec()))
}

fn argv(command: String, argv: Vec<String>) -> Result<Vec<Bytes>, ProviderError> {
    let argv = match (command.is_empty(), argv.is_empty()) {
        (false, true) => vec!["/bin/sh".to_owned(), "-c".to_owned(), command],
        (true, false) => argv,
        (true, true) => {
            return Err(invalid(
                "command",
                "send a shell line in command, or a program and its arguments in argv",
            ));
        }
        (false, false) => return Err(invalid("argv", "send either command or argv, not both")),
    };
    if argv[0].is_empty() {
        return Err(invalid("argv", "the program, argv[0], must not be empty"));
    }
    argv.iter()
        .try_for_each(|argument| no_nul("argv", argument))?;
    Ok(argv.into_iter().map(Bytes::from).collect())
}

/// What no kernel would take is refused here, by the name of the field.
fn fits(argv: &[Bytes], env: &[Bytes]) -> Result<(), ProviderError> {
    let sum = |strings: &[Bytes]| strings.iter().map(|string| string.len() + 1).sum::<usize>();
    for (field, strings) in [("argv", argv), ("env", env)] {
        if strings.iter().any(|string| string.len() > STRING_BYTES) {
            return Err(invalid(
                field,
                "one string is longer than 131,071 bytes; send it in stdin, or write it to a file that the command reads",
            ));
        }
    }
    let (arguments, environment) = (sum(argv), sum(env));
    if arguments + environment > STRINGS_BYTES {
        let field = if environment > arguments {
            "env"
        } else {
            "argv"
        };
        return Err(invalid(
            field,
            "arguments and environment together are over 1 MiB; send the large part in stdin, or write it to a file that the command reads",
        ));
    }
    Ok(())
}

/// What Look and List give back of the request, clipped to what the runner keeps.
fn facts(request: &ExecRequest, timeout: Option<Duration>) -> Bytes {
    // A tag and a length before each text, and the number.
    const OVERHEAD: usize = 4;
    let mut left = FACTS_BYTES - 16;
    let mut clipped = |text: &str| {
        let clipped = &text[..text.floor_char_boundary(left.saturating_sub(OVERHEAD))];
        left = left.saturating_sub(clipped.len() + OVERHEAD);
        (left > 0 || !clipped.is_empty()).then(|| clipped.to_owned())
    };
    let facts = Facts {
        command: clipped(&request.command).unwrap_or_default(),
        argv: request
            .argv
            .iter()
            .map_while(|text| clipped(text))
            .collect(),
        timeout_ms: timeout.map_or(0, millis),
    };
    facts.encode_to_vec().into()
}

/// Both numbers of a terminal's size, if it is one.
pub(crate) fn terminal(size: v1::TerminalSize) -> Result<TerminalSize, ProviderError> {
    for (field, number) in [("rows", size.rows), ("cols", size.cols)] {
        if !(1..=65_535).contains(&number) {
            return Err(invalid(field, "a terminal has 1 to 65,535 of them"));
        }
    }
    Ok(TerminalSize {
        rows: size.rows,
        cols: size.cols,
    })
}

/// Whole milliseconds, at least one.
pub(crate) fn millis(duration: Duration) -> u64 {
    // Less than a millisecond is not "never".
    u64::try_from(duration.as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

fn invalid(field: &'static str, message: &str) -> ProviderError {
    ProviderError::new(Kind::InvalidField(field), message)
}

/// A time that a command may take.
pub(crate) fn positive(duration: prost_types::Duration) -> Result<Duration, ProviderError> {
    Duration::try_from(duration)
        .ok()
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| invalid("timeout", "must be positive; leave it unset for no timeout"))
}

/// The id that was asked for, or a new one.
pub(crate) fn execution_id(asked: String) -> Result<String, ProviderError> {
    if asked.is_empty() {
        return Ok(uuid::Uuid::new_v4().to_string());
    }
    known_id(&asked)?;
    Ok(asked)
}

/// Refuses what cannot be the id of an execution.
pub(crate) fn known_id(id: &str) -> Result<(), ProviderError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if id.is_empty() || id.len() > 128 || !id.bytes().all(allowed) {
        return Err(invalid(
            "execution_id",
            "use 1 to 128 characters out of A-Z a-z 0-9 . _ -",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
