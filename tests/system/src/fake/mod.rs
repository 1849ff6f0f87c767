//! A provider that does what a test tells it, and records what it was asked.

mod process;
mod provider;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use sandgate_kit::{CallContext, Command, Instance, Kind, ProviderError, Spec};
use sandgate_proto::v1::SandboxState;
use secrecy::ExposeSecret as _;
use tokio::{sync::watch, time::sleep};

use self::process::Counters;
pub use self::process::Scripted;

/// The calls of a provider.
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
    Delete,
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
    /// What it came with.
    pub context: CallContext,
    /// The state in that context.
    pub state: Vec<u8>,
    /// The command, on `Exec`.
    pub command: Option<Command>,
    /// The spec, on `Create`.
    pub spec: Option<Spec>,
}

/// The provider. Clones are the same one.
#[derive(Clone)]
pub struct Fake(Arc<Inner>);

struct Inner {
    acts: watch::Sender<HashMap<Op, Act>>,
    calls: Mutex<Vec<Call>>,
    pending: Mutex<HashMap<Op, usize>>,
    sandboxes: Mutex<BTreeMap<String, Instance>>,
    counters: Arc<Counters>,
}

impl Default for Fake {
    fn default() -> Self {
        Self(Arc::new(Inner {
            acts: watch::Sender::default(),
            calls: Mutex::default(),
            pending: Mutex::default(),
            sandboxes: Mutex::default(),
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

    /// Lets these calls work again.
    pub fn mend(&self, op: Op) {
        self.set(op, Act::Work(Duration::ZERO));
    }

    /// The calls of one kind so far.
    pub fn calls(&self, op: Op) -> Vec<Call> {
        let calls = self.0.calls.lock().unwrap();
        calls.iter().filter(|call| call.op == op).cloned().collect()
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

    /// The ids of the sandboxes that are there.
    pub fn sandboxes(&self) -> Vec<String> {
        self.0.sandboxes.lock().unwrap().keys().cloned().collect()
    }

    /// Removes a sandbox behind everybody's back.
    pub fn lose(&self, sandbox_id: &str) {
        self.0.sandboxes.lock().unwrap().remove(sandbox_id);
    }

    /// Outputs that were read from commands.
    pub fn outputs(&self) -> u64 {
        self.0.counters.outputs.load(Ordering::SeqCst)
    }

    /// Commands that run.
    pub fn live(&self) -> usize {
        self.0.counters.live.load(Ordering::SeqCst)
    }

    /// Kills that were asked for.
    pub fn kills(&self) -> usize {
        self.0.counters.kills.load(Ordering::SeqCst)
    }

    async fn act(&self, op: Op, context: Option<&CallContext>) -> Result<(), ProviderError> {
        self.record(op, context, None, None);
        self.obey(op).await
    }

    fn record(
        &self,
        op: Op,
        context: Option<&CallContext>,
        command: Option<Command>,
        spec: Option<Spec>,
    ) {
        if let Some(context) = context {
            let state = context.state.expose_secret().to_vec();
            let context = context.clone();
            let call = Call {
                op,
                context,
                state,
                command,
                spec,
            };
            self.0.calls.lock().unwrap().push(call);
        }
    }

    async fn obey(&self, op: Op) -> Result<(), ProviderError> {
        let _pending = Pending::new(self.clone(), op);
        let mut acts = self.0.acts.subscribe();
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
                Some(Act::Hang) => {
                    let _ = acts.changed().await;
                }
            }
        }
    }

    fn change(
        &self,
        context: &CallContext,
        state: Option<SandboxState>,
    ) -> Result<Instance, ProviderError> {
        let mut sandboxes = self.0.sandboxes.lock().unwrap();
        let instance = sandboxes
            .get_mut(&context.sandbox_id)
            .ok_or_else(|| ProviderError::new(Kind::SandboxGone, "there is no such sandbox"))?;
        if let Some(state) = state {
            instance.state = state;
            let version = String::from_utf8_lossy(&instance.state_data).len();
            instance.state_data = vec![b's'; version + 1].into();
        }
        Ok(instance.clone())
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
