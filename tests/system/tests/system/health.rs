//! What load balancers are told.

use sandgate_kit::Kind;
use sandgate_proto::{Outcome, Reason};
use sandgate_system::{Act, Client, Op, World, assert_reason};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const SERVICES: [&str; 2] = ["", "sandbox.v1.SandboxService"];

async fn watch(
    channel: Channel,
    service: &str,
) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    HealthClient::new(channel)
        .watch(request)
        .await
        .unwrap()
        .into_inner()
}

async fn until(
    stream: &mut tonic::Streaming<tonic_health::pb::HealthCheckResponse>,
    wanted: ServingStatus,
) {
    let seen = async {
        while stream
            .message()
            .await
            .unwrap()
            .expect("the watch ended")
            .status()
            != wanted
        {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(15), seen)
        .await
        .expect("health does not change");
}

#[tokio::test]
async fn a_gateway_serves_until_it_drains() {
    let world = World::start().await;
    let client = world.client().await;
    let mut streams = Vec::new();
    for service in SERVICES.into_iter().chain(["sandbox.v1.SessionService"]) {
        let mut stream = watch(client.channel.clone(), service).await;
        until(&mut stream, ServingStatus::Serving).await;
        streams.push(stream);
    }
    let drain = world.running.drain();
    drain.start();
    for stream in &mut streams {
        until(stream, ServingStatus::NotServing).await;
    }
    drain.cut();
    for mut stream in streams {
        let ended = stream.message().await.unwrap_err();
        assert_reason(&ended, Reason::Draining, "repeat");
    }
    world.running.ended().await;
}

#[tokio::test]
async fn a_provider_serves_while_its_upstream_does() {
    let world = World::start().await;
    let client = Client::connect(world.provider).await;
    for service in SERVICES {
        until(
            &mut watch(client.channel.clone(), service).await,
            ServingStatus::Serving,
        )
        .await;
    }
    let mut stream = watch(client.channel.clone(), "").await;
    world
        .fake
        .set(Op::Health, Act::Fail(Kind::Unavailable(Outcome::Rejected)));
    until(&mut stream, ServingStatus::NotServing).await;
    world.fake.mend(Op::Health);
    until(&mut stream, ServingStatus::Serving).await;
}
