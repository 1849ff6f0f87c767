//! Has the image of a new sandbox on the engine before the sandbox is made, and tells what it says
//! of itself.

use std::time::Duration;

use bollard::{Docker, models::ImageInspect, query_parameters::CreateImageOptionsBuilder};
use sandgate_kit::{Kind, ProviderError};
use sandgate_proto::Outcome;
use tokio::time::timeout;

use crate::{call, fault::Fault};

/// The whole of one pull; a create has 15 minutes in the contract.
const WHOLE_PULL: Duration = Duration::from_secs(12 * 60);

const ABSENT: &str = "the registry has no such image, or keeps it private: check the name, or load the image into the engine with `docker pull` or `docker load`";
const UNREACHABLE: &str = "the engine does not have the image and cannot reach its registry: try again, or load the image with `docker load`";

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its digest: another one for other contents.
    pub(crate) id: String,
    /// Its own user; empty: root.
    pub(crate) user: String,
    /// HOME in its environment.
    pub(crate) home: Option<String>,
}

impl From<ImageInspect> for Image {
    fn from(found: ImageInspect) -> Self {
        let config = found.config.unwrap_or_default();
        let home = |pair: &String| pair.strip_prefix("HOME=").map(str::to_owned);
        Self {
            id: found.id.unwrap_or_default(),
            user: config.user.unwrap_or_default(),
            home: config.env.unwrap_or_default().iter().find_map(home),
        }
    }
}

/// Pulls the image unless the engine has it.
pub(crate) async fn ensure(docker: &Docker, image: &str) -> Result<Image, ProviderError> {
    match call::INSPECT.run(docker.inspect_image(image)).await {
        Ok(found) => return Ok(found.into()),
        Err(fault) if fault.is_gone() => {}
        Err(fault) => return Err(told(fault)),
    }
    pull(docker, image).await?;
    let found = call::INSPECT.run(docker.inspect_image(image)).await;
    match found {
        Ok(found) => Ok(found.into()),
        // The engine complains of what a registry does not have; this one just ended.
        Err(fault) if fault.is_gone() => {
            let message =
                "the pull of the image broke off; try again, the engine keeps what it has";
            Err(fault.told(Kind::Unavailable(Outcome::Rejected), message))
        }
        Err(fault) => Err(told(fault)),
    }
}

async fn pull(docker: &Docker, image: &str) -> Result<(), ProviderError> {
    tracing::info!(image, "pulling");
    let options = CreateImageOptionsBuilder::new()
        .from_image(&tagged(image))
        .build();
    let progress = docker.create_image(Some(options), None, None);
    match timeout(WHOLE_PULL, call::PULL.drain(progress)).await {
        Ok(pulled) => pulled.map_err(told),
        Err(_) => Err(ProviderError::new(
            Kind::Unavailable(Outcome::Rejected),
            "the image is still being pulled after 12 minutes; try again, the engine keeps what it has",
        )),
    }
}

/// Without a tag the engine would pull every tag that the registry has.
fn tagged(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// Registries answer through the engine, with a status of 404 or 500 or in the middle of the
/// progress; only the text tells which it is.
fn told(fault: Fault) -> ProviderError {
    const LIMITED: &[&str] = &["toomanyrequests", "rate limit"];
    const DENIED: &[&str] = &[
        "not found",
        "manifest unknown",
        "denied",
        "unauthorized",
        "does not exist",
        "no matching manifest",
        "authentication required",
    ];
    const MALFORMED: &[&str] = &[
        "invalid reference format",
        "invalid tag",
        "must be lowercase",
    ];
    const CUT_OFF: &[&str] = &[
        "no such host",
        "dial tcp",
        "timeout",
        "connection refused",
        "connection reset",
        "network is unreachable",
        "server misbehaving",
        "context deadline",
        "eof",
        "bad gateway",
        "service unavailable",
        "proxyconnect",
        "temporary failure",
        "request canceled",
    ];
    if fault.says(MALFORMED) {
        return fault.told(
            Kind::InvalidField("spec.image"),
            "is not an image reference; write it as in ubuntu:24.04",
        );
    }
    if fault.says(LIMITED) {
        let message =
            "the registry wants fewer pulls; wait, or use an image that the engine already has";
        return fault.told(Kind::RateLimited, message);
    }
    // First: a host that is «not found» is no missing image.
    if fault.says(CUT_OFF) {
        return fault.told(Kind::Unavailable(Outcome::Rejected), UNREACHABLE);
    }
    if fault.is_gone() || fault.says(DENIED) {
        return fault.told(Kind::InvalidField("spec.image"), ABSENT);
    }
    fault.into()
}

#[cfg(test)]
mod tests {
    use bollard::errors::Error;

    use super::*;

    fn kind(status_code: u16, text: &str) -> Kind {
        let message = text.to_owned();
        let error = Error::DockerResponseServerError {
            status_code,
            message,
        };
        told(Fault::new("pull", true, error.into())).kind().clone()
    }

    #[test]
    fn an_image_without_a_tag_is_the_latest_one() {
        for (image, pulled) in [
            ("ubuntu", "ubuntu:latest"),
            ("ubuntu:24.04", "ubuntu:24.04"),
            ("host:5000/a/b", "host:5000/a/b:latest"),
            ("host:5000/a/b:1", "host:5000/a/b:1"),
            ("a@sha256:00", "a@sha256:00"),
        ] {
            assert_eq!(tagged(image), pulled);
        }
    }

    /// Texts as engines 20.10 to 28 and registries write them.
    #[test]
    fn registries_are_understood() {
        let image = || Kind::InvalidField("spec.image");
        let away = || Kind::Unavailable(Outcome::Rejected);
        for (status, text, expected) in [
            (
                404,
                "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
                image(),
            ),
            (
                404,
                "manifest for ubuntu:nope not found: manifest unknown: manifest unknown",
                image(),
            ),
            (500, "unauthorized: authentication required", image()),
            (
                400,
                "invalid reference format: repository name must be lowercase",
                image(),
            ),
            (
                500,
                "Get \"https://registry.example/v2/\": dial tcp: lookup registry.example: no such host",
                away(),
            ),
            (
                500,
                "Get \"https://r/v2/\": net/http: request canceled while waiting for connection (Client.Timeout exceeded)",
                away(),
            ),
            (
                500,
                "toomanyrequests: You have reached your pull rate limit",
                Kind::RateLimited,
            ),
        ] {
            assert_eq!(kind(status, text), expected, "{text}");
        }
    }

    #[test]
    fn a_pull_that_breaks_off_is_understood_too() {
        let error = Error::DockerStreamError {
            error: "manifest unknown".into(),
        };
        let fault = Fault::new("pull", true, error.into());
        assert_eq!(*told(fault).kind(), Kind::InvalidField("spec.image"));
        let timeout = Fault::new("pull", true, crate::fault::Cause::Timeout);
        assert!(matches!(told(timeout).kind(), Kind::Unavailable(_)));
    }
}
