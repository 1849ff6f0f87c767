//! Capabilities that are switched on or off.

use clap::builder::TypedValueParser as _;

/// Capabilities that are switched on or off.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FeatureArgs {
    /// Offer the capability container_sandbox; true also adds the harness coding-container
    #[arg(
        long,
        env = "FEATURE_CONTAINER_SANDBOX",
        value_name = "true|false",
        value_parser = switch()
    )]
    pub feature_container_sandbox: Option<bool>,
    /// The same under its older name, used where the newer is unset
    #[arg(
        long,
        env = "FEATURE_DOCKER_CAPABILITY",
        value_name = "true|false",
        value_parser = switch(),
        hide = true
    )]
    pub feature_docker_capability: Option<bool>,
}

impl FeatureArgs {
    /// Whether container_sandbox is switched on or off, or neither.
    pub fn container_sandbox(&self) -> Option<bool> {
        self.feature_container_sandbox
            .or(self.feature_docker_capability)
    }
}

fn switch() -> impl clap::builder::TypedValueParser<Value = bool> {
    clap::builder::PossibleValuesParser::new(["true", "1", "false", "0"])
        .map(|text| matches!(text.as_str(), "true" | "1"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::Args;

    fn parsed(arguments: &[&str]) -> Option<bool> {
        let arguments = ["x"].iter().chain(arguments);
        let args = Args::try_parse_from(arguments).unwrap();
        args.gateway.features.container_sandbox()
    }

    #[test]
    fn the_newer_name_wins_over_the_older() {
        assert_eq!(parsed(&[]), None);
        assert_eq!(parsed(&["--feature-docker-capability", "1"]), Some(true));
        let both = [
            "--feature-docker-capability=true",
            "--feature-container-sandbox=0",
        ];
        assert_eq!(parsed(&both), Some(false));
        assert!(Args::try_parse_from(["x", "--feature-container-sandbox", "yes"]).is_err());
    }
}
