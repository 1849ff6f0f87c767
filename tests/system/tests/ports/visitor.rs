//! Who comes to an exposed port: HTTP by a real client, and streams of bytes.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The bytes that the server has, so many of them.
pub(crate) fn pattern(size: usize) -> Bytes {
    let block: Vec<u8> = (0..65_536_usize)
        .map(|at| ((at * 31 + (at >> 8)) % 256).to_le_bytes()[0])
        .collect();
    block.iter().copied().cycle().take(size).collect()
}

/// SHA-256.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A request, and its answer.
pub(crate) async fn fetch(
    at: SocketAddr,
    headers: &BTreeMap<String, String>,
    line: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), String> {
    let (method, path) = line.split_once(' ').unwrap();
    let fetched = async {
        let stream = TcpStream::connect(at)
            .await
            .map_err(|error| error.to_string())?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        let running = tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if !headers.contains_key("host") {
            request = request.header("host", at.to_string());
        }
        let request = request.body(Full::new(body)).unwrap();
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = answer.into_body().collect().await;
        running.abort();
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    };
    timeout(PATIENCE, fetched).await.expect("no answer in time")
}

/// A GET without anything besides.
pub(crate) async fn get(at: SocketAddr, path: &str) -> Result<Bytes, String> {
    let none = BTreeMap::new();
    let (status, body) = fetch(at, &none, &format!("GET {path}"), Bytes::new()).await?;
    assert_eq!(status, StatusCode::OK);
    Ok(body)
}

/// Whether nobody listens at an address.
pub(crate) async fn is_refused(at: SocketAddr) -> bool {
    TcpStream::connect(at).await.is_err()
}

/// Waits for that, where it comes a moment later.
pub(crate) async fn is_refused_soon(at: SocketAddr) {
    let refused = async {
        while !is_refused(at).await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    let late = timeout(Duration::from_secs(20), refused).await;
    late.expect("it listens on");
}

/// A stream that begins with this line.
pub(crate) async fn open(at: SocketAddr, line: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(line.as_bytes()).await.unwrap();
    stream
}

/// Waits until the other side ends a stream, in whichever way.
pub(crate) async fn ends(mut stream: TcpStream) {
    let mut bytes = vec![0; 65_536];
    let read = async { while stream.read(&mut bytes).await.is_ok_and(|size| size > 0) {} };
    timeout(Duration::from_secs(20), read)
        .await
        .expect("the stream goes on");
}
