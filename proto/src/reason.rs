//! The table of error reasons: a stable name for every way in which a call can fail, and its code.

use std::fmt;

pub use tonic::Code;

/// Why a call failed: `ErrorInfo.reason` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A field, the message as a whole or a header is malformed or missing.
    InvalidField,
    /// No credential, or one that is not known here.
    AuthenticationRequired,
    /// The key is known but lacks the scope of the rpc.
    ScopeRequired,
    /// No such session, or one of somebody else.
    SessionNotFound,
    /// No such sandbox, or one of another session.
    SandboxNotFound,
    /// The provider ended the sandbox by a clock of its own.
    SandboxExpired,
    /// No such execution in this sandbox.
    ExecutionNotFound,
    /// No such file, or not of the kind that the call needs.
    FileNotFound,
    /// The sandbox's user may not do this to the file.
    FileAccessDenied,
    /// A part of a path that has to be a directory is none.
    NotADirectory,
    /// The path is a directory, and the call needs a file.
    IsADirectory,
    /// The path is a device, socket or pipe.
    NotARegularFile,
    /// The directory is not empty.
    DirectoryNotEmpty,
    /// The name is taken.
    FileExists,
    /// The disk of the sandbox is full.
    DiskFull,
    /// The file is larger than its place takes.
    FileTooLarge,
    /// What came is not what was announced.
    ContentMismatch,
    /// What was sent is no archive, or not all of one.
    ArchiveInvalid,
    /// The sandbox has no program git.
    GitMissing,
    /// No such agent or harness in the organisation.
    AgentNotFound,
    /// No such API key.
    ApiKeyNotFound,
    /// No secret of this name in the session.
    SecretNotFound,
    /// The user has stored no key for this provider.
    ConnectionNotFound,
    /// No provider of this name is configured at this gateway.
    ProviderNotConfigured,
    /// The caller has stored no key for this provider.
    ConnectionRequired,
    /// The upstream refused the caller's key.
    CredentialRejected,
    /// The agent comes with Sandgate and cannot be changed.
    AgentBuiltIn,
    /// Something stored is sealed with a key that is not configured.
    EncryptionKeyUnknown,
    /// The session does not have the capability that the call needs.
    CapabilityNotEnabled,
    /// The provider, or this build of Sandgate, does not have the capability.
    CapabilityUnsupported,
    /// The contract has no rpc at this path.
    MethodUnknown,
    /// The request_id was used before with another body.
    RequestIdReused,
    /// The execution_id was used before with another body.
    ExecutionIdReused,
    /// A session with this id is there already, made with another body.
    SessionIdReused,
    /// A sandbox with this id is there already, made with another body.
    SandboxIdReused,
    /// An agent with this id is there already, made with another body.
    AgentIdReused,
    /// Another sandbox of the session has this alias.
    AliasTaken,
    /// The sandbox is not running and the call does not start it.
    SandboxNotRunning,
    /// An offset lies past what there is.
    OffsetOutOfRange,
    /// Standard input of the execution takes no more bytes.
    StdinClosed,
    /// The execution does not run on a terminal.
    NoTerminal,
    /// The resource changed since the etag was read; read again and repeat.
    EtagMismatch,
    /// A limit of the caller's organisation is reached.
    QuotaExceeded,
    /// The sandbox runs as many executions as it can.
    TooManyExecutions,
    /// As many readers as the sandbox can serve watch its executions.
    TooManyObservers,
    /// As many ports are exposed as can be.
    TooManyPorts,
    /// The upstream limits the caller's rate.
    UpstreamRateLimited,
    /// The provider service does not answer.
    ProviderUnavailable,
    /// The provider replica that holds the sandbox does not answer.
    HolderUnavailable,
    /// What the provider forwards to (an engine, a cloud) does not answer.
    UpstreamUnavailable,
    /// The upstream refused what was asked.
    UpstreamRejected,
    /// The gateway's database takes no changes, or does not answer.
    StoreUnavailable,
    /// The server is shutting down; repeat elsewhere.
    Draining,
    /// The time allowed for the call is over.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// What the gateway's database holds cannot be read.
    StoreDamaged,
    /// A fault of Sandgate itself.
    Internal,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: &[Self] = &[
        Self::InvalidField,
        Self::AuthenticationRequired,
        Self::ScopeRequired,
        Self::SessionNotFound,
        Self::SandboxNotFound,
        Self::SandboxExpired,
        Self::ExecutionNotFound,
        Self::FileNotFound,
        Self::FileAccessDenied,
        Self::NotADirectory,
        Self::IsADirectory,
        Self::NotARegularFile,
        Self::DirectoryNotEmpty,
        Self::FileExists,
        Self::DiskFull,
        Self::FileTooLarge,
        Self::ContentMismatch,
        Self::ArchiveInvalid,
        Self::GitMissing,
        Self::AgentNotFound,
        Self::ApiKeyNotFound,
        Self::SecretNotFound,
        Self::ConnectionNotFound,
        Self::ProviderNotConfigured,
        Self::ConnectionRequired,
        Self::CredentialRejected,
        Self::AgentBuiltIn,
        Self::EncryptionKeyUnknown,
        Self::CapabilityNotEnabled,
        Self::CapabilityUnsupported,
        Self::MethodUnknown,
        Self::RequestIdReused,
        Self::ExecutionIdReused,
        Self::SessionIdReused,
        Self::SandboxIdReused,
        Self::AgentIdReused,
        Self::AliasTaken,
        Self::SandboxNotRunning,
        Self::OffsetOutOfRange,
        Self::StdinClosed,
        Self::NoTerminal,
        Self::EtagMismatch,
        Self::QuotaExceeded,
        Self::TooManyExecutions,
        Self::TooManyObservers,
        Self::TooManyPorts,
        Self::UpstreamRateLimited,
        Self::ProviderUnavailable,
        Self::HolderUnavailable,
        Self::UpstreamUnavailable,
        Self::UpstreamRejected,
        Self::StoreUnavailable,
        Self::Draining,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::StoreDamaged,
        Self::Internal,
    ];

    /// The name on the wire, UPPER_SNAKE, and the gRPC code that it always comes with.
    #[expect(clippy::too_many_lines, reason = "a table, of a line for each")]
    const fn row(self) -> (&'static str, Code) {
        match self {
            Self::InvalidField => ("INVALID_FIELD", Code::InvalidArgument),
            Self::AuthenticationRequired => ("AUTHENTICATION_REQUIRED", Code::Unauthenticated),
            Self::ScopeRequired => ("SCOPE_REQUIRED", Code::PermissionDenied),
            Self::SessionNotFound => ("SESSION_NOT_FOUND", Code::NotFound),
            Self::SandboxNotFound => ("SANDBOX_NOT_FOUND", Code::NotFound),
            Self::SandboxExpired => ("SANDBOX_EXPIRED", Code::NotFound),
            Self::ExecutionNotFound => ("EXECUTION_NOT_FOUND", Code::NotFound),
            Self::FileNotFound => ("FILE_NOT_FOUND", Code::NotFound),
            Self::FileAccessDenied => ("FILE_ACCESS_DENIED", Code::PermissionDenied),
            Self::NotADirectory => ("NOT_A_DIRECTORY", Code::FailedPrecondition),
            Self::IsADirectory => ("IS_A_DIRECTORY", Code::FailedPrecondition),
            Self::NotARegularFile => ("NOT_A_REGULAR_FILE", Code::FailedPrecondition),
            Self::DirectoryNotEmpty => ("DIRECTORY_NOT_EMPTY", Code::FailedPrecondition),
            Self::FileExists => ("FILE_EXISTS", Code::AlreadyExists),
            Self::DiskFull => ("DISK_FULL", Code::ResourceExhausted),
            Self::FileTooLarge => ("FILE_TOO_LARGE", Code::ResourceExhausted),
            Self::ContentMismatch => ("CONTENT_MISMATCH", Code::DataLoss),
            Self::ArchiveInvalid => ("ARCHIVE_INVALID", Code::InvalidArgument),
            Self::GitMissing => ("GIT_MISSING", Code::FailedPrecondition),
            Self::AgentNotFound => ("AGENT_NOT_FOUND", Code::NotFound),
            Self::ApiKeyNotFound => ("API_KEY_NOT_FOUND", Code::NotFound),
            Self::SecretNotFound => ("SECRET_NOT_FOUND", Code::NotFound),
            Self::ConnectionNotFound => ("CONNECTION_NOT_FOUND", Code::NotFound),
            Self::ProviderNotConfigured => ("PROVIDER_NOT_CONFIGURED", Code::NotFound),
            Self::ConnectionRequired => ("CONNECTION_REQUIRED", Code::FailedPrecondition),
            Self::CredentialRejected => ("CREDENTIAL_REJECTED", Code::FailedPrecondition),
            Self::AgentBuiltIn => ("AGENT_BUILT_IN", Code::FailedPrecondition),
            Self::EncryptionKeyUnknown => ("ENCRYPTION_KEY_UNKNOWN", Code::FailedPrecondition),
            Self::CapabilityNotEnabled => ("CAPABILITY_NOT_ENABLED", Code::FailedPrecondition),
            Self::CapabilityUnsupported => ("CAPABILITY_UNSUPPORTED", Code::Unimplemented),
            Self::MethodUnknown => ("METHOD_UNKNOWN", Code::Unimplemented),
            Self::RequestIdReused => ("REQUEST_ID_REUSED", Code::AlreadyExists),
            Self::ExecutionIdReused => ("EXECUTION_ID_REUSED", Code::AlreadyExists),
            Self::SessionIdReused => ("SESSION_ID_REUSED", Code::AlreadyExists),
            Self::SandboxIdReused => ("SANDBOX_ID_REUSED", Code::AlreadyExists),
            Self::AgentIdReused => ("AGENT_ID_REUSED", Code::AlreadyExists),
            Self::AliasTaken => ("ALIAS_TAKEN", Code::AlreadyExists),
            Self::SandboxNotRunning => ("SANDBOX_NOT_RUNNING", Code::FailedPrecondition),
            Self::OffsetOutOfRange => ("OFFSET_OUT_OF_RANGE", Code::OutOfRange),
            Self::StdinClosed => ("STDIN_CLOSED", Code::FailedPrecondition),
            Self::NoTerminal => ("NO_TERMINAL", Code::FailedPrecondition),
            Self::EtagMismatch => ("ETAG_MISMATCH", Code::Aborted),
            Self::QuotaExceeded => ("QUOTA_EXCEEDED", Code::ResourceExhausted),
            Self::TooManyExecutions => ("TOO_MANY_EXECUTIONS", Code::ResourceExhausted),
            Self::TooManyObservers => ("TOO_MANY_OBSERVERS", Code::ResourceExhausted),
            Self::TooManyPorts => ("TOO_MANY_PORTS", Code::ResourceExhausted),
            Self::UpstreamRateLimited => ("UPSTREAM_RATE_LIMITED", Code::ResourceExhausted),
            Self::ProviderUnavailable => ("PROVIDER_UNAVAILABLE", Code::Unavailable),
            Self::HolderUnavailable => ("HOLDER_UNAVAILABLE", Code::Unavailable),
            Self::UpstreamUnavailable => ("UPSTREAM_UNAVAILABLE", Code::Unavailable),
            Self::UpstreamRejected => ("UPSTREAM_REJECTED", Code::FailedPrecondition),
            Self::StoreUnavailable => ("STORE_UNAVAILABLE", Code::Unavailable),
            Self::Draining => ("DRAINING", Code::Unavailable),
            Self::DeadlineExceeded => ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
            Self::Cancelled => ("CANCELLED", Code::Cancelled),
            Self::StoreDamaged => ("STORE_DAMAGED", Code::Internal),
            Self::Internal => ("INTERNAL", Code::Internal),
        }
    }

    /// The name on the wire, UPPER_SNAKE.
    pub const fn name(self) -> &'static str {
        self.row().0
    }

    /// The gRPC code that this reason always comes with.
    pub const fn code(self) -> Code {
        self.row().1
    }

    /// The reason with this wire name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.name() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_again() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.name()), Some(*reason));
        }
    }
}
