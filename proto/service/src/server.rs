//! A gRPC listener: accepts connections, serves HTTP/2 on each, and drains them.

use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as HttpBody;
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tonic::{Status, body::Body};
use tower::{Service, util::service_fn};

use crate::{
    Drain, DrainBody, TlsError, TlsFiles, WorkerId, Workers, drain::draining, problem_response,
    settings,
};
use sandgate_proto::limits;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    /// Network address.
    pub address: SocketAddr,
    /// The verified client certificate chain, leaf first; empty without mutual TLS.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The worker that serves the connection; 0 where there are none.
    pub worker: WorkerId,
}

/// A body that can be served, and that an answer of the server's own can become.
pub trait ServedBody: HttpBody<Data = Bytes, Error = Status> + From<Body> + Send + 'static {}

impl<B> ServedBody for B where
    B: HttpBody<Data = Bytes, Error = Status> + From<Body> + Send + 'static
{
}

/// Why a server could not start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address could not be bound.
    #[error(
        "cannot listen on {address}: {source}; is another process there? choose another address"
    )]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A bound listener, not yet serving.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    trusted_peers: bool,
    workers: Option<Workers>,
}

impl Server {
    /// Binds `address` (port 0: any free one), with TLS where files for it are given.
    ///
    /// # Errors
    /// Where the address is taken or the files cannot be used.
    pub async fn bind(address: SocketAddr, tls: &TlsFiles) -> Result<Self, ServerError> {
        let bind = |source| ServerError::Bind { address, source };
        let tls = tls.server()?.map(TlsAcceptor::from);
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        Ok(Self {
            listener,
            address,
            tls,
            trusted_peers: false,
            workers: None,
        })
    }

    /// Says that only gateways connect here, so that bursts of cancelled calls are ordinary.
    #[must_use]
    pub fn trusting_peers(mut self) -> Self {
        self.trusted_peers = true;
        self
    }

    /// Serves each connection on one of these threads, instead of on the caller's runtime.
    #[must_use]
    pub fn on(mut self, workers: Workers) -> Self {
        self.workers = Some(workers);
        self
    }

    /// The address bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the drain has begun and every connection has ended. `make` gives the service
    /// of one connection.
    pub async fn serve<M, S, B>(self, make: M, drain: Drain)
    where
        M: Fn(&PeerInfo) -> S + Clone + Send + 'static,
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: ServedBody,
    {
        let connections = TaskTracker::new();
        let here = Handle::current();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = drain.started() => break,
            };
            match accepted.and_then(|(stream, address)| Ok((stream.into_std()?, address))) {
                Ok((stream, address)) => {
                    let (worker, runtime) = match &self.workers {
                        Some(workers) => workers.next(),
                        None => (0, &here),
                    };
                    let connection = Connection {
                        address,
                        tls: self.tls.clone(),
                        trusted: self.trusted_peers,
                        drain: drain.clone(),
                        worker,
                    };
                    connections.spawn_on(connection.run(stream, make.clone()), runtime);
                }
                Err(error) => {
                    // Out of descriptors, most likely: wait for some to be given back.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }
}

struct Connection {
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    trusted: bool,
    drain: Drain,
    worker: WorkerId,
}

impl Connection {
    async fn run<M, S, B>(self, stream: std::net::TcpStream, make: M)
    where
        M: Fn(&PeerInfo) -> S,
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: ServedBody,
    {
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "a connection cannot be served"),
        };
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else {
            return self.serve(stream, Vec::new(), make).await;
        };
        match timeout(settings::HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let certificates = certificates
                    .iter()
                    .cloned()
                    .map(CertificateDer::into_owned)
                    .collect();
                self.serve(stream, certificates, make).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, peer = %self.address, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.address, "TLS handshake took too long"),
        }
    }

    async fn serve<I, M, S, B>(self, io: I, certificates: Vec<CertificateDer<'static>>, make: M)
    where
        M: Fn(&PeerInfo) -> S,
        I: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: ServedBody,
    {
        let service = make(&PeerInfo {
            address: self.address,
            certificates,
            worker: self.worker,
        });
        let drain = self.drain.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let request = request.map(|body| Body::new(body.map_err(|_| BrokenOff)));
            answer(service.clone(), request, drain.clone())
        });
        let connection = self
            .http2()
            .serve_connection(TokioIo::new(io), TowerToHyperService::new(service));
        tokio::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = self.drain.started() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, peer = %self.address, "connection ended");
        }
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            // No gRPC client looks at it, and making it costs every call.
            .auto_date_header(false)
            .initial_stream_window_size(settings::STREAM_WINDOW)
            .initial_connection_window_size(settings::SERVER_CONNECTION_WINDOW)
            .max_concurrent_streams(settings::MAX_STREAMS)
            .max_frame_size(settings::MAX_FRAME)
            .max_header_list_size(limits::HTTP2_HEADER_BYTES)
            .keep_alive_interval(settings::KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(settings::KEEP_ALIVE_TIMEOUT);
        if self.trusted {
            http2
                .max_pending_accept_reset_streams(settings::TRUSTED_PENDING_RESETS)
                .max_local_error_reset_streams(None);
        }
        http2
    }
}

/// A request of which the rest does not come. It holds no cause: tonic takes a cancelled request for
/// one that has ended, and half of a file would be all of it.
#[derive(Debug, Error)]
#[error("the caller went away before its request was complete")]
struct BrokenOff;

/// One call. What the drain cuts off before its headers is answered here, what it cuts off later
/// ends in its body.
async fn answer<S, B>(
    mut service: S,
    request: Request<Body>,
    drain: Drain,
) -> Result<Response<DrainBody<B>>, Infallible>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: ServedBody,
{
    let response = tokio::select! {
        biased;
        response = service.call(request) => response?,
        () = drain.cut_off() => problem_response(draining()).map(B::from),
    };
    Ok(response.map(|body| drain.body(body)))
}
