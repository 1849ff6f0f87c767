//! What these tests stand on: a provider of real sandboxes, gateways, and the calls about files.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use futures::stream;
use sandgate_proto::v1::{
    self, FileTransfer, SessionFileInfo, WriteSessionFileOpen, WriteSessionFileRequest,
    download_from_sandbox_response as download, download_workspace_response as workspace,
    file_service_client::FileServiceClient, read_file_response, read_session_file_response,
    session_file_service_client::SessionFileServiceClient, upload_to_sandbox_response as upload,
};
use sandgate_system::{Binary, Client, Plan, gateway_as, kill_sandboxes};
use tempfile::TempDir;
use tonic::{Status, transport::Channel};

/// The local provider as a program of its own.
pub(crate) struct Local {
    pub(crate) binary: Binary,
    data: TempDir,
}

impl Drop for Local {
    fn drop(&mut self) {
        kill_sandboxes(self.data.path());
    }
}

impl Local {
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_str().unwrap();
        let arguments = ["--listen", "127.0.0.1:0", "--data-dir", folder];
        Self {
            binary: Binary::start("sandgate-provider-local", &arguments).await,
            data,
        }
    }

    /// The working directory of a sandbox.
    pub(crate) fn workspace(&self, sandbox_id: &str) -> PathBuf {
        self.data
            .path()
            .join("local")
            .join(sandbox_id)
            .join("workspace")
    }
}

/// The gateway as a program of its own, with the local provider.
pub(crate) async fn gateway(provider: SocketAddr, data: &Path) -> Binary {
    gateway_of("local", provider, data).await
}

/// The same with a provider of this id.
pub(crate) async fn gateway_of(id: &str, provider: SocketAddr, data: &Path) -> Binary {
    gateway_to(&format!("{id}=http://{provider}"), data).await
}

/// The same with these providers.
pub(crate) async fn gateway_to(providers: &str, data: &Path) -> Binary {
    let data = data.to_str().unwrap();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--drain-seconds",
        "1",
        "--providers",
        providers,
        "--data-dir",
        data,
    ];
    Binary::start_with("sandgate-gateway", &arguments, &[], Stdio::inherit()).await
}

/// A session of a gateway, and its files.
#[derive(Clone)]
pub(crate) struct Storage {
    pub(crate) client: Client,
    pub(crate) session_id: String,
}

/// A gateway without sandboxes; what it runs on.
pub(crate) async fn alone(plan: Plan) -> (Storage, sandgate_gateway::Running, TempDir) {
    let (running, data) = gateway_as(plan, "local", ([127, 0, 0, 1], 1).into()).await;
    (Storage::at(running.address()).await, running, data)
}

/// A gateway with the local provider.
pub(crate) async fn whole(plan: Plan) -> (Storage, Local, (sandgate_gateway::Running, TempDir)) {
    let local = Local::start().await;
    let (running, data) = gateway_as(plan, "local", local.binary.address()).await;
    let storage = Storage::at(running.address()).await;
    (storage, local, (running, data))
}

impl Storage {
    pub(crate) async fn at(address: SocketAddr) -> Self {
        let client = Client::connect(address).await;
        let session_id = client.session().await;
        Self { client, session_id }
    }

    /// The same session by another gateway.
    pub(crate) async fn by(&self, address: SocketAddr) -> Self {
        Self {
            client: Client::connect(address).await,
            session_id: self.session_id.clone(),
        }
    }

    pub(crate) fn service(&self) -> SessionFileServiceClient<Channel> {
        self.client.session_files()
    }

    pub(crate) fn in_sandbox(&self) -> FileServiceClient<Channel> {
        FileServiceClient::new(self.client.channel.clone())
    }

    pub(crate) async fn sandbox(&self) -> String {
        self.client.sandbox(&self.session_id).await
    }

    pub(crate) async fn put(&self, path: &str, content: &[u8]) -> SessionFileInfo {
        self.write(open(path), content).await.unwrap()
    }

    pub(crate) async fn write(
        &self,
        open: WriteSessionFileOpen,
        content: &[u8],
    ) -> Result<SessionFileInfo, Status> {
        let first = self.first(open);
        let rest: Vec<_> = content.chunks(1 << 20).map(data).collect();
        let stream = stream::iter([first].into_iter().chain(rest));
        let written = self.service().write_session_file(stream).await?;
        Ok(written.into_inner().info.unwrap())
    }

