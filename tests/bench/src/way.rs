//! Connections to a gateway or a provider, and the key, if any, that goes along with every call.

use std::{net::SocketAddr, time::Duration};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

use crate::error::{Error, Result};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// One way to a provider.
#[derive(Clone)]
pub(crate) struct Way {
    name: &'static str,
    channels: Vec<Channel>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl Way {
    /// Connects when it is first used.
    pub(crate) fn new(
        name: &'static str,
        address: SocketAddr,
        connections: u16,
        key: Option<&str>,
    ) -> Result<Self> {
        let wrong = |what: String| Error::Answer { way: name, what };
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|error| wrong(error.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true);
        let authorization = key
            .map(|key| format!("Bearer {key}").parse())
            .transpose()
            .map_err(|_| wrong("the key is no header".to_owned()))?;
        let channels = (0..connections).map(|_| endpoint.connect_lazy()).collect();
        Ok(Self {
            name,
            channels,
            authorization,
        })
    }

    /// One of its connections.
    pub(crate) fn channel(&self, index: usize) -> Channel {
        self.channels[index % self.channels.len()].clone()
    }

    /// A request, with the key if there is one.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", authorization.clone());
        }
        request
    }

    /// A call over it that failed.
    pub(crate) fn failed(&self, status: Status) -> Error {
        Error::Call {
            way: self.name,
            status: Box::new(status),
        }
    }

    /// An answer over it that cannot be right.
    pub(crate) fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Answer {
            way: self.name,
            what: what.into(),
        }
    }
}
