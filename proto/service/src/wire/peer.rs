//! Whom a wire connects to: address, TLS, and the making of one connection.

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use rustls_pki_types::ServerName;
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{Connection, WireError};
use crate::{TlsError, TlsFiles, settings};

/// Where to connect to, and how.
#[derive(Clone, Debug)]
pub struct WirePeer {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// Own certificate and trusted roots, for `https`.
    pub tls: TlsFiles,
}

/// Why a wire could not be set up.
#[derive(Debug, Error)]
pub enum PeerError {
    /// The address cannot be used.
    #[error("{url} is no address of a service (want http://host:port or https://host:port)")]
    Address {
        /// What was given.
        url: String,
    },
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A checked [`WirePeer`].
pub(super) struct Peer {
    scheme: Scheme,
    authority: Authority,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Peer {
    pub(super) fn new(peer: &WirePeer) -> Result<Self, PeerError> {
        let wrong = || PeerError::Address {
            url: peer.url.clone(),
        };
        let parts = peer.url.parse::<Uri>().map_err(|_| wrong())?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err(wrong());
        };
        let bare = parts.path_and_query.is_none_or(|path| path == "/");
        if !bare || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let tls = if scheme == Scheme::HTTPS {
            let name = authority.host().trim_matches(['[', ']']);
            let name = ServerName::try_from(name.to_owned()).map_err(|_| wrong())?;
            Some((TlsConnector::from(peer.tls.client()?), name))
        } else if scheme == Scheme::HTTP {
            None
        } else {
            return Err(wrong());
        };
        Ok(Self {
            scheme,
            authority,
            tls,
        })
    }

    /// The whole address of a path here.
    pub(super) fn absolute(&self, path: Option<&PathAndQuery>) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(
            path.cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        );
        // Cannot fail: a scheme, an authority and a path are always an address.
        Uri::from_parts(parts).unwrap_or_default()
    }

    /// One new connection, within the time that a connect may take.
    pub(super) async fn connect(&self) -> Result<Connection, WireError> {
        timeout(settings::CONNECT_TIMEOUT, self.try_connect())
            .await
            .unwrap_or_else(|_| Err(WireError::connect("it took too long")))
    }

    async fn try_connect(&self) -> Result<Connection, WireError> {
        let port = if self.tls.is_some() { 443 } else { 80 };
        let host = self.authority.host().trim_matches(['[', ']']);
        let port = self.authority.port_u16().unwrap_or(port);
        let stream = TcpStream::connect((host, port))
            .await
            .map_err(WireError::connect)?;
        stream.set_nodelay(true).map_err(WireError::connect)?;
        match &self.tls {
            None => Connection::over(stream).await,
            Some((tls, name)) => {
                let stream = tls
                    .connect(name.clone(), stream)
                    .await
                    .map_err(WireError::connect)?;
                Connection::over(stream).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(url: &str) -> Result<Peer, PeerError> {
        Peer::new(&WirePeer {
            url: url.to_owned(),
            tls: TlsFiles::default(),
        })
    }

    #[test]
    fn only_a_bare_address_will_do() {
        let peer = peer("http://[::1]:50061").ok().unwrap();
        let path = PathAndQuery::from_static("/a.B/C");
        assert_eq!(peer.absolute(Some(&path)), "http://[::1]:50061/a.B/C");
        for wrong in [
            "",
            "localhost",
            "ftp://a:1",
            "http://a:1/path",
            "http://u@a:1",
            "http://",
        ] {
            assert!(super::tests::peer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn https_wants_to_know_whom_to_trust() {
        assert!(matches!(
            peer("https://a:1"),
            Err(PeerError::Tls(TlsError::NoAuthority))
        ));
    }
}
