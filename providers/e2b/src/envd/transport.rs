//! Carries Connect calls to envd, over the connections of one client, and tells what is wrong where
//! it is not envd that answers but what stands before it.

use std::{error::Error as StdError, io, time::Duration};

use bytes::{Bytes, BytesMut};
use connectrpc::client::{BoxFuture, ClientBody, ClientTransport};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use reqwest::{Body, Client};
use serde::Deserialize;
use thiserror::Error;

use crate::words::{Words, retry_after};

/// What envd answers where the disk of the sandbox has no room for a file.
const DISK_FULL: u16 = 507;
/// Longest body of an error that is read, bytes.
const MOST: usize = 64 * 1024;

/// Why envd gave no good answer.
#[derive(Debug, Error)]
pub(crate) enum EnvdFault {
    /// It was not reached, or the answer is lost.
    #[error("{0}")]
    Lost(#[source] reqwest::Error),
    /// What stands before envd knows no such sandbox that runs: killed, paused, or over.
    #[error("the sandbox was not found")]
    Gone,
    /// It runs, and envd does not.
    #[error("envd's port is not open")]
    Closed,
    /// The token is an old one.
    #[error("the access token is not taken")]
    Token,
    /// envd, or what stands before it, says no.
    #[error("{status}: {message}")]
    Refused {
        status: u16,
        message: Words,
        retry_after: Option<Duration>,
    },
    /// What it said is not understood, or did not come in time.
    #[error("{0}")]
    Garbage(String),
}

/// A body of an error.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: Words,
}

impl EnvdFault {
    /// Passes a good answer on.
    pub(crate) async fn check(response: reqwest::Response) -> Result<reqwest::Response, Self> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let retry_after = retry_after(response.headers(), status);
        let body = read(response).await.unwrap_or_default();
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        Err(match status.as_u16() {
            502 if refusal.message.contain("was not found") => Self::Gone,
            502 if refusal.message.contain("port is not open") => Self::Closed,
            401 => Self::Token,
            status => Self::Refused {
                status,
                message: refusal.message,
                retry_after,
            },
        })
    }

    /// The cause of an error that came through the Connect client.
    pub(crate) fn of(error: &connectrpc::ConnectError) -> Self {
        let text = error.to_string();
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(cause) = next {
            if let Some(fault) = cause.downcast_ref::<Self>() {
                return fault.copied();
            }
            next = cause.source();
        }
        match error.code {
            connectrpc::ErrorCode::Unauthenticated => Self::Token,
            code => Self::Refused {
                status: code.http_status().into(),
                message: text.into(),
                retry_after: None,
            },
        }
    }

    /// The same once more, for who has only seen it.
    pub(crate) fn copied(&self) -> Self {
        match self {
            Self::Gone => Self::Gone,
            Self::Closed => Self::Closed,
            Self::Token => Self::Token,
            Self::Refused {
                status,
                message,
                retry_after,
            } => Self::Refused {
                status: *status,
                message: message.clone(),
                retry_after: *retry_after,
            },
            Self::Lost(_) | Self::Garbage(_) => Self::Garbage(self.to_string()),
        }
    }
}

impl From<EnvdFault> for io::Error {
    fn from(fault: EnvdFault) -> Self {
        match &fault {
            EnvdFault::Refused {
                status: DISK_FULL, ..
            } => Self::new(io::ErrorKind::StorageFull, fault),
            _ => Self::other(fault),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Result<Bytes, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            break;
        }
    }
    Ok(body.freeze())
}

/// The client's connections, as the Connect client wants them.
#[derive(Clone, Debug)]
pub(super) struct Transport(pub(super) Client);

impl ClientTransport for Transport {
    type ResponseBody = Body;
    type Error = EnvdFault;

    fn send(
        &self,
        request: Request<ClientBody>,
    ) -> BoxFuture<'static, Result<Response<Body>, EnvdFault>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let whole = body.collect().await;
            let whole = whole.map_err(|error| EnvdFault::Garbage(error.to_string()))?;
            let request = Request::from_parts(parts, whole.to_bytes());
            let request = reqwest::Request::try_from(request).map_err(EnvdFault::Lost)?;
            let response = client.execute(request).await;
            let response = response.map_err(|error| EnvdFault::Lost(error.without_url()))?;
            Ok(EnvdFault::check(response).await?.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_refusals() {
        for (status, due) in [
            (507, io::ErrorKind::StorageFull),
            (500, io::ErrorKind::Other),
        ] {
            let fault = EnvdFault::Refused {
                status,
                message: Words::default(),
                retry_after: None,
            };
            assert_eq!(io::Error::from(fault).kind(), due);
        }
    }
}
