//! What is left of sandboxes at a real engine: shown by a comparison, and removed.

use sandgate_system::uuid;

use crate::{
    container::{Stand, docker},
    reconcile::{actions, reconcile},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_network_and_a_volume_without_a_container_are_shown_and_removed() {
    let stand = Stand::start().await;
    let client = &stand.client;
    let session_id = stand.session(&["container_sandbox"]).await;
    let living = client.sandbox(&session_id).await;
    let container = &stand.names(&["ps"]).await[0];
    let prefix = &stand.prefix;
    let format = format!("{{{{index .Config.Labels \"{prefix}.gateway_id\"}}}}");
    let gateway = docker(&["inspect", "--format", &format, container]).await;
    let (of_network, of_volume) = (uuid(), uuid());
    for (kind, sandbox_id) in [("network", &of_network), ("volume", &of_volume)] {
        let labels = [
            format!("managed-by={prefix}"),
            format!("{prefix}.gateway_id={}", gateway.trim()),
            format!("{prefix}.session_id={session_id}"),
            format!("{prefix}.sandbox_id={sandbox_id}"),
            format!("{prefix}.generation=1"),
        ];
        let mut arguments = vec![kind, "create"];
        for label in &labels {
            arguments.extend(["--label", label]);
        }
        let name = format!("{prefix}-{kind}");
        if kind == "network" {
            arguments.push("--internal");
        }
        arguments.push(&name);
        docker(&arguments).await;
    }
    let mut wanted = [(of_network.as_str(), "DELETE"), (&of_volume, "DELETE")];
    wanted.sort_unstable();
    let dry = reconcile(client, "container", true).await.unwrap();
    assert_eq!(actions(&dry), wanted);
    assert_eq!(dry.examined, 3);
    assert_eq!(stand.names(&["volume", "ls"]).await.len(), 1);
    let done = reconcile(client, "container", false).await.unwrap();
    assert_eq!(actions(&done), wanted);
    assert!(stand.names(&["volume", "ls"]).await.is_empty());
    assert_eq!(stand.names(&["network", "ls"]).await.len(), 1);
    let again = reconcile(client, "container", false).await.unwrap();
    assert!(again.actions.is_empty(), "{again:?}");
    let ran = client.exec(&session_id, &living, "echo alive").await;
    assert_eq!(ran.unwrap().stdout, b"alive\n");
    client.delete(&session_id, &living).await.unwrap();
    stand.assert_nothing_left().await;
}
