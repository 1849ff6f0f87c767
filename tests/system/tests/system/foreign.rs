//! Something else in the provider's place: its errors get a reason, its text goes no further.

use http::{HeaderMap, HeaderValue, Response};
use sandgate_proto::Reason;
use sandgate_system::{Client, World, assert_reason, reason};
use tonic::{Code, Status, body::Body};

const SECRET: &str = "connect to 10.0.0.1: password=hunter2";

fn untyped(code: Code) -> Response<Body> {
    let mut response = Status::new(code, SECRET).into_http();
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

async fn fails(client: &Client, session_id: &str, sandbox_id: &str) -> Status {
    let failed = client
        .exec(session_id, sandbox_id, "print x")
        .await
        .unwrap_err();
    assert!(!failed.message().contains("hunter2"), "{failed:?}");
    let details = String::from_utf8_lossy(failed.details()).into_owned();
    assert!(!details.contains("hunter2"), "{failed:?}");
    failed
}

#[tokio::test]
async fn a_status_without_a_reason_gets_one() {
    let world = World::tapped().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    for number in 1..=16 {
        let code = Code::from_i32(number);
        world.tap().mend();
        world.tap().answer("Exec", move || untyped(code));
        reason(&fails(&client, &session_id, &sandbox_id).await);
        world.tap().answer("GetSandbox", move || untyped(code));
        client.get(&session_id, &sandbox_id).await.unwrap();
        world.tap().answer("StopSandbox", move || untyped(code));
        let failed = client.stop(&session_id, &sandbox_id).await.unwrap_err();
        reason(&failed);
        assert!(!failed.message().contains("hunter2"), "{failed:?}");
    }
    world.tap().mend();
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_that_is_no_grpc_is_unavailable() {
    let world = World::tapped().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    for http in [200, 302, 401, 403, 404, 429, 500, 502, 503] {
        world.tap().mend();
        world.tap().answer("Exec", move || {
            let page =
                http_body_util::Full::new(bytes::Bytes::from_static(b"<html>hunter2</html>"));
            let response = Response::builder()
                .status(http)
                .header("content-type", "text/html");
            response.body(Body::new(page)).unwrap()
        });
        let failed = fails(&client, &session_id, &sandbox_id).await;
        assert_reason(&failed, Reason::ProviderUnavailable, "fake");
    }
    world.tap().mend();
    client
        .exec(&session_id, &sandbox_id, "print x")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_stream_that_just_stops_is_no_clean_end() {
    let world = World::tapped().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world.tap().answer("Exec", || {
        let response = Response::builder().header("content-type", "application/grpc");
        response.body(Body::empty()).unwrap()
    });
    let failed = fails(&client, &session_id, &sandbox_id).await;
    assert_reason(&failed, Reason::ProviderUnavailable, "look at");
}

#[tokio::test]
async fn a_status_in_the_trailers_gets_a_reason_too() {
    let world = World::tapped().await;
    let client = world.client().await;
    let (session_id, sandbox_id) = client.pair().await;
    world.tap().answer("Exec", || {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("2"));
        trailers.insert("grpc-message", HeaderValue::from_static("hunter2"));
        trailers.insert("x-engine-host", HeaderValue::from_static("10.0.0.1"));
        let frame =
            Ok::<_, std::convert::Infallible>(http_body::Frame::<bytes::Bytes>::trailers(trailers));
        let body = http_body_util::StreamBody::new(futures::stream::iter([frame]));
        let response = Response::builder().header("content-type", "application/grpc");
        response.body(Body::new(body)).unwrap()
    });
    let failed = fails(&client, &session_id, &sandbox_id).await;
    assert_reason(&failed, Reason::ProviderUnavailable, "");
    assert!(failed.metadata().get("x-engine-host").is_none());
}
