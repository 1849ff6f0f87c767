//! Exposed ports.

use std::time::{Duration, SystemTime};

use sandgate_proto::v1;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::server::{self, some_port};
use crate::{
    failure::{Failure, broken, ensure, invalid, refused, same},
    subject::{Place, Watch, fetched},
    suite::Check,
    world::Context,
};

const RULE: &str = "ports";
const NEEDS: &[&str] = &["ports"];
/// What the server in the sandbox says.
const SAYS: &str = "hello from inside";
/// How long what was begun may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "ports_reach", "ExposePort gives an address and headers by which what listens in the sandbox answers; nothing needs to listen before, and a server may come again.", |context| Box::pin(reach(context))).needs(NEEDS).within(240),
    Check::new(RULE, "ports_idempotent", "ExposePort again gives the same address; expire_time, if any, lies ahead.", |context| Box::pin(idempotent(context))).needs(NEEDS),
    Check::new(RULE, "ports_list", "ListPorts has each exposed port that something listens on, with the address of ExposePort, by number and in pages.", |context| Box::pin(list(context))).needs(NEEDS).within(240),
    Check::new(RULE, "ports_unexpose", "UnexposePort takes an address away; again is OK. Where a vendor exposes every port always it is CAPABILITY_UNSUPPORTED.", |context| Box::pin(unexpose(context))).needs(NEEDS).within(240),
    Check::new(RULE, "ports_fields", "Port 0, one over 65,535 or a page_token that was never given out is INVALID_ARGUMENT · INVALID_FIELD.", |context| Box::pin(fields(context))).needs(NEEDS),
    Check::new(RULE, "ports_unknown_sandbox", "ExposePort and ListPorts of a sandbox that is not there are NOT_FOUND · SANDBOX_NOT_FOUND.", |context| Box::pin(unknown(context))).needs(NEEDS),
    Check::new(RULE, "ports_deleted", "After DeleteSandbox nothing answers at an address any more.", |context| Box::pin(deleted(context))).needs(NEEDS).within(240),
    Check::new(RULE, "ports_stopped", "After StopSandbox nothing answers at an address any more; ListPorts is FAILED_PRECONDITION · SANDBOX_NOT_RUNNING and starts nothing.", |context| Box::pin(stopped(context))).needs(&["ports", "stop"]).within(240),
];

/// A server that says it.
async fn serve(place: &Place<'_>, port: u32) -> Result<(Watch, String), Failure> {
    let folder = format!("says-{port}");
    let page = format!("mkdir -p {folder} && printf %s '{SAYS}' > {folder}/index.html");
    place.text(page).await?;
    server::start(place, port, &folder).await
}

/// Whether the server answers at an address.
async fn answers(address: &v1::ExposePortResponse) -> Result<bool, Failure> {
    let seen = fetched(&address.url, &address.headers).await;
    Ok(seen.is_ok_and(|(status, body)| status == 200 && body == SAYS))
}

