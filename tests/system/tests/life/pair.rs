//! Two gateways on one store, in front of one provider.

use sandgate_system::{Client, Plan, World};

/// Both, and a client of each.
pub(crate) struct Pair {
    pub(crate) world: World,
    pub(crate) clients: [Client; 2],
    _beside: sandgate_gateway::Running,
}

/// A provider that pauses sandboxes.
pub(crate) fn pausing() -> Plan {
    Plan {
        can_pause: true,
        ..Plan::default()
    }
}

impl Pair {
    /// As usual.
    pub(crate) async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    /// As planned.
    pub(crate) async fn with(plan: Plan) -> Self {
        let world = World::with(plan).await;
        let beside = world.beside().await;
        let clients = [
            world.client().await,
            Client::connect(beside.address()).await,
        ];
        Self {
            world,
            clients,
            _beside: beside,
        }
    }

    /// The client for the call of this number: in turn.
    pub(crate) fn client(&self, number: usize) -> &Client {
        &self.clients[number % 2]
    }
}
