//! `sandgate doctor`: what is here, what is missing, what to do.

use std::path::Path;

use sandgate_gateway::GatewayArgs;
use sandgate_kit::Provider as _;
use sandgate_provider_local::{Args as LocalArgs, probe};

use crate::{
    all_in_one::Failure,
    config::ServeArgs,
    embedded::{container, settings},
};

/// Prints one line for each thing; fails where no provider could make a sandbox.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    println!("sandgate {}", env!("CARGO_PKG_VERSION"));
    let data_dir = args.gateway.data_dir()?;
    data_folder(&data_dir);
    port(&args.gateway).await;
    keys(&args.gateway);
    let local = local(&data_dir).await?;
    let container = engine(&data_dir).await;
    if local || container {
        return Ok(());
    }
    Err(Failure::Other(
        "neither the local nor the container provider can make a sandbox here; see above".into(),
    ))
}

fn say(well: bool, what: &str, detail: &str) {
    println!(
        "{} {what}: {detail}",
        if well { "ok     " } else { "MISSING" }
    );
}

fn data_folder(path: &Path) {
    let usable = std::fs::create_dir_all(path).and_then(|()| {
        let trial = path.join(".doctor");
        std::fs::write(&trial, "").and_then(|()| std::fs::remove_file(trial))
    });
    match usable {
        Ok(()) => say(true, "data folder", &path.display().to_string()),
        Err(error) => say(
            false,
            "data folder",
            &format!(
                "{} cannot be written ({error}); choose another with --data-dir",
                path.display()
            ),
        ),
    }
}

async fn port(gateway: &GatewayArgs) {
    match tokio::net::TcpListener::bind(gateway.listen).await {
        Ok(_) => say(true, "address", &format!("{} is free", gateway.listen)),
        Err(error) => say(
            false,
            "address",
            &format!(
                "{} cannot be used ({error}); choose another with --listen",
                gateway.listen
            ),
        ),
    }
}

fn keys(gateway: &GatewayArgs) {
    let loopback = gateway.listen.ip().is_loopback();
    match (&gateway.admin_key, loopback) {
        (Some(_), _) => say(true, "access", "SANDGATE_ADMIN_KEY is set"),
        (None, true) => say(
            true,
            "access",
            "no key: everybody on this machine is let in",
        ),
        (None, false) => say(
            false,
            "access",
            "off loopback a key is needed; set SANDGATE_ADMIN_KEY",
        ),
    }
}

async fn local(data_dir: &Path) -> Result<bool, Failure> {
    let mut config = settings::<LocalArgs>()
        .and_then(|args| {
            args.config()
                .map_err(|error| sandgate_kit::StartError::Provider(error.to_string()))
        })
        .map_err(|error| Failure::Provider("local", error))?;
    config.data_dir = data_dir.to_owned();
    let probe = probe(&config).await;
    let needs = [
        ("bubblewrap", &probe.bwrap),
        ("namespaces", &probe.namespaces),
        ("limits", &probe.limits),
    ];
    for (need, finding) in needs {
        let detail = match finding.advice.as_str() {
            "" => finding.found.clone(),
            advice => format!("{}; {advice}", finding.found),
        };
        say(finding.ok, &format!("local, {need}"), &detail);
    }
    Ok(probe.usable())
}

async fn engine(data_dir: &Path) -> bool {
    let provider = match container(data_dir).await {
        Ok(provider) => provider,
        Err(error) => {
            say(false, "container", &error.to_string());
            return false;
        }
    };
    match provider.health().await {
        Ok(()) => {
            let isolation = provider.capabilities().await.map(|known| known.isolation);
            let isolation = isolation.unwrap_or_else(|_| "unknown".into());
            say(
                true,
                "container",
                &format!("a Docker Engine answers; isolation: {isolation}"),
            );
            true
        }
        Err(error) => {
            say(false, "container", &error.to_string());
            false
        }
    }
}
