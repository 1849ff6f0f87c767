//! Where the events of one process go: to all who follow it at that time, and to nobody else.

use std::sync::Mutex;

use sandgate_e2b_envd::process::process_event::{DataEvent, EndEvent};
use tokio::sync::mpsc;

use crate::locks::lock;

/// Events that wait for one who follows. Beyond them the process waits.
const WAITING: usize = 16;

/// Something that a process does.
#[derive(Clone, Debug)]
pub(super) enum Happened {
    /// It printed.
    Data(DataEvent),
    /// It ended.
    End(EndEvent),
}

#[derive(Debug, Default)]
struct State {
    followers: Vec<mpsc::Sender<Happened>>,
    end: Option<EndEvent>,
}

/// The outlet of a process.
#[derive(Debug, Default)]
pub(super) struct Outlet(Mutex<State>);

impl Outlet {
    /// Follows from now on; where it has ended, the end is all that comes.
    pub(super) fn open(&self) -> mpsc::Receiver<Happened> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let mut state = lock(&self.0);
        match state.end.clone() {
            // There is room: it is the first.
            Some(end) => drop(sender.try_send(Happened::End(end))),
            None => state.followers.push(sender),
        }
        receiver
    }

    /// Whether it has ended.
    pub(super) fn ended(&self) -> bool {
        lock(&self.0).end.is_some()
    }

    /// Tells all who follow; waits for those who are slow.
    pub(super) async fn tell(&self, data: &DataEvent) {
        let followers = {
            let mut state = lock(&self.0);
            state.followers.retain(|follower| !follower.is_closed());
            state.followers.clone()
        };
        for follower in followers {
            // One that has gone meanwhile misses nothing.
            let _ = follower.send(Happened::Data(data.clone())).await;
        }
    }

    /// Tells the end, after all else.
    pub(super) async fn end(&self, end: EndEvent) {
        let followers = {
            let mut state = lock(&self.0);
            state.end = Some(end.clone());
            std::mem::take(&mut state.followers)
        };
        for follower in followers {
            let _ = follower.send(Happened::End(end.clone())).await;
        }
    }
}
