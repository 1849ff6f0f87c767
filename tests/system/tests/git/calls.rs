//! What is asked for is what is cloned: branches, tags, commits, depth, folders; once for an id.

use sandgate_proto::v1::{CloneRepositoryRequest, GetExecutionRequest, execution_ended::Outcome};
use sandgate_system::{git, reason};
use tonic::Code;

use crate::{
    kinds::Kind,
    stand::{Stand, code},
    tokens::in_folder,
};

fn of(request: CloneRepositoryRequest, reference: &str, path: &str) -> CloneRepositoryRequest {
    CloneRepositoryRequest {
        r#ref: reference.to_owned(),
        ..in_folder(request, path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_of_all_kinds_and_depths() {
    let stand = Stand::start(Kind::Local).await;
    let second = stand.repositories.small("r.git");
    let bare = stand.repositories.root().join("r.git");
    let [main, side] = ["main", "side"].map(|name| git(&bare, &["rev-parse", name]));
    let request = stand.request("/closed/r.git");
    for (reference, path, name, commit) in [
        ("", "a", "main", &main),
        ("side", "b", "side", &side),
        ("refs/heads/side", "c", "side", &side),
        ("v1", "d", "v1", &second),
        (&second, "e", "", &second),
    ] {
        let cloned = stand.cloned(of(request.clone(), reference, path)).await;
        assert_eq!(
            (cloned.r#ref.as_str(), &cloned.commit),
            (name, commit),
            "{reference}"
        );
        let count = format!("git -C {} rev-list --count HEAD", cloned.path);
        assert_eq!(stand.said(&count).await.trim(), "1", "{reference}");
    }
    for (depth, commits) in [(0, "3"), (2, "2")] {
        let request = CloneRepositoryRequest {
            depth: Some(depth),
            ..in_folder(request.clone(), &format!("depth{depth}"))
        };
        let cloned = stand.cloned(request).await;
        let count = format!("git -C {} rev-list --count HEAD", cloned.path);
        assert_eq!(stand.said(&count).await.trim(), commits);
    }
    let none = stand
        .clone(of(request, "no-such-branch", "none"))
        .await
        .unwrap();
    assert!(code(&none).unwrap() > 0, "{none:?}");
    assert!(none.output_tail.contains("no-such-branch"), "{none:?}");
    assert!(!none.output_tail.contains("token"), "{none:?}");
    assert_eq!(stand.said("ls -A").await, "a\nb\nc\nd\ndepth0\ndepth2\ne\n");
}

/// A full name is that of one thing, whatever else has the same short one.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_and_a_tag_of_the_same_name() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.ambiguous("r.git");
    stand.repositories.small("s.git");
    let bare = stand.repositories.root().join("r.git");
    let commit = |name: &str| git(&bare, &["rev-parse", name]);
    let request = stand.request("/closed/r.git");
    for (reference, name, depth, commits) in [
        ("refs/heads/same", "same", 1, "1"),
        ("refs/tags/same", "same", 1, "1"),
        ("refs/heads/main", "main", 1, "1"),
        ("refs/heads/same", "same", 0, "2"),
        ("refs/tags/same", "same", 0, "1"),
    ] {
        let path = format!("{}-{depth}", reference.replace('/', "-"));
        let request = CloneRepositoryRequest {
            depth: Some(depth),
            ..of(request.clone(), reference, &path)
        };
        let cloned = stand.cloned(request).await;
        assert_eq!(cloned.r#ref, name);
        assert_eq!(cloned.commit, commit(reference), "{reference}");
        let count = format!("git -C {} rev-list --count HEAD", cloned.path);
        assert_eq!(stand.said(&count).await.trim(), commits, "{reference}");
        let state = format!("git -C {} status --short --branch", cloned.path);
        let wanted = match reference.starts_with("refs/heads/") {
            true => format!("## {name}...origin/{name}\n"),
            false => "## HEAD (no branch)\n".to_owned(),
        };
        assert_eq!(stand.said(&state).await, wanted, "{reference}");
    }
    // What is no branch is none, though a tag has its name.
    for reference in ["refs/heads/v1", "refs/tags/side"] {
        let request = of(stand.request("/closed/s.git"), reference, "none");
        let none = stand.clone(request).await.unwrap();
        assert!(code(&none).unwrap() > 0, "{none:?}");
        assert!(none.output_tail.contains(reference), "{none:?}");
    }
}

/// A server that gives single commits only if they are the end of a branch.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_the_server_does_not_give_by_itself() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    // No branch and no tag ends with it.
    let bare = stand.repositories.root().join("r.git");
    let first = git(&bare, &["rev-parse", "main~2"]);
    let cloned = stand
        .cloned(of(stand.request("/old/r.git"), &first, "x"))
        .await;
    assert_eq!(cloned.commit, first);
    assert!(
        cloned.output_tail.contains("gives no single commit"),
        "{cloned:?}"
    );
    let nowhere = "1".repeat(40);
    let none = stand
        .clone(of(stand.request("/old/r.git"), &nowhere, "y"))
        .await
        .unwrap();
    assert!(code(&none).unwrap() > 0, "{none:?}");
    assert_eq!(stand.said("ls -A").await, "x\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_id_joins_the_first() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    let request = CloneRepositoryRequest {
        execution_id: "the-clone".to_owned(),
        ..stand.request("/closed/r.git")
    };
    let (first, second) =
        tokio::join!(stand.cloned(request.clone()), stand.cloned(request.clone()));
    assert_eq!(first, second);
    // Also when the token is another one by now.
    stand.has_token("another-token-of-the-user").await;
    assert_eq!(stand.cloned(request.clone()).await, first);
    let looked = GetExecutionRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: stand.sandbox_id.clone(),
        execution_id: "the-clone".to_owned(),
    };
    let seen = stand.client.executions().get_execution(looked).await;
    let seen = seen.unwrap().into_inner().execution.unwrap();
    assert_eq!(seen.ended.unwrap().outcome, Some(Outcome::ExitCode(0)));
    assert!(
        seen.argv.iter().any(|word| word.ends_with("/closed/r.git")),
        "{:?}",
        seen.argv
    );

    let other = CloneRepositoryRequest {
        depth: Some(2),
        ..request
    };
    let refused = stand.clone(other).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
    assert_eq!(reason(&refused).1, "EXECUTION_ID_REUSED");
}

/// Makes the sandbox, like a command.
#[tokio::test(flavor = "multi_thread")]
async fn the_default_sandbox_is_made() {
    let stand = Stand::start(Kind::Local).await;
    let request = CloneRepositoryRequest {
        session_id: stand.client.session().await,
        sandbox_id: String::new(),
        ..stand.request("/open/none.git")
    };
    let session_id = request.session_id.clone();
    let cloned = stand.clone(request).await.unwrap();
    assert!(!cloned.sandbox_id.is_empty() && cloned.sandbox_id != stand.sandbox_id);
    let deleted = stand.client.delete(&session_id, &cloned.sandbox_id);
    deleted.await.unwrap();
}
