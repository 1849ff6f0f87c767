//! The calls of FileService, each in one line.

use futures::stream;
use sandgate_proto::v1::{
    self, ArchiveSummary, DownloadArchiveRequest, FileInfo, ListDirectoryRequest,
    MakeDirectoryRequest, MoveFileRequest, ReadFileRequest, RemoveFileRequest, StatFileRequest,
    UploadArchiveOpen, UploadArchiveRequest, WriteFileOpen, WriteFileRequest, WriteFileResponse,
    download_archive_response, read_file_response,
};
use tonic::Status;

use crate::stand::Stand;

/// Bytes in a message of a stream.
const PART: usize = 100_000;

/// A file, or a range of it.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) info: FileInfo,
    pub(crate) bytes: Vec<u8>,
    /// etag at the end.
    pub(crate) etag: String,
}

impl Stand {
    /// Reads a file.
    pub(crate) async fn read(&self, path: &str) -> Result<Vec<u8>, Status> {
        let content = self.read_as(reading(path)).await?;
        Ok(content.bytes)
    }

    /// Reads as asked; checks the order and the offsets of what comes.
    pub(crate) async fn read_as(&self, mut request: ReadFileRequest) -> Result<Content, Status> {
        use read_file_response::Event;
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let begin = request.offset;
        let mut stream = self.files().read_file(request).await?.into_inner();
        let (mut info, mut bytes, mut end) = (None, Vec::new(), None);
        while let Some(message) = stream.message().await? {
            assert!(end.is_none(), "something after the end");
            match message.event.unwrap() {
                Event::Info(first) => assert!(info.replace(first).is_none()),
                Event::Chunk(chunk) => {
                    assert!(info.is_some() && (1..=65_536).contains(&chunk.data.len()));
                    assert_eq!(chunk.offset, begin + bytes.len() as u64);
                    bytes.extend_from_slice(&chunk.data);
                }
                Event::End(last) => end = Some(last),
            }
        }
        let end = end.expect("a clean end without `end`");
        assert_eq!(end.bytes, bytes.len() as u64);
        Ok(Content {
            info: info.unwrap(),
            bytes,
            etag: end.etag,
        })
    }

    /// Writes a file.
    pub(crate) async fn write(&self, path: &str, bytes: &[u8]) -> FileInfo {
        let written = self.write_as(writing(path), bytes).await.unwrap();
        written.info.unwrap()
    }

    /// Writes as asked, in messages of a part each.
    pub(crate) async fn write_as(
        &self,
        open: WriteFileOpen,
        bytes: &[u8],
    ) -> Result<WriteFileResponse, Status> {
        let mut messages = vec![self.first_write(open)];
        for part in bytes.chunks(PART) {
            messages.push(WriteFileRequest {
                data: part.to_vec().into(),
                ..WriteFileRequest::default()
            });
        }
        let answer = self.files().write_file(stream::iter(messages)).await?;
        Ok(answer.into_inner())
    }

    /// The first message of a write.
    pub(crate) fn first_write(&self, open: WriteFileOpen) -> WriteFileRequest {
        WriteFileRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            open: Some(open),
            ..WriteFileRequest::default()
        }
    }

    pub(crate) async fn stat(&self, path: &str) -> Result<FileInfo, Status> {
        let mut request = StatFileRequest {
            path: path.to_owned(),
            ..StatFileRequest::default()
        };
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let answer = self.files().stat_file(request).await?;
        Ok(answer.into_inner().info.unwrap())
    }

    /// One page.
    pub(crate) async fn page(
        &self,
        mut request: ListDirectoryRequest,
    ) -> Result<v1::ListDirectoryResponse, Status> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        Ok(self.files().list_directory(request).await?.into_inner())
    }

    /// All pages.
    pub(crate) async fn list(&self, path: &str, depth: u32) -> Vec<FileInfo> {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let asked = ListDirectoryRequest {
                path: path.to_owned(),
                depth,
                page_size: 1000,
                page_token,
                ..ListDirectoryRequest::default()
            };
            let page = self.page(asked).await.unwrap();
            all.extend(page.entries);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    }

    /// Names in a directory.
    pub(crate) async fn names(&self, path: &str) -> Vec<String> {
        let all = self.list(path, 1).await;
        all.into_iter().map(|info| info.name).collect()
    }

    pub(crate) async fn make(&self, mut request: MakeDirectoryRequest) -> Result<FileInfo, Status> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let answer = self.files().make_directory(request).await?;
        Ok(answer.into_inner().info.unwrap())
    }

    pub(crate) async fn remove(&self, mut request: RemoveFileRequest) -> Result<(), Status> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        self.files().remove_file(request).await.map(drop)
    }

    pub(crate) async fn rename(&self, mut request: MoveFileRequest) -> Result<FileInfo, Status> {
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let answer = self.files().move_file(request).await?;
        Ok(answer.into_inner().info.unwrap())
    }

    /// An archive and its summary.
    pub(crate) async fn download(
        &self,
        mut request: DownloadArchiveRequest,
    ) -> Result<(Vec<u8>, ArchiveSummary), Status> {
        use download_archive_response::Event;
        self.fill(&mut request.session_id, &mut request.sandbox_id);
        let mut stream = self.files().download_archive(request).await?.into_inner();
        let (mut bytes, mut summary) = (Vec::new(), None);
        while let Some(message) = stream.message().await? {
            assert!(summary.is_none(), "something after the summary");
            match message.event.unwrap() {
                Event::Data(data) => {
                    assert!((1..=65_536).contains(&data.len()));
                    bytes.extend_from_slice(&data);
                }
                Event::Summary(last) => summary = Some(last),
            }
        }
        Ok((bytes, summary.expect("a clean end without summary")))
    }

    /// Unpacks an archive below a directory.
    pub(crate) async fn upload(
        &self,
        path: &str,
        archive: &[u8],
    ) -> Result<ArchiveSummary, Status> {
        let open = UploadArchiveOpen {
            path: path.to_owned(),
            ..UploadArchiveOpen::default()
        };
        let mut messages = vec![UploadArchiveRequest {
            session_id: self.session_id.clone(),
            sandbox_id: self.sandbox_id.clone(),
            open: Some(open),
            ..UploadArchiveRequest::default()
        }];
        for part in archive.chunks(PART) {
            messages.push(UploadArchiveRequest {
                data: part.to_vec().into(),
                ..UploadArchiveRequest::default()
            });
        }
        let answer = self.files().upload_archive(stream::iter(messages)).await?;
        Ok(answer.into_inner().summary.unwrap())
    }

    fn fill(&self, session_id: &mut String, sandbox_id: &mut String) {
        session_id.clone_from(&self.session_id);
        sandbox_id.clone_from(&self.sandbox_id);
    }
}

/// All of a file.
pub(crate) fn reading(path: &str) -> ReadFileRequest {
    ReadFileRequest {
        path: path.to_owned(),
        ..ReadFileRequest::default()
    }
}

/// A plain write.
pub(crate) fn writing(path: &str) -> WriteFileOpen {
    WriteFileOpen {
        path: path.to_owned(),
        ..WriteFileOpen::default()
    }
}

/// An archive of one path.
pub(crate) fn packing(path: &str) -> DownloadArchiveRequest {
    DownloadArchiveRequest {
        paths: vec![path.to_owned()],
        ..DownloadArchiveRequest::default()
    }
}
