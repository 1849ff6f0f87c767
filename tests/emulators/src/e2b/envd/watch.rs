//! What changes in a folder.

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsStr,
    fs, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use sandgate_e2b_envd::filesystem::{EventType, FilesystemEvent};
use tokio::{io::unix::AsyncFd, task::AbortHandle};

use super::entry;
use crate::locks::lock;

/// Room for what the system tells at once, bytes.
const ROOM: usize = 16 * 1024;
/// Most that is gathered until it is asked for; beyond it the oldest are lost.
const MOST: usize = 100_000;

/// A folder that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    fd: AsyncFd<OwnedFd>,
    root: PathBuf,
    /// By the system's numbers.
    folders: BTreeMap<i32, PathBuf>,
    recursive: bool,
    entries: bool,
    ready: VecDeque<FilesystemEvent>,
}

impl Watch {
    /// Watches from now on; `entries`: events say what the file is like.
    ///
    /// # Errors
    /// Where the system does not.
    pub(super) fn new(root: &Path, recursive: bool, entries: bool) -> io::Result<Self> {
        let fd = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        #[allow(deprecated, reason = "the other one is unsafe; this fd is ours alone")]
        let fd = AsyncFd::new(fd)?;
        let mut watch = Self {
            fd,
            root: root.to_owned(),
            folders: BTreeMap::new(),
            recursive,
            entries,
            ready: VecDeque::new(),
        };
        watch.add(root)?;
        Ok(watch)
    }

    fn add(&mut self, folder: &Path) -> io::Result<()> {
        let what = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB;
        let number = add_watch(self.fd.get_ref(), folder, what)?;
        self.folders.insert(number, folder.to_owned());
        if self.recursive {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    self.add(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// The next change.
    ///
    /// # Errors
    /// Where the system tells no more.
    pub(super) async fn next(&mut self) -> io::Result<FilesystemEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            let mut told = Vec::new();
            let mut ready = self.fd.readable().await?;
            let read = ready.try_io(|fd| read(fd.get_ref(), &mut told));
            drop(ready);
            if let Ok(read) = read {
                read?;
            }
            for (number, flags, name) in told {
                self.take(number, flags, &name);
            }
        }
    }

    fn take(&mut self, number: i32, flags: ReadFlags, name: &OsStr) {
        let Some(folder) = self.folders.get(&number) else {
            return;
        };
        let path = folder.join(name);
        if self.recursive && flags.contains(ReadFlags::ISDIR) {
            let new = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            // One that is gone by now needs no watching.
            let _ = new.then(|| self.add(&path));
        }
        let kind = match flags {
            flags if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO) => {
                EventType::EVENT_TYPE_CREATE
            }
            flags if flags.contains(ReadFlags::MODIFY) => EventType::EVENT_TYPE_WRITE,
            flags if flags.contains(ReadFlags::DELETE) => EventType::EVENT_TYPE_REMOVE,
            flags if flags.contains(ReadFlags::MOVED_FROM) => EventType::EVENT_TYPE_RENAME,
            flags if flags.contains(ReadFlags::ATTRIB) => EventType::EVENT_TYPE_CHMOD,
            _ => return,
        };
        let name = path.strip_prefix(&self.root).unwrap_or(&path);
        let entry = self.entries.then(|| entry::look(&path).ok()).flatten();
        self.ready.push_back(FilesystemEvent {
            name: name.to_string_lossy().into_owned(),
            r#type: kind.into(),
            entry: entry.into(),
            ..FilesystemEvent::default()
        });
    }
}

/// A change as the system tells it: in which folder, what, and the name.
type Raw = (i32, ReadFlags, std::ffi::OsString);

fn read(fd: &OwnedFd, told: &mut Vec<Raw>) -> io::Result<()> {
    let mut room = vec![MaybeUninit::uninit(); ROOM];
    let mut reader = Reader::new(fd, &mut room);
    loop {
        let event = reader.next()?;
        let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
        told.push((
            event.wd(),
            event.events(),
            OsStr::from_bytes(name).to_owned(),
        ));
        if reader.is_buffer_empty() {
            return Ok(());
        }
    }
}

/// Changes that wait to be asked for. Dropped, no more are gathered.
#[derive(Debug)]
pub(super) struct Gathered {
    events: Arc<Mutex<VecDeque<FilesystemEvent>>>,
    task: AbortHandle,
}

impl Gathered {
    /// Begins.
    pub(super) fn begin(mut watch: Watch) -> Self {
        let events = Arc::new(Mutex::new(VecDeque::new()));
        let into = Arc::clone(&events);
        let task = tokio::spawn(async move {
            while let Ok(event) = watch.next().await {
                let mut events = lock(&into);
                if events.len() == MOST {
                    events.pop_front();
                }
                events.push_back(event);
            }
        });
        Self {
            events,
            task: task.abort_handle(),
        }
    }

    /// All since the last time.
    pub(super) fn take(&self) -> Vec<FilesystemEvent> {
        std::mem::take(&mut *lock(&self.events)).into()
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.task.abort();
    }
}
