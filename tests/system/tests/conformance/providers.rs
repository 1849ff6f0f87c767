//! Each provider as a program of its own, and the table that the suite makes of it.

use std::{
    env,
    io::{Write as _, stderr},
    net::SocketAddr,
};

use sandgate_conformance::{Options, Row, Verdict, run};
use sandgate_proto::v1::SetConnectionRequest;
use sandgate_system::{Binary, Client, gateway_for};

use crate::table;

/// Checks at once: few, so that checks of time hold on a small machine.
const AT_ONCE: usize = 2;

/// The rpcs that a gateway does not serve yet: their checks have to fail there. A test of the list
/// sees to it that it can only shrink.
fn not_built() -> Vec<String> {
    let list = include_str!("../../not_built/gateway.txt");
    let names = list.lines().filter_map(|path| path.rsplit('/').next());
    names.map(str::to_owned).collect()
}

/// Runs the suite both ways against a provider that listens there; `key`: for its upstream.
async fn conforms(provider: &str, address: SocketAddr, key: Option<&str>) {
    let (gateway, _data) = gateway_for(provider, address).await;
    let client = Client::connect(gateway.address()).await;
    if let Some(key) = key {
        let request = SetConnectionRequest {
            provider: provider.to_owned(),
            api_key: key.to_owned(),
            ..Default::default()
        };
        client.connections().set_connection(request).await.unwrap();
    }
    table::is_true(&client, provider).await;
    let mut good = true;
    for direct in [true, false] {
        let target = if direct { address } else { gateway.address() };
        let options = Options {
            target: target.to_string(),
            provider: provider.to_owned(),
            direct,
            api_key: key.filter(|_| direct).map(str::to_owned),
            concurrency: AT_ONCE,
            ..Options::default()
        };
        let report = run(options).await.unwrap();
        // Past the capture of the test's output: who runs the suite wants to see the table.
        stderr()
            .write_all(format!("\n{report}\n").as_bytes())
            .unwrap();
        let missing = if direct { Vec::new() } else { not_built() };
        let failed = |row: &&Row| row.result == Verdict::Fail && !missing.contains(&row.rule);
        good &= report.rows().filter(failed).count() == 0;
    }
    assert!(good, "{provider} does not keep the contract; see above");
}

#[tokio::test(flavor = "multi_thread")]
async fn local() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", folder];
    let binary = Binary::start("sandgate-provider-local", &arguments).await;
    conforms("local", binary.address(), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn container() {
    let image = env::var("SANDGATE_TEST_IMAGE").unwrap_or("sandgate-test:bookworm".to_owned());
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        folder,
        "--image",
        &image,
    ];
    let binary = Binary::start("sandgate-provider-container", &arguments).await;
    conforms("container", binary.address(), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2b() {
    let arguments = ["e2b", "--listen", "127.0.0.1:0"];
    let emulator = Binary::start("sandgate-emulator", &arguments).await;
    let url = format!("http://{}", emulator.address());
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--api-url",
        &url,
        "--sandbox-url",
        &url,
    ];
    let binary = Binary::start("sandgate-provider-e2b", &arguments).await;
    conforms("e2b", binary.address(), Some("e2b_conformance")).await;
}
