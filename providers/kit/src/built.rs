//! The rpcs that the kit serves so far. The rest of the contract is answered as unsupported.

/// Paths served, sorted; a test holds the list of what is missing, so that it can only shrink.
pub const BUILT: &[&str] = &[
    "/sandbox.v1.ExecutionService/GetExecution",
    "/sandbox.v1.ExecutionService/ListExecutions",
    "/sandbox.v1.ExecutionService/ResizeTerminal",
    "/sandbox.v1.ExecutionService/SignalExecution",
    "/sandbox.v1.ExecutionService/StartExecution",
    "/sandbox.v1.ExecutionService/StreamExecution",
    "/sandbox.v1.ExecutionService/WaitExecution",
    "/sandbox.v1.ExecutionService/WriteStdin",
    "/sandbox.v1.SandboxService/CreateSandbox",
    "/sandbox.v1.SandboxService/DeleteSandbox",
    "/sandbox.v1.SandboxService/Exec",
    "/sandbox.v1.SandboxService/GetCapabilities",
    "/sandbox.v1.SandboxService/GetSandbox",
    "/sandbox.v1.SandboxService/GetSandboxLogs",
    "/sandbox.v1.SandboxService/ListSandboxes",
    "/sandbox.v1.SandboxService/PauseSandbox",
    "/sandbox.v1.SandboxService/RenewSandbox",
    "/sandbox.v1.SandboxService/ResumeSandbox",
    "/sandbox.v1.SandboxService/RunCommand",
    "/sandbox.v1.SandboxService/StartSandbox",
    "/sandbox.v1.SandboxService/StopSandbox",
];
