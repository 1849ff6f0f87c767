//! Networks of sandboxes on a real engine.

use crate::support::{World, docker, inspect};
use futures::future::join_all;
use sandgate_kit::{Kind, Network, Provider as _, Spec};

fn of(network: Network) -> Spec {
    Spec {
        network,
        ..Spec::default()
    }
}

const INTERFACES: &str = "ls /sys/class/net | sort | tr '\\n' ' '";

#[tokio::test]
async fn without_a_network_there_is_only_loopback() {
    let world = World::new().await;
    let (context, made) = world.sandbox_of(of(Network::None)).await;
    assert_eq!(world.sh(&context, INTERFACES).await.text(), "lo ");
    assert_eq!(
        inspect(&made.provider_sandbox_id, "{{.HostConfig.NetworkMode}}"),
        "none"
    );
    assert_eq!(world.leftovers().len(), 1, "no network is made");
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn the_full_network_is_the_engines_own() {
    let world = World::new().await;
    if docker(&["network", "ls", "-q", "--filter", "name=^bridge$"]).is_empty() {
        // An engine with --bridge=none has none.
        assert_eq!(
            world.refused(of(Network::Full)).await.0,
            Kind::Unsupported("network_full")
        );
        return;
    }
    let (context, made) = world.sandbox_of(of(Network::Full)).await;
    assert_eq!(
        inspect(&made.provider_sandbox_id, "{{.HostConfig.NetworkMode}}"),
        "bridge"
    );
    assert_eq!(world.sh(&context, INTERFACES).await.text(), "eth0 lo ");
    assert_eq!(world.leftovers().len(), 1, "no network is made");
    world.provider.delete(&context).await.unwrap();
}

/// More than the thirty that the engine's default pools hold.
#[tokio::test]
async fn every_private_sandbox_has_a_small_network_of_its_own() {
    const MANY: usize = 36;
    let world = World::new().await;
    let contexts: Vec<_> = (0..MANY).map(|_| world.context()).collect();
    for some in contexts.chunks(6) {
        for made in join_all(
            some.iter()
                .map(|context| world.provider.create(context, Spec::default())),
        )
        .await
        {
            made.unwrap();
        }
    }
    let label = format!("label=sandgate.gateway_id={}", world.gateway_id);
    let networks = docker(&["network", "ls", "-q", "--filter", &label]);
    let subnet = |id: &str| inspect(id, "{{(index .IPAM.Config 0).Subnet}}");
    let mut subnets: Vec<String> = networks.lines().map(subnet).collect();
    assert!(
        subnets
            .iter()
            .all(|subnet| subnet.starts_with("10.213.") && subnet.ends_with("/28"))
    );
    subnets.sort();
    subnets.dedup();
    assert_eq!(subnets.len(), MANY);
    for some in contexts.chunks(6) {
        for deleted in join_all(some.iter().map(|context| world.provider.delete(context))).await {
            deleted.unwrap();
        }
    }
}
