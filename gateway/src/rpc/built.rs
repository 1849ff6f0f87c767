//! The rpcs that this gateway serves so far: its own, and all that it relays. The rest of the
//! contract is answered as unsupported.

/// Paths of the gateway's own rpcs, sorted; a test holds the list of what is missing, so that it can
/// only shrink.
pub const BUILT: &[&str] = &[
    "/sandbox.v1.ProviderService/GetProvider",
    "/sandbox.v1.ProviderService/ListProviders",
    "/sandbox.v1.SandboxService/CreateSandbox",
    "/sandbox.v1.SandboxService/DeleteSandbox",
    "/sandbox.v1.SandboxService/GetCapabilities",
    "/sandbox.v1.SandboxService/GetSandbox",
    "/sandbox.v1.SandboxService/ListSandboxes",
    "/sandbox.v1.SandboxService/StartSandbox",
    "/sandbox.v1.SandboxService/StopSandbox",
    "/sandbox.v1.SessionService/CreateSession",
    "/sandbox.v1.SessionService/DeleteSession",
    "/sandbox.v1.SessionService/GetSession",
    "/sandbox.v1.SessionService/ListSessions",
];