    pub(crate) fn first(&self, open: WriteSessionFileOpen) -> WriteSessionFileRequest {
        WriteSessionFileRequest {
            session_id: self.session_id.clone(),
            open: Some(open),
            ..Default::default()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Vec<u8>, Status> {
        let request = v1::ReadSessionFileRequest {
            session_id: self.session_id.clone(),
            path: path.to_owned(),
            ..Default::default()
        };
        let mut stream = self
            .service()
            .read_session_file(request)
            .await?
            .into_inner();
        let (mut content, mut end) = (Vec::new(), None);
        while let Some(message) = stream.message().await? {
            match message.event.unwrap() {
                read_session_file_response::Event::Info(info) => {
                    assert_eq!(info.path, format!("/{}", path.trim_start_matches('/')));
                }
                read_session_file_response::Event::Chunk(chunk) => {
                    assert_eq!(chunk.offset, content.len() as u64);
                    content.extend_from_slice(&chunk.data);
                }
                read_session_file_response::Event::End(last) => end = Some(last),
            }
        }
        assert_eq!(end.expect("no end").bytes, content.len() as u64);
        Ok(content)
    }

    /// A part of a file.
    pub(crate) async fn range(&self, path: &str, offset: u64, limit: u64) -> Vec<u8> {
        let request = v1::ReadSessionFileRequest {
            session_id: self.session_id.clone(),
            path: path.to_owned(),
            offset,
            limit: Some(limit),
            ..Default::default()
        };
        let read = self.service().read_session_file(request).await.unwrap();
        let (mut stream, mut content) = (read.into_inner(), Vec::new());
        while let Some(message) = stream.message().await.unwrap() {
            if let Some(read_session_file_response::Event::Chunk(chunk)) = message.event {
                content.extend_from_slice(&chunk.data);
            }
        }
        content
    }

    pub(crate) async fn stat(&self, path: &str) -> Result<SessionFileInfo, Status> {
        let request = v1::StatSessionFileRequest {
            session_id: self.session_id.clone(),
            path: path.to_owned(),
        };
        let found = self.service().stat_session_file(request).await?;
        Ok(found.into_inner().info.unwrap())
    }

    /// Paths of all files and directories.
    pub(crate) async fn paths(&self) -> Vec<String> {
        let request = v1::ListSessionFilesRequest {
            session_id: self.session_id.clone(),
            depth: 64,
            page_size: 1000,
            ..Default::default()
        };
        let listed = self.service().list_session_files(request).await.unwrap();
        let entries = listed.into_inner().entries.into_iter();
        entries.map(|entry| entry.path).collect()
    }

    /// A file of a sandbox.
    pub(crate) async fn get_from(&self, sandbox_id: &str, path: &str) -> Result<Vec<u8>, Status> {
        let request = v1::ReadFileRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            path: path.to_owned(),
            ..Default::default()
        };
        let mut stream = self.in_sandbox().read_file(request).await?.into_inner();
        let mut content = Vec::new();
        while let Some(message) = stream.message().await? {
            if let Some(read_file_response::Event::Chunk(chunk)) = message.event {
                content.extend_from_slice(&chunk.data);
            }
        }
        Ok(content)
    }

    pub(crate) async fn run(&self, sandbox_id: &str, command: &str) {
        let done = self
            .client
            .exec(&self.session_id, sandbox_id, command)
            .await;
        assert_eq!(done.unwrap().exit_code(), Some(0), "{command}");
    }

    pub(crate) fn upload(
        &self,
        sandbox_id: &str,
        request_id: &str,
        files: &[(&str, &str)],
    ) -> v1::UploadToSandboxRequest {
        v1::UploadToSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            request_id: request_id.to_owned(),
            files: transfers(files),
        }
    }

    /// Uploads to the end.
    pub(crate) async fn uploaded(
        &self,
        request: v1::UploadToSandboxRequest,
    ) -> Result<v1::TransferResult, Status> {
        let mut stream = self
            .service()
            .upload_to_sandbox(request)
            .await?
            .into_inner();
        let mut result = None;
        while let Some(message) = stream.message().await? {
            assert!(result.is_none(), "something after the result");
            if let Some(upload::Event::Result(last)) = message.event {
                result = Some(last);
            }
        }
        Ok(result.expect("a clean end without a result"))
    }

    /// Downloads to the end.
    pub(crate) async fn downloaded(
        &self,
        sandbox_id: &str,
        request_id: &str,
        files: &[(&str, &str)],
    ) -> Result<v1::TransferResult, Status> {
        let request = v1::DownloadFromSandboxRequest {
            session_id: self.session_id.clone(),
            sandbox_id: sandbox_id.to_owned(),
            request_id: request_id.to_owned(),
            files: transfers(files),
        };
        let mut stream = self
            .service()
            .download_from_sandbox(request)
            .await?
            .into_inner();
        let mut result = None;
        while let Some(message) = stream.message().await? {
            assert!(result.is_none(), "something after the result");
            if let Some(download::Event::Result(last)) = message.event {
                result = Some(last);
            }
        }
        Ok(result.expect("a clean end without a result"))
    }

    /// Downloads a directory to the end.
    pub(crate) async fn workspace(
        &self,
        request: v1::DownloadWorkspaceRequest,
    ) -> Result<v1::WorkspaceResult, Status> {
        let mut stream = self
            .service()
            .download_workspace(request)
            .await?
            .into_inner();
        let mut result = None;
        while let Some(message) = stream.message().await? {
            assert!(result.is_none(), "something after the result");
            if let Some(workspace::Event::Result(last)) = message.event {
                result = Some(last);
            }
        }
        Ok(result.expect("a clean end without a result"))
    }
}

pub(crate) fn open(path: &str) -> WriteSessionFileOpen {
    WriteSessionFileOpen {
        path: path.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn data(data: &[u8]) -> WriteSessionFileRequest {
    WriteSessionFileRequest {
        data: data.to_vec().into(),
        ..Default::default()
    }
}

pub(crate) fn transfers(files: &[(&str, &str)]) -> Vec<FileTransfer> {
    let transfer = |(session_path, sandbox_path): &(&str, &str)| FileTransfer {
        session_path: (*session_path).to_owned(),
        sandbox_path: (*sandbox_path).to_owned(),
    };
    files.iter().map(transfer).collect()
}

/// Bytes that do not repeat too soon.
pub(crate) fn content(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| (at * 31 + at / 253 + at / 65_521) as u8)
        .collect()
}

/// The code of each file's error; empty: it was copied.
pub(crate) fn codes(result: &v1::TransferResult) -> Vec<&str> {
    let files = result.files.iter();
    files
        .map(|file| match &file.error {
            None => "",
            Some(error) => error.code.as_str(),
        })
        .collect()
}

/// Objects in the folder of a gateway's files.
pub(crate) fn objects(data: &Path) -> usize {
    let Ok(folders) = std::fs::read_dir(data.join("files")) else {
        return 0;
    };
    let inside = folders.map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count());
    inside.sum()
}
