//! Ids that callers choose are global, so one that is taken cannot be given again; that is all that a
//! stranger learns.

use sandgate_proto::{
    Reason,
    v1::{CreateSandboxRequest, CreateSessionRequest},
};
use sandgate_system::{Rpc, framed};

use crate::{
    answer::Answer,
    people::{Caller, Town},
};

async fn create(caller: &Caller, rpc: &str, request: &impl prost::Message) -> Answer {
    caller.call(&Rpc::named(rpc), framed(request)).await
}

#[tokio::test]
async fn an_id_that_is_taken_tells_no_more_than_that() {
    let town = Town::new().await;
    let before = town.state_of_ann().await;
    for own in [&town.bob, &town.carl] {
        let session = |ids: &sandgate_system::Fields, title: &str| CreateSessionRequest {
            session_id: ids.get("session_id").to_owned(),
            title: title.to_owned(),
            ..Default::default()
        };
        let mine = create(&own.caller, "CreateSession", &session(&own.ids, "another")).await;
        assert_eq!(mine.reason, Reason::SessionIdReused.name(), "{mine:?}");
        // Also with the very body that made it, as far as a stranger can guess that.
        for title in ["another", ""] {
            let anns = create(&own.caller, "CreateSession", &session(&town.ann.ids, title)).await;
            assert_eq!(anns.without(&town.ann.ids), mine.clone().without(&own.ids));
        }
        let sandbox = |ids: &sandgate_system::Fields| CreateSandboxRequest {
            session_id: own.ids.get("session_id").to_owned(),
            sandbox_id: ids.get("sandbox_id").to_owned(),
            alias: "another".to_owned(),
            ..Default::default()
        };
        let mine = create(&own.caller, "CreateSandbox", &sandbox(&own.ids)).await;
        assert_eq!(mine.reason, Reason::SandboxIdReused.name(), "{mine:?}");
        let anns = create(&own.caller, "CreateSandbox", &sandbox(&town.ann.ids)).await;
        assert_eq!(anns.without(&town.ann.ids), mine.without(&own.ids));
    }
    assert_eq!(town.state_of_ann().await, before);
}
