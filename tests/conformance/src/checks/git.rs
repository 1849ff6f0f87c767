//! GitService, with a repository that the sandbox serves to itself: nothing else is needed.

use std::time::Duration;

use sandgate_proto::v1::{self, execution_ended::Outcome};
use tonic::Code;

use super::server::{self, some_port};
use crate::{
    failure::{Failure, broken, ensure, refused, same},
    subject::{Place, QUICK, new_execution},
    suite::Check,
    world::Context,
};

const RULE: &str = "git";

pub(crate) const CHECKS: &[Check] = &[
    Check::new("CloneRepository", "git_address", "A repository that is no http, https, ssh or git@ URL nor owner/repo, or that holds a user or password, and a ref that is an option are INVALID_FIELD.", |context| Box::pin(address(context))).needs(&["git"]),
    Check::new(RULE, "git_failure_is_an_end", "A clone that fails is an ended without ref and commit and leaves nothing, or GIT_MISSING where the sandbox has no git; a repeated execution_id answers the same, another body is EXECUTION_ID_REUSED, and GetExecution knows it.", |context| Box::pin(failure(context))).needs(&["git", "exec"]),
    Check::new(RULE, "git_folder_not_empty", "A clone into a folder that is not empty is DIRECTORY_NOT_EMPTY, and the folder stays as it is.", |context| Box::pin(not_empty(context))).needs(&["git", "exec"]),
    Check::new("CloneRepository", "git_clone", "A clone is an ended with exit_code 0, and tells ref and commit of what is then in path; a repeated execution_id answers the same. Where the sandbox has no git it is GIT_MISSING.", |context| Box::pin(cloned(context))).needs(&["git", "exec"]),
    Check::new("ConfigureGitCredentials", "git_credentials_of_nobody", "Without a token, ConfigureGitCredentials is CONNECTION_REQUIRED with provider github; with one, the file is readable by its user alone.", |context| Box::pin(credentials(context))).needs(&["git_credentials", "exec"]),
];

/// How long a name that nobody has may take to be found so.
const LONG: Duration = Duration::from_secs(40);
/// A repository that is nowhere: the name is one that never will be given.
const NOWHERE: &str = "https://sandgate.invalid/owner/none";

fn request(context: &Context<'_>, place: &Place<'_>) -> v1::CloneRepositoryRequest {
    v1::CloneRepositoryRequest {
        session_id: context.subject().session_id(),
        sandbox_id: place.id().to_owned(),
        execution_id: new_execution(),
        repository: NOWHERE.to_owned(),
        ..Default::default()
    }
}

async fn clone(
    context: &Context<'_>,
    message: v1::CloneRepositoryRequest,
) -> Result<v1::CloneRepositoryResponse, Failure> {
    let mut client = context.subject().git();
    let sandbox_id = message.sandbox_id.clone();
    let call = |request| async move { client.clone_repository(request).await };
    let subject = context.subject();
    subject
        .unary("CloneRepository", &sandbox_id, LONG, message, call)
        .await
}

/// Whether a call was refused because the sandbox has no git.
fn lacks_git<T>(answer: Result<T, Failure>) -> Result<(), Failure> {
    refused(answer, Code::FailedPrecondition, "GIT_MISSING").map(drop)
}

async fn address(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    for repository in [
        "",
        "-u",
        "/etc",
        "file:///etc",
        "ext::sh -c id",
        "https://user@host/owner/repo",
        "https://user:password@host/owner/repo",
    ] {
        let message = v1::CloneRepositoryRequest {
            repository: repository.to_owned(),
            ..request(context, &place)
        };
        let answer = clone(context, message).await;
        refused(answer, Code::InvalidArgument, "INVALID_FIELD")
            .map_err(|failure| broken(format!("{repository:?}: {failure}")))?;
    }
    let message = v1::CloneRepositoryRequest {
        r#ref: "--upload-pack=id".to_owned(),
        ..request(context, &place)
    };
    let answer = clone(context, message).await;
    refused(answer, Code::InvalidArgument, "INVALID_FIELD").map(drop)
}

