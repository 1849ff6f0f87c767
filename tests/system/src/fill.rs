//! The fields of every request that are no ids, filled so that they are valid.

use prost::Message as _;
use prost_types::{Duration, Timestamp};
use sandgate_proto::v1;

use crate::Words;

/// The encoded message, without its ids. Panics for an rpc that it does not know: add a new one.
pub(crate) fn fill(rpc: &str, words: &Words) -> Vec<u8> {
    execution(rpc, words)
        .or_else(|| file(rpc, words))
        .or_else(|| session_file(rpc, words))
        .or_else(|| place(rpc, words))
        .or_else(|| session(rpc, words))
        .or_else(|| user(rpc, words))
        .or_else(|| agent(rpc, words))
        .unwrap_or_else(|| panic!("{rpc} is new: say in tests/system/src/fill.rs what it needs"))
}

const NOW: Option<Duration> = Some(Duration {
    seconds: 0,
    nanos: 0,
});

fn execution(rpc: &str, words: &Words) -> Option<Vec<u8>> {
    Some(match rpc {
        "Exec" | "RunCommand" | "StartExecution" => words.exec().encode_to_vec(),
        "StreamExecution" | "GetExecution" | "ListExecutions" => Vec::new(),
        "WaitExecution" => v1::WaitExecutionRequest {
            wait_timeout: NOW,
            ..Default::default()
        }
        .encode_to_vec(),
        "WriteStdin" => v1::WriteStdinRequest {
            data: words.stdin.clone().into_bytes().into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "SignalExecution" => v1::SignalExecutionRequest {
            signal: 9,
            ..Default::default()
        }
        .encode_to_vec(),
        "ResizeTerminal" => v1::ResizeTerminalRequest {
            rows: 24,
            cols: 80,
            ..Default::default()
        }
        .encode_to_vec(),
        _ => return None,
    })
}

fn file(rpc: &str, words: &Words) -> Option<Vec<u8>> {
    let path = || "/workspace/a".to_owned();
    let data = || words.content.clone().into_bytes().into();
    Some(match rpc {
        "ReadFile" | "StatFile" | "MakeDirectory" | "RemoveFile" => v1::StatFileRequest {
            path: path(),
            ..Default::default()
        }
        .encode_to_vec(),
        "ListDirectory" | "DownloadArchive" => Vec::new(),
        "MoveFile" => v1::MoveFileRequest {
            path: path(),
            new_path: "/workspace/b".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        "WriteFile" => v1::WriteFileRequest {
            open: Some(v1::WriteFileOpen {
                path: path(),
                ..Default::default()
            }),
            data: data(),
            ..Default::default()
        }
        .encode_to_vec(),
        "UploadArchive" => v1::UploadArchiveRequest {
            open: Some(v1::UploadArchiveOpen::default()),
            data: data(),
            ..Default::default()
        }
        .encode_to_vec(),
        _ => return None,
    })
}

fn session_file(rpc: &str, words: &Words) -> Option<Vec<u8>> {
    let path = || "a".to_owned();
    let files = || {
        vec![v1::FileTransfer {
            session_path: path(),
            sandbox_path: "/workspace/a".to_owned(),
        }]
    };
    Some(match rpc {
        "ReadSessionFile" | "StatSessionFile" => v1::StatSessionFileRequest {
            path: path(),
            ..Default::default()
        }
        .encode_to_vec(),
        "ListSessionFiles" => Vec::new(),
        "DeleteSessionFile" => v1::DeleteSessionFileRequest {
            path: path(),
            ..Default::default()
        }
        .encode_to_vec(),
        "WriteSessionFile" => v1::WriteSessionFileRequest {
            open: Some(v1::WriteSessionFileOpen {
                path: path(),
                ..Default::default()
            }),
            data: words.content.clone().into_bytes().into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "UploadToSandbox" | "DownloadFromSandbox" => v1::UploadToSandboxRequest {
            files: files(),
            ..Default::default()
        }
        .encode_to_vec(),
        "DownloadWorkspace" => v1::DownloadWorkspaceRequest {
            sandbox_path: "/workspace".to_owned(),
            session_path: path(),
            ..Default::default()
        }
        .encode_to_vec(),
        _ => return None,
    })
}

/// Sandboxes, and what stands in them.
fn place(rpc: &str, words: &Words) -> Option<Vec<u8>> {
    Some(match rpc {
        "CreateSandbox" => v1::CreateSandboxRequest {
            spec: Some(words.spec()),
            alias: words.alias.clone(),
            ..Default::default()
        }
        .encode_to_vec(),
        "GetSandbox" | "ListSandboxes" | "StartSandbox" | "StopSandbox" | "PauseSandbox"
        | "ResumeSandbox" | "RenewSandbox" | "DeleteSandbox" | "GetCapabilities" | "ListPorts" => {
            Vec::new()
        }
        "GetSandboxLogs" => v1::GetSandboxLogsRequest {
            source: v1::LogSource::Executions.into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "CloneRepository" => v1::CloneRepositoryRequest {
            repository: "octocat/hello".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        "ConfigureGitCredentials" => Vec::new(),
        "ExposePort" | "UnexposePort" => v1::ExposePortRequest {
            port: 8080,
            ..Default::default()
        }
        .encode_to_vec(),
        _ => return None,
    })
}

fn session(rpc: &str, words: &Words) -> Option<Vec<u8>> {
    let name = || match words.secret_name.as_str() {
        "" => "TOKEN".to_owned(),
        name => name.to_owned(),
    };
    Some(match rpc {
        "CreateSession" => v1::CreateSessionRequest {
            title: words.title.clone(),
            default_sandbox: Some(words.spec()),
            ..Default::default()
        }
        .encode_to_vec(),
        "UpdateSession" => v1::UpdateSessionRequest {
            title: words.title.clone(),
            ..Default::default()
        }
        .encode_to_vec(),
        "GetSession" | "ListSessions" | "DeleteSession" | "WatchSession" | "ListSecrets"
        | "ListTools" => Vec::new(),
        "SetSecret" => v1::SetSecretRequest {
            name: name(),
            value: words.secret.clone().into_bytes().into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "DeleteSecret" => v1::DeleteSecretRequest {
            name: name(),
            ..Default::default()
        }
        .encode_to_vec(),
        "CallTool" => v1::CallToolRequest {
            name: "no_such_tool".to_owned(),
            ..Default::default()
        }
        .encode_to_vec(),
        _ => return None,
    })
}

/// What belongs to users and organisations, and what belongs to nobody.
fn user(rpc: &str, words: &Words) -> Option<Vec<u8>> {
    let provider = || "github".to_owned();
    Some(match rpc {
        "SetConnection" => v1::SetConnectionRequest {
            provider: provider(),
            api_key: words.connection.clone(),
            skip_validation: true,
            ..Default::default()
        }
        .encode_to_vec(),
        "GetConnection" => v1::GetConnectionRequest {
            provider: provider(),
            ..Default::default()
        }
        .encode_to_vec(),
        "DeleteConnection" => v1::DeleteConnectionRequest {
            provider: provider(),
            ..Default::default()
        }
        .encode_to_vec(),
        "GetProvider" => v1::GetProviderRequest {
            provider: "fake".to_owned(),
        }
        .encode_to_vec(),
        "ReconcileProvider" => v1::ReconcileProviderRequest {
            provider: "fake".to_owned(),
            dry_run: true,
            ..Default::default()
        }
        .encode_to_vec(),
        "IssueApiKey" => v1::IssueApiKeyRequest {
            title: words.title.clone(),
            expire_time: Some(Timestamp {
                seconds: 4_000_000_000,
                nanos: 0,
            }),
            ..Default::default()
        }
        .encode_to_vec(),
        "ListConnections" | "ListProviders" | "ListAuditEvents" | "RotateKeys" | "RevokeApiKey"
        | "ListApiKeys" => Vec::new(),
        _ => return None,
    })
}

fn agent(rpc: &str, words: &Words) -> Option<Vec<u8>> {
    Some(match rpc {
        "CreateAgent" => v1::CreateAgentRequest {
            title: words.title.clone(),
            default_sandbox: Some(words.spec()),
            ..Default::default()
        }
        .encode_to_vec(),
        "UpdateAgent" => v1::UpdateAgentRequest {
            title: words.title.clone(),
            ..Default::default()
        }
        .encode_to_vec(),
        "GetAgent" | "ListAgents" | "DeleteAgent" => Vec::new(),
        _ => return None,
    })
}
