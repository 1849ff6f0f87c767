//! The service of files and folders.

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use connectrpc::{
    ConnectError, RequestContext, Response, ServiceRequest, ServiceResult, ServiceStream,
};
use futures::stream;
use rustix::io::Errno;
use sandgate_e2b_envd::filesystem::{
    CreateWatcherRequest, CreateWatcherResponse, EntryInfo, Filesystem, GetWatcherEventsRequest,
    GetWatcherEventsResponse, ListDirRequest, ListDirResponse, MakeDirRequest, MakeDirResponse,
    MoveRequest, MoveResponse, RemoveRequest, RemoveResponse, RemoveWatcherRequest,
    RemoveWatcherResponse, StatRequest, StatResponse, WatchDirRequest, WatchDirResponse,
    watch_dir_response::{Event, KeepAlive, StartEvent},
};
use tokio::time::timeout;

use super::{
    entry, paths,
    users::{self, User},
    watch::{Gathered, Watch},
};
use crate::locks::lock;

/// Seconds of silence after which a stream says that it lives.
const BEAT: u64 = 90;

/// The service.
#[derive(Debug, Default)]
pub(super) struct Files {
    watchers: Mutex<BTreeMap<String, Arc<Gathered>>>,
}

/// What is wrong with a path.
fn wrong(path: &Path, error: &io::Error) -> ConnectError {
    let said = format!("path '{}': {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => ConnectError::not_found(said),
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            ConnectError::failed_precondition(said)
        }
        io::ErrorKind::NotADirectory => ConnectError::invalid_argument(said),
        _ => ConnectError::internal(said),
    }
}

fn look(path: &Path) -> Result<EntryInfo, ConnectError> {
    entry::look(path).map_err(|error| wrong(path, &error))
}

/// A folder that is there, behind links.
fn folder(path: &Path) -> Result<(), ConnectError> {
    let seen = fs::metadata(path).map_err(|error| wrong(path, &error))?;
    if seen.is_dir() {
        return Ok(());
    }
    let said = format!("path is not a directory: {}", path.display());
    Err(ConnectError::invalid_argument(said))
}

