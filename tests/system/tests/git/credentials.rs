//! Git of the sandbox's own user, with the token that it was lent.

use std::time::{Duration, Instant, SystemTime};

use crate::{
    kinds::Kind,
    stand::{Stand, TOKEN},
};

/// Until when the file says that it is lent.
pub(crate) async fn until(stand: &Stand) -> String {
    let line = "sed -n 's/^# lent by sandgate until //p' /tmp/.git-credentials";
    stand.said(line).await.trim().to_owned()
}

/// As many are there to remove what is lent until then.
pub(crate) async fn remove_it(stand: &Stand, until: &str, many: usize) {
    let begun = Instant::now();
    let them = format!("grep -lzs '^{until}$' /proc/[0-9]*/cmdline; true");
    while stand.said(&them).await.lines().count() != many {
        assert!(begun.elapsed() < Duration::from_secs(40), "not {many}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn lent(kind: Kind) {
    let stand = Stand::start(kind).await;
    stand.repositories.small("r.git");
    let url = format!("{}/closed/r.git", stand.origin);
    stand
        .said("git config --global user.name Ann && git config --global alias.st status")
        .await;
    let clone = |folder: &str| format!("GIT_TERMINAL_PROMPT=0 git clone --quiet {url} {folder}");
    assert_ne!(stand.ran(&clone("before")).await.0, Some(0));

    let lent = stand.configure(&[]).await.unwrap();
    assert!(lent.authenticated);
    assert_eq!(lent.provider, "github");
    assert_eq!(
        lent.hosts,
        [stand.origin.clone(), stand.other_origin.clone()]
    );
    assert_eq!(lent.file_path, "/tmp/.git-credentials");
    let end = SystemTime::try_from(lent.expire_time.unwrap()).unwrap();
    let left = end.duration_since(SystemTime::now()).unwrap();
    assert!(
        (Duration::from_secs(3500)..=Duration::from_secs(3600)).contains(&left),
        "{left:?}"
    );
    let facts = stand
        .said("stat -c '%a %U' /tmp/.git-credentials && id -un")
        .await;
    let user = facts.lines().last().unwrap().to_owned();
    assert_eq!(facts, format!("600 {user}\n{user}\n"));
    stand.said(&clone("first")).await;
    stand
        .said("cd first && git pull --quiet && git ls-remote --exit-code origin main")
        .await;

    lent_anew(&stand, clone).await;
}

/// Another token takes its place; nothing is said twice, and all else stays.
async fn lent_anew(stand: &Stand, clone: impl Fn(&str) -> String) {
    let first = until(stand).await;
    stand.server.takes("the-next/token of the user");
    assert_ne!(stand.ran(&clone("expired")).await.0, Some(0));
    stand.has_token("the-next/token").await;
    stand.server.takes("the-next/token");
    let lent = stand.configure(&[&stand.origin]).await.unwrap();
    assert_eq!(lent.hosts, std::slice::from_ref(&stand.origin));
    stand.said(&clone("second")).await;
    let file = stand.said("cat /tmp/.git-credentials").await;
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.count(), 1);
    assert!(file.contains("# lent by sandgate until "), "{file}");
    assert!(
        file.contains("the-next%2Ftoken@") && !file.contains(&TOKEN[20..]),
        "{file}"
    );
    remove_it(stand, &until(stand).await, 1).await;
    // Who was to remove the first one goes when he sees that it was lent anew.
    remove_it(stand, &first, 0).await;
    let settings = stand.said("git config --global --list").await;
    assert!(settings.contains("user.name=Ann") && settings.contains("alias.st=status"));
    let ours = format!("credential.{}/.helper=!f()", stand.origin);
    assert_eq!(settings.matches(&ours).count(), 1, "{settings}");
    let emptied = format!("credential.{}/.helper=\n", stand.origin);
    assert_eq!(settings.matches(&emptied).count(), 1, "{settings}");
}

/// Git tells all helpers of a host what was of use; one that stores it would keep it for good.
#[tokio::test(flavor = "multi_thread")]
async fn helpers_of_the_users_own_are_not_told() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    let all = "git config --global credential.helper store";
    let told = "cat > ~/told.sh; echo >> ~/told";
    let own = |slash: &str| {
        format!(
            "git config --global credential.{0}{slash}.helper '!f() {{ {told}; }}; f' && \
             git config --global credential.{0}{slash}.username oauth2",
            stand.origin
        )
    };
    let url = format!("{}/closed/r.git", stand.origin);
    // In any order, and as often as it is lent.
    for (time, configured) in [
        format!("{all} && {}", own("")),
        "true".to_owned(),
        format!("rm ~/.gitconfig && {} && {all}", own("")),
        "true".to_owned(),
        format!("rm ~/.gitconfig && {} && {all}", own("/")),
    ]
    .iter()
    .enumerate()
    {
        stand.said(configured).await;
        stand.configure(&[]).await.unwrap();
        let used = format!(
            "git clone --quiet {url} r{time} && cd r{time} && git pull --quiet && git fetch --quiet"
        );
        stand.said(&used).await;
        let left = stand.said("ls -A ~ && cat ~/.git-credentials ~/told 2>/dev/null || true");
        let left = left.await;
        assert!(
            !left.contains("told") && !left.contains("credentials"),
            "{left}"
        );
    }
    // What is lent stays as it is, though git has used it, and though it was refused.
    let before = stand.said("cat /tmp/.git-credentials").await;
    stand.server.takes("another by now");
    assert_ne!(stand.ran("git -C r0 fetch").await.0, Some(0));
    assert_eq!(stand.said("cat /tmp/.git-credentials").await, before);
    // For all other hosts the user's own holds.
    let other = "printf 'protocol=https\nhost=other.example\nusername=u\npassword=p\n\n' | git credential approve";
    stand.said(other).await;
    assert_eq!(
        stand.said("cat ~/.git-credentials").await,
        "https://u:p@other.example\n"
    );
}

