//! That whole trees end, whatever they do to hide.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use sandgate_runner_proto::v1::KillGuarantee;

use super::super::{
    Child, Command, Keeper,
    support_tests::{goes_away, is_root, lives, number, reap, shell},
};

/// Prints its number and stays.
const STAY: &str = "sh -c 'echo $$; exec sleep 1000'";

fn start(keeper: &Keeper, execution: u64, line: &str) -> (Child, i32) {
    let child = keeper.spawn(execution, &shell(line)).unwrap();
    let daemon = number(child.stdout.as_ref().unwrap());
    assert!(lives(daemon));
    (child, daemon)
}

/// Kills the tree, in the order that the event loop may see: before and after the main one ended.
fn ends(keeper: &Keeper, line: &str) {
    for reaped in [false, true] {
        let (mut child, daemon) = start(keeper, 1, line);
        if reaped {
            reap(&mut child);
            assert!(!child.tree.is_empty(), "{line}");
        }
        child.tree.kill();
        assert!(goes_away(daemon), "{line} survived, main reaped: {reaped}");
        if !reaped {
            reap(&mut child);
        }
        assert!(child.tree.is_empty(), "{line}");
    }
}

fn descent() -> Keeper {
    let mut keeper = Keeper::new(None);
    keeper.grouped = false;
    keeper
}

#[test]
fn daemons_are_found_by_session_mark_and_descent() {
    let keeper = descent();
    assert_eq!(keeper.guarantee(), KillGuarantee::Descent);
    ends(&keeper, &format!("{STAY} &"));
    ends(&keeper, &format!("env -i PATH=/usr/bin:/bin {STAY} &"));
    ends(&keeper, &format!("setsid -f setsid -f {STAY}"));
    // Hidden but for who started it.
    let (mut child, daemon) = start(
        &keeper,
        1,
        &format!("env -i PATH=/usr/bin:/bin setsid {STAY} & wait"),
    );
    child.tree.kill();
    assert!(goes_away(daemon));
    reap(&mut child);
}

#[test]
fn a_group_marks_what_hides_its_environment() {
    let keeper = Keeper::new(None);
    if !is_root() {
        assert_eq!(keeper.guarantee(), KillGuarantee::Descent);
        return;
    }
    assert_eq!(keeper.guarantee(), KillGuarantee::GroupMark);
    ends(
        &keeper,
        &format!("env -i PATH=/usr/bin:/bin setsid -f setsid -f {STAY}"),
    );
    ends(&keeper, &format!("setpriv --clear-groups setsid -f {STAY}"));
}

/// A new folder in a hierarchy that can end processes.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let fits = |fields: &Vec<&str>| {
        fields[2] == "cgroup2"
            || fields[2] == "cgroup" && fields[3].split(',').any(|option| option == "freezer")
    };
    mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(fits)
        .map(|fields| {
            PathBuf::from(fields[1]).join(format!("sandgate-test-{}", std::process::id()))
        })
        .filter(|folder| fs::create_dir(folder).is_ok())
        .collect()
}

#[test]
fn nothing_leaves_a_control_group() {
    if !is_root() {
        assert_ne!(
            Keeper::new(Some("/no/such/folder".into())).guarantee(),
            KillGuarantee::Cgroup
        );
        return;
    }
    let folders = hierarchies();
    assert!(
        !folders.is_empty(),
        "as root this test needs a writable cgroup2 or cgroup v1 freezer hierarchy: mount one"
    );
    for folder in folders {
        let keeper = Keeper::new(Some(folder.clone()));
        assert_eq!(
            keeper.guarantee(),
            KillGuarantee::Cgroup,
            "{}",
            folder.display()
        );
        ends(
            &keeper,
            &format!("setpriv --clear-groups env -i PATH=/usr/bin:/bin setsid -f setsid -f {STAY}"),
        );
        let (mut child, daemon) = start(
            &keeper,
            2,
            &format!("setpriv --clear-groups env -i PATH=/usr/bin:/bin setsid -f {STAY}"),
        );
        assert!(folder.join("e2").exists());
        reap(&mut child);
        assert!(child.tree.signal(libc::SIGTERM, true));
        assert!(goes_away(daemon));
        drop(child);
        // Leftovers go with a later start.
        let until = Instant::now() + Duration::from_secs(5);
        while fs::remove_dir(&folder).is_err() {
            assert!(
                Instant::now() < until,
                "{} is not emptied",
                folder.display()
            );
            let mut child = keeper.spawn(3, &shell("true")).unwrap();
            reap(&mut child);
        }
    }
}

#[test]
fn other_executions_are_left_alone() {
    for keeper in [Keeper::new(None), descent()] {
        let (mut one, first) = start(&keeper, 1, &format!("{STAY} & wait"));
        let (mut two, second) = start(&keeper, 2, &format!("{STAY} & wait"));
        one.tree.kill();
        assert!(goes_away(first));
        reap(&mut one);
        thread::sleep(Duration::from_millis(20));
        assert!(lives(second) && lives(two.pid) && !two.tree.is_empty());
        two.tree.kill();
        assert!(goes_away(second));
        reap(&mut two);
    }
}

#[test]
fn signals_reach_one_or_all() {
    let keeper = Keeper::new(None);
    let (mut child, daemon) = start(&keeper, 1, &format!("{STAY} & wait"));
    assert!(child.tree.signal(libc::SIGTERM, false));
    reap(&mut child);
    assert!(!child.tree.signal(libc::SIGTERM, false));
    assert!(lives(daemon));
    assert!(child.tree.signal(libc::SIGRTMIN() + 1, true));
    assert!(goes_away(daemon));
    assert!(child.tree.is_empty() && !child.tree.signal(libc::SIGTERM, true));
}

#[test]
fn a_main_thread_that_ended_hides_nobody() {
    let keeper = Keeper::new(None);
    let code = "import ctypes,threading,time,os;threading.Thread(target=time.sleep,args=(1000,)).start();print(os.getpid(),flush=True);ctypes.CDLL(None).pthread_exit(None)";
    let line = format!("exec python3 -c '{code}'");
    let mut child = keeper.spawn(1, &shell(&line)).unwrap();
    let main = number(child.stdout.as_ref().unwrap());
    // Looks as if it had ended.
    assert!(goes_away(main), "this test needs python3");
    assert!(!child.tree.is_empty());
    child.tree.kill();
    assert!(child.tree.is_empty());
    reap(&mut child);
}

#[test]
fn a_fork_bomb_is_beaten() {
    for (execution, keeper) in [Keeper::new(None), descent()].into_iter().enumerate() {
        // Not counted for root, so as a user of its own.
        let user = if is_root() {
            format!("{}", 12_400 + execution)
        } else {
            String::new()
        };
        let processes = fs::read_dir("/proc").unwrap().count() + 150;
        let line = format!(
            "prlimit --nproc={processes} --pid $$; b() {{ while :; do b & sleep 0.02; done; }}; b 2>/dev/null"
        );
        let mut child = keeper
            .spawn(
                1,
                &Command {
                    user,
                    ..shell(&line)
                },
            )
            .unwrap();
        thread::sleep(Duration::from_millis(500));
        let begun = Instant::now();
        child.tree.kill();
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        thread::sleep(Duration::from_millis(100));
        assert!(child.tree.is_empty());
        reap(&mut child);
    }
}
