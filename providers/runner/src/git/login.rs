//! A token, and the exact places that may get it.

use std::io;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sandgate_runner_proto::v1::GitLogin;

/// A checked token.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) username: String,
    pub(super) token: String,
    /// As `https://github.com`: lower case, a port only if it is not the scheme's own.
    pub(super) origins: Vec<String>,
}

impl Login {
    /// Takes only what can stand on a line of git's own protocol.
    pub(super) fn checked(login: GitLogin) -> io::Result<Self> {
        let is_word = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_graphic);
        let origins_are_good = login.origins.iter().all(|origin| {
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte);
            host(origin).is_some_and(|host| !host.is_empty() && host.bytes().all(named))
        });
        let token = String::from_utf8(login.token.to_vec()).unwrap_or_default();
        if !is_word(token.as_bytes()) || !is_word(login.username.as_bytes()) || !origins_are_good {
            return Err(io::Error::other(
                "the token or a host that it is for has characters that none has",
            ));
        }
        Ok(Self {
            username: login.username,
            token,
            origins: login.origins,
        })
    }

    /// Whether it may go there; `authority` is a host, or host and port.
    pub(super) fn is_for(&self, scheme: &str, authority: &str) -> bool {
        let usual = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => return false,
        };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(usual).unwrap_or(&authority);
        let origin = format!("{scheme}://{authority}");
        self.origins.contains(&origin)
    }

    /// The forms in which the token could be met in output.
    pub(super) fn forms(&self) -> Vec<Vec<u8>> {
        let basic = format!("{}:{}", self.username, self.token);
        let mut forms = vec![
            self.token.clone(),
            percent_encoded(&self.token),
            BASE64_STANDARD.encode(basic),
            BASE64_STANDARD.encode(&self.token),
        ];
        // The filling at the end may be left out.
        for form in &mut forms[2..] {
            let end = form.trim_end_matches('=').len();
            form.truncate(end);
        }
        forms.into_iter().map(String::into_bytes).collect()
    }
}

/// The host, and port, of an origin.
pub(super) fn host(origin: &str) -> Option<&str> {
    origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"))
}

/// As a part of a URL.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(origins: &[&str]) -> Login {
        Login::checked(GitLogin {
            username: "oauth2".to_owned(),
            token: "to/ken".into(),
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
        })
        .unwrap()
    }

    #[test]
    fn only_the_exact_place_gets_it() {
        let login = login(&["https://github.com", "http://127.0.0.1:3000"]);
        for (scheme, authority) in [
            ("https", "github.com"),
            ("https", "GitHub.com"),
            ("https", "github.com:443"),
            ("http", "127.0.0.1:3000"),
        ] {
            assert!(login.is_for(scheme, authority), "{scheme} {authority}");
        }
        for (scheme, authority) in [
            ("http", "github.com"),
            ("https", "github.com:80"),
            ("https", "github.com:8443"),
            ("https", "github.com."),
            ("https", "github.com.evil.example"),
            ("https", "evil-github.com"),
            ("https", "www.github.com"),
            ("https", "github.com@evil.example"),
            ("https", "127.0.0.1:3000"),
            ("http", "127.0.0.1"),
            ("http", "127.0.0.1:30000"),
            ("ssh", "github.com"),
            ("", ""),
        ] {
            assert!(!login.is_for(scheme, authority), "{scheme} {authority}");
        }
    }

    #[test]
    fn what_breaks_a_line_is_no_token() {
        for (username, token, origin) in [
            ("oauth2", "a\nb", "https://h"),
            ("oauth2", "", "https://h"),
            ("a b", "token", "https://h"),
            ("oauth2", "token", "ssh://h"),
            ("oauth2", "token", "https://"),
            ("oauth2", "token", "https://h/path"),
            ("oauth2", "token", "https://h.helper=x"),
        ] {
            let login = GitLogin {
                username: username.to_owned(),
                token: token.to_owned().into(),
                origins: vec![origin.to_owned()],
            };
            assert!(
                Login::checked(login).is_err(),
                "{username} {token:?} {origin}"
            );
        }
    }

    #[test]
    fn the_forms_are_those_of_a_header_and_of_a_url() {
        let forms = login(&[]).forms();
        let forms: Vec<_> = forms
            .iter()
            .map(|form| String::from_utf8_lossy(form))
            .collect();
        assert_eq!(
            forms,
            ["to/ken", "to%2Fken", "b2F1dGgyOnRvL2tlbg", "dG8va2Vu"]
        );
    }
}
