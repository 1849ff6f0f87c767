//! Fills an empty folder with what was asked for: a commit, a branch, a tag, or what the repository has
//! checked out by itself.

use std::path::Path;

use sandgate_runner_proto::v1::CloneJob;

use super::{failure::Failure, place::empty, run::Git};

/// What git says of a commit that cannot be fetched by itself.
const NOT_ALONE: &[&str] = &[
    "not our ref",
    "unadvertised object",
    "does not allow request",
    "couldn't find remote ref",
];
/// All branches, as a clone keeps them.
const BRANCHES: &str = "+refs/heads/*:refs/remotes/origin/*";

/// Fills it.
pub(super) fn filled(git: &mut Git, job: &CloneJob, work: &Path) -> Result<(), Failure> {
    let depth = (job.depth > 0).then(|| format!("--depth={}", job.depth));
    let depth = depth.as_deref();
    let reference = job.r#ref.as_str();
    // A full name says what is meant where a branch and a tag have the same short one.
    if is_commit(reference) {
        commit(git, job, work, depth)?;
    } else if let Some(name) = reference.strip_prefix("refs/heads/") {
        branch(git, (&job.url, name), work, depth)?;
    } else if reference.starts_with("refs/tags/") {
        tag(git, job, work, depth)?;
    } else {
        short(git, job, work, depth)?;
    }
    if job.submodules && work.join(".gitmodules").exists() {
        submodules(git, work, depth)?;
    }
    Ok(())
}

/// Whether this is the full name of a commit.
pub(super) fn is_commit(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A repository that has nothing yet, of this remote.
fn begin(git: &mut Git, work: &Path, remote: &[&str]) -> Result<(), Failure> {
    git.run(work, &["init", "--quiet", "--template=", "--", "."])?;
    git.run(work, &[&["remote", "add"], remote].concat())
}

/// Fetches these, quietly but for the progress.
fn fetch(
    git: &mut Git,
    work: &Path,
    options: &[Option<&str>],
    wanted: &[&str],
) -> Result<(), Failure> {
    let mut arguments = vec!["fetch", "--quiet", "--progress"];
    arguments.extend(options.iter().flatten());
    arguments.extend(["--", "origin"]);
    arguments.extend(wanted);
    git.run(work, &arguments)
}

/// Checks something out, told by these words.
fn check_out(git: &mut Git, work: &Path, what: &[&str]) -> Result<(), Failure> {
    git.run(
        work,
        &[&["checkout", "--quiet", "--progress"], what].concat(),
    )
}

/// By a short name, or what the repository has checked out by itself.
fn short(git: &mut Git, job: &CloneJob, work: &Path, depth: Option<&str>) -> Result<(), Failure> {
    let folder = work.to_string_lossy();
    let mut clone = vec![
        "clone",
        "--quiet",
        "--progress",
        "--template=",
        "--origin",
        "origin",
    ];
    clone.extend(depth);
    if !job.r#ref.is_empty() {
        clone.extend(["--branch", &job.r#ref]);
    }
    clone.extend(["--", &job.url, &folder]);
    git.run(work, &clone)
}

fn commit(git: &mut Git, job: &CloneJob, work: &Path, depth: Option<&str>) -> Result<(), Failure> {
    begin(git, work, &["--", "origin", &job.url])?;
    match fetch(git, work, &[Some("--no-tags"), depth], &[&job.r#ref]) {
        // Where the server gives no single commit, one of the branches may have it.
        Err(Failure::Git(_)) if git.said(NOT_ALONE) => {
            git.say("The server gives no single commit; fetching all branches and tags");
            fetch(git, work, &[Some("--tags")], &[BRANCHES])?;
        }
        fetched => fetched?,
    }
    check_out(git, work, &["--detach", &job.r#ref])
}

/// As `git clone --branch` has it, which knows no full names: all other branches too only with all
/// history.
fn branch(
    git: &mut Git,
    (url, name): (&str, &str),
    work: &Path,
    depth: Option<&str>,
) -> Result<(), Failure> {
    let theirs = format!("refs/remotes/origin/{name}");
    let only = format!("+refs/heads/{name}:{theirs}");
    match depth {
        Some(_) => begin(git, work, &["-t", name, "--", "origin", url])?,
        None => begin(git, work, &["--", "origin", url])?,
    }
    fetch(git, work, &[depth], &[&only])?;
    if depth.is_none() {
        fetch(git, work, &[], &[BRANCHES])?;
    }
    check_out(git, work, &["-B", name, "--track", &theirs])
}

fn tag(git: &mut Git, job: &CloneJob, work: &Path, depth: Option<&str>) -> Result<(), Failure> {
    let only = format!("+{0}:{0}", job.r#ref);
    begin(git, work, &["--", "origin", &job.url])?;
    fetch(git, work, &[Some("--no-tags"), depth], &[&only])?;
    if depth.is_none() {
        fetch(git, work, &[], &[BRANCHES])?;
    }
    check_out(git, work, &["--detach", &job.r#ref])
}

/// Clones what the repository is put together from.
fn submodules(git: &mut Git, work: &Path, depth: Option<&str>) -> Result<(), Failure> {
    let update = [
        "submodule",
        "update",
        "--init",
        "--recursive",
        "--checkout",
        "--progress",
    ];
    let Some(depth) = depth else {
        return git.run(work, &update);
    };
    match git.run(work, &[&update[..], &[depth]].concat()) {
        Err(Failure::Git(_)) if git.said(NOT_ALONE) => {
            git.say("A server gives no single commit; cloning submodules with all history");
            git.run(
                work,
                &["submodule", "--quiet", "deinit", "--all", "--force"],
            )?;
            let modules = work.join(".git/modules");
            if modules.exists() {
                empty(&modules)?;
            }
            git.run(work, &update)
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_a_full_one() {
        assert!(is_commit(&"0aF9".repeat(10)));
        assert!(is_commit(&"b".repeat(64)));
        for other in ["", "main", "abcdef0", &"g".repeat(40), &"a".repeat(41)] {
            assert!(!is_commit(other), "{other}");
        }
    }
}
