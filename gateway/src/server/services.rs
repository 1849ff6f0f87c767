//! The services of the gateway's own, each over its rooms.

use sandgate_proto::{
    limits,
    v1::{
        admin_service_server::AdminServiceServer, agent_service_server::AgentServiceServer,
        audit_service_server::AuditServiceServer,
        connection_service_server::ConnectionServiceServer,
        provider_service_server::ProviderServiceServer,
        sandbox_service_server::SandboxServiceServer, secret_service_server::SecretServiceServer,
        session_file_service_server::SessionFileServiceServer,
        session_service_server::SessionServiceServer,
    },
};
use tonic::service::Routes;

use super::rooms::Rooms;
use crate::rpc::{
    AdminRpc, AgentRpc, AuditRpc, ConnectionRpc, Providers, Rotation, SandboxRpc, SecretRpc,
    SessionFileRpc, SessionRpc,
};

/// Adds all of them.
pub(super) fn with_own(routes: Routes, rooms: &Rooms) -> Routes {
    let rotation = Rotation {
        vault: rooms.ground.vault.clone(),
        credentials: rooms.owned.credentials.clone(),
        sandboxes: rooms.sandboxes.clone(),
        replays: rooms.replays.clone(),
        kept: rooms.owned.kept.clone(),
    };
    let admin = AdminServiceServer::new(AdminRpc::new(
        rooms.identity.keys(),
        rotation,
        rooms.sandboxes.clone(),
    ));
    let agent = AgentServiceServer::new(AgentRpc::new(rooms.owned.agents.clone()));
    let audit = AuditServiceServer::new(AuditRpc::new(rooms.log.clone()));
    let connection = ConnectionServiceServer::new(ConnectionRpc::new(
        rooms.owned.connections.clone(),
        rooms.sandboxes.clone(),
    ));
    let provider = ProviderServiceServer::new(Providers::new(rooms.ground.fleet.clone()));
    let sandbox = SandboxRpc::new(
        rooms.sandboxes.clone(),
        rooms.transfers.clone(),
        rooms.ground.fleet.clone(),
    );
    let sandbox = SandboxServiceServer::new(sandbox);
    let secret = SecretServiceServer::new(SecretRpc::new(rooms.owned.secrets.clone()));
    let session = SessionRpc::new(
        rooms.owned.sessions.clone(),
        rooms.sandboxes.clone(),
        rooms.removals.clone(),
        rooms.watches.clone(),
    );
    let session = SessionServiceServer::new(session);
    let session_file = SessionFileRpc::new(rooms.owned.files.clone(), rooms.transfers.clone());
    let session_file = SessionFileServiceServer::new(session_file);
    let most = limits::MESSAGE_BYTES;
    routes
        .add_service(admin.max_decoding_message_size(most))
        .add_service(agent.max_decoding_message_size(most))
        .add_service(audit.max_decoding_message_size(most))
        .add_service(connection.max_decoding_message_size(most))
        .add_service(provider.max_decoding_message_size(most))
        .add_service(sandbox.max_decoding_message_size(most))
        .add_service(secret.max_decoding_message_size(most))
        .add_service(session.max_decoding_message_size(most))
        .add_service(session_file.max_decoding_message_size(most))
}
