//! Connections to ports of the sandbox, carried by a thread of their own: what flows there, and who
//! does not read it, is no matter of the engine's.

mod carrier;
mod dial;
mod flow;
mod pair;
mod watch;

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{SyncSender, sync_channel},
    },
    thread::Builder,
    time::{Duration, Instant},
};

use rustix::event::{EventfdFlags, eventfd};
use sandgate_runner_proto::v1::Refused;

use self::carrier::Carrier;
use crate::answer::refused;

/// Most connections at once.
const MOST: usize = 512;
/// Of the thread, in bytes.
const STACK: usize = 128 * 1024;

/// What is to be connected to what.
pub(crate) struct Ticket {
    /// The port of loopback.
    pub(crate) port: u16,
    /// The call that asks for it.
    pub(crate) call: u64,
    /// The provider's connection, which does not block.
    pub(crate) link: OwnedFd,
    /// What came on it behind the request.
    pub(crate) before: Vec<u8>,
}

/// What the thread tells the engine.
struct Told {
    /// Connections that it has, or will get.
    open: AtomicUsize,
    /// Milliseconds from `begun` to the last byte that came through, and one more; 0: none did.
    last: AtomicU64,
    begun: Instant,
}

impl Told {
    fn note(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last.store(elapsed + 1, Relaxed);
    }
}

/// The way to the thread, which is started for the first connection and lives as long as the runner.
pub(crate) struct Ports {
    told: Arc<Told>,
    thread: Mutex<Option<Thread>>,
}

struct Thread {
    inbox: SyncSender<Ticket>,
    bell: Arc<OwnedFd>,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            told: Arc::new(Told {
                open: AtomicUsize::new(0),
                last: AtomicU64::new(0),
                begun: Instant::now(),
            }),
            thread: Mutex::default(),
        }
    }
}

impl Ports {
    /// Whether one more can be taken.
    pub(crate) fn check_room(&self) -> Result<(), Refused> {
        if self.told.open.load(Relaxed) < MOST {
            return Ok(());
        }
        Err(refused(
            "TOO_MANY_CONNECTIONS",
            "512 connections to ports are open; close some",
        ))
    }

    /// Has it connected; whoever asked is answered on its own connection.
    pub(crate) fn take(&self, ticket: Ticket) -> io::Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            *thread = Some(start(&self.told)?);
        }
        let Some(Thread { inbox, bell }) = &*thread else {
            return Err(io::ErrorKind::NotFound.into());
        };
        self.told.open.fetch_add(1, Relaxed);
        if inbox.try_send(ticket).is_err() {
            self.told.open.fetch_sub(1, Relaxed);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // Fails only at its highest count, and then it rings already.
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
        Ok(())
    }

    /// When the last byte came through; none: none did.
    pub(crate) fn last_activity(&self) -> Option<Instant> {
        let last = self.told.last.load(Relaxed).checked_sub(1)?;
        self.told.begun.checked_add(Duration::from_millis(last))
    }
}

fn start(told: &Arc<Told>) -> io::Result<Thread> {
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (inbox, tickets) = sync_channel(MOST);
    let mut carrier = Carrier::new(tickets, Arc::clone(&bell), Arc::clone(told))?;
    Builder::new()
        .name("ports".into())
        .stack_size(STACK)
        .spawn(move || while carrier.turn().is_ok() {})?;
    Ok(Thread { inbox, bell })
}
