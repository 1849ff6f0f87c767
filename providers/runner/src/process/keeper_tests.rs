//! How processes start, and why they do not.

use std::{
    fs,
    io::Write,
    os::{fd::AsFd, unix::fs::PermissionsExt},
};

use super::super::{
    resize,
    support_tests::{all, command, is_root, reap, run, shell},
};
use super::*;

fn reason(keeper: &Keeper, command: &Command) -> &'static str {
    match keeper.spawn(1, command) {
        Ok(mut child) => {
            reap(&mut child);
            "STARTED"
        }
        Err(failure) => {
            assert!(failure.message.ends_with('.'), "{}", failure.message);
            failure.reason
        }
    }
}

#[test]
fn a_process_begins_clean() {
    let keeper = Keeper::new(None);
    let mut clean = shell(
        // Without a pipe, which the shell would hold open for a moment.
        "pwd; umask; cat /proc/self/status; cut -d' ' -f1,5,6 /proc/$$/stat; ls -m /proc/$$/fd; :",
    );
    clean.cwd = "/usr/bin".into();
    let output = run(&keeper, 1, &clean);
    assert!(output.starts_with("/usr/bin\n0022\n"), "{output}");
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(
            output.contains(&format!("{set}:\t0000000000000000")),
            "{output}"
        );
    }
    let mut last = output.lines().rev();
    assert!(
        ["0, 1, 2", "0, 1, 10, 2"].contains(&last.next().unwrap()),
        "{output}"
    );
    let ids: Vec<&str> = last.next().unwrap().split(' ').collect();
    assert!(ids[0] == ids[1] && ids[1] == ids[2], "{ids:?}");
}

#[test]
fn the_environment_is_filled_up() {
    let keeper = Keeper::new(None);
    let mut env = command(&["env"]);
    env.env
        .extend([b"HOME=/mine".to_vec(), b"A=1".to_vec(), b"A=2".to_vec()]);
    let output = run(&keeper, 7, &env);
    let lines: Vec<&str> = output.lines().collect();
    assert!(
        lines.contains(&"HOME=/mine") && lines.contains(&"A=2"),
        "{output}"
    );
    assert!(!lines.contains(&"HOME=/root"), "{output}");
    assert!(output.contains("SANDGATE_EXECUTION=7."), "{output}");
    if is_root() {
        assert!(
            lines.contains(&"USER=root") && lines.contains(&"LOGNAME=root"),
            "{output}"
        );
        assert!(output.contains("SHELL=/"), "{output}");
    }
}

#[test]
fn input_is_there_only_if_asked_for() {
    let keeper = Keeper::new(None);
    assert_eq!(run(&keeper, 1, &command(&["cat"])), "");
    let mut cat = command(&["cat"]);
    cat.stdin = true;
    let mut child = keeper.spawn(2, &cat).unwrap();
    let mut input = fs::File::from(child.stdin.take().unwrap());
    input.write_all(b"over").unwrap();
    drop(input);
    assert_eq!(all(child.stdout.take().unwrap()), "over");
    reap(&mut child);
}

