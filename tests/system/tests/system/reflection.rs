//! What grpcurl is told, by both versions of reflection.

use std::collections::BTreeSet;

use futures::stream;
use sandgate_proto::methods;
use sandgate_system::{Client, World};
use tonic_reflection::pb::{v1, v1alpha};

/// The services that a server lists.
pub(crate) async fn services(client: &Client) -> BTreeSet<String> {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(client.channel.clone());
    let answers = reflection
        .server_reflection_info(stream::iter([request]))
        .await
        .unwrap();
    match answers
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
    {
        Some(MessageResponse::ListServicesResponse(list)) => list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect(),
        other => panic!("{other:?}"),
    }
}

async fn services_v1alpha(client: &Client) -> BTreeSet<String> {
    use v1alpha::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(client.channel.clone());
    let answers = reflection
        .server_reflection_info(stream::iter([request]))
        .await
        .unwrap();
    match answers
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response
    {
        Some(MessageResponse::ListServicesResponse(list)) => list
            .service
            .into_iter()
            .map(|service| service.name)
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn gateway_and_provider_list_the_contract() {
    let world = World::start().await;
    for address in [world.gateway, world.provider] {
        let client = Client::connect(address).await;
        let listed = services(&client).await;
        let listed_v1alpha = services_v1alpha(&client).await;
        for method in methods::ALL {
            assert!(
                listed.contains(method.service),
                "{} is not in {listed:?}",
                method.service
            );
            assert!(
                listed_v1alpha.contains(method.service),
                "{listed_v1alpha:?}"
            );
        }
        assert!(listed.contains("grpc.health.v1.Health"), "{listed:?}");
    }
}

#[tokio::test]
async fn a_method_can_be_looked_up() {
    use v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let world = World::start().await;
    let client = world.client().await;
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "sandbox.v1.SandboxService.Exec".to_owned(),
        )),
    };
    let mut reflection = ServerReflectionClient::new(client.channel.clone());
    let answers = reflection
        .server_reflection_info(stream::iter([request]))
        .await
        .unwrap();
    let answer = answers
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response;
    let Some(MessageResponse::FileDescriptorResponse(files)) = answer else {
        panic!("{answer:?}")
    };
    assert!(!files.file_descriptor_proto.is_empty());
}