fn list(folder: &Path, depth: u32, found: &mut Vec<EntryInfo>) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    names.sort_by_key(fs::DirEntry::file_name);
    for name in names {
        let path = name.path();
        match entry::look(&path) {
            Ok(entry) => found.push(entry),
            // It is gone by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        }
        if depth > 1 && name.file_type()?.is_dir() {
            list(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

/// Makes a folder and those above it.
fn make(path: &Path, user: &User) -> Result<(), ConnectError> {
    match fs::metadata(path) {
        Ok(seen) if seen.is_dir() => {
            let said = format!("directory already exists: {}", path.display());
            Err(ConnectError::already_exists(said))
        }
        Ok(_) => {
            let said = format!(
                "path already exists but it is not a directory: {}",
                path.display()
            );
            Err(ConnectError::invalid_argument(said))
        }
        Err(_) => paths::make(path, user).map_err(|error| wrong(path, &error)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(seen) if seen.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn watch(
    context: &RequestContext,
    path: &str,
    recursive: bool,
    entries: bool,
) -> Result<Watch, ConnectError> {
    let path = paths::resolve(path, &users::of(context)?);
    folder(&path)?;
    Watch::new(&path, recursive, entries).map_err(|error| wrong(&path, &error))
}

fn told(event: Event) -> WatchDirResponse {
    WatchDirResponse {
        event: Some(event),
        ..WatchDirResponse::default()
    }
}

impl Files {
    fn watcher(&self, id: &str) -> Result<Arc<Gathered>, ConnectError> {
        let found = lock(&self.watchers).get(id).cloned();
        found.ok_or_else(|| ConnectError::not_found(format!("watcher with id {id} not found")))
    }
}

#[allow(refining_impl_trait, reason = "the answers are no secret")]
impl Filesystem for Files {
    async fn stat(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, StatRequest>,
    ) -> ServiceResult<StatResponse> {
        let path = paths::resolve(request.path, &users::of(&context)?);
        Response::ok(StatResponse {
            entry: look(&path)?.into(),
            ..StatResponse::default()
        })
    }

    async fn make_dir(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, MakeDirRequest>,
    ) -> ServiceResult<MakeDirResponse> {
        let user = users::of(&context)?;
        let path = paths::resolve(request.path, &user);
        make(&path, &user)?;
        Response::ok(MakeDirResponse {
            entry: look(&path)?.into(),
            ..MakeDirResponse::default()
        })
    }

    async fn r#move(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, MoveRequest>,
    ) -> ServiceResult<MoveResponse> {
        let user = users::of(&context)?;
        let source = paths::resolve(request.source, &user);
        let destination = paths::resolve(request.destination, &user);
        look(&source)?;
        if let Some(parent) = destination.parent() {
            paths::make(parent, &user).map_err(|error| wrong(parent, &error))?;
        }
        fs::rename(&source, &destination).map_err(|error| wrong(&source, &error))?;
        Response::ok(MoveResponse {
            entry: look(&destination)?.into(),
            ..MoveResponse::default()
        })
    }

    async fn list_dir(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, ListDirRequest>,
    ) -> ServiceResult<ListDirResponse> {
        let path = paths::resolve(request.path, &users::of(&context)?);
        folder(&path)?;
        let mut entries = Vec::new();
        let listed = list(&path, request.depth.max(1), &mut entries);
        listed.map_err(|error| wrong(&path, &error))?;
        Response::ok(ListDirResponse {
            entries,
            ..ListDirResponse::default()
        })
    }

    async fn remove(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, RemoveRequest>,
    ) -> ServiceResult<RemoveResponse> {
        let path = paths::resolve(request.path, &users::of(&context)?);
        remove(&path).map_err(|error| wrong(&path, &error))?;
        Response::ok(RemoveResponse::default())
    }

    async fn watch_dir(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, WatchDirRequest>,
    ) -> ServiceResult<ServiceStream<WatchDirResponse>> {
        let watch = watch(
            &context,
            request.path,
            request.recursive,
            request.include_entry,
        )?;
        let header = context.header("keepalive-ping-interval");
        let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
        let beat = Duration::from_secs(seconds.unwrap_or(BEAT).max(1));
        let start = told(StartEvent::default().into());
        let events = stream::unfold((watch, Some(start)), move |(mut watch, start)| async move {
            let next = match start {
                Some(start) => Ok(start),
                None => match timeout(beat, watch.next()).await {
                    Ok(Ok(event)) => Ok(told(event.into())),
                    Ok(Err(error)) => Err(ConnectError::internal(error.to_string())),
                    Err(_) => Ok(told(KeepAlive::default().into())),
                },
            };
            Some((next, (watch, None)))
        });
        Ok(Response::stream(events))
    }

    async fn create_watcher(
        &self,
        context: RequestContext,
        request: ServiceRequest<'_, CreateWatcherRequest>,
    ) -> ServiceResult<CreateWatcherResponse> {
        let watch = watch(
            &context,
            request.path,
            request.recursive,
            request.include_entry,
        )?;
        let id = format!("w{}", crate::e2b::cloud::random(20));
        let gathered = Arc::new(Gathered::begin(watch));
        lock(&self.watchers).insert(id.clone(), gathered);
        Response::ok(CreateWatcherResponse {
            watcher_id: id,
            ..CreateWatcherResponse::default()
        })
    }

    async fn get_watcher_events(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, GetWatcherEventsRequest>,
    ) -> ServiceResult<GetWatcherEventsResponse> {
        let events = self.watcher(request.watcher_id)?.take();
        Response::ok(GetWatcherEventsResponse {
            events,
            ..GetWatcherEventsResponse::default()
        })
    }

    async fn remove_watcher(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, RemoveWatcherRequest>,
    ) -> ServiceResult<RemoveWatcherResponse> {
        self.watcher(request.watcher_id)?;
        lock(&self.watchers).remove(request.watcher_id);
        Response::ok(RemoveWatcherResponse::default())
    }
}
