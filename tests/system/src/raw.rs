//! A client that sends whatever it is told, and reads the answer as it is on the wire.

use std::{net::SocketAddr, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time::timeout};
use tonic::Status;

type Body = BoxBody<Bytes, std::io::Error>;

/// How long the beginning of an answer may take, for who only looks.
const PATIENCE: Duration = Duration::from_secs(20);

/// One HTTP/2 connection. It keeps no deadline of its own, so that what it sees is the server's.
#[derive(Clone)]
pub struct Raw {
    address: SocketAddr,
    sender: SendRequest<Body>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub http: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// All of the body.
    pub body: Bytes,
    /// Trailers; empty where there were none.
    pub trailers: HeaderMap,
}

impl Reply {
    /// The gRPC status, from wherever it was sent.
    #[track_caller]
    pub fn status(&self) -> Status {
        self.ended()
            .unwrap_or_else(|| panic!("no grpc-status: {self:?}"))
    }

    /// The gRPC status; none where the answer had not ended.
    pub fn ended(&self) -> Option<Status> {
        Status::from_header_map(&self.trailers).or_else(|| Status::from_header_map(&self.headers))
    }

    /// The only message of the answer, decoded.
    pub fn message<M: prost::Message + Default>(&self) -> M {
        assert_eq!(self.status().code(), tonic::Code::Ok, "{self:?}");
        M::decode(&self.body[5..]).unwrap()
    }
}

impl Raw {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        Self { address, sender }
    }

    /// A call of these bytes, as gRPC has it.
    pub async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.send(path, headers, body).await.unwrap()
    }

    /// The same, where the connection may end before an answer.
    pub async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, hyper::Error> {
        let body = Full::new(body.into())
            .map_err(|never| match never {})
            .boxed();
        self.send_body(path, headers, body).await
    }

    /// A call whose answer may go on for ever: what came of it before so long a silence.
    pub async fn look(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        silence: Duration,
    ) -> Reply {
        let body = Full::new(body.into())
            .map_err(|never| match never {})
            .boxed();
        let response = timeout(PATIENCE, self.open(path, headers, body)).await;
        let response = response
            .unwrap_or_else(|_| panic!("{path} does not answer"))
            .unwrap();
        let (parts, mut body) = response.into_parts();
        let (mut bytes, mut trailers) = (BytesMut::new(), HeaderMap::new());
        while let Ok(Some(frame)) = timeout(silence, body.frame()).await {
            match frame.unwrap().into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(last) => trailers = last.into_trailers().unwrap(),
            }
        }
        Reply {
            http: parts.status,
            headers: parts.headers,
            body: bytes.freeze(),
            trailers,
        }
    }

    /// The same with any body.
    pub async fn send_body(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Reply, hyper::Error> {
        let (parts, body) = self.open(path, headers, body).await?.into_parts();
        let collected = body.collect().await?;
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Ok(Reply {
            http: parts.status,
            headers: parts.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }

    async fn open(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let mut request =
            Request::post(format!("http://{}{path}", self.address)).header("te", "trailers");
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/grpc");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut sender = self.sender.clone();
        sender.ready().await?;
        sender.send_request(request.body(body).unwrap()).await
    }
}

/// A message as it is on the wire: flag, length, bytes.
pub fn framed(message: &impl prost::Message) -> Bytes {
    frame(0, &message.encode_to_vec())
}

/// Bytes behind a flag and their length.
pub fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(flag);
    bytes.put_u32(u32::try_from(message.len()).unwrap());
    bytes.extend_from_slice(message);
    bytes.freeze()
}
