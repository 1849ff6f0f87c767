//! Whose a sandbox is, on a real engine: nobody else sees it, and nothing of others is touched.

use crate::support::{World, docker, id, inspect};
use sandgate_kit::{Kind, Page, Provider as _, Spec};
use sandgate_proto::v1::SandboxState;

#[tokio::test]
async fn nobody_else_can_touch_it() {
    let world = World::new().await;
    let (context, made) = world.sandbox().await;
    let changes: [fn(&mut sandgate_kit::CallContext); 4] = [
        |other| other.owner.session_id = id(),
        |other| other.owner.gateway_id = id(),
        |other| other.sandbox_id = id(),
        |other| other.generation = 2,
    ];
    for known in [true, false] {
        for change in changes {
            let mut other = context.clone();
            change(&mut other);
            if !known {
                other.provider_sandbox_id.clear();
            }
            let gone =
                |error: sandgate_kit::ProviderError| assert_eq!(*error.kind(), Kind::SandboxGone);
            gone(world.provider.get(&other).await.err().unwrap());
            gone(world.provider.stop(&other).await.err().unwrap());
            gone(world.provider.reach(&other).await.err().unwrap());
            world.provider.delete(&other).await.unwrap();
        }
    }
    let mut forged = context.clone();
    forged.provider_sandbox_id = format!("../containers/{}", made.provider_sandbox_id);
    assert!(world.provider.get(&forged).await.is_err());
    assert_eq!(
        world.provider.get(&context).await.unwrap().state,
        SandboxState::Running
    );
    let mut unknown = context.clone();
    unknown.provider_sandbox_id.clear();
    unknown.generation = 0;
    let found = world.provider.get(&unknown).await.unwrap();
    assert_eq!(found.provider_sandbox_id, made.provider_sandbox_id);
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_strangers_container_of_our_name_is_left_alone() {
    let world = World::new().await;
    let mut context = world.context();
    context.alias = "docker".into();
    let name = format!("sandgate-{}", world.session_id);
    let stranger = docker(&["create", "--name", &name, &crate::support::image(), "true"]);
    let error = world
        .provider
        .create(&context, Spec::default())
        .await
        .err()
        .unwrap();
    assert_eq!(*error.kind(), Kind::Rejected);
    assert!(error.to_string().contains(&name));
    world.provider.delete(&context).await.unwrap();
    assert_eq!(inspect(&stranger, "{{.Id}}"), stranger);
    docker(&["rm", &stranger]);

    let network = docker(&[
        "network",
        "create",
        "--subnet",
        "10.214.0.0/28",
        &format!("{name}-net"),
    ]);
    let error = world
        .provider
        .create(&context, Spec::default())
        .await
        .err()
        .unwrap();
    assert_eq!(*error.kind(), Kind::Rejected);
    assert_eq!(inspect(&network, "{{.Id}}"), network);
    docker(&["network", "rm", &network]);

    let made = world
        .provider
        .create(&context, Spec::default())
        .await
        .unwrap();
    assert_eq!(
        inspect(&made.provider_sandbox_id, "{{.Name}}"),
        format!("/{name}")
    );
    world.provider.delete(&context).await.unwrap();
}

#[tokio::test]
async fn a_list_is_paged_by_id_and_ends_at_the_session() {
    let world = World::new().await;
    let mut contexts = Vec::new();
    for _ in 0..3 {
        contexts.push(world.sandbox().await.0);
    }
    let mut other = world.context();
    other.owner.session_id = id();
    world
        .provider
        .create(&other, Spec::default())
        .await
        .unwrap();
    let mut ids: Vec<String> = contexts
        .iter()
        .map(|context| context.sandbox_id.clone())
        .collect();
    ids.sort();

    let page = |after: &str, size| Page {
        after: after.to_owned(),
        size,
    };
    let listed = |page| async {
        let found = world.provider.list(&contexts[0], page).await.unwrap();
        found
            .into_iter()
            .map(|instance| instance.sandbox_id)
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(page("", 2)).await, ids[..2]);
    assert_eq!(listed(page(&ids[1], 2)).await, ids[2..]);
    let mut sweep = contexts[0].clone();
    sweep.owner.session_id.clear();
    let all = world.provider.list(&sweep, page("", 50)).await.unwrap();
    assert_eq!(all.len(), 4);
    assert!(
        all.iter()
            .all(|instance| instance.state == SandboxState::Running && instance.generation == 1)
    );
    for context in contexts.iter().chain([&other]) {
        world.provider.delete(context).await.unwrap();
    }
}
