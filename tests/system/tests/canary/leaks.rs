//! Nothing that is secret is in logs, audit, errors, answers or the data at rest.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use sandgate_system::{Raw, Search};

use crate::{
    canaries::Canaries,
    stand::{Stand, Told},
};

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// What is in files and must not be. `stored`: the folder is the gateway's data, where content of session
/// files is in objects of its own.
fn in_files(folder: &Path, search: &Search, canaries: &Canaries, stored: bool) -> BTreeSet<String> {
    let mut findings = BTreeSet::new();
    for path in files(folder) {
        // A file may go away while it is looked for.
        let Ok(bytes) = fs::read(&path) else { continue };
        let name = path.file_name().unwrap().to_string_lossy();
        let is_object = path.starts_with(folder.join("files"));
        for found in search.find(&bytes) {
            let is_content = is_object && found == "file content";
            if !(stored && (is_content || canaries.named(found).stored)) {
                findings.insert(format!("{name} holds: {found}"));
            }
        }
    }
    findings
}

fn in_answers(answers: &[Told], search: &Search, canaries: &Canaries) -> BTreeSet<String> {
    let mut findings = BTreeSet::new();
    for answer in answers {
        for found in search.find(&answer.bytes) {
            let allowed = canaries.named(found).told_by.contains(&answer.rpc.as_str());
            if !(allowed && answer.fine) {
                let kind = if answer.fine { "an answer" } else { "an error" };
                findings.insert(format!("{kind} of {} holds: {found}", answer.rpc));
            }
        }
    }
    findings
}

/// What a search that finds nothing would miss: places where the texts are known to be.
fn in_sight(answers: &[Told], search: &Search, data: &Path, written: &Path) {
    let told = |rpc: &str, name: &str| {
        let mut answers = answers.iter().filter(|answer| answer.rpc == rpc);
        assert!(
            answers.any(|answer| search.find(&answer.bytes).contains(name)),
            "{rpc} does not tell {name}"
        );
    };
    told("GetSandbox", "spec env");
    told("Exec", "command");
    let stored = files(data)
        .iter()
        .any(|path| search.find(&fs::read(path).unwrap()).contains("spec env"));
    assert!(stored, "the database is not where it is looked for");
    for (log, word) in [("log.txt", "TRACE"), ("log.json", "\"level\":\"TRACE\"")] {
        let text = fs::read(written.join(log)).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(word), "{log} does not hold everything");
    }
}

#[tokio::test]
async fn secrets_stay_where_they_belong() {
    let mut stand = Stand::start().await;
    stand.issue().await;
    stand.walk().await;
    stand.abuse().await;
    stand.others().await;
    stand.fail().await;
    // The write-ahead log of a gateway that was killed is searched as well.
    let search = stand.canaries.search();
    let mut findings = in_files(stand.data.path(), &search, &stand.canaries, true);
    let mut stand = stand.restarted().await;
    stand.walk().await;
    assert!(
        Raw::connect(stand.address())
            .await
            .send("/", &[], "")
            .await
            .is_ok()
    );
    let (canaries, answers, missing, [data, written]) = stand.ended().await;

    let search = canaries.search();
    in_sight(&answers, &search, data.path(), written.path());
    findings.extend(in_files(data.path(), &search, &canaries, true));
    findings.extend(in_files(written.path(), &search, &canaries, false));
    findings.extend(in_answers(&answers, &search, &canaries));
    let findings: Vec<_> = findings.into_iter().collect();
    assert!(
        findings.is_empty(),
        "secrets are where they do not belong:\n  {}\n",
        findings.join("\n  ")
    );
    // Keys have been made, so their secrets were looked for too.
    assert!(
        canaries
            .all
            .iter()
            .any(|canary| canary.name == "secret of an API key")
    );
    assert!(
        files(written.path())
            .iter()
            .any(|path| path.ends_with("audit.jsonl")),
        "there is no audit file"
    );
    let missing: BTreeSet<_> = missing.into_iter().collect();
    assert!(missing.is_empty(), "not all could be tried: {missing:#?}");
}
