//! After a clone the token is nowhere: not in a file of the sandbox, not in what its processes were
//! started with, not in output, answers or logs.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use prost::Message as _;
use sandgate_proto::v1::{CloneRepositoryRequest, StreamExecutionRequest};
use sandgate_system::Search;

use crate::{
    ending::{end, half_is_there},
    kinds::Kind,
    stand::{Stand, TOKEN},
};

/// What a search in the sandbox looks for: the token's last letters, which no command line of the search
/// holds in one piece; as they are, and as a part of the header that git sends.
fn pieces() -> [String; 2] {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let basic = BASE64_STANDARD.encode(format!("oauth2:{TOKEN}"));
    [TOKEN[20..].to_owned(), basic[24..48].to_owned()]
}

/// Searches all files and all processes of the sandbox, the token cut in two on its way there.
async fn found_in_sandbox(stand: &Stand) -> String {
    let mut found = String::new();
    for piece in pieces() {
        let (first, second) = piece.split_at(9);
        let script = format!(
            "a='{first}'; b='{second}'; p=/tmp/pattern.$$; printf '%s%s' \"$a\" \"$b\" > $p; \
             find / -xdev \\( -path /proc -o -path /sys -o -path /dev -o -path /usr -o -path $p \\) -prune \
               -o -type f -size -40000k -exec grep -alF -f $p {{}} + 2>/dev/null; \
             for d in /tmp /home /workspace /root /run /var/tmp /dev/shm; do \
               grep -ralF -f $p --exclude=pattern.* $d 2>/dev/null; done; \
             for f in /proc/[0-9]*/environ /proc/[0-9]*/cmdline; do \
               grep -aqF -f $p $f 2>/dev/null && echo $f; done; \
             rm -f $p; true"
        );
        found += &stand.said(&script).await;
    }
    found
}

/// Processes of this whole machine, the test's own but for itself, that were started with the token.
fn found_on_machine() -> Vec<String> {
    let mut search = Search::default();
    search.add("token", TOKEN.as_bytes());
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap() {
        let process = process.unwrap().path();
        for file in ["cmdline", "environ"].map(|name| process.join(name)) {
            // What is over by now, or is no process, has none.
            let text = fs::read(&file).unwrap_or_default();
            if !search.find(&text).is_empty() {
                found.push(file.display().to_string());
            }
        }
    }
    found
}

/// While git has it, too: half of a clone is there and no more comes.
async fn nowhere_while_it_runs(kind: Kind) {
    let stand = Stand::start(kind).await;
    stand.repositories.large("big.git", 50, 20_000);
    let request = CloneRepositoryRequest {
        execution_id: "runs".to_owned(),
        ..stand.request("/stuck/big.git")
    };
    let looks = async {
        half_is_there(&stand).await;
        let runs = "grep -la 'remote-htt[p].*/stuck/big' /proc/[0-9]*/cmdline";
        assert_ne!(stand.said(runs).await, "");
        assert_eq!(found_on_machine(), [""; 0]);
        assert_eq!(found_in_sandbox(&stand).await, "");
        end(&stand, "runs").await;
    };
    let (cloned, ()) = tokio::join!(stand.clone(request), looks);
    let cloned = cloned.unwrap();
    assert!(cloned.authenticated, "{cloned:?}");
    assert_eq!(found_in_logs(&stand), [""; 0]);
    // The same search finds one that has it.
    let mut planted = Command::new("sleep")
        .arg("60")
        .env("PLANTED", TOKEN)
        .spawn()
        .unwrap();
    let name = format!("/proc/{}/environ", planted.id());
    let begun = Instant::now();
    while !found_on_machine().contains(&name) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not find"
        );
    }
    planted.kill().unwrap();
    planted.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_while_git_runs_on_local() {
    nowhere_while_it_runs(Kind::Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_while_git_runs_on_container() {
    nowhere_while_it_runs(Kind::Container).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_while_git_runs_on_e2b() {
    nowhere_while_it_runs(Kind::E2b).await;
}

/// What gateway and provider have written down.
fn found_in_logs(stand: &Stand) -> Vec<String> {
    let mut search = Search::default();
    search.add("token", TOKEN.as_bytes());
    let mut found = Vec::new();
    for name in ["gateway.log", "provider.log"] {
        let log = fs::read(stand.folder.path().join(name)).unwrap();
        let text = String::from_utf8_lossy(&log);
        assert!(text.contains("TRACE"), "{name} does not hold everything");
        if !search.find(&log).is_empty() {
            found.push(name.to_owned());
        }
    }
    found
}

/// All that an execution wrote, encoded as it came.
async fn output(stand: &Stand, execution_id: &str) -> Vec<u8> {
    let request = StreamExecutionRequest {
        session_id: stand.session_id.clone(),
        sandbox_id: stand.sandbox_id.clone(),
        execution_id: execution_id.to_owned(),
        ..Default::default()
    };
    let streamed = stand.client.executions().stream_execution(request).await;
    let mut stream = streamed.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        all.extend(message.encode_to_vec());
    }
    all
}

async fn nowhere(kind: Kind) {
    let stand = Stand::start(kind).await;
    stand.repositories.small("r.git");
    let cloned = stand.cloned(stand.request("/closed/r.git")).await;
    assert!(cloned.authenticated, "{cloned:?}");
    assert_eq!(cloned.r#ref, "main");
    let mut search = Search::default();
    search.add("token", TOKEN.as_bytes());
    let told = [
        output(&stand, &cloned.execution_id).await,
        cloned.encode_to_vec(),
    ]
    .concat();
    assert!(search.find(&told).is_empty(), "{cloned:?}");
    assert_eq!(found_in_sandbox(&stand).await, "");
    assert_eq!(found_in_logs(&stand), [""; 0]);
    // The clone is of use, and knows of no token.
    let path = &cloned.path;
    let remote = stand
        .said(&format!("git -C {path} remote get-url origin"))
        .await;
    assert_eq!(remote.trim(), format!("{}/closed/r.git", stand.origin));
    let (code, said) = stand
        .ran(&format!("GIT_TERMINAL_PROMPT=0 git -C {path} fetch"))
        .await;
    assert_ne!(code, Some(0), "{said}");
    // The same search finds what was put there on purpose.
    stand.configure(&[]).await.unwrap();
    let (first, second) = TOKEN.split_at(20);
    let plant = format!("printf '%s%s' '{first}' '{second}' > $HOME/planted");
    stand.said(&plant).await;
    let found = found_in_sandbox(&stand).await;
    assert!(
        found.contains("/planted") && found.contains("/tmp/.git-credentials"),
        "{found}"
    );
    assert_eq!(found_in_logs(&stand), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_on_local() {
    nowhere(Kind::Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_on_container() {
    nowhere(Kind::Container).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_is_nowhere_on_e2b() {
    nowhere(Kind::E2b).await;
}
