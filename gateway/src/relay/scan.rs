//! Reads the ids of a request from its encoded form, without decoding the rest.
//!
//! The whole message is walked: protobuf lets a field occur twice and the last one win, so a scan
//! that stopped early could authorise one sandbox while the provider uses another.

use sandgate_proto::Problem;

use crate::problem::Result;

const SESSION_ID: u32 = 1;
const SANDBOX_ID: u32 = 2;
const EXECUTION_ID: u32 = 3;
const SECRET_ENV: u32 = 4;
/// Only the gateway writes this field, behind everything that the caller sent.
const GATEWAY_PAYLOAD: u32 = 1000;

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
    /// Names of the session secrets that `secret_env` asks for, in order.
    pub(super) secrets: Vec<&'a str>,
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
            (SECRET_ENV, Some(entry)) if shape.secret_env => secrets.push(secret(entry)?),
            (SECRET_ENV, None) if shape.secret_env => return Err(wrong_type("secret_env")),
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

/// Also an empty value counts: a decoder would let it win over the one before.
fn once<'a>(id: &mut Option<&'a str>, value: Option<&'a [u8]>, name: &'static str) -> Result<()> {
    let text = text(value.ok_or_else(|| wrong_type(name))?, name)?;
    match id.replace(text) {
        None => Ok(()),
        Some(_) => Err(Problem::invalid_field(
            name,
            "occurs twice in the message; send it once",
        )),
    }
}

/// The value of one map entry, the name of a secret.
fn secret(entry: &[u8]) -> Result<&str> {
    let mut name = "";
    let mut rest = Reader(entry);
    while let Some(field) = rest.field()? {
        if field.number == 2 {
            name = text(
                field.value.ok_or_else(|| wrong_type("secret_env"))?,
                "secret_env",
            )?;
        }
    }
    Ok(name)
}

fn text<'a>(bytes: &'a [u8], name: &'static str) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|_| Problem::invalid_field(name, "must be valid UTF-8"))
}

fn wrong_type(name: &'static str) -> Problem {
    Problem::invalid_field(name, "has the wrong type on the wire")
}

fn malformed() -> Problem {
    Problem::invalid_field(
        "message",
        "the bytes are not a protobuf message; check that client and gateway use the same contract",
    )
}

/// One field. Only length-delimited values matter here; others are walked over.
struct Field<'a> {
    number: u32,
    value: Option<&'a [u8]>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<Option<Field<'a>>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = u32::try_from(self.varint()?).map_err(|_| malformed())?;
        let number = key >> 3;
        if number == 0 {
            return Err(malformed());
        }
        let value = match key & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => self.take(8).map(|_| None)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| malformed())?;
                Some(self.take(length)?)
            }
            5 => self.take(4).map(|_| None)?,
            // Groups: the contract has none, and a decoder that met one might read on differently.
            _ => return Err(malformed()),
        };
        Ok(Some(Field { number, value }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// At most ten bytes, of which the last holds one bit: as strict as any decoder behind us.
    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    break;
                }
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(malformed())
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
