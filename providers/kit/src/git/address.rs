//! The address of a repository, as callers write it and as git gets it.

use crate::{Kind, ProviderError};

/// Longest address, in bytes.
const LONGEST: usize = 2048;
/// Where a repository is of which only owner and name are said.
const USUAL_HOST: &str = "github.com";

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// An http or https URL without user, password, query and fragment.
    pub(super) url: String,
    /// Where its clone goes if nothing is said: `owner/repo`, or the name alone.
    pub(super) folder: String,
}

impl Address {
    /// Takes an http, https, ssh or `git@` URL, or `owner/repo`. The last three mean https.
    pub(super) fn read(text: &str) -> Result<Self, ProviderError> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(invalid("has 1 to 2,048 bytes"));
        }
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}?#".contains(&byte);
        if text.starts_with('-') || !text.bytes().all(is_plain) {
            return Err(invalid(
                "is an https URL, or owner/repo: without blanks, query and fragment, other letters as %XX",
            ));
        }
        let (scheme, host, path) = parts(text)?;
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let is_name = |part: &&str| !matches!(*part, "." | "..");
        if !segments.iter().all(is_name) {
            return Err(invalid("has no `.` and `..` in its path"));
        }
        let folder = folder(&segments).ok_or_else(|| invalid("names no repository"))?;
        let path = path.trim_start_matches('/');
        let url = format!("{scheme}://{host}/{path}");
        Ok(Self { url, folder })
    }
}

/// Scheme, host and path.
fn parts(text: &str) -> Result<(&'static str, String, &str), ProviderError> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        return match scheme.to_ascii_lowercase().as_str() {
            "https" => Ok(("https", of_web(authority)?, path)),
            "http" => Ok(("http", of_web(authority)?, path)),
            "ssh" | "git+ssh" | "ssh+git" => Ok(("https", of_ssh(authority)?, path)),
            _ => Err(other()),
        };
    }
    if text.contains("::") {
        return Err(other());
    }
    // As ssh has it: user@host:path.
    if let Some((authority, path)) = text.split_once(':') {
        return match authority.contains('@') && !authority.contains('/') {
            true => Ok(("https", of_ssh(authority)?, path)),
            false => Err(other()),
        };
    }
    let is_short = text.split('/').count() == 2 && !text.starts_with('/') && !text.ends_with('/');
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    if !is_short || !text.bytes().all(named) {
        return Err(other());
    }
    Ok(("https", USUAL_HOST.to_owned(), text))
}

/// Host and port of an address of the web.
fn of_web(authority: &str) -> Result<String, ProviderError> {
    if authority.contains('@') {
        return Err(invalid(
            "must not hold a user or password, which would stay in the clone; a token comes from the connection github, or the session secret GITHUB_TOKEN",
        ));
    }
    let authority = authority.to_ascii_lowercase();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority.as_str(), None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(invalid("has a port that is none"));
    }
    check_host(host)?;
    Ok(authority)
}

/// The host of an address for ssh: its user has no meaning elsewhere, and its port another one.
fn of_ssh(authority: &str) -> Result<String, ProviderError> {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') {
        return Err(invalid("must not hold a password"));
    }
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    check_host(host)?;
    Ok(host.to_ascii_lowercase())
}

fn check_host(host: &str) -> Result<(), ProviderError> {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-.".contains(&byte);
    let is_name = !host.is_empty() && !host.starts_with(['-', '.']) && host.bytes().all(named);
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_address = inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    if is_name || is_address {
        return Ok(());
    }
    Err(invalid("has no host that could be one"))
}

/// The folder of a clone: with its owner where there is one.
fn folder(segments: &[&str]) -> Option<String> {
    let (name, before) = segments.split_last()?;
    let name = name.strip_suffix(".git").unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    Some(match before {
        [owner] => format!("{owner}/{name}"),
        _ => name.to_owned(),
    })
}

fn other() -> ProviderError {
    invalid(
        "is an https, http, ssh or git@ URL, or owner/repo at github.com; no folder, and no other way",
    )
}

fn invalid(message: &str) -> ProviderError {
    ProviderError::new(Kind::InvalidField("repository"), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_say_it() {
        for (text, url, folder) in [
            ("o/r", "https://github.com/o/r", "o/r"),
            ("o.x/r.git", "https://github.com/o.x/r.git", "o.x/r"),
            ("https://github.com/o/r", "https://github.com/o/r", "o/r"),
            (
                "HTTPS://GitHub.com/o/r.git/",
                "https://github.com/o/r.git/",
                "o/r",
            ),
            ("http://h:8080/r", "http://h:8080/r", "r"),
            ("https://h/a/b/c.git", "https://h/a/b/c.git", "c"),
            ("https://[::1]:81/o/r", "https://[::1]:81/o/r", "o/r"),
            (
                "git@github.com:o/r.git",
                "https://github.com/o/r.git",
                "o/r",
            ),
            ("git@h:/o/r", "https://h/o/r", "o/r"),
            ("ssh://git@h:2222/o/r", "https://h/o/r", "o/r"),
            ("ssh://h/o/r", "https://h/o/r", "o/r"),
            ("https://h/o%20x/r", "https://h/o%20x/r", "o%20x/r"),
        ] {
            let address = Address::read(text).unwrap();
            assert_eq!(
                (address.url.as_str(), address.folder.as_str()),
                (url, folder),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "",
            "-u",
            "--upload-pack=x",
            "/etc",
            "./x",
            "../x",
            "x",
            "a/b/c",
            "o/",
            "/r",
            "o/..",
            "file:///etc",
            "ext::sh -c x",
            "ext::x",
            "fd::7",
            "git://h/o/r",
            "ftp://h/o/r",
            "https://u@h/r",
            "https://u:p@h/r",
            "https://h@evil/r",
            "https:///r",
            "https://h",
            "https://h/",
            "https://h/.git",
            "https://h/a/../b",
            "https://h/r?x=1",
            "https://h/r#x",
            "https://h /r",
            "https://h/r\n",
            "https://-h/r",
            "https://h:x/r",
            "https://h:99999/r",
            "https://h\\@evil/r",
            "ssh://u:p@h/r",
            "h:r",
            "C:/x",
            "https://é/r",
            "https://[::x]/r",
            "git@h:",
            "git@-h:o/r",
            "git@:o/r",
            "o/r:x",
        ] {
            let refused = Address::read(text).map_err(|error| error.kind().clone());
            assert_eq!(refused, Err(Kind::InvalidField("repository")), "{text:?}");
        }
    }
}
