//! What identities are configured, and whether that can be used.

use reqwest::Url;
use sandgate_service::web::WebError;
use thiserror::Error;

use crate::IdentityArgs;

/// Why callers could not be told apart.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// Tokens are half configured.
    #[error(
        "tokens need {0} too: set it, or unset every SANDGATE_JWT_ variable to let no token in"
    )]
    Incomplete(&'static str),
    /// An address of the issuer cannot be trusted.
    #[error(
        "{0} must be an https address (http on this machine only): who changes the issuer's keys on the way is let in"
    )]
    Address(&'static str),
    /// The organisation of all tokens cannot be one.
    #[error("SANDGATE_JWT_ORG must have at most 256 bytes and no control characters")]
    Organisation,
    /// Certificates are to be identities, but nobody says which are good.
    #[error(
        "SANDGATE_TLS_CLIENT_IDENTITY needs SANDGATE_TLS_CA: the certificates that callers' own must be signed by"
    )]
    NoAuthority,
    /// No keys can be fetched.
    #[error("the issuer's keys cannot be fetched: {0}")]
    Client(String),
}

impl From<WebError> for IdentityError {
    fn from(error: WebError) -> Self {
        Self::Client(error.to_string())
    }
}

/// Which identities are let in, besides keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings {
    pub(super) tokens: Option<TokenSettings>,
    pub(super) certificates: bool,
}

/// Which tokens are let in, and whose they are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TokenSettings {
    pub(super) issuer: String,
    pub(super) audience: String,
    /// Where the keys are, or the document that says so.
    pub(super) keys: KeySource,
    pub(super) organisation: Organisation,
    pub(super) user_claim: String,
}

/// Where the issuer's keys come from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum KeySource {
    Keys(Url),
    Discovery(Url),
}

/// Where the organisation of a token comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Organisation {
    Claim(String),
    Fixed(String),
}

impl Settings {
    /// `mutual_tls`: whether client certificates are verified.
    pub(crate) fn of(args: &IdentityArgs, mutual_tls: bool) -> Result<Self, IdentityError> {
        let certificates = args.tls_client_identity.unwrap_or_default();
        if certificates && !mutual_tls {
            return Err(IdentityError::NoAuthority);
        }
        Ok(Self {
            tokens: tokens(args)?,
            certificates,
        })
    }

    /// Whether nothing is configured.
    pub(crate) fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

fn tokens(args: &IdentityArgs) -> Result<Option<TokenSettings>, IdentityError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let all = [
        &args.jwt_issuer,
        &args.jwt_audience,
        &args.jwt_jwks_url,
        &args.jwt_org_claim,
        &args.jwt_user_claim,
        &args.jwt_org,
    ];
    if all.into_iter().all(|text| given(text).is_none()) {
        return Ok(None);
    }
    let issuer = given(&args.jwt_issuer).ok_or(IdentityError::Incomplete("SANDGATE_JWT_ISSUER"))?;
    let audience =
        given(&args.jwt_audience).ok_or(IdentityError::Incomplete("SANDGATE_JWT_AUDIENCE"))?;
    let keys = match given(&args.jwt_jwks_url) {
        Some(url) => {
            KeySource::Keys(trusted(&url).ok_or(IdentityError::Address("SANDGATE_JWT_JWKS_URL"))?)
        }
        None => {
            let folder = issuer.trim_end_matches('/');
            let url = trusted(&format!("{folder}/.well-known/openid-configuration"));
            KeySource::Discovery(url.ok_or(IdentityError::Address("SANDGATE_JWT_ISSUER"))?)
        }
    };
    let organisation = match given(&args.jwt_org) {
        Some(org) if super::name_fits(&org) => Organisation::Fixed(org),
        Some(_) => return Err(IdentityError::Organisation),
        None => {
            Organisation::Claim(given(&args.jwt_org_claim).unwrap_or_else(|| "org_id".to_owned()))
        }
    };
    Ok(Some(TokenSettings {
        issuer,
        audience,
        keys,
        organisation,
        user_claim: given(&args.jwt_user_claim).unwrap_or_else(|| "sub".to_owned()),
    }))
}

/// An address whose answers nobody on the way can change.
pub(super) fn trusted(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let here = || {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    };
    (url.scheme() == "https" || (url.scheme() == "http" && here())).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(issuer: &str, audience: &str, jwks_url: &str) -> IdentityArgs {
        IdentityArgs {
            jwt_issuer: Some(issuer.to_owned()),
            jwt_audience: Some(audience.to_owned()),
            jwt_jwks_url: Some(jwks_url.to_owned()),
            ..IdentityArgs::default()
        }
    }

    fn refusal(args: &IdentityArgs) -> String {
        Settings::of(args, false).unwrap_err().to_string()
    }

    #[test]
    fn half_a_configuration_says_what_is_missing() {
        assert!(Settings::of(&args("", "", ""), false).unwrap().is_empty());
        for (missing, args) in [
            ("SANDGATE_JWT_AUDIENCE", args("https://a", "", "")),
            ("SANDGATE_JWT_ISSUER", args("", "us", "")),
            ("SANDGATE_JWT_ISSUER", args("", "", "https://a/keys")),
            ("SANDGATE_JWT_ISSUER", args("a", "us", "")),
            ("SANDGATE_JWT_ISSUER", args("http://a", "us", "")),
            ("SANDGATE_JWT_JWKS_URL", args("a", "us", "http://a/keys")),
        ] {
            assert!(refusal(&args).contains(missing), "{args:?}");
        }
        let certificates = IdentityArgs {
            tls_client_identity: Some(true),
            ..IdentityArgs::default()
        };
        assert!(refusal(&certificates).contains("SANDGATE_TLS_CA"));
        assert!(Settings::of(&certificates, true).unwrap().certificates);
    }

    #[test]
    fn the_keys_are_found_by_the_issuer_or_named() {
        let tokens = |args| Settings::of(&args, false).unwrap().tokens.unwrap();
        let found = tokens(args("https://a/b/", "us", ""));
        let url = "https://a/b/.well-known/openid-configuration";
        assert_eq!(found.keys, KeySource::Discovery(Url::parse(url).unwrap()));
        let named = tokens(args("a", "us", "http://[::1]:1/keys"));
        let url = Url::parse("http://[::1]:1/keys").unwrap();
        assert_eq!(named.keys, KeySource::Keys(url));
        assert_eq!(named.organisation, Organisation::Claim("org_id".to_owned()));
        assert_eq!(named.user_claim, "sub");
    }
}
