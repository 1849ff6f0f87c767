//! Where keys of users are tried.

/// Where keys of users are tried, and where they go.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ConnectionArgs {
    /// GitHub's API, where keys of `github` connections are tried [default: https://api.github.com]
    #[arg(long, env = "SANDGATE_GITHUB_API_URL", value_name = "URL", value_parser = api_url)]
    pub github_api_url: Option<String>,
    /// Hosts that may see the token of a `github` connection, as a list of exact names, for https, or
    /// of `https://` or `http://` with name and port; with `http://` the token goes in the clear
    /// [default: github.com]
    #[arg(
        long,
        env = "SANDGATE_GITHUB_HOSTS",
        value_delimiter = ',',
        value_name = "HOST",
        value_parser = host
    )]
    pub github_hosts: Option<Vec<String>>,
}

impl ConnectionArgs {
    /// GitHub's API, without a slash at its end.
    pub(crate) fn github_api_url(&self) -> &str {
        let url = self.github_api_url.as_deref();
        url.unwrap_or("https://api.github.com")
            .trim_end_matches('/')
    }

    /// The hosts that may see a token for git.
    pub(crate) fn github_hosts(&self) -> Vec<String> {
        let hosts = self.github_hosts.clone();
        hosts.unwrap_or_else(|| vec!["github.com".to_owned()])
    }
}

fn api_url(text: &str) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Ok(text.to_owned());
    }
    Err("must begin with https:// or http://, as in https://github.example.com/api/v3".to_owned())
}

/// An exact name, or scheme, name and port, in lower case.
fn host(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(named);
    let is_good = match text.split_once("://") {
        None => is_name(&text),
        Some((scheme, place)) => {
            let (name, port) = place.split_once(':').unwrap_or((place, "1"));
            let usual = format!(":{}", if scheme == "http" { 80 } else { 443 });
            matches!(scheme, "http" | "https")
                && is_name(name)
                && port.parse::<u16>().is_ok_and(|port| port > 0)
                // Said in one way only, since it is compared as it is.
                && !place.ends_with(&usual)
        }
    };
    if !is_good {
        return Err(
            "must be a name, as in github.com, or for another port https://git.example.com:8443, \
             without user and path, and without the usual port"
                .to_owned(),
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_exact_names() {
        assert_eq!(host("GitHub.com").unwrap(), "github.com");
        for origin in [
            "http://127.0.0.1:3000",
            "https://git.example.com:8443",
            "https://h",
        ] {
            assert_eq!(host(origin).unwrap(), origin);
        }
        for wrong in [
            "",
            "github.com:443",
            "https://github.com:443",
            "http://h:80",
            "http://h:x",
            "http://h:0",
            "http://",
            "ssh://h",
            "https://u@h",
            "https://h/x",
            "*.github.com",
        ] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
        assert_eq!(ConnectionArgs::default().github_hosts(), ["github.com"]);
    }

    #[test]
    fn the_api_is_an_address_of_the_web() {
        assert!(api_url("api.github.com").is_err());
        let args = ConnectionArgs {
            github_api_url: Some(api_url("http://127.0.0.1:1/").unwrap()),
            ..Default::default()
        };
        assert_eq!(args.github_api_url(), "http://127.0.0.1:1");
        let default = ConnectionArgs::default();
        assert_eq!(default.github_api_url(), "https://api.github.com");
    }
}
