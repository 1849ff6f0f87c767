//! A provider that does what a test tells it, and records what it was asked.

mod provider;
mod runner;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use sandgate_kit::{CallContext, Instance, Kind, ProviderError, Spec};
use sandgate_proto::v1::SandboxState;
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
}

impl Call {
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
    sandboxes: Mutex<BTreeMap<String, Instance>>,
    /// How the state of each new sandbox begins; it grows by a letter with every change.
    state: Mutex<Vec<u8>>,
    /// Keys that are not taken.
    refused: Mutex<Vec<String>>,
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
            sandboxes: Mutex::default(),
            state: Mutex::default(),
            refused: Mutex::default(),
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
        if let Some(runner) = self.0.runners.lock().unwrap().remove(sandbox_id) {
            runner.vanish();
        }
    }

    /// Breaks the links to a sandbox's runner; what runs there runs on.
    pub fn unlink(&self, sandbox_id: &str) {
        if let Some(runner) = self.0.runners.lock().unwrap().get(sandbox_id) {
            runner.unlink();
        }
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

    async fn act(&self, op: Op, context: Option<&CallContext>) -> Result<(), ProviderError> {
        self.record(op, context, None, None);
        let credential = context.and_then(|context| context.credential.as_ref());
        let refused = |key: &str| self.0.refused.lock().unwrap().iter().any(|one| one == key);
        if credential.is_some_and(|(_, key)| refused(key.expose_secret())) {
            let kind = Kind::CredentialRejected;
            return Err(ProviderError::new(kind, "the key is not taken any more"));
        }
        self.obey(op).await
    }

    fn record(
        &self,
        op: Op,
        context: Option<&CallContext>,
        start: Option<StartFrame>,
        spec: Option<Spec>,
    ) {
        if let Some(context) = context {
            let state = context.state.expose_secret().to_vec();
            let context = context.clone();
            let call = Call {
                op,
                context,
                state,
                start,
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
            let next = [&instance.state_data[..], b"s"].concat();
            instance.state_data = next.into();
        }
        Ok(instance.clone())
    }
}

impl Inner {
    /// A new life of the sandbox's runner, unless it has one.
    fn run(&self, instance: &Instance) {
        let made = || {
            let (id, generation) = (&instance.sandbox_id, instance.generation);
            let counters = self.counters.clone();
            Arc::new(Runner::new(id, generation, self.runtime.clone(), counters))
        };
        let mut runners = self.runners.lock().unwrap();
        runners
            .entry(instance.sandbox_id.clone())
            .or_insert_with(made);
    }

    fn end(&self, sandbox_id: &str, by: &str) {
        if let Some(runner) = self.runners.lock().unwrap().remove(sandbox_id) {
            runner.stop(by);
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
