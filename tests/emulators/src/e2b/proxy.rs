//! Carries requests to what listens in a sandbox.

use std::{io, path::Path};

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};
use tokio_util::sync::CancellationToken;

/// Headers that are said of one connection only.
const OF_ONE_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    HeaderName::from_static("keep-alive"),
];

/// Between the front and envd: the port that a request is for, and that nobody listens there.
pub(super) const PORT: HeaderName = HeaderName::from_static("x-emulator-port");
const CLOSED: HeaderName = HeaderName::from_static("x-emulator-closed");

/// Sends a request to envd.
///
/// # Errors
/// Where envd is not reached, or gives no answer.
pub(super) async fn to_envd(
    socket: &Path,
    request: Request<Body>,
    cut: CancellationToken,
) -> io::Result<Response<Body>> {
    let stream = UnixStream::connect(socket).await?;
    forward(stream, request, cut).await
}

/// Sends a request to another port of the sandbox: by envd, which stands in the same network.
///
/// # Errors
/// Where nobody listens, or gives no answer.
pub(super) async fn to_port(
    socket: &Path,
    port: u16,
    mut request: Request<Body>,
    cut: CancellationToken,
) -> io::Result<Response<Body>> {
    request.headers_mut().insert(PORT, port.into());
    let answer = to_envd(socket, request, cut).await?;
    if answer.headers().contains_key(CLOSED) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(answer)
}

/// envd's part of that, where a request is for another port.
///
/// # Errors
/// The request, where it is envd's own.
pub(super) async fn at_port(mut request: Request<Body>) -> Result<Response<Body>, Request<Body>> {
    let Some(port) = request.headers_mut().remove(PORT) else {
        return Err(request);
    };
    let port = port.to_str().ok().and_then(|port| port.parse::<u16>().ok());
    let sent = async {
        let stream = TcpStream::connect(("127.0.0.1", port.unwrap_or_default())).await?;
        forward(stream, request, CancellationToken::new()).await
    };
    Ok(sent.await.unwrap_or_else(|_| {
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
            .headers_mut()
            .insert(CLOSED, HeaderValue::from_static("1"));
        answer
    }))
}

async fn forward<S>(
    stream: S,
    request: Request<Body>,
    cut: CancellationToken,
) -> io::Result<Response<Body>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let gone = cut.clone();
    // Ends with its connection: when the answer is read or dropped, or all are cut.
    tokio::spawn(async move {
        tokio::select! {
            () = gone.cancelled() => {}
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection into a sandbox ended early");
            },
        }
    });
    let answer = sender.send_request(onwards(request)).await;
    let (mut parts, body) = answer.map_err(io::Error::other)?.into_parts();
    strip(&mut parts.headers);
    Ok(Response::from_parts(parts, until(Body::new(body), cut)))
}

/// A request as it goes on: HTTP/1.1, with its path alone.
fn onwards(request: Request<Body>) -> Request<Body> {
    let (mut parts, body) = request.into_parts();
    let host = parts.uri.authority().map(|host| host.as_str().to_owned());
    if let Some(host) = host.and_then(|host| host.parse().ok()) {
        parts.headers.entry(header::HOST).or_insert(host);
    }
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path.map(http::Uri::from).unwrap_or_default();
    parts.version = http::Version::HTTP_11;
    strip(&mut parts.headers);
    Request::from_parts(parts, body)
}

fn strip(headers: &mut HeaderMap) {
    for name in OF_ONE_HOP {
        headers.remove(name);
    }
}

/// A body that breaks off when the sandbox is paused or gone.
fn until(body: Body, cut: CancellationToken) -> Body {
    let state = Some((body.into_data_stream(), cut));
    Body::from_stream(stream::unfold(state, |state| async move {
        let (mut body, cut) = state?;
        let next: Option<Result<Bytes, axum::Error>> = tokio::select! {
            biased;
            () = cut.cancelled() => {
                let gone = io::Error::other("the sandbox does not run any more");
                return Some((Err(axum::Error::new(gone)), None));
            }
            next = body.next() => next,
        };
        next.map(|item| (item, Some((body, cut))))
    }))
}

/// Tells envd what it must know of its sandbox.
///
/// # Errors
/// Where envd does not take it.
pub(super) async fn init(socket: &Path, what: &serde_json::Value) -> io::Result<()> {
    let request = Request::post("/init")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(what.to_string()))
        .map_err(io::Error::other)?;
    let answer = to_envd(socket, request, CancellationToken::new()).await?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(io::Error::other(format!("envd says {}", answer.status())))
}

/// envd's own numbers.
///
/// # Errors
/// Where envd is not reached, or says nothing.
pub(super) async fn metrics(socket: &Path, token: Option<&str>) -> io::Result<serde_json::Value> {
    let request = Request::get("/metrics")
        .header(header::HOST, "localhost")
        .header("x-access-token", token.unwrap_or_default())
        .body(Body::empty())
        .map_err(io::Error::other)?;
    let answer = to_envd(socket, request, CancellationToken::new()).await?;
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?;
    serde_json::from_slice(&body.to_bytes()).map_err(io::Error::other)
}
