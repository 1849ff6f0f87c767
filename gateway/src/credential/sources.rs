//! Where the key for a provider comes from: the first source that has one.
//!
//! | provider | sources | without one |
//! |---|---|---|
//! | `daytona` | session secret `DAYTONA_API_KEY`, the user's connection `daytona` | refused |
//! | `codesandbox` | session secret `CSB_API_KEY` | refused |
//! | `e2b` | the user's connection `e2b` | refused |
//! | `container`, `local` | none | goes on |
//! | any other | the user's connection of its name | goes on |
//!
//! And for git, whatever the provider: the user's connection `github`, session secret
//! `GITHUB_TOKEN`; without one, public repositories only.

/// A place where a key may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// A secret of the session.
    Secret(&'a str),
    /// A connection of the session's own user.
    Connection(&'a str),
}

/// What the table says of one provider.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted<'a> {
    /// In this order.
    pub(super) sources: Vec<Source<'a>>,
    /// It cannot be used without a key.
    pub(super) required: bool,
}

const DAYTONA_SECRET: &str = "DAYTONA_API_KEY";
const CODESANDBOX_SECRET: &str = "CSB_API_KEY";

/// The connection whose key is for git.
pub(super) const GITHUB: &str = "github";
/// Where a token for git may be.
pub(super) const GIT: &[Source<'static>] =
    &[Source::Connection(GITHUB), Source::Secret("GITHUB_TOKEN")];

/// Whether a key can be of use to a provider.
pub(super) fn takes_key(provider: &str) -> bool {
    !matches!(provider, "container" | "local")
}

/// The row of a provider.
pub(super) fn wanted(provider: &str) -> Wanted<'_> {
    let (sources, required) = match provider {
        "daytona" => (
            vec![
                Source::Secret(DAYTONA_SECRET),
                Source::Connection("daytona"),
            ],
            true,
        ),
        "codesandbox" => (vec![Source::Secret(CODESANDBOX_SECRET)], true),
        "e2b" => (vec![Source::Connection("e2b")], true),
        other if !takes_key(other) => (Vec::new(), false),
        other => (vec![Source::Connection(other)], false),
    };
    Wanted { sources, required }
}

/// The session secret that alone holds the key of a provider, where no connection can.
pub(super) fn only_secret(provider: &str) -> Option<&str> {
    match wanted(provider).sources.as_slice() {
        [Source::Secret(name)] => Some(name),
        _ => None,
    }
}

/// The provider that a secret of this name is a key for.
pub(super) fn provider_of_secret(name: &str) -> Option<&'static str> {
    match name {
        DAYTONA_SECRET => Some("daytona"),
        CODESANDBOX_SECRET => Some("codesandbox"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_documented() {
        let row = |provider| {
            let Wanted { sources, required } = wanted(provider);
            (sources, required, takes_key(provider))
        };
        let daytona = vec![
            Source::Secret("DAYTONA_API_KEY"),
            Source::Connection("daytona"),
        ];
        assert_eq!(row("daytona"), (daytona, true, true));
        let codesandbox = vec![Source::Secret("CSB_API_KEY")];
        assert_eq!(row("codesandbox"), (codesandbox, true, true));
        assert_eq!(row("e2b"), (vec![Source::Connection("e2b")], true, true));
        assert_eq!(row("container"), (vec![], false, false));
        assert_eq!(row("local"), (vec![], false, false));
        let own = vec![Source::Connection("our-own")];
        assert_eq!(row("our-own"), (own, false, true));
        let git = [Source::Connection("github"), Source::Secret("GITHUB_TOKEN")];
        assert_eq!(GIT, git);
    }

    #[test]
    fn secrets_name_their_providers() {
        for provider in ["daytona", "codesandbox", "e2b", "container", "x"] {
            for source in wanted(provider).sources {
                if let Source::Secret(name) = source {
                    assert_eq!(provider_of_secret(name), Some(provider));
                }
            }
        }
        assert_eq!(provider_of_secret("GITHUB_TOKEN"), None);
        assert_eq!(only_secret("codesandbox"), Some("CSB_API_KEY"));
        assert_eq!(only_secret("daytona"), None);
        assert_eq!(only_secret("e2b"), None);
    }
}
