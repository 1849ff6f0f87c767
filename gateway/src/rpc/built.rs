//! The rpcs that this gateway serves so far: its own, and all that it relays. The rest of the
//! contract is answered as unsupported.

/// Paths of the gateway's own rpcs, sorted; a test holds the list of what is missing, so that it can
/// only shrink.
pub const BUILT: &[&str] = &[
    "/sandbox.v1.AdminService/IssueApiKey",
    "/sandbox.v1.AdminService/ListApiKeys",
    "/sandbox.v1.AdminService/RevokeApiKey",
    "/sandbox.v1.AdminService/RotateKeys",
    "/sandbox.v1.ConnectionService/DeleteConnection",
    "/sandbox.v1.ConnectionService/GetConnection",
    "/sandbox.v1.ConnectionService/ListConnections",
    "/sandbox.v1.ConnectionService/SetConnection",
    "/sandbox.v1.AgentService/CreateAgent",
    "/sandbox.v1.AgentService/DeleteAgent",
    "/sandbox.v1.AgentService/GetAgent",
    "/sandbox.v1.AgentService/ListAgents",
    "/sandbox.v1.AgentService/UpdateAgent",
    "/sandbox.v1.AuditService/ListAuditEvents",
    "/sandbox.v1.ProviderService/GetProvider",
    "/sandbox.v1.ProviderService/ListProviders",
    "/sandbox.v1.SandboxService/CreateSandbox",
    "/sandbox.v1.SandboxService/DeleteSandbox",
    "/sandbox.v1.SandboxService/GetCapabilities",
    "/sandbox.v1.SandboxService/GetSandbox",
    "/sandbox.v1.SandboxService/ListSandboxes",
    "/sandbox.v1.SandboxService/StartSandbox",
    "/sandbox.v1.SandboxService/StopSandbox",
    "/sandbox.v1.SecretService/DeleteSecret",
    "/sandbox.v1.SecretService/ListSecrets",
    "/sandbox.v1.SecretService/SetSecret",
    "/sandbox.v1.SessionService/CreateSession",
    "/sandbox.v1.SessionService/DeleteSession",
    "/sandbox.v1.SessionService/GetSession",
    "/sandbox.v1.SessionService/ListSessions",
    "/sandbox.v1.SessionService/UpdateSession",
    "/sandbox.v1.SessionService/WatchSession",
];
