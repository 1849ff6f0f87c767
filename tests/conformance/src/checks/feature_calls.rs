//! One harmless call for each feature that comes with rpcs of its own.

use sandgate_proto::v1;

use crate::{
    failure::Failure,
    subject::{Place, QUICK},
    world::Context,
};

/// Calls the feature about this sandbox.
pub(super) async fn call(
    context: &Context<'_>,
    place: &Place<'_>,
    feature: &str,
) -> Result<(), Failure> {
    match feature {
        "files" => stat(context, place).await,
        "archive" => download(context, place).await,
        "git" => clone(context, place).await,
        "git_credentials" => credentials(context, place).await,
        _ => ports(context, place).await,
    }
}

async fn stat(context: &Context<'_>, place: &Place<'_>) -> Result<(), Failure> {
    let mut client = context.subject().files();
    let message = v1::StatFileRequest {
        session_id: context.subject().session_id(),
        sandbox_id: place.id().to_owned(),
        path: "/".to_owned(),
    };
    let call = |request| async move { client.stat_file(request).await };
    let subject = context.subject();
    subject
        .unary("StatFile", place.id(), QUICK, message, call)
        .await?;
    Ok(())
}

async fn download(context: &Context<'_>, place: &Place<'_>) -> Result<(), Failure> {
    let mut client = context.subject().files();
    let message = v1::DownloadArchiveRequest {
        session_id: context.subject().session_id(),
        sandbox_id: place.id().to_owned(),
        paths: vec!["/etc/hosts".to_owned()],
        ..Default::default()
    };
    let call = |request| async move { client.download_archive(request).await };
    let subject = context.subject();
    subject
        .streaming("DownloadArchive", place.id(), message, call)
        .await?;
    Ok(())
}

async fn clone(context: &Context<'_>, place: &Place<'_>) -> Result<(), Failure> {
    let mut client = context.subject().git();
    let message = v1::CloneRepositoryRequest {
        session_id: context.subject().session_id(),
        sandbox_id: place.id().to_owned(),
        repository: "https://example.invalid/none".to_owned(),
        ..Default::default()
    };
    let call = |request| async move { client.clone_repository(request).await };
    let subject = context.subject();
    subject
        .unary("CloneRepository", place.id(), QUICK, message, call)
        .await?;
    Ok(())
}

async fn credentials(context: &Context<'_>, place: &Place<'_>) -> Result<(), Failure> {
    let mut client = context.subject().git();
    let message = v1::ConfigureGitCredentialsRequest {
        session_id: context.subject().session_id(),
        sandbox_id: place.id().to_owned(),
        ..Default::default()
    };
    let call = |request| async move { client.configure_git_credentials(request).await };
    let subject = context.subject();
    subject
        .unary("ConfigureGitCredentials", place.id(), QUICK, message, call)
        .await?;
    Ok(())
}

async fn ports(context: &Context<'_>, place: &Place<'_>) -> Result<(), Failure> {
    let mut client = context.subject().ports();
    let message = v1::ListPortsRequest {
        session_id: context.subject().session_id(),
        sandbox_id: place.id().to_owned(),
        ..Default::default()
    };
    let call = |request| async move { client.list_ports(request).await };
    let subject = context.subject();
    subject
        .unary("ListPorts", place.id(), QUICK, message, call)
        .await?;
    Ok(())
}