async fn answers_soon(address: &v1::ExposePortResponse) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let seen = fetched(&address.url, &address.headers).await;
        let text = match seen {
            Ok((200, body)) if body == SAYS => return Ok(()),
            Ok((status, body)) => format!("{status} {body:?}"),
            Err(failure) => failure.to_string(),
        };
        if begun.elapsed() > PATIENCE {
            return Err(broken(format!(
                "the server does not answer at its address: {text}"
            )));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn reach(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let port = some_port();
    let address = place.expose(port).await?;
    ensure(
        !answers(&address).await?,
        || "something answers before anything listens",
    )?;
    let (server, id) = serve(&place, port).await?;
    answers_soon(&address).await?;
    answers_soon(&address).await?;
    place
        .signal(v1::SignalExecutionRequest {
            execution_id: id,
            signal: 9,
            ..Default::default()
        })
        .await?;
    server.finish().await?;
    ensure(
        !answers(&address).await?,
        || "the server answers after its end",
    )?;
    let _server = serve(&place, port).await?;
    answers_soon(&address).await
}

async fn idempotent(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let port = some_port();
    let first = place.expose(port).await?;
    let again = place.expose(port).await?;
    same("url the second time", &again.url, &first.url)?;
    same("headers the second time", &again.headers, &first.headers)?;
    ensure(
        first.url.starts_with("http://") || first.url.starts_with("https://"),
        || format!("url {:?} is none of HTTP", first.url),
    )?;
    for time in [first.expire_time, again.expire_time].into_iter().flatten() {
        let ahead = SystemTime::try_from(time).is_ok_and(|time| time > SystemTime::now());
        ensure(ahead, || format!("expire_time {time} does not lie ahead"))?;
    }
    Ok(())
}

async fn list(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let low = some_port();
    let ports = [low, low + 1, low + 2];
    let mut servers = Vec::new();
    for port in [ports[2], ports[0], ports[1]] {
        servers.push(serve(&place, port).await?);
        place.expose(port).await?;
    }
    let own = |all: Vec<v1::ExposedPort>| {
        let own = all.into_iter().filter(|one| ports.contains(&one.port));
        own.collect::<Vec<_>>()
    };
    let all = own(place.all_ports(1000).await?);
    let numbers: Vec<u32> = all.iter().map(|one| one.port).collect();
    same("ports", numbers, ports.to_vec())?;
    for one in &all {
        let address = place.expose(one.port).await?;
        same("url in the list", &one.url, &address.url)?;
        same("headers in the list", &one.headers, &address.headers)?;
    }
    let paged = own(place.all_ports(2).await?);
    same("ports in pages of two", paged, all)
}

async fn unexpose(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let port = some_port();
    let _server = serve(&place, port).await?;
    let address = place.expose(port).await?;
    answers_soon(&address).await?;
    match place.unexpose(port).await {
        // A vendor's own addresses; they have no end of their own.
        Err(failure) if failure.is_unsupported() => {
            return same(
                "expire_time of an address that stays",
                address.expire_time,
                None,
            );
        }
        other => other?,
    };
    ensure(
        !answers(&address).await?,
        || "the server answers after UnexposePort",
    )?;
    let left = place.all_ports(1000).await?;
    ensure(
        left.iter().all(|one| one.port != port),
        || "ListPorts shows a port after UnexposePort",
    )?;
    place.unexpose(port).await?;
    let anew = place.expose(port).await?;
    answers_soon(&anew).await
}

async fn fields(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for port in [0, 65_536, u32::MAX] {
        invalid(&format!("ExposePort of {port}"), place.expose(port).await)?;
        invalid(
            &format!("UnexposePort of {port}"),
            place.unexpose(port).await,
        )?;
    }
    for token in ["x", "AAAAAAAAAAAAAA", "\u{fc}"] {
        invalid(
            &format!("page_token {token:?}"),
            place.ports(1, token).await,
        )?;
    }
    Ok(())
}

async fn unknown(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.subject().place(&uuid::Uuid::new_v4().to_string());
    refused(
        place.expose(3000).await,
        Code::NotFound,
        "SANDBOX_NOT_FOUND",
    )?;
    refused(
        place.ports(0, "").await,
        Code::NotFound,
        "SANDBOX_NOT_FOUND",
    )?;
    Ok(())
}

async fn deleted(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let port = some_port();
    let _server = serve(&place, port).await?;
    let address = place.expose(port).await?;
    answers_soon(&address).await?;
    place.delete().await?;
    ensure(
        !answers(&address).await?,
        || "the server answers after DeleteSandbox",
    )
}

async fn stopped(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let port = some_port();
    let _server = serve(&place, port).await?;
    let address = place.expose(port).await?;
    answers_soon(&address).await?;
    place.stop_sandbox().await?;
    ensure(
        !answers(&address).await?,
        || "the server answers after StopSandbox",
    )?;
    let code = Code::FailedPrecondition;
    refused(place.ports(0, "").await, code, "SANDBOX_NOT_RUNNING")?;
    same(
        "state after ListPorts",
        place.get().await?.state(),
        v1::SandboxState::Stopped,
    )?;
    place.start_sandbox().await?;
    let left = place.all_ports(1000).await?;
    ensure(
        left.iter().all(|one| one.port != port),
        || "ListPorts shows a port that was exposed before the stop",
    )
}