async fn failure(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = format!("clone-{}", new_execution());
    let message = v1::CloneRepositoryRequest {
        path: folder.clone(),
        ..request(context, &place)
    };
    let other = v1::CloneRepositoryRequest {
        depth: Some(7),
        ..message.clone()
    };
    let id = message.execution_id.clone();
    match clone(context, message.clone()).await {
        Ok(answer) => {
            let outcome = answer.ended.clone().and_then(|ended| ended.outcome);
            ensure(matches!(outcome, Some(Outcome::ExitCode(1..))), || {
                format!("ended {outcome:?}, due was an exit_code over 0")
            })?;
            same("ref", answer.r#ref.as_str(), "")?;
            same("commit", answer.commit.as_str(), "")?;
            same("authenticated", answer.authenticated, false)?;
            ensure(!answer.output_tail.is_empty(), || "output_tail is empty")?;
            same(
                "the repeated answer",
                clone(context, message).await?,
                answer,
            )?;
        }
        missing => {
            lacks_git(missing)?;
            lacks_git(clone(context, message).await)?;
        }
    }
    let answer = clone(context, other).await;
    refused(answer, Code::AlreadyExists, "EXECUTION_ID_REUSED")?;
    let seen = place.execution(&id).await?;
    ensure(seen.ended.is_some(), || "GetExecution says that it runs")?;
    let left = place
        .text(format!("ls -A {folder} 2>/dev/null; true"))
        .await?;
    same("what is left", left.as_str(), "")
}

async fn not_empty(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let folder = format!("full-{}", new_execution());
    place
        .text(format!("mkdir {folder} && touch {folder}/mine"))
        .await?;
    let message = v1::CloneRepositoryRequest {
        path: folder.clone(),
        ..request(context, &place)
    };
    let answer = clone(context, message).await;
    let has_git = place.text("command -v git || true").await?;
    if has_git.is_empty() {
        lacks_git(answer)?;
    } else {
        refused(answer, Code::FailedPrecondition, "DIRECTORY_NOT_EMPTY")?;
    }
    let left = place.text(format!("ls -A {folder}")).await?;
    same("what is there", left.trim(), "mine")
}

/// Makes the repository; a server without git of its own gives out its files.
const REPOSITORY: &str = "git init --quiet source && cd source && git checkout --quiet -b trunk && \
    echo content > file && git add file && \
    git -c user.name=n -c user.email=n@example.com commit --quiet -m one && \
    mkdir ../served && git clone --quiet --bare . ../served/r.git && \
    git --git-dir=../served/r.git update-server-info && git rev-parse HEAD";

async fn cloned(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.own().await?;
    let port = some_port();
    let message = v1::CloneRepositoryRequest {
        repository: format!("http://127.0.0.1:{port}/r.git"),
        path: "in/to".to_owned(),
        depth: Some(0),
        ..request(context, &place)
    };
    if place.text("command -v git || true").await?.is_empty() {
        return lacks_git(clone(context, message).await);
    }
    let commit = place.text(REPOSITORY).await?;
    let _server = server::start(&place, port, "served").await?;
    let answer = clone(context, message.clone()).await?;
    let outcome = answer.ended.clone().and_then(|ended| ended.outcome);
    ensure(outcome == Some(Outcome::ExitCode(0)), || {
        format!("ended {outcome:?}: {}", answer.output_tail)
    })?;
    same("ref", answer.r#ref.as_str(), "trunk")?;
    same("commit", answer.commit.as_str(), commit.trim())?;
    same("authenticated", answer.authenticated, false)?;
    let there = place
        .text("cat in/to/file && git -C in/to rev-parse HEAD")
        .await?;
    same(
        "what is there",
        there.as_str(),
        format!("content\n{commit}").as_str(),
    )?;
    same(
        "the repeated answer",
        clone(context, message).await?,
        answer,
    )
}

async fn credentials(context: &Context<'_>) -> Result<(), Failure> {
    let place = context.shared().await?;
    let mut client = context.subject().git();
    let message = v1::ConfigureGitCredentialsRequest {
        session_id: context.subject().session_id(),
        sandbox_id: place.id().to_owned(),
        ..Default::default()
    };
    let call = |request| async move { client.configure_git_credentials(request).await };
    let subject = context.subject();
    let answer = subject
        .unary("ConfigureGitCredentials", place.id(), QUICK, message, call)
        .await;
    match answer {
        // Whose sessions these are may well have a token.
        Ok(lent) => {
            same("provider", lent.provider.as_str(), "github")?;
            same(
                "file_path",
                lent.file_path.as_str(),
                "/tmp/.git-credentials",
            )?;
            let mode = place.text("stat -c %a /tmp/.git-credentials").await?;
            same("the mode of the file", mode.trim(), "600")
        }
        answer => {
            let status = refused(answer, Code::FailedPrecondition, "CONNECTION_REQUIRED")?;
            let info = tonic_types::StatusExt::get_details_error_info(&status);
            let named = info.and_then(|info| info.metadata.get("provider").cloned());
            same("metadata provider", named.as_deref(), Some("github"))
        }
    }
}
