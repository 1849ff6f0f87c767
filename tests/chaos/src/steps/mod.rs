//! Every step of create, stop and delete, once with a program that dies there and once with a call
//! that fails there. Who repeats the call gets what it asked for, and nothing is left.

mod play;
mod rig;
mod table;

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use futures::future::join_all;

pub use self::table::Table;
use self::{rig::Rig, table::Row};
use crate::{
    blow::PROVIDER,
    config::Options,
    failure::{Failure, Result},
};

/// Pairs of a gateway and a provider that play at once.
const LANES: usize = 4;

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The program ends, as if it was killed there.
    Crash,
    /// The call fails there.
    Error,
}

impl Action {
    /// As a program is told, and as the table shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Error => "error",
        }
    }
}

/// A step, and what happens there.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The step.
    pub step: &'static str,
    /// What happens there.
    pub action: Action,
    /// Why no call fails, where that is so by design.
    pub swallowed: Option<&'static str>,
    /// Nobody repeats the call: the gateway finishes it by itself.
    pub alone: bool,
}

impl Case {
    /// A case in which the call fails, is repeated, and nothing is left.
    pub fn new(step: &'static str, action: Action) -> Self {
        Self {
            step,
            action,
            swallowed: None,
            alone: false,
        }
    }

    /// Place of the program that has the step.
    fn place(&self) -> usize {
        if self.step.starts_with("gateway.") {
            PROVIDER + 1
        } else {
            PROVIDER
        }
    }

    /// Whether it is reached by the making of a sandbox ahead of its request, or by its use.
    fn needs_pool(&self) -> bool {
        [".pool.", ".take.", ".owned"]
            .iter()
            .any(|part| self.step.contains(part))
    }

    /// Whether it is reached without a call.
    pub fn is_in_background(&self) -> bool {
        self.step.contains(".pool.")
    }

    /// The variable FAILPOINTS.
    fn points(&self) -> String {
        let own = format!("{}=return({})", self.step, self.action.name());
        if self.step.starts_with("gateway.rollback.") {
            // Only a create that fails is taken back.
            return format!("gateway.create.made=return(error);{own}");
        }
        own
    }
}

/// Plays every case with programs that have failpoints.
///
/// # Errors
/// The first rule that was broken, or a step that was not reached, or why it could not go on.
pub async fn fail_at_each(
    options: &Options,
    cases: Vec<Case>,
) -> std::result::Result<Table, Failure> {
    let cases = Mutex::new(VecDeque::from(cases));
    let rows = Mutex::default();
    let mut rigs = Vec::new();
    for _ in 0..LANES {
        // One after the other, so that no two choose the same ports.
        rigs.push(Rig::start(options).await?);
    }
    let lanes = rigs.into_iter().map(|rig| lane(rig, &cases, &rows));
    // All of them: what is in the middle of a case is cleaned up, too.
    join_all(lanes).await.into_iter().collect::<Result<()>>()?;
    Ok(Table::new(
        rows.into_inner().unwrap_or_else(PoisonError::into_inner),
    ))
}

/// Plays one case after the other, and cleans up also after a failure.
async fn lane(mut rig: Rig, cases: &Mutex<VecDeque<Case>>, rows: &Mutex<Vec<Row>>) -> Result<()> {
    let left = || cases.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let next = left().pop_front();
        let Some(case) = next else {
            return rig.end().await;
        };
        match play::play(&mut rig, case).await {
            Ok(row) => rows
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(row),
            Err(failure) => {
                left().clear();
                let words = rig.last_words();
                // What is wrong is known; that it cannot be cleaned up says no more.
                let _ = rig.end().await;
                let place = format!("{} {}", case.step, case.action.name());
                return Err(failure.at(&place).above(&words));
            }
        }
    }
}
