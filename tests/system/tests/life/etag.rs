//! What an etag tells apart.

use sandgate_system::World;

use crate::{
    calls::{Named, seconds},
    pair::pausing,
};

#[tokio::test]
async fn it_changes_with_state_and_spec_and_with_nothing_else() {
    let world = World::with(pausing()).await;
    let one = Named::running(&world.client().await).await;
    let first = one.get().await.unwrap();
    assert!(!first.etag.is_empty());
    for _ in 0..3 {
        one.exec("print x").await.unwrap();
        one.renew("").await.unwrap();
        one.start().await.unwrap();
        assert_eq!(one.get().await.unwrap().etag, first.etag);
    }
    let mut seen = vec![first.etag];
    for step in 0..6 {
        match step {
            0 => one.stop().await.unwrap(),
            1 => one.start().await.unwrap(),
            2 => one.pause(false).await.unwrap(),
            3 => one.resume().await.unwrap(),
            4 => one.resume_as(None, Some(seconds(99))).await.unwrap(),
            _ => one.delete().await.unwrap(),
        };
        let etag = one.get().await.unwrap().etag;
        assert!(!seen.contains(&etag), "step {step}: {etag} again");
        seen.push(etag);
    }
    assert_eq!(one.get().await.unwrap().generation, first.generation);
}
