//! Making a sandbox, in every way that a client may ask for one, until it runs or is known not to.

use std::collections::BTreeSet;

use sandgate_proto::{
    Reason,
    v1::{
        CreateSandboxRequest, CreateSandboxResponse, SandboxSpec, SandboxState,
        sandbox_service_client::SandboxServiceClient, sandbox_spec::Source,
    },
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{answers::Refusal, ask::Caller, house::House, stage::Stage};
use crate::failure::{Failure, Result, broken, ensure, same, some};

/// Latest delete in the midst of a create, in milliseconds.
const MIDST: u64 = 500;
/// How often a create that was taken back is asked for anew.
const TRIES: usize = 40;

/// How a create is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Once.
    Plain,
    /// By both gateways at once.
    Twin,
    /// With a delete in its midst.
    Cut,
}

/// Makes a sandbox; none if it was deleted meanwhile, or could not come up.
pub(crate) async fn make(
    stage: &Stage,
    caller: &Caller,
    session_id: &str,
) -> Result<Option<House>> {
    let way = caller.roll(|dice| {
        dice.pick([
            Way::Plain,
            Way::Plain,
            Way::Plain,
            Way::Twin,
            Way::Twin,
            Way::Cut,
        ])
    });
    let request = request(stage, caller, session_id, way == Way::Cut);
    count(
        caller,
        match way {
            Way::Plain => "asked once",
            Way::Twin => "asked twice at once",
            Way::Cut => "cut by a delete",
        },
    );
    if way == Way::Cut {
        cut(caller, request).await?;
        return Ok(None);
    }
    for _ in 0..TRIES {
        let sandbox_id = if way == Way::Twin {
            twins(caller, &request).await?
        } else {
            id_of(&create(caller, &request).await?)?
        };
        let house = House::new(caller.clone(), request.clone(), sandbox_id);
        match up(&house).await? {
            Ok(SandboxState::Running) => {
                count(caller, "came up");
                return Ok(Some(house));
            }
            Ok(SandboxState::Failed) => {
                count(caller, "failed");
                house.delete_known(caller).await?;
                return Ok(None);
            }
            // Taken back, which frees its request_id: the same request makes another.
            Ok(SandboxState::Deleted) | Err(_) => count(caller, "taken back"),
            Ok(other) => return broken(format!("a new sandbox is {other:?}")),
        }
    }
    broken(format!("a create was taken back {TRIES} times"))
}

/// The same request again: the same sandbox, whatever became of it.
pub(crate) async fn repeat(house: &House) -> Result<()> {
    let answer = create(&house.caller, &house.request).await?;
    if id_of(&answer)? != house.sandbox_id {
        return twice(&house.caller, &[house.sandbox_id.clone(), id_of(&answer)?]);
    }
    count(&house.caller, "repeated later");
    ensure(answer.replayed, || {
        "a create that was answered before has replayed false".to_owned()
    })
}

