//! Reads the ids of a request from its encoded form, without decoding the rest.
//!
//! The whole message is walked: protobuf lets a field occur twice and the last one win, so a scan
//! that stopped early could authorise one sandbox while the provider uses another.

use sandgate_proto::Problem;

use crate::{
    problem::Result,
    wire::{self, Reader, Value, once},
};

const SESSION_ID: u32 = 1;
const SANDBOX_ID: u32 = 2;
const EXECUTION_ID: u32 = 3;
const SECRET_ENV: u32 = 4;
/// Only the gateway writes this field, behind everything that the caller sent.
pub(super) const GATEWAY_PAYLOAD: u32 = 1000;

/// Which fields of a request mean something to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) execution_id: bool,
    pub(super) secret_env: bool,
}

/// What a request says to the gateway. Borrowed from its bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ids<'a> {
    pub(super) session_id: &'a str,
    pub(super) sandbox_id: &'a str,
    pub(super) execution_id: &'a str,
    /// What `secret_env` asks for, in order: names in the environment, names of session secrets.
    pub(super) secrets: Vec<(&'a str, &'a str)>,
}

/// Walks a whole message.
///
/// # Errors
/// `INVALID_FIELD` where it is not well-formed, an id occurs twice, or a field of the gateway's own
/// is there.
pub(super) fn scan(message: &[u8], shape: Shape) -> Result<Ids<'_>> {
    let (mut session_id, mut sandbox_id, mut execution_id) = (None, None, None);
    let mut secrets = Vec::new();
    let mut rest = Reader(message);
    while let Some(field) = rest.field()? {
        match (field.number, field.value) {
            (SESSION_ID, value) => once(&mut session_id, value, "session_id")?,
            (SANDBOX_ID, value) => once(&mut sandbox_id, value, "sandbox_id")?,
            (EXECUTION_ID, value) if shape.execution_id => {
                once(&mut execution_id, value, "execution_id")?;
            }
            (SECRET_ENV, Value::Bytes(entry)) if shape.secret_env => secrets.push(secret(entry)?),
            (SECRET_ENV, _) if shape.secret_env => return Err(wire::wrong_type("secret_env")),
            (GATEWAY_PAYLOAD, _) => {
                return Err(Problem::invalid_field(
                    "gateway_payload",
                    "is written by the gateway alone; leave it unset",
                ));
            }
            _ => {}
        }
    }
    Ok(Ids {
        session_id: session_id.unwrap_or_default(),
        sandbox_id: sandbox_id.unwrap_or_default(),
        execution_id: execution_id.unwrap_or_default(),
        secrets,
    })
}

/// One map entry: the name in the environment, and the name of a secret.
fn secret(entry: &[u8]) -> Result<(&str, &str)> {
    let (mut name, mut secret) = ("", "");
    let mut rest = Reader(entry);
    while let Some(field) = rest.field()? {
        match field.number {
            1 => name = wire::text(field.value, "secret_env")?,
            2 => secret = wire::text(field.value, "secret_env")?,
            _ => {}
        }
    }
    Ok((name, secret))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
