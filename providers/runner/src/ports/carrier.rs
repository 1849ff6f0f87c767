//! The thread's own loop.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc::Receiver},
    time::{Duration, Instant},
};

use super::{
    Ticket, Told,
    pair::{Next, Pair},
    watch::{Happened, Watch},
};

/// Read at once, in bytes; as much may be held of each direction of each connection.
const SCRATCH: usize = 32 * 1024;
/// How long what listens may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Between two looks at connections that are being made, and at the others.
const CONNECTING: Duration = Duration::from_secs(1);
const ROUND: Duration = Duration::from_secs(60);
/// Rounds without a byte that a connection may live. By rounds and not by the clock, which has jumped
/// when a frozen sandbox goes on.
const IDLE: u32 = 15;

/// All connections.
pub(super) struct Carrier {
    tickets: Receiver<Ticket>,
    bell: Arc<OwnedFd>,
    told: Arc<Told>,
    watch: Watch,
    pairs: HashMap<u64, Pair>,
    newest: u64,
    /// Those that want another turn.
    ready: VecDeque<u64>,
    scratch: Vec<u8>,
    round: Instant,
}

impl Carrier {
    pub(super) fn new(
        tickets: Receiver<Ticket>,
        bell: Arc<OwnedFd>,
        told: Arc<Told>,
    ) -> io::Result<Self> {
        let watch = Watch::new(&bell)?;
        Ok(Self {
            tickets,
            bell,
            told,
            watch,
            pairs: HashMap::new(),
            newest: 0,
            ready: VecDeque::new(),
            scratch: vec![0; SCRATCH],
            round: Instant::now(),
        })
    }

    /// Waits for whatever happens, and lets it happen.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        let timeout = if !self.ready.is_empty() {
            Some(Duration::ZERO)
        } else if self.pairs.values().any(|pair| !pair.is_connected()) {
            Some(CONNECTING)
        } else {
            (!self.pairs.is_empty()).then_some(ROUND)
        };
        for happened in self.watch.wait(timeout)? {
            match happened {
                Happened::Bell => self.begin(),
                Happened::Pair { number, is_left } => {
                    if let Some(pair) = self.pairs.get_mut(&number) {
                        pair.is_left |= is_left;
                        self.ready.push_back(number);
                    }
                }
            }
        }
        // Each has one turn; those that want another come behind all others.
        let mut numbers: Vec<u64> = self.ready.drain(..).collect();
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            self.serve(number);
        }
        self.look_around();
        Ok(())
    }

    fn begin(&mut self) {
        // Fails only when it did not ring.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        while let Ok(ticket) = self.tickets.try_recv() {
            let Some(pair) = Pair::begin(ticket) else {
                self.told.open.fetch_sub(1, Relaxed);
                continue;
            };
            self.newest += 1;
            let number = self.newest;
            let watched = self.watch.add(number, true, pair.link());
            let watched = watched.and_then(|()| self.watch.add(number, false, pair.port()));
            self.pairs.insert(number, pair);
            match watched {
                // What has happened already is told, too.
                Ok(()) => {}
                Err(_) => self.end(number),
            }
        }
    }

    fn serve(&mut self, number: u64) {
        let Some(pair) = self.pairs.get_mut(&number) else {
            return;
        };
        let (next, came) = pair.go_on(&mut self.scratch);
        if came {
            self.told.note();
        }
        match next {
            Next::Waits => {}
            Next::More => self.ready.push_back(number),
            Next::Again => {
                if self.watch.add(number, false, pair.port()).is_err() {
                    self.end(number);
                }
            }
            Next::Over => self.end(number),
        }
    }

    fn end(&mut self, number: u64) {
        if self.pairs.remove(&number).is_some() {
            self.told.open.fetch_sub(1, Relaxed);
        }
    }

    /// Ends what takes too long to be connected, and what nobody has used for long.
    fn look_around(&mut self) {
        let is_round = self.round.elapsed() >= ROUND;
        if is_round {
            self.round = Instant::now();
        }
        let mut over = Vec::new();
        for (number, pair) in &mut self.pairs {
            if is_round {
                pair.idle += 1;
            }
            let is_late = !pair.is_connected() && pair.begun.elapsed() > CONNECT;
            if is_late {
                pair.give_up();
            }
            if is_late || pair.idle > IDLE {
                over.push(*number);
            }
        }
        for number in over {
            self.end(number);
        }
    }
}
