//! Clones a repository.

use std::{io, path::Path};

use sandgate_runner_proto::v1::CloneJob;

use super::{
    failure::Failure,
    fill::{filled, is_commit},
    job,
    login::Login,
    place::Place,
    report::Report,
    run::Git,
};

/// What git says where a server sends it elsewhere, and it may not go.
const MOVED: &[&str] = &[
    "error: 301",
    "error: 302",
    "error: 303",
    "error: 307",
    "error: 308",
];
/// What it says where a server wants to know who asks.
const CLOSED: &[&str] = &[
    "Authentication failed",
    "could not read Username",
    "error: 401",
    "error: 403",
    // Of a repository; of a branch the word goes on without the quote.
    "' not found",
];

/// Does what the input says; the code to end with.
pub(crate) fn clone() -> io::Result<u8> {
    let mut job: CloneJob = job()?;
    let login = job.login.take().map(Login::checked).transpose()?;
    let mut git = Git::new(login)?;
    let mut report = Report {
        path: job.path.clone(),
        ..Report::default()
    };
    let mut place = None;
    let done = cloned(&mut git, &job, &mut report, &mut place);
    report.authenticated = git.is_authenticated();
    let code = match &done {
        Ok(()) => 0,
        Err(failure) => {
            if let Failure::Refused(word, message) = failure {
                report.refused = word;
                git.say(&format!("sandgate: {message}"));
            }
            advise(&mut git, &job, failure);
            failure.code()
        }
    };
    report.print();
    // What takes long comes last.
    if let (Err(_), Some(place)) = (done, place) {
        place.undo();
    }
    Ok(code)
}

fn cloned(
    git: &mut Git,
    job: &CloneJob,
    report: &mut Report,
    made: &mut Option<Place>,
) -> Result<(), Failure> {
    // Before anything is made for it.
    git.ask(Path::new("/"), &["--version"])?;
    let of_path = |error: io::Error| Failure::of_path(&error, &job.path);
    let place = made.insert(Place::new(Path::new(&job.path)).map_err(of_path)?);
    report.path = place.target.to_string_lossy().into_owned();
    git.say(&format!("Cloning {} into {}", job.url, report.path));
    filled(git, job, &place.work)?;
    let (reference, commit) = facts(git, job, &place.work)?;
    if git.is_stopped() {
        return Err(Failure::Stopped);
    }
    place.finish().map_err(of_path)?;
    if place.is_inside() {
        // What was moved has another time of its last change, which the index holds.
        let _ = git.ask(&place.target, &["update-index", "-q", "--refresh"]);
    }
    (report.reference, report.commit) = (reference, commit);
    Ok(())
}

/// The branch or tag that is checked out, if any, and the commit.
fn facts(git: &Git, job: &CloneJob, work: &Path) -> Result<(String, String), Failure> {
    // A repository without commits has none.
    let commit = git.ask(work, &["rev-parse", "--quiet", "--verify", "HEAD^{commit}"])?;
    // Git's own short form is another where a tag has the same name.
    let branch = git.ask(work, &["symbolic-ref", "--quiet", "HEAD"])?;
    let reference = match branch.as_str() {
        "" if is_commit(&job.r#ref) => String::new(),
        "" => short(&job.r#ref).to_owned(),
        branch => short(branch).to_owned(),
    };
    Ok((reference, commit))
}

/// Says what to do next, where git's own words do not.
fn advise(git: &mut Git, job: &CloneJob, failure: &Failure) {
    if !matches!(failure, Failure::Git(_)) {
        return;
    }
    let advice = if git.said(MOVED) && git.has_login() {
        "the repository has moved, or its address is not the last one: the server sends its callers to another address, which a token is not taken to. Clone it from where it is now"
    } else if git.said(CLOSED) && git.is_authenticated() {
        "the host did not take the token, or the token may not read this repository: renew the connection github, or the session secret GITHUB_TOKEN"
    } else if git.said(CLOSED) {
        "this may be a private repository, and no token was sent: its host has to be one that tokens are for, and the user needs the connection github, or the session the secret GITHUB_TOKEN"
    } else {
        return;
    };
    git.say(&format!("sandgate: {} was not cloned: {advice}", job.url));
}

/// A branch or tag as people name it.
fn short(reference: &str) -> &str {
    let branch = reference.strip_prefix("refs/heads/");
    branch
        .or_else(|| reference.strip_prefix("refs/tags/"))
        .unwrap_or(reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_branches_and_tags() {
        assert_eq!(short("refs/heads/a/b"), "a/b");
        assert_eq!(short("refs/tags/v1"), "v1");
        assert_eq!(short("v1"), "v1");
    }
}
