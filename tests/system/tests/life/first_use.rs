//! The default sandbox, wanted by many at two gateways at once.

use std::{collections::BTreeSet, time::Duration};

use futures::future::join_all;
use sandgate_kit::Kind;
use sandgate_proto::Reason;
use sandgate_system::{Act, Op, assert_reason};

use crate::pair::Pair;

#[tokio::test]
async fn twenty_first_commands_at_two_gateways_make_one() {
    let pair = Pair::start().await;
    let session_id = pair.client(0).session().await;
    let work = Duration::from_millis(200);
    pair.world.fake.set(Op::Create, Act::Work(work));
    let runs = (0..20).map(|number| pair.client(number).exec(&session_id, "", "print x"));
    let runs = join_all(runs).await;
    let ids: BTreeSet<_> = runs
        .into_iter()
        .map(|run| run.unwrap().sandbox_id)
        .collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(pair.world.fake.sandboxes(), Vec::from_iter(ids));
    assert_eq!(pair.world.fake.count(Op::Exec), 20);
    assert_eq!(pair.world.fake.count(Op::Delete), 0);
}

#[tokio::test]
async fn one_that_cannot_be_made_is_tried_anew_by_the_next_command() {
    let pair = Pair::start().await;
    let session_id = pair.client(0).session().await;
    pair.world.fake.set(Op::Create, Act::Fail(Kind::Rejected));
    let runs = (0..6).map(|number| pair.client(number).exec(&session_id, "", "print x"));
    for run in join_all(runs).await {
        assert_reason(&run.unwrap_err(), Reason::UpstreamRejected, "");
    }
    pair.world.fake.mend(Op::Create);
    let runs = (0..6).map(|number| pair.client(number).exec(&session_id, "", "print x"));
    for run in join_all(runs).await {
        assert_eq!(run.unwrap().stdout, b"x");
    }
    assert_eq!(pair.world.fake.sandboxes().len(), 1);
}