#[test]
fn programs_are_looked_up_as_their_user_sees_them() {
    let keeper = Keeper::new(None);
    let root = tempfile::tempdir().unwrap();
    for (folder, mode) in [("a", 0o644), ("b", 0o755)] {
        fs::create_dir(root.path().join(folder)).unwrap();
        let path = root.path().join(folder).join("tool");
        fs::write(&path, format!("#!/bin/sh\necho {folder}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let at = root.path().display();
    let mut tool = command(&["tool"]);
    tool.env = vec![format!("PATH=/nowhere:{at}/a:{at}/b").into_bytes()];
    assert_eq!(run(&keeper, 1, &tool), "b\n");
    tool.env = vec![format!("PATH={at}/a").into_bytes()];
    assert_eq!(reason(&keeper, &tool), "NOT_EXECUTABLE");
    tool.env = vec![format!("PATH={at}").into_bytes()];
    assert_eq!(reason(&keeper, &tool), "PROGRAM_NOT_FOUND");
    tool.argv = vec![b"a".to_vec()];
    assert_eq!(reason(&keeper, &tool), "PROGRAM_NOT_FOUND");
    tool.argv = vec![b"./b/tool".to_vec()];
    tool.cwd = root.path().into();
    assert_eq!(run(&keeper, 1, &tool), "b\n");
    tool.argv = vec![b"tool".to_vec()];
    tool.env = vec![b"PATH=b".to_vec()];
    assert_eq!(run(&keeper, 1, &tool), "b\n");
    assert_eq!(
        run(
            &keeper,
            1,
            &Command {
                env: Vec::new(),
                ..command(&["echo", "x"])
            }
        ),
        "x\n"
    );
}

#[test]
fn each_failure_has_its_reason() {
    let keeper = Keeper::new(None);
    let root = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    };
    let long = "x".repeat(200 * 1024);
    for (argv, wanted) in [
        (vec![], "PROGRAM_NOT_FOUND"),
        (vec![""], "PROGRAM_NOT_FOUND"),
        (vec!["no-such-program"], "PROGRAM_NOT_FOUND"),
        (vec!["/no/such/program"], "PROGRAM_NOT_FOUND"),
        (vec![long.as_str()], "PROGRAM_NOT_FOUND"),
        (vec!["/etc/passwd"], "NOT_EXECUTABLE"),
        (vec!["/usr"], "NOT_EXECUTABLE"),
        (vec![&file("bare", "echo hi\n")], "NOT_EXECUTABLE"),
        (
            vec![&file("lost", "#!/no/such/interpreter\n")],
            "NOT_EXECUTABLE",
        ),
        (vec!["true", &long], "ARGUMENTS_TOO_LONG"),
        (vec!["true", "a\0b"], "START_FAILED"),
    ] {
        assert_eq!(reason(&keeper, &command(&argv)), wanted, "{:.60?}", argv);
    }
}

#[test]
fn folders_and_users_fail_with_their_reasons() {
    let keeper = Keeper::new(None);
    let root = tempfile::tempdir().unwrap();
    let away = |cwd: &str| Command {
        cwd: cwd.into(),
        ..command(&["true"])
    };
    assert_eq!(reason(&keeper, &away("/no/such/folder")), "CWD_NOT_FOUND");
    assert_eq!(reason(&keeper, &away("/etc/passwd")), "CWD_NOT_FOUND");
    let as_user = |user: &str| Command {
        user: user.into(),
        ..command(&["true"])
    };
    assert_eq!(reason(&keeper, &as_user("no-such-user")), "USER_NOT_FOUND");
    assert_eq!(
        reason(&keeper, &as_user("0:no-such-group")),
        "USER_NOT_FOUND"
    );
    if is_root() {
        let locked = root.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
        let inside = Command {
            cwd: locked,
            ..as_user("12345")
        };
        assert_eq!(reason(&keeper, &inside), "NOT_PERMITTED");
    } else {
        assert_eq!(reason(&keeper, &as_user("0")), "NOT_PERMITTED");
    }
    for (errno, wanted) in [
        (Errno::AGAIN, "OUT_OF_PROCESSES"),
        (Errno::NOMEM, "OUT_OF_MEMORY"),
        (Errno::MFILE, "START_FAILED"),
    ] {
        assert_eq!(StartFailure::at(Stage::Process, errno, "").reason, wanted);
    }
}

#[test]
fn a_process_has_the_user_that_was_asked_for() {
    let keeper = Keeper::new(None);
    let own = keeper.own.uid.to_string();
    let mut who = shell("echo $(id -u) $(id -g) $HOME; echo again > /dev/stdout");
    who.user.clone_from(&own);
    let output = run(&keeper, 1, &who);
    assert!(
        output.starts_with(&format!("{own} {} ", keeper.own.gid)),
        "{output}"
    );
    assert!(output.ends_with("again\n"), "{output}");
    if is_root() {
        who.user = "12345:54321".into();
        assert_eq!(run(&keeper, 2, &who), "12345 54321 /\nagain\n");
        who.argv[2] = b"id -G; grep Cap[PE] /proc/self/status".to_vec();
        let output = run(&keeper, 3, &who);
        assert!(
            output.starts_with(&format!("54321 {}\n", keeper.marks.group(3))),
            "{output}"
        );
        assert_eq!(output.matches("0000000000000000").count(), 2, "{output}");
    }
}

#[test]
fn a_terminal_controls_its_process() {
    let keeper = Keeper::new(None);
    let mut talk = shell(
        "stty size; read line; stty size; stty -a | grep -o ' iutf8'; test -t 0 && test -t 1 && test -t 2 && echo \"got $line\" > /dev/tty",
    );
    talk.terminal = Some((24, 80));
    let users = if is_root() {
        vec!["", "12345"]
    } else {
        vec![""]
    };
    for user in users {
        talk.user = user.into();
        let mut child = keeper.spawn(1, &talk).unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        let master = child.terminal.take().unwrap();
        rustix::io::ioctl_fionbio(&master, false).unwrap();
        let mut first = [0; 7];
        std::io::Read::read_exact(&mut fs::File::from(master.try_clone().unwrap()), &mut first)
            .unwrap();
        assert_eq!(&first, b"24 80\r\n");
        resize(master.as_fd(), 30, 100).unwrap();
        fs::File::from(master.try_clone().unwrap())
            .write_all(b"word\n")
            .unwrap();
        let output = all(master);
        assert_eq!(output, "word\r\n30 100\r\n iutf8\r\ngot word\r\n");
        reap(&mut child);
    }
}

#[test]
fn a_failed_start_leaves_nothing_behind() {
    let keeper = Keeper::new(None);
    let children = || {
        let listed = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
        listed.split_ascii_whitespace().count()
    };
    for _ in 0..20 {
        assert_eq!(
            reason(&keeper, &command(&["/no/such/program"])),
            "PROGRAM_NOT_FOUND"
        );
    }
    assert_eq!(children(), 0);
}
