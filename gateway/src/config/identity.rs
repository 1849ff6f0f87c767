//! How callers prove who they are, besides API keys.

/// How callers prove who they are, besides API keys.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct IdentityArgs {
    /// Who issues the tokens (JWT) that are let in: their `iss`
    #[arg(long, env = "SANDGATE_JWT_ISSUER", value_name = "URL")]
    pub jwt_issuer: Option<String>,
    /// Whom these tokens have to be for: their `aud`
    #[arg(long, env = "SANDGATE_JWT_AUDIENCE", value_name = "TEXT")]
    pub jwt_audience: Option<String>,
    /// Where the issuer's keys are [default: what its /.well-known/openid-configuration says]
    #[arg(long, env = "SANDGATE_JWT_JWKS_URL", value_name = "URL")]
    pub jwt_jwks_url: Option<String>,
    /// Claim with the organisation [default: org_id]
    #[arg(long, env = "SANDGATE_JWT_ORG_CLAIM", value_name = "CLAIM")]
    pub jwt_org_claim: Option<String>,
    /// Claim with the user [default: sub]
    #[arg(long, env = "SANDGATE_JWT_USER_CLAIM", value_name = "CLAIM")]
    pub jwt_user_claim: Option<String>,
    /// The organisation of all tokens, for an issuer that has no claim for it
    #[arg(long, env = "SANDGATE_JWT_ORG", value_name = "ORG")]
    pub jwt_org: Option<String>,
    /// Let a client certificate say who calls: O is the organisation, CN the user
    #[arg(
        long,
        env = "SANDGATE_TLS_CLIENT_IDENTITY",
        num_args = 0..=1,
        default_missing_value = "true",
        value_name = "BOOL"
    )]
    pub tls_client_identity: Option<bool>,
}
