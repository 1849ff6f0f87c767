//! A caller that may talk to any gateway, and repeats what a kill cut off at another one.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tonic::{Response, Status, transport::Channel};

use super::answers::{Refusal, Verdict, judge};
use crate::{
    dice::Dice,
    failure::{Failure, Result, broken},
    tally::Tally,
};

/// For one attempt: what a gateway that was killed had begun may have to be waited for.
const ATTEMPT: Duration = Duration::from_secs(150);
/// For all attempts of a call together.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Longest time, in milliseconds, between attempts.
const PAUSE: u64 = 120;

/// Clones share connections and figures, and roll the same dice.
#[derive(Clone)]
pub(crate) struct Caller {
    gates: Arc<[Channel]>,
    dice: Arc<Mutex<Dice>>,
    pub(crate) tally: Arc<Tally>,
    /// Where the first attempt of a call goes; unset: anywhere.
    first: Option<usize>,
}

impl Caller {
    /// A caller of these gateways.
    pub(crate) fn new(gates: Arc<[Channel]>, dice: Dice, tally: Arc<Tally>) -> Self {
        Self {
            gates,
            dice: Arc::new(Mutex::new(dice)),
            tally,
            first: None,
        }
    }

    /// The same one; its calls go to this gateway first.
    pub(crate) fn at(&self, first: usize) -> Self {
        Self {
            first: Some(first % self.gates.len()),
            ..self.clone()
        }
    }

    /// Rolls the dice.
    pub(crate) fn roll<T>(&self, roll: impl FnOnce(&mut Dice) -> T) -> T {
        roll(&mut self.dice.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The gateway of a first attempt.
    pub(crate) fn gate(&self) -> usize {
        let any = || self.roll(|dice| dice.below(self.gates.len() as u64));
        self.first
            .unwrap_or_else(|| usize::try_from(any()).unwrap_or_default())
    }

    /// The connection to a gateway.
    pub(crate) fn channel(&self, gate: usize) -> Channel {
        self.gates[gate % self.gates.len()].clone()
    }

    /// Makes a call that is safe to repeat until it is answered; a refusal is an answer too.
    /// `changing` says whether another call changes the sandbox just now.
    pub(crate) async fn ask<Q, A, C>(
        &self,
        rpc: &str,
        request: Q,
        changing: impl Fn() -> bool,
        call: impl Fn(Channel, Q) -> C,
    ) -> Result<std::result::Result<A, Refusal>>
    where
        Q: Clone,
        C: Future<Output = std::result::Result<Response<A>, Status>>,
    {
        let begin = Instant::now();
        let mut gate = self.gate();
        loop {
            // Looked at before and after: a change that ended meanwhile explains the answer too.
            let was_changing = changing();
            // Boxed: each call's future is large, and they lie in one another.
            let call = Box::pin(call(self.channel(gate), request.clone()));
            let answer = timeout(ATTEMPT, call).await;
            let status = match answer {
                Err(_) => return broken(format!("{rpc} gave no answer within {ATTEMPT:?}")),
                Ok(Ok(answer)) => {
                    self.answered(begin);
                    return Ok(Ok(answer.into_inner()));
                }
                Ok(Err(status)) => status,
            };
            match judge(rpc, &status, was_changing || changing())? {
                Verdict::Refused(refusal) => {
                    self.answered(begin);
                    return Ok(Err(refusal));
                }
                Verdict::Repeat(why) => {
                    let again = self.again(rpc, &why, begin).await;
                    again.map_err(|failure| failure.at(status.message()))?;
                }
            }
            gate += 1;
        }
    }

    /// The same, where a refusal is a broken rule.
    pub(crate) async fn call<Q, A, C>(
        &self,
        rpc: &str,
        request: Q,
        call: impl Fn(Channel, Q) -> C,
    ) -> Result<A>
    where
        Q: Clone,
        C: Future<Output = std::result::Result<Response<A>, Status>>,
    {
        let answer = self.ask(rpc, request, || false, call).await?;
        answer.map_err(|refusal| Failure::Broken(refusal.text))
    }

    /// Counts what has to be repeated, and waits a little; fails if it takes too long.
    pub(crate) async fn again(&self, rpc: &str, why: &str, begin: Instant) -> Result<()> {
        *self.tally.add().repeats.entry(why.to_owned()).or_default() += 1;
        if begin.elapsed() > PATIENCE {
            return broken(format!("{rpc} still answers {why} after {PATIENCE:?}"));
        }
        sleep(self.roll(|dice| dice.pause(PAUSE))).await;
        Ok(())
    }

    fn answered(&self, begin: Instant) {
        let mut figures = self.tally.add();
        figures.life.calls += 1;
        figures.life.longest = figures.life.longest.max(begin.elapsed());
    }
}
