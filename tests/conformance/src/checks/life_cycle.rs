//! How sandboxes come and are seen.

use sandgate_proto::v1::{self, SandboxState};
use tonic::Code;
use uuid::Uuid;

use crate::{
    failure::{Failure, ensure, refused, same},
    subject::Place,
    suite::Check,
    world::Context,
};

const RULE: &str = "life cycle";

pub(crate) const CHECKS: &[Check] = &[
    Check::new(RULE, "create", "CreateSandbox answers in RUNNING, with ids, workspace_path and provider_sandbox_id, and commands work at once.", |context| Box::pin(create(context))).within(240),
    Check::new(RULE, "create_again_joins", "CreateSandbox again with the same sandbox_id, at the same time or later, makes no second one.", |context| Box::pin(create_again(context))).within(240),
    Check::new(RULE, "get_and_list", "GetSandbox and ListSandboxes show what there is, and pages show each sandbox once.", |context| Box::pin(get_and_list(context))).within(400),
    Check::new(RULE, "unknown_sandbox", "A call about a sandbox that is not there is NOT_FOUND · SANDBOX_NOT_FOUND.", |context| Box::pin(unknown_sandbox(context))),
];

/// Fails unless this sandbox looks as a running one must.
fn looks_right(
    place: &Place<'_>,
    context: &Context<'_>,
    seen: &v1::Sandbox,
) -> Result<(), Failure> {
    same("sandbox_id", seen.sandbox_id.as_str(), place.id())?;
    same(
        "session_id",
        &seen.session_id,
        &context.subject().session_id(),
    )?;
    same(
        "provider",
        seen.provider.as_str(),
        context.subject().provider(),
    )?;
    same("state", seen.state(), SandboxState::Running)?;
    same("generation", seen.generation, 1)?;
    ensure(
        !seen.provider_sandbox_id.is_empty(),
        || "provider_sandbox_id is empty",
    )?;
    ensure(seen.workspace_path.starts_with('/'), || {
        format!(
            "workspace_path is {:?}, due was an absolute path",
            seen.workspace_path
        )
    })?;
    let sticky = context.world.capabilities.placement() == v1::Placement::Sticky;
    ensure(
        !sticky || !seen.instance_id.is_empty(),
        || "instance_id is empty, though the capabilities say placement STICKY",
    )
}

async fn create(context: &Context<'_>) -> Result<(), Failure> {
    let id = context.new_id();
    let place = context.subject().place(&id);
    let made = context
        .subject()
        .create(&id, context.subject().spec())
        .await?;
    looks_right(&place, context, &made)?;
    same(
        "output of `echo hi`",
        place.text("echo hi").await?.as_str(),
        "hi\n",
    )?;
    let written = place.text("echo x > made && cat made").await?;
    same("a file in the workspace", written.as_str(), "x\n")
}

async fn create_again(context: &Context<'_>) -> Result<(), Failure> {
    let id = context.new_id();
    let place = context.subject().place(&id);
    let request = v1::CreateSandboxRequest {
        request_id: Uuid::new_v4().to_string(),
        spec: Some(context.subject().spec()),
        ..Default::default()
    };
    let (first, second) =
        tokio::join!(place.create(request.clone()), place.create(request.clone()));
    let (first, second) = (first?, second?);
    place.text("echo x > mark").await?;
    let third = place.create(request).await?;
    let upstream = |made: &v1::CreateSandboxResponse| {
        let id = made
            .sandbox
            .as_ref()
            .map(|made| made.provider_sandbox_id.clone());
        id.unwrap_or_default()
    };
    same(
        "provider_sandbox_id of the second answer",
        upstream(&second),
        upstream(&first),
    )?;
    same(
        "provider_sandbox_id of a later answer",
        upstream(&third),
        upstream(&first),
    )?;
    same(
        "the file of before",
        place.text("cat mark").await?.as_str(),
        "x\n",
    )?;
    if !context.subject().is_direct() {
        same(
            "replayed, of two at the same time",
            first.replayed != second.replayed,
            true,
        )?;
        same("replayed, later", third.replayed, true)?;
    }
    let all = context.subject().list_all().await?;
    let count = all.iter().filter(|one| one.sandbox_id == id).count();
    same("times that it is listed", count, 1)
}

async fn get_and_list(context: &Context<'_>) -> Result<(), Failure> {
    let mut due = Vec::new();
    for _ in 0..3 {
        let place = context.own().await?;
        let seen = place.get().await?;
        looks_right(&place, context, &seen)?;
        due.push(place.id().to_owned());
    }
    let all = context.subject().list_all().await?;
    for id in &due {
        let listed: Vec<_> = all.iter().filter(|one| one.sandbox_id == *id).collect();
        same(&format!("times that {id} is listed"), listed.len(), 1)?;
        same(
            "state in the list",
            listed[0].state(),
            SandboxState::Running,
        )?;
        same(
            "session_id in the list",
            &listed[0].session_id,
            &context.subject().session_id(),
        )?;
        ensure(
            !listed[0].provider_sandbox_id.is_empty(),
            || "provider_sandbox_id is empty in the list",
        )?;
    }
    let paged = by_pages_of_one(context).await?;
    for id in &due {
        let count = paged.iter().filter(|one| *one == id).count();
        same(&format!("times that {id} is on pages of one"), count, 1)?;
    }
    Ok(())
}

/// Ids of ListSandboxes, read one a page.
async fn by_pages_of_one(context: &Context<'_>) -> Result<Vec<String>, Failure> {
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    for _ in 0..1000 {
        let request = v1::ListSandboxesRequest {
            page_size: 1,
            page_token,
            ..Default::default()
        };
        let page = context.subject().list(request).await?;
        ensure(
            page.sandboxes.len() <= 1,
            || "a page is longer than page_size",
        )?;
        paged.extend(page.sandboxes.into_iter().map(|one| one.sandbox_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(paged)
}

async fn unknown_sandbox(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.subject().place(&Uuid::new_v4().to_string());
    let (code, reason) = (Code::NotFound, "SANDBOX_NOT_FOUND");
    refused(place.get().await, code, reason)?;
    refused(place.start_sandbox().await, code, reason)?;
    refused(place.sh("echo hi").await, code, reason)?;
    let request = v1::RunCommandRequest {
        command: "echo hi".to_owned(),
        ..Default::default()
    };
    refused(place.run(request).await, code, reason)?;
    refused(place.execution("x").await, code, reason)?;
    refused(place.watch("x").await, code, reason)?;
    Ok(())
}
