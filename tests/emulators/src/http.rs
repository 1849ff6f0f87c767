//! Serves HTTP/1.1 and HTTP/2 without TLS, and can break a connection off where an answer is due.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::{
    body::{Frame, Incoming, SizeHint},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// There is no answer: the connection ends, or with HTTP/2 the stream.
#[derive(Debug, Error)]
#[error("broken off on demand")]
pub(crate) struct BrokenOff;

/// What answers requests.
pub(crate) trait Answers: Send + Sync + 'static {
    /// One request.
    fn answer(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, BrokenOff>>;
}

/// Serves until `end`, then drops what is still under way.
pub(crate) async fn serve<A: Answers>(
    listener: TcpListener,
    answers: Arc<A>,
    end: CancellationToken,
) {
    let tasks = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = end.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // Small answers go out at once, or a test waits 40 ms for each.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection was gone at once");
        }
        let answers = Arc::clone(&answers);
        let served = connection(stream, move |request| Arc::clone(&answers).answer(request));
        let end = end.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = end.cancelled() => {}
                () = served => {}
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

/// Serves a router on a socket of the file system, for as long as the process lives.
///
/// # Errors
/// Where nothing can be accepted any more.
pub(crate) async fn serve_socket(listener: UnixListener, router: axum::Router) -> io::Result<()> {
    use tower::ServiceExt as _;
    let tasks = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let router = router.clone();
        tasks.spawn(connection(stream, move |request: Request<Body>| {
            let router = router.clone();
            async move {
                let answered: Result<_, Infallible> = router.oneshot(request).await;
                answered
            }
        }));
    }
}

async fn connection<S, F, R, E>(stream: S, answer: F)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Body>) -> R + Send + 'static,
    R: Future<Output = Result<Response<Body>, E>> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
{
    let builder = Builder::new(TokioExecutor::new());
    let answer = service_fn(move |request: Request<Incoming>| {
        answer(request.map(|body| Body::new(Unread(Some(body)))))
    });
    let served = builder.serve_connection(TokioIo::new(stream), answer);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Most that is read of a body that nobody wants, and for how long.
const UNREAD: usize = 1 << 20;
const READING: Duration = Duration::from_secs(5);

/// A request's body. What is left of it when its answer is given is read all the same: a client that
/// still sends does not read an answer when the connection ends on it.
struct Unread(Option<Incoming>);

impl hyper::body::Body for Unread {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map(hyper::body::Body::size_hint)
            .unwrap_or_default()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let Some(mut body) = self
            .0
            .take()
            .filter(|body| !hyper::body::Body::is_end_stream(body))
        else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        // Bounded by itself, and nobody waits for it.
        runtime.spawn(tokio::time::timeout(READING, async move {
            let mut left = UNREAD;
            while let Some(Ok(frame)) = body.frame().await {
                let length = frame.data_ref().map_or(0, bytes::Bytes::len);
                match left.checked_sub(length) {
                    Some(less) => left = less,
                    None => return,
                }
            }
        }));
    }
}
