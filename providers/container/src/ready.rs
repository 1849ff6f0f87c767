//! Makes a started container fit for work: its working folder is there and its user may write to it.

use std::{ffi::OsStr, path::Path, time::Duration};

use bollard::{
    Docker, body_full, models::ContainerInspectResponse,
    query_parameters::UploadToContainerOptionsBuilder,
};
use bytes::Bytes;
use sandgate_kit::{Command, Event, Kind, Outcome, Process as _, ProviderError};
use sandgate_proto::Outcome as Sent;
use tokio::time::timeout;

use crate::{call, exec, instance::Kept};

/// One look takes a fraction of a second on an idle engine.
const LIMIT: Duration = Duration::from_secs(30);
/// Output of a look that is read, bytes.
const MAX_OUTPUT: usize = 4096;
/// Size of a tar block, and of the name in it, bytes.
const BLOCK: usize = 512;
const NAME: usize = 100;

/// Said of an image that cannot be a sandbox.
pub(crate) const UNFIT: &str =
    "the image cannot be a sandbox: it needs /bin/sh and `tail`; choose another image";

/// Tells whether the user may write to the folder, who the user is, and where its home is. Only
/// builtins of a POSIX shell.
const LOOK: &str = r#"
writable=no uid= gid=
while read -r key id rest; do
  case $key in Uid:) uid=$id ;; Gid:) gid=$id ;; esac
done < /proc/self/status
cd -- "$1" 2>/dev/null && [ -w . ] && writable=yes
printf '%s\n' "$writable" "$uid" "$gid" "$HOME"
"#;

/// What the look tells.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    writable: bool,
    uid: u32,
    gid: u32,
    home: String,
}

/// Prepares the working folder, and finds out what inspecting does not tell.
pub(crate) async fn make(
    docker: &Docker,
    container: &ContainerInspectResponse,
) -> Result<Kept, ProviderError> {
    let config = container.config.as_ref();
    let workdir = config
        .and_then(|config| config.working_dir.as_deref())
        .unwrap_or_default();
    let mut seen = look(docker, container, workdir).await?;
    if !seen.writable {
        let id = container.id.as_deref().unwrap_or_default();
        give(docker, id, workdir, &seen).await?;
        seen = look(docker, container, workdir).await?;
    }
    if !seen.writable {
        let message =
            "the sandbox's user cannot write to this folder; choose another, or another spec.user";
        return Err(ProviderError::new(
            Kind::InvalidField("spec.workdir"),
            message,
        ));
    }
    Ok(Kept { home: seen.home })
}

/// Hands the folder to the user. The engine made it, and made it root's; `chown` inside is no way,
/// since even root has no capabilities there once the container's own user is another.
async fn give(docker: &Docker, id: &str, workdir: &str, seen: &Seen) -> Result<(), ProviderError> {
    let path = Path::new(workdir);
    let parts = path
        .parent()
        .and_then(Path::to_str)
        .zip(path.file_name().and_then(OsStr::to_str));
    let Some((parent, archive)) =
        parts.and_then(|(parent, name)| Some((parent, folder(name, seen)?)))
    else {
        let message = "choose a folder below the root whose own name is at most 99 bytes";
        return Err(ProviderError::new(
            Kind::InvalidField("spec.workdir"),
            message,
        ));
    };
    let options = UploadToContainerOptionsBuilder::new().path(parent).build();
    let upload = docker.upload_to_container(id, Some(options), body_full(archive.into()));
    Ok(call::UPLOAD.run(upload).await?)
}

