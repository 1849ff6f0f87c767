//! Users of the sandbox, by its own /etc.

use std::{fs, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use connectrpc::{ConnectError, RequestContext};

/// Who does things where nobody is named.
const DEFAULT: &str = "user";

/// A user.
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
}

/// Finds a user; an empty name is the default one's.
///
/// # Errors
/// What is wrong with the name, as envd says it.
pub(super) fn find(name: &str) -> Result<User, String> {
    let name = if name.is_empty() { DEFAULT } else { name };
    let parse = |line: &str| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let mut fields = fields.skip(1);
        let (uid, gid) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let home = PathBuf::from(fields.nth(1)?);
        found.then(|| User {
            name: name.to_owned(),
            uid,
            gid,
            home,
        })
    };
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = known.lines().find_map(parse);
    found.ok_or_else(|| format!("error looking up user '{name}': user: unknown user {name}"))
}

/// The user that a call names.
///
/// # Errors
/// Unauthenticated where there is no such user.
pub(super) fn of(context: &RequestContext) -> Result<User, ConnectError> {
    let named = || {
        let header = context.header("authorization")?.to_str().ok()?;
        let decoded = BASE64_STANDARD
            .decode(header.strip_prefix("Basic ")?)
            .ok()?;
        let text = String::from_utf8(decoded).ok()?;
        text.split(':').next().map(str::to_owned)
    };
    let name = named().unwrap_or_default();
    find(&name).map_err(|_| ConnectError::unauthenticated(format!("invalid username: '{name}'")))
}

/// The name of an owner; its number where it has none.
pub(super) fn name(file: &str, id: u32) -> String {
    let known = fs::read_to_string(file).unwrap_or_default();
    let number = id.to_string();
    let found = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    found.unwrap_or(number)
}