/// Somebody else of the sandbox may have been there before.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_its_place_leads_nowhere() {
    let stand = Stand::start(Kind::Local).await;
    stand
        .said("echo mine > ~/victim && chmod 644 ~/victim && ln -s ~/victim /tmp/.git-credentials")
        .await;
    stand.configure(&[]).await.unwrap();
    let facts = "stat -c '%F %a' /tmp/.git-credentials ~/victim && cat ~/victim";
    assert_eq!(
        stand.said(facts).await,
        "regular file 600\nregular file 644\nmine\n"
    );
}

/// Of several hosts those that are asked for have it.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_lent_for_the_hosts_that_are_named() {
    let stand = Stand::start(Kind::Local).await;
    stand.repositories.small("r.git");
    let other = &stand.other_origin;
    let all = stand.configure(&[]).await.unwrap();
    assert_eq!(all.hosts, [stand.origin.clone(), other.clone()]);
    let file = stand.said("cat /tmp/.git-credentials").await;
    assert_eq!(file.matches('@').count(), 2, "{file}");
    let one = stand.configure(&[other]).await.unwrap();
    assert_eq!(one.hosts, std::slice::from_ref(other));
    let file = stand.said("cat /tmp/.git-credentials").await;
    assert_eq!(file.matches('@').count(), 1, "{file}");
    assert!(
        file.contains(other.strip_prefix("http://").unwrap()),
        "{file}"
    );
    let clone = format!(
        "GIT_TERMINAL_PROMPT=0 git clone --quiet {}/closed/r.git",
        stand.origin
    );
    assert_ne!(stand.ran(&clone).await.0, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn git_uses_what_it_was_lent_on_local() {
    lent(Kind::Local).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_uses_what_it_was_lent_on_container() {
    lent(Kind::Container).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn git_uses_what_it_was_lent_on_e2b() {
    lent(Kind::E2b).await;
}