/// A tar archive of nothing but a folder and its owner.
fn folder(name: &str, seen: &Seen) -> Option<Vec<u8>> {
    if name.len() >= NAME {
        return None;
    }
    let mut header = [0u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    // Owners in base 256, as GNU tar writes large numbers: octal would end at two million.
    let number = |id: u32| [[0x80, 0, 0, 0], id.to_be_bytes()].concat();
    put(0, name.as_bytes());
    put(NAME, b"0000755\0");
    put(108, &number(seen.uid));
    put(116, &number(seen.gid));
    put(124, b"00000000000\0");
    put(136, b"00000000000\0");
    // The sum is made as if its own field were blank.
    put(148, b"        ");
    put(156, b"5");
    put(257, b"ustar  \0");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.resize(3 * BLOCK, 0);
    Some(archive)
}

async fn look(
    docker: &Docker,
    container: &ContainerInspectResponse,
    workdir: &str,
) -> Result<Seen, ProviderError> {
    let command = Command {
        argv: ["/bin/sh", "-c", LOOK, "sh", workdir]
            .map(str::to_owned)
            .to_vec(),
        cwd: "/".to_owned(),
        env: Default::default(),
        user: String::new(),
        stdin: Bytes::new(),
    };
    let unfit = || ProviderError::new(Kind::InvalidField("spec.image"), UNFIT);
    match timeout(LIMIT, output(docker, container, command)).await {
        // It ended as soon as it was started: its main program is not there.
        Ok(Err(error)) if *error.kind() == Kind::NotRunning => Err(unfit()),
        Ok(Err(error)) => Err(error),
        Ok(Ok(output)) => output.as_deref().and_then(read).ok_or_else(unfit),
        Err(_) => Err(ProviderError::new(
            Kind::Unavailable(Sent::Ambiguous),
            "the new sandbox does not answer; look at the load of the Docker Engine, then try again",
        )),
    }
}

/// Output of a command that succeeds.
async fn output(
    docker: &Docker,
    container: &ContainerInspectResponse,
    command: Command,
) -> Result<Option<String>, ProviderError> {
    let mut process = exec::start(docker, container, command).await?;
    let mut output = Vec::new();
    loop {
        match process.next().await {
            Event::Output(_, data) if output.len() < MAX_OUTPUT => output.extend_from_slice(&data),
            Event::Output(..) => {}
            Event::Ended(Outcome::Exited(0)) => return Ok(String::from_utf8(output).ok()),
            Event::Ended(_) => return Ok(None),
        }
    }
}

fn read(output: &str) -> Option<Seen> {
    let mut lines = output.splitn(4, '\n');
    Some(Seen {
        writable: lines.next()? == "yes",
        uid: lines.next()?.parse().ok()?,
        gid: lines.next()?.parse().ok()?,
        home: lines.next()?.trim_end_matches('\n').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_read() {
        let seen = Seen {
            writable: true,
            uid: 1,
            gid: 2,
            home: "/home/a b".into(),
        };
        assert_eq!(read("yes\n1\n2\n/home/a b\n"), Some(seen));
        assert_eq!(read("no\n0\n0\n\n").unwrap().home, "");
        for text in ["", "yes\n", "yes\nx\n0\n/\n", "yes\n-1\n0\n/"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    /// The engine agrees: see the tests of other users in `tests/lifecycle.rs`.
    #[test]
    fn the_archive_holds_one_folder_and_its_owner() {
        let seen = Seen {
            writable: false,
            uid: 1_000_680_000,
            gid: 7,
            home: String::new(),
        };
        let archive = folder("work", &seen).unwrap();
        assert_eq!(archive.len(), 3 * BLOCK);
        assert_eq!(&archive[..5], b"work\0");
        assert_eq!(archive[108..116], [0x80, 0, 0, 0, 0x3b, 0xa5, 0x2a, 0x40]);
        assert_eq!(archive[156], b'5');
        let fields = archive[..148].iter().chain(&archive[156..BLOCK]);
        let sum: u32 = fields.map(|byte| u32::from(*byte)).sum();
        let said = std::str::from_utf8(&archive[148..154]).unwrap();
        assert_eq!(u32::from_str_radix(said, 8).unwrap(), sum + 8 * 32);
        assert_eq!(folder(&"x".repeat(100), &seen), None);
    }
}
