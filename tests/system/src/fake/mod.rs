//! A provider that does what a test tells it, and records what it was asked.

mod provider;
mod runner;
mod upstream;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sandgate_kit::{CallContext, Instance, Kind, ProviderError, Spec};
use sandgate_runner_proto::v1::Start as StartFrame;
use secrecy::ExposeSecret as _;
use tokio::{runtime::Handle, sync::watch, time::sleep};

use self::runner::{Counters, Runner};

/// The calls of a provider, and `Exec`: a start that came to the runner in a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named like the methods of the trait")]
pub enum Op {
    Capabilities,
    Health,
    Create,
    Get,
    List,
    Start,
    Stop,
    Pause,
    Resume,
    Renew,
    Delete,
    Reach,
    Exec,
}

/// What a call does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Works, after this time.
    Work(Duration),
    /// Fails.
    Fail(Kind),
    /// Waits until it is told something else.
    Hang,
}

/// A call that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which.
    pub op: Op,
    /// What it came with; on `Exec`, what the link was made with.
    pub context: CallContext,
    /// The state in that context.
    pub state: Vec<u8>,
    /// What was to be started, on `Exec`.
    pub start: Option<StartFrame>,
    /// The spec, on `Create`.
    pub spec: Option<Spec>,
    /// How long the upstream shall keep it at least, on `Renew`.
    pub keep_for: Option<Duration>,
    /// Whether memory was to be written to disk, on `Pause`.
    pub hibernate: bool,
}

impl Call {
    fn of(op: Op, context: &CallContext) -> Self {
        Self {
            op,
            context: context.clone(),
            state: context.state.expose_secret().to_vec(),
            start: None,
            spec: None,
            keep_for: None,
            hibernate: false,
        }
    }

    /// The key that it came with.
    pub fn key(&self) -> Option<&str> {
        let (_, key) = self.context.credential.as_ref()?;
        Some(key.expose_secret())
    }
}

/// The provider. Clones are the same one.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

struct Inner {
    acts: watch::Sender<HashMap<Op, Act>>,
    calls: Mutex<Vec<Call>>,
    pending: Mutex<HashMap<Op, usize>>,
    /// How often those that hung were let go.
    freed: Mutex<HashMap<Op, usize>>,
    sandboxes: Mutex<BTreeMap<String, Instance>>,
    /// How the state of each new sandbox begins; it grows by a letter with every change.
    state: Mutex<Vec<u8>>,
    /// Keys that are not taken.
    refused: Mutex<Vec<String>>,
    can_pause: AtomicBool,
    runners: Mutex<HashMap<String, Arc<Runner>>>,
    counters: Arc<Counters>,
    /// What runs in sandboxes outlives the provider's own tasks.
    runtime: Handle,
}

impl Default for Fake {
    fn default() -> Self {
        Self(Arc::new(Inner {
            runtime: Handle::current(),
            runners: Mutex::default(),
            acts: watch::Sender::default(),
            calls: Mutex::default(),
            pending: Mutex::default(),
            freed: Mutex::default(),
            sandboxes: Mutex::default(),
            state: Mutex::default(),
            refused: Mutex::default(),
            can_pause: AtomicBool::default(),
            counters: Arc::default(),
        }))
    }
}

impl Fake {
    /// Its id.
    pub const ID: &'static str = "fake";

    /// Says what these calls do from now on, those that hang included.
    pub fn set(&self, op: Op, act: Act) {
        self.0.acts.send_modify(|acts| {
            acts.insert(op, act);
        });
    }

    /// Lets those that hang now work, and none that come later.
    pub fn once(&self, op: Op) {
        *self.0.freed.lock().unwrap().entry(op).or_default() += 1;
        self.0.acts.send_modify(|_| {});
    }

    /// Lets these calls work again.
    pub fn mend(&self, op: Op) {
        self.set(op, Act::Work(Duration::ZERO));
    }

    /// The state of sandboxes made from now on begins like this.
    pub fn state(&self, text: &str) {
        text.as_bytes()
            .clone_into(&mut self.0.state.lock().unwrap());
    }

    /// Takes this key no more.
    pub fn refuse(&self, key: &str) {
        self.0.refused.lock().unwrap().push(key.to_owned());
    }

    /// The calls of one kind so far.
    pub fn calls(&self, op: Op) -> Vec<Call> {
        let calls = self.0.calls.lock().unwrap();
        calls.iter().filter(|call| call.op == op).cloned().collect()
    }

    /// Counts all calls anew.
    pub fn forget_calls(&self) {
        self.0.calls.lock().unwrap().clear();
    }

    /// How many calls of this kind have come so far.
    pub fn count(&self, op: Op) -> usize {
        self.calls(op).len()
    }

    /// How many calls of this kind have come and are not answered; a dropped call is none.
    pub fn pending(&self, op: Op) -> usize {
        self.0
            .pending
            .lock()
            .unwrap()
            .get(&op)
            .copied()
            .unwrap_or_default()
    }

    /// Bytes of output that were sent to readers.
    pub fn sent(&self) -> u64 {
        self.0.counters.sent.load(Ordering::SeqCst)
    }

    /// Outputs that commands wrote, read or not.
    pub fn outputs(&self) -> u64 {
        self.0.counters.outputs.load(Ordering::SeqCst)
    }

    /// Commands that run.
    pub fn live(&self) -> usize {
        self.0.counters.live.load(Ordering::SeqCst)
    }

    /// Commands that were cancelled or got a signal.
    pub fn kills(&self) -> usize {
        self.0.counters.kills.load(Ordering::SeqCst)
    }

    /// Pauses sandboxes from now on, or does not.
    pub fn can_pause(&self, can: bool) {
        self.0.can_pause.store(can, Ordering::SeqCst);
    }

    async fn act(&self, op: Op, context: Option<&CallContext>) -> Result<(), ProviderError> {
        if let Some(context) = context {
            self.record(Call::of(op, context));
        }
        self.answer(op, context).await
    }

    async fn answer(&self, op: Op, context: Option<&CallContext>) -> Result<(), ProviderError> {
        let credential = context.and_then(|context| context.credential.as_ref());
        let refused = |key: &str| self.0.refused.lock().unwrap().iter().any(|one| one == key);
        if credential.is_some_and(|(_, key)| refused(key.expose_secret())) {
            let kind = Kind::CredentialRejected;
            return Err(ProviderError::new(kind, "the key is not taken any more"));
        }
        self.obey(op).await
    }

    fn record(&self, call: Call) {
        self.0.calls.lock().unwrap().push(call);
    }

    async fn obey(&self, op: Op) -> Result<(), ProviderError> {
        let _pending = Pending::new(self.clone(), op);
        let mut acts = self.0.acts.subscribe();
        let freed = || self.0.freed.lock().unwrap().get(&op).copied();
        let before = freed();
        loop {
            let act = acts.borrow_and_update().get(&op).cloned();
            match act {
                None => return Ok(()),
                Some(Act::Work(time)) => {
                    sleep(time).await;
                    return Ok(());
                }
                Some(Act::Fail(kind)) => {
                    return Err(ProviderError::new(kind, "the script of the test says so"));
                }
                Some(Act::Hang) if freed() != before => return Ok(()),
                Some(Act::Hang) => {
                    let _ = acts.changed().await;
                }
            }
        }
    }
}

struct Pending(Fake, Op);

impl Pending {
    fn new(fake: Fake, op: Op) -> Self {
        *fake.0.pending.lock().unwrap().entry(op).or_default() += 1;
        Self(fake, op)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Self(fake, op) = self;
        *fake.0.pending.lock().unwrap().entry(*op).or_default() -= 1;
    }
}
