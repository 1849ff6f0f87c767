//! The client side: one HTTP/2 connection to another service, made when it is first used and again
//! after it broke. Thinner than a channel of the gRPC library, which passes every call through
//! three tasks and their queues; here it goes straight to the connection.

mod body;
mod connection;
mod error;
mod peer;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::{FutureExt as _, future::Shared};
use h2::client::SendRequest;
use http::{Request, Response};
use tokio::runtime::Handle;
use tonic::body::Body;
use tower::Service;

pub use body::WireBody;
pub use error::WireError;
pub use peer::{PeerError, WirePeer};

use body::Upload;
use connection::Connection;
use peer::Peer;

type Connecting = Shared<Pin<Box<dyn Future<Output = Result<Arc<Connection>, WireError>> + Send>>>;

/// A connection to a service. Cheap to clone; clones share the connection, which ends with the
/// last of them and the last call on it.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    peer: Peer,
    runtime: Handle,
    state: Mutex<State>,
}

enum State {
    Idle,
    Connecting(Connecting),
    Connected(Arc<Connection>),
}

impl Wire {
    /// A wire whose connection lives on `runtime`. Does no I/O yet.
    ///
    /// # Errors
    /// Where the address or the TLS files cannot be used.
    pub fn new(peer: &WirePeer, runtime: Handle) -> Result<Self, PeerError> {
        Ok(Self(Arc::new(Inner {
            peer: Peer::new(peer)?,
            runtime,
            state: Mutex::new(State::Idle),
        })))
    }

    /// Sends one request, of which only path and query of the address count, and resolves with the
    /// head of the answer. Never sends twice.
    ///
    /// # Errors
    /// Where there is no answer; the error tells whether anything was sent.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<WireBody>, WireError> {
        let (mut head, body) = request.into_parts();
        head.uri = self.0.peer.absolute(head.uri.path_and_query());
        let (connection, mut sender) = self.ready().await?;
        let ended = http_body::Body::is_end_stream(&body);
        let (mut response, stream) = sender
            .send_request(Request::from_parts(head, ()), ended)
            .map_err(WireError::unsent)?;
        let mut upload = (!ended).then(|| Upload::new(body, stream));
        let response = poll_fn(|cx| {
            if upload
                .as_mut()
                .is_some_and(|upload| upload.poll(cx).is_ready())
            {
                upload = None;
            }
            response.poll_unpin(cx)
        });
        let (head, recv) = response.await.map_err(WireError::broken)?.into_parts();
        let body = WireBody::new(recv, upload, connection);
        Ok(Response::from_parts(head, body))
    }

    /// A connection that takes requests: the one there is, or a new one.
    async fn ready(&self) -> Result<(Arc<Connection>, SendRequest<Bytes>), WireError> {
        let connection = self.connection().await?;
        match connection.sender().ready().await {
            Ok(sender) => return Ok((connection, sender)),
            // It ended while nobody looked. Nothing was sent on it, so another one may be tried.
            Err(error) => tracing::debug!(cause = %error, "connection is of no more use"),
        }
        self.forget(&connection);
        let connection = self.connection().await?;
        let sender = connection.sender().ready().await;
        Ok((connection, sender.map_err(WireError::unsent)?))
    }

    async fn connection(&self) -> Result<Arc<Connection>, WireError> {
        let connecting = match &mut *self.state() {
            State::Connected(connection) => return Ok(connection.clone()),
            State::Connecting(connecting) => connecting.clone(),
            idle @ State::Idle => {
                let connecting = self.connect();
                *idle = State::Connecting(connecting.clone());
                connecting
            }
        };
        let result = connecting.clone().await;
        let mut state = self.state();
        if matches!(&*state, State::Connecting(current) if current.ptr_eq(&connecting)) {
            *state = match &result {
                Ok(connection) => State::Connected(connection.clone()),
                Err(_) => State::Idle,
            };
        }
        result
    }

    /// Connects on the wire's own runtime, for all who wait.
    fn connect(&self) -> Connecting {
        let inner = self.0.clone();
        let task = self
            .0
            .runtime
            .spawn(async move { inner.peer.connect().await });
        let connecting = async move {
            task.await
                .unwrap_or_else(|_| Err(WireError::connect("this process is ending")))
                .map(Arc::new)
        };
        connecting.boxed().shared()
    }

    fn forget(&self, connection: &Arc<Connection>) {
        let mut state = self.state();
        if matches!(&*state, State::Connected(current) if Arc::ptr_eq(current, connection)) {
            *state = State::Idle;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For the clients of the generated code.
impl Service<Request<Body>> for Wire {
    type Response = Response<WireBody>;
    type Error = WireError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, WireError>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move { wire.send(request).await })
    }
}
