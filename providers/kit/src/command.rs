//! A command, checked once for all providers.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use sandgate_proto::v1::ExecRequest;

use crate::{Kind, ProviderError, spec::check_env_name};

/// What to run.
#[derive(Clone, PartialEq)]
pub struct Command {
    /// Program and arguments, at least one; a shell line is `/bin/sh -c LINE` already.
    pub argv: Vec<String>,
    /// Absolute working folder; empty: the sandbox's.
    pub cwd: String,
    /// Environment beside the sandbox's own.
    pub env: BTreeMap<String, String>,
    /// User; empty: the sandbox's.
    pub user: String,
    /// Standard input, closed after its last byte; empty: closed from the start.
    pub stdin: Bytes,
}

/// How the kit runs a command; nothing that a provider sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The caller's id, or a new one.
    pub(crate) execution_id: String,
    /// How long it may run.
    pub(crate) timeout: Option<Duration>,
    /// Whether it ends with its caller.
    pub(crate) cancel_on_disconnect: bool,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Arguments, environment and input may hold secrets.
        f.debug_struct("Command")
            .field("arguments", &self.argv.len())
            .finish_non_exhaustive()
    }
}

/// Checks a request. What needs the runner is refused by name until there is one.
pub(crate) fn checked(request: ExecRequest) -> Result<(Command, Terms), ProviderError> {
    if request.stdin_open {
        return Err(unsupported("stdin_open", "send all input in stdin"));
    }
    if request.terminal.is_some() {
        return Err(unsupported("terminal", "leave terminal unset"));
    }
    let argv = argv(request.command, request.argv)?;
    if !request.cwd.is_empty() && !request.cwd.starts_with('/') {
        return Err(invalid("cwd", "must be an absolute path"));
    }
    no_nul("cwd", &request.cwd)?;
    no_nul("user", &request.user)?;
    for (name, value) in &request.env {
        check_env_name(name, "env")?;
        no_nul("env", value)?;
    }
    let terms = Terms {
        execution_id: execution_id(request.execution_id)?,
        timeout: request.timeout.map(positive).transpose()?,
        cancel_on_disconnect: request.cancel_on_disconnect,
    };
    let command = Command {
        argv,
        cwd: request.cwd,
        env: request.env.into_iter().collect(),
        user: request.user,
        stdin: request.stdin,
    };
    Ok((command, terms))
}

fn argv(command: String, argv: Vec<String>) -> Result<Vec<String>, ProviderError> {
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
    Ok(argv)
}

fn invalid(field: &'static str, message: &str) -> ProviderError {
    ProviderError::new(Kind::InvalidField(field), message)
}

/// No system call can pass one on.
fn no_nul(field: &'static str, text: &str) -> Result<(), ProviderError> {
    if text.contains('\0') {
        return Err(invalid(field, "must not contain a NUL byte"));
    }
    Ok(())
}

fn unsupported(feature: &'static str, instead: &str) -> ProviderError {
    ProviderError::new(
        Kind::Unsupported(feature),
        format!("this provider does not support {feature} (GetCapabilities says so); {instead}"),
    )
}

fn positive(duration: prost_types::Duration) -> Result<Duration, ProviderError> {
    Duration::try_from(duration)
        .ok()
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| {
            ProviderError::new(
                Kind::InvalidField("timeout"),
                "must be positive; leave it unset for no timeout",
            )
        })
}

fn execution_id(asked: String) -> Result<String, ProviderError> {
    if asked.is_empty() {
        return Ok(uuid::Uuid::new_v4().to_string());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if asked.len() > 128 || !asked.bytes().all(allowed) {
        return Err(ProviderError::new(
            Kind::InvalidField("execution_id"),
            "use 1 to 128 characters out of A-Z a-z 0-9 . _ -",
        ));
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(request: ExecRequest) -> Kind {
        checked(request).unwrap_err().kind().clone()
    }

    #[test]
    fn a_shell_line_runs_in_the_shell_and_argv_does_not() {
        let request = ExecRequest {
            command: "echo $HOME".into(),
            ..Default::default()
        };
        assert_eq!(
            checked(request).unwrap().0.argv,
            ["/bin/sh", "-c", "echo $HOME"]
        );
        let request = ExecRequest {
            argv: vec!["echo".into(), "$HOME".into()],
            ..Default::default()
        };
        assert_eq!(checked(request).unwrap().0.argv, ["echo", "$HOME"]);
    }

    #[test]
    fn neither_or_both_ways_to_say_it_are_refused() {
        assert_eq!(field(ExecRequest::default()), Kind::InvalidField("command"));
        let both = ExecRequest {
            command: "a".into(),
            argv: vec!["b".into()],
            ..Default::default()
        };
        assert_eq!(field(both), Kind::InvalidField("argv"));
        let empty = ExecRequest {
            argv: vec![String::new()],
            ..Default::default()
        };
        assert_eq!(field(empty), Kind::InvalidField("argv"));
    }

    #[test]
    fn malformed_fields_are_named() {
        let base = || ExecRequest {
            command: "true".into(),
            ..Default::default()
        };
        assert_eq!(
            field(ExecRequest {
                cwd: "here".into(),
                ..base()
            }),
            Kind::InvalidField("cwd")
        );
        let env = [("A=B".to_owned(), String::new())].into();
        assert_eq!(
            field(ExecRequest { env, ..base() }),
            Kind::InvalidField("env")
        );
        for id in ["a b", "ü", &"x".repeat(129)] {
            let request = ExecRequest {
                execution_id: id.into(),
                ..base()
            };
            assert_eq!(field(request), Kind::InvalidField("execution_id"));
        }
        let timeout = Some(prost_types::Duration::default());
        assert_eq!(
            field(ExecRequest { timeout, ..base() }),
            Kind::InvalidField("timeout")
        );
        assert_eq!(
            field(ExecRequest {
                stdin_open: true,
                ..base()
            }),
            Kind::Unsupported("stdin_open")
        );
    }
}