fn request(stage: &Stage, caller: &Caller, session_id: &str, has_id: bool) -> CreateSandboxRequest {
    let (own_id, alias, wait) = caller.roll(|dice| {
        let wait = dice.pick([None, None, Some(0), Some(200)]);
        (has_id || dice.one_in(3), dice.one_in(3), wait)
    });
    let id = || Uuid::new_v4().to_string();
    CreateSandboxRequest {
        session_id: session_id.to_owned(),
        request_id: id(),
        sandbox_id: if own_id { id() } else { String::new() },
        alias: if alias {
            format!("a-{}", id())
        } else {
            String::new()
        },
        wait_timeout: wait.map(|milliseconds| prost_types::Duration {
            seconds: 0,
            nanos: milliseconds * 1_000_000,
        }),
        spec: Some(SandboxSpec {
            provider: stage.provider.id().to_owned(),
            title: "chaos".to_owned(),
            source: stage.image.clone().map(Source::Image),
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn ask(
    caller: &Caller,
    request: &CreateSandboxRequest,
    changing: bool,
) -> Result<std::result::Result<CreateSandboxResponse, Refusal>> {
    let call = |gate, request| async move {
        SandboxServiceClient::new(gate)
            .create_sandbox(request)
            .await
    };
    let asked = caller.ask("CreateSandbox", request.clone(), || changing, call);
    let answer = asked.await?;
    if let Ok(answer) = &answer {
        count(caller, if answer.replayed { "replayed" } else { "made" });
    }
    Ok(answer)
}

async fn create(caller: &Caller, request: &CreateSandboxRequest) -> Result<CreateSandboxResponse> {
    let answer = ask(caller, request, false).await?;
    let answer = answer.map_err(|refusal| Failure::Broken(refusal.text))?;
    let sandbox = some("sandbox", answer.sandbox.as_ref())?;
    if !request.sandbox_id.is_empty() {
        same("sandbox_id", &sandbox.sandbox_id, &request.sandbox_id)?;
    }
    let may_wait = request.wait_timeout.is_some() || answer.replayed;
    ensure(
        may_wait || sandbox.state() != SandboxState::Creating,
        || "CreateSandbox without wait_timeout answered in CREATING".to_owned(),
    )?;
    Ok(answer)
}

/// Both gateways at once: one sandbox.
async fn twins(caller: &Caller, request: &CreateSandboxRequest) -> Result<String> {
    let (first, second) = (caller.at(0), caller.at(1));
    let (one, other) = tokio::try_join!(create(&first, request), create(&second, request))?;
    let ids = BTreeSet::from([id_of(&one)?, id_of(&other)?]);
    let mut living = Vec::new();
    for id in &ids {
        // One that was answered in CREATING may have been taken back, and the other be made anew.
        if ids.len() == 1 || is_there(caller, request, id).await? {
            living.push(id.clone());
        }
    }
    match &living[..] {
        [one] => Ok(one.clone()),
        [] => id_of(&other),
        more => twice(caller, more),
    }
}

async fn is_there(caller: &Caller, request: &CreateSandboxRequest, id: &str) -> Result<bool> {
    let house = House::new(caller.clone(), request.clone(), id.to_owned());
    let state = house.state().await?;
    Ok(state.is_ok_and(|state| state != SandboxState::Deleted))
}

fn twice<T>(caller: &Caller, ids: &[String]) -> Result<T> {
    caller.tally.add().life.duplicates += 1;
    broken(format!(
        "one request_id gave {} sandboxes: {ids:?}",
        ids.len()
    ))
}

/// A delete while it is being made wins; nothing may be left of it.
async fn cut(caller: &Caller, request: CreateSandboxRequest) -> Result<()> {
    let house = House::new(caller.clone(), request.clone(), request.sandbox_id.clone());
    let pause = caller.roll(|dice| dice.pause(MIDST));
    let other = caller.at(caller.gate() + 1);
    let delete = async {
        sleep(pause).await;
        house.delete(&other).await
    };
    let (made, deleted) = tokio::try_join!(ask(caller, &request, true), delete)?;
    let is_due = |refusal: &Refusal| {
        refusal.is(Reason::SandboxNotFound) || refusal.is(Reason::SandboxNotRunning)
    };
    for refusal in made.err().iter().chain(deleted.err().iter()) {
        ensure(is_due(refusal), || refusal.text.clone())?;
    }
    // The delete may have come before there was anything to delete.
    if let Err(refusal) = house.delete(caller).await? {
        ensure(refusal.is(Reason::SandboxNotFound), || refusal.text)?;
    }
    match house.state().await? {
        Ok(state) => same("state after a delete", &state, &SandboxState::Deleted),
        Err(refusal) => ensure(refusal.is(Reason::SandboxNotFound), || refusal.text),
    }
}

/// Waits until it runs or failed; a refusal says that it was taken back.
async fn up(house: &House) -> Result<std::result::Result<SandboxState, Refusal>> {
    let begin = Instant::now();
    loop {
        match house.state().await? {
            Ok(SandboxState::Creating) => {
                house.caller.again("GetSandbox", "CREATING", begin).await?;
            }
            Err(refusal) if !refusal.is(Reason::SandboxNotFound) => return broken(refusal.text),
            other => return Ok(other),
        }
    }
}

fn id_of(answer: &CreateSandboxResponse) -> Result<String> {
    Ok(some("sandbox", answer.sandbox.as_ref())?.sandbox_id.clone())
}

fn count(caller: &Caller, what: &'static str) {
    *caller.tally.add().life.creates.entry(what).or_default() += 1;
}
