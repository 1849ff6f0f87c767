//! Commands through the engine's exec calls, until there is a runner inside.
//!
//! The engine sends output once, to whoever started the command; it tells the exit code, but not
//! whether that was a signal, and it has no call to end a command.

mod failure;
mod kill;
mod origin;
mod running;

use std::sync::atomic::AtomicBool;

use bollard::{
    Docker,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
    models::ContainerInspectResponse,
};
use sandgate_kit::{Command, Kind, ProviderError};

use crate::call;

pub(crate) use self::running::Running;
use self::{kill::Tag, origin::Origin};

/// Buffer for output, bytes: as much as a frame of the kit holds.
const OUTPUT_BYTES: usize = 64 * 1024;

/// Starts a command in a running container.
pub(crate) async fn start(
    docker: &Docker,
    container: &ContainerInspectResponse,
    command: Command,
) -> Result<Running, ProviderError> {
    let tag = Tag::new();
    let id = container.id.clone().unwrap_or_default();
    let created = call::CREATE_EXEC
        .run(docker.create_exec(&id, options(&command, &tag)))
        .await?;
    let options = StartExecOptions {
        detach: false,
        tty: false,
        output_capacity: Some(OUTPUT_BYTES),
    };
    let started = call::START_EXEC
        .run(docker.start_exec(&created.id, Some(options)))
        .await?;
    let StartExecResults::Attached { output, input } = started else {
        return Err(ProviderError::new(
            Kind::Internal,
            "the engine did not attach to the command",
        ));
    };
    let state = container.state.as_ref();
    let origin = Origin {
        docker: docker.clone(),
        container_id: id,
        container_started: state.and_then(|state| state.started_at.clone()),
        exec_id: created.id,
        user: command.user,
        tag,
        told_to_end: AtomicBool::new(false),
    };
    Ok(Running::new(
        origin,
        output,
        (!command.stdin.is_empty()).then_some((input, command.stdin)),
    ))
}

fn options(command: &Command, tag: &Tag) -> CreateExecOptions<String> {
    let set = |text: &String| (!text.is_empty()).then(|| text.clone());
    let env = command
        .env
        .iter()
        .filter(|(name, _)| name.as_str() != kill::VARIABLE);
    CreateExecOptions {
        // Without bytes to send, input is closed from the start.
        attach_stdin: Some(!command.stdin.is_empty()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        privileged: Some(false),
        env: Some(
            env.map(|(name, value)| format!("{name}={value}"))
                .chain([tag.assignment()])
                .collect(),
        ),
        cmd: Some(command.argv.clone()),
        user: set(&command.user),
        working_dir: set(&command.cwd),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_command_is_asked_for_as_it_is() {
        let tag = Tag::new();
        let command = Command {
            argv: vec!["echo".into(), "$HOME".into()],
            cwd: "/tmp".into(),
            env: [
                ("A".to_owned(), "b".to_owned()),
                (kill::VARIABLE.to_owned(), "forged".to_owned()),
            ]
            .into(),
            user: String::new(),
            stdin: Bytes::new(),
        };
        let options = options(&command, &tag);
        assert_eq!(options.cmd, Some(command.argv));
        assert_eq!(options.env, Some(vec!["A=b".to_owned(), tag.assignment()]));
        assert_eq!(
            (options.user, options.working_dir),
            (None, Some("/tmp".to_owned()))
        );
        assert_eq!(
            (options.attach_stdin, options.tty),
            (Some(false), Some(false))
        );
    }
}
