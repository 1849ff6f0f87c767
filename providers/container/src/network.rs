//! The private network of one sandbox.

use bollard::{
    Docker,
    models::{Ipam, IpamConfig, Network, NetworkCreateRequest},
    query_parameters::{InspectNetworkOptions, ListNetworksOptions, ListNetworksOptionsBuilder},
};
use sandgate_kit::{Kind, ProviderError};

use crate::{
    call,
    fault::Fault,
    names::{Filters, Labels},
    subnet::{Pool, Subnet},
};

/// Subnets tried before giving up: each loss means that somebody took one meanwhile.
const TRIES: usize = 16;
/// What every engine calls its default network.
const SHARED: &str = "bridge";

/// A network to make.
pub(crate) struct Wanted<'a> {
    pub(crate) name: String,
    /// Which subnets are tried first.
    pub(crate) seed: String,
    pub(crate) labels: &'a Labels,
}

/// Makes the network, or takes the one that an earlier try for this sandbox left, and gives its id.
/// `own` knows that one by its labels.
pub(crate) async fn create(
    docker: &Docker,
    wanted: Wanted<'_>,
    pool: Pool,
    own: impl Fn(&Labels) -> bool,
) -> Result<String, ProviderError> {
    let Wanted { name, seed, labels } = wanted;
    let all = call::LIST
        .run(docker.list_networks(None::<ListNetworksOptions>))
        .await?;
    if let Some(same) = all
        .iter()
        .find(|network| network.name.as_ref() == Some(&name))
    {
        return match (&same.labels, &same.id) {
            (Some(labels), Some(id)) if own(labels) => Ok(id.clone()),
            _ => Err(taken(&name)),
        };
    }
    for subnet in pool.free(&seed, subnets(&all)).take(TRIES) {
        let request = request(&name, labels, subnet);
        match call::CREATE_NETWORK
            .run(docker.create_network(request))
            .await
        {
            Ok(made) => return Ok(made.id),
            Err(fault) if fault.says(&["overlap"]) => {
                tracing::debug!(%subnet, "taken meanwhile, trying another");
            }
            Err(fault) if fault.status() == Some(409) => return Err(taken(&name)),
            Err(fault) => return Err(exhausted(fault)),
        }
    }
    Err(ProviderError::new(
        Kind::Rejected,
        "no subnet is free for the sandbox's network: delete sandboxes, or give a larger SANDGATE_CONTAINER_SUBNETS",
    ))
}

/// The networks that the filters find.
pub(crate) async fn all(docker: &Docker, filters: &Filters) -> Result<Vec<Network>, Fault> {
    let options = ListNetworksOptionsBuilder::new().filters(filters).build();
    call::LIST.run(docker.list_networks(Some(options))).await
}

/// The engine's default bridge, which an engine may be set up to have not: it would give the
/// container no network then, and not say so.
pub(crate) async fn shared(docker: &Docker) -> Result<String, ProviderError> {
    let inspect = docker.inspect_network(SHARED, None::<InspectNetworkOptions>);
    match call::INSPECT.run(inspect).await {
        Ok(_) => Ok(SHARED.to_owned()),
        Err(fault) if fault.is_gone() => {
            let message = "the engine was started without its default network; ask for network mode PRIVATE or NONE";
            Err(fault.told(Kind::Unsupported("network_full"), message))
        }
        Err(fault) => Err(fault.into()),
    }
}

fn request(name: &str, labels: &Labels, subnet: Subnet) -> NetworkCreateRequest {
    let config = IpamConfig {
        subnet: Some(subnet.to_string()),
        ..Default::default()
    };
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(false),
        ipam: Some(Ipam {
            config: Some(vec![config]),
            ..Default::default()
        }),
        labels: Some(labels.clone()),
        ..Default::default()
    }
}

fn subnets(networks: &[Network]) -> Vec<Subnet> {
    networks
        .iter()
        .filter_map(|network| network.ipam.as_ref()?.config.as_ref())
        .flatten()
        .filter_map(|config| Subnet::read(config.subnet.as_deref()?))
        .collect()
}

fn taken(name: &str) -> ProviderError {
    ProviderError::new(
        Kind::Rejected,
        format!(
            "a network named {name} is there already and is not this sandbox's; remove it with `docker network rm {name}` or set another SANDGATE_NAME_PREFIX"
        ),
    )
}

fn exhausted(fault: Fault) -> ProviderError {
    if fault.says(&["address pool", "no available"]) {
        let message = "the engine has no room for another network: delete sandboxes, or run `docker network prune`";
        return fault.told(Kind::Rejected, message);
    }
    fault.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_asks_for_its_own_subnet() {
        let labels = Labels::from([("a".to_owned(), "b".to_owned())]);
        let subnet = Subnet::read("10.1.0.16/28").unwrap();
        let request = request("n", &labels, subnet);
        assert_eq!(request.driver.as_deref(), Some("bridge"));
        assert_eq!(
            (request.labels, request.enable_ipv6),
            (Some(labels), Some(false))
        );
        let config = request.ipam.unwrap().config.unwrap();
        assert_eq!(config[0].subnet.as_deref(), Some("10.1.0.16/28"));
    }

    #[test]
    fn subnets_of_other_networks_are_read() {
        let config = |subnet: &str| IpamConfig {
            subnet: Some(subnet.to_owned()),
            ..Default::default()
        };
        let ipam = Ipam {
            config: Some(vec![config("172.17.0.0/16"), config("fd00::/64")]),
            ..Default::default()
        };
        let networks = [
            Network {
                ipam: Some(ipam),
                ..Default::default()
            },
            Network::default(),
        ];
        assert_eq!(subnets(&networks), [Subnet::read("172.17.0.0/16").unwrap()]);
    }
}
