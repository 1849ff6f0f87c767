//! CloneRepository, checked, becomes the start of an execution.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use sandgate_proto::v1::CloneRepositoryRequest;
use sandgate_runner_proto::{
    OWN_PROGRAM,
    v1::{CloneJob, Facts, Start},
};
use sha2::{Digest as _, Sha256};

use super::{Login, address::Address};
use crate::{Kind, ProviderError, command, spec::no_nul};

/// How long git may run where the caller does not say.
const TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long it may take to remove what it made, where it is ended before it is whole.
const GRACE: Duration = Duration::from_secs(30);
/// Longest path and longest name of a branch, in bytes.
const PATH: usize = 4096;
const REF: usize = 255;

/// What git is to do, as a start of the runner's own program.
pub(crate) fn clone(mut request: CloneRepositoryRequest) -> Result<Start, ProviderError> {
    let execution_id = command::execution_id(std::mem::take(&mut request.execution_id))?;
    let address = Address::read(&request.repository)?;
    check_ref(&request.r#ref)?;
    check_path(&request.path)?;
    let timeout = request.timeout.map(command::positive).transpose()?;
    let login = Login::of(&request.gateway_payload)?;
    let fingerprint = fingerprint(&mut request);
    let path = match request.path.as_str() {
        "" => address.folder,
        path => path.to_owned(),
    };
    let timeout_ms = command::millis(timeout.unwrap_or(TIMEOUT));
    let facts = Facts {
        command: String::new(),
        argv: vec![
            "sandgate-runner".to_owned(),
            "clone".to_owned(),
            address.url.clone(),
        ],
        timeout_ms,
    };
    let job = CloneJob {
        url: address.url,
        r#ref: request.r#ref,
        path,
        depth: request.depth.unwrap_or(1),
        submodules: request.submodules,
        login: login.map(Into::into),
    };
    Ok(Start {
        execution_id,
        fingerprint,
        grace_ms: command::millis(GRACE),
        facts: facts.encode_to_vec().into(),
        timeout_ms,
        ..own_program("clone", job.encode_to_vec())
    })
}

/// A start of the runner's own program in this mode, with this input.
pub(super) fn own_program(mode: &str, input: Vec<u8>) -> Start {
    Start {
        argv: vec![OWN_PROGRAM.into(), mode.to_owned().into()],
        stdin: input.into(),
        ..Start::default()
    }
}

/// What makes two requests the same: not the token, which may have been renewed meanwhile.
fn fingerprint(request: &mut CloneRepositoryRequest) -> Bytes {
    request.session_id.clear();
    request.sandbox_id.clear();
    request.gateway_payload.clear();
    let mut digest = Sha256::new();
    // So that it is never that of a command with the same bytes.
    digest.update(b"CloneRepository\0");
    digest.update(request.encode_to_vec());
    Bytes::copy_from_slice(&digest.finalize())
}

/// The rules of git for names of branches and tags, as far as they keep a name from being anything else.
fn check_ref(reference: &str) -> Result<(), ProviderError> {
    let is_plain = |byte: u8| byte > b' ' && byte != 0x7f && !b"~^:?*[\\".contains(&byte);
    let is_good = reference.len() <= REF
        && reference.bytes().all(is_plain)
        && !reference.starts_with(['-', '/', '.'])
        && !reference.ends_with(['/', '.'])
        && !reference.ends_with(".lock")
        && !["..", "//", "@{", "/."]
            .iter()
            .any(|part| reference.contains(part));
    if is_good {
        return Ok(());
    }
    let message = "is a branch, a tag or a full commit hash, of at most 255 bytes";
    Err(ProviderError::new(Kind::InvalidField("ref"), message))
}

fn check_path(path: &str) -> Result<(), ProviderError> {
    no_nul("path", path)?;
    if path.len() > PATH {
        let message = "has at most 4,096 bytes";
        return Err(ProviderError::new(Kind::InvalidField("path"), message));
    }
    Ok(())
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
