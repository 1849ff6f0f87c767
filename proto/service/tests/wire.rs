//! A wire against servers that come and go.
#![allow(clippy::unwrap_used)]

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use sandgate_service::{Drain, Server, TlsFiles, Wire, WireError, WirePeer, Workers};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, runtime::Handle};
use tonic::body::Body;
use tower::service_fn;

/// Answers every request with its own body.
async fn echo(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(request.into_body()))
}

async fn serve(address: SocketAddr) -> (SocketAddr, Drain) {
    let server = Server::bind(address, &TlsFiles::default()).await.unwrap();
    let server = server.on(Workers::start(2).unwrap());
    let (address, drain) = (server.address(), Drain::new());
    tokio::spawn(server.serve(|_| service_fn(echo), drain.clone()));
    (address, drain)
}

fn anywhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn wire(address: SocketAddr) -> Wire {
    let peer = WirePeer {
        url: format!("http://{address}"),
        tls: TlsFiles::default(),
    };
    Wire::new(&peer, Handle::current()).unwrap()
}

async fn say(wire: &Wire, body: Body) -> Result<Bytes, WireError> {
    let request = Request::post("/a.B/C").body(body).unwrap();
    let body = wire.send(request).await?.into_body();
    Ok(body.collect().await?.to_bytes())
}

fn word() -> Body {
    Body::new(Full::new(Bytes::from_static(b"word")))
}

#[tokio::test]
async fn many_calls_share_the_connection() {
    let (address, _drain) = serve(anywhere()).await;
    let wire = wire(address);
    let calls = (0..200).map(|_| say(&wire, word()));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.unwrap(), "word");
    }
}

#[tokio::test]
async fn a_large_stream_goes_out_and_comes_back_whole() {
    let (address, _drain) = serve(anywhere()).await;
    let chunk = Bytes::from(vec![7; 100_000]);
    let frames = vec![chunk.clone(); 100].into_iter();
    let frames = frames.map(|chunk| Ok::<_, Infallible>(http_body::Frame::data(chunk)));
    let body = Body::new(StreamBody::new(futures::stream::iter(frames)));
    let answer = say(&wire(address), body).await.unwrap();
    assert_eq!(answer.len(), 10_000_000);
    assert!(answer.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn without_a_server_nothing_is_done_and_the_next_call_tries_again() {
    let (address, drain) = serve(anywhere()).await;
    let wire = wire(address);
    say(&wire, word()).await.unwrap();

    drain.start();
    tokio::time::timeout(Duration::from_secs(5), async {
        // Until it is gone; what it says good-bye to was not looked at.
        while say(&wire, word()).await.is_ok() {}
    })
    .await
    .unwrap();
    let error = say(&wire, word()).await.unwrap_err();
    assert!(error.nothing_done(), "{error}");

    let (_, _drain) = serve(address).await;
    assert_eq!(say(&wire, word()).await.unwrap(), "word");
}

#[tokio::test]
async fn what_answers_garbage_is_no_server() {
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    say(&wire(address), word()).await.unwrap_err();
}
