//! Users and groups, from ordinary files and from garbage.

use proptest::prelude::*;

use super::*;

const PASSWD: &[u8] = b"# people\nroot:x:0:0:root:/root:/bin/bash\nann:x:1000:100:Ann:/home/ann:\n\
    broken:x:-1:0::/:\nshort:x:7\n:x:5:5::/:\n123:x:77:78::/n:/bin/n\nhigh:x:4294967295:0::/:/bin/sh\nlast:x:9:9::/last:/bin/last";
const GROUP: &[u8] = b"root:x:0:\nwheel:x:10:root,ann\nstaff:x:50:ann\nagain:x:50:ann\nanna:x:60:anna\nbad:x:ann:ann\n";

const OWN: Own = Own {
    uid: 0,
    gid: 0,
    groups: Vec::new(),
};

fn of(passwd: &[u8], group: &[u8]) -> Accounts {
    Accounts {
        passwd: passwd.to_vec(),
        group: group.to_vec(),
    }
}

fn find(user: &str) -> Result<(u32, u32, Vec<u32>, String), &'static str> {
    let found = of(PASSWD, GROUP).resolve(user, &OWN);
    found
        .map(|found| (found.uid, found.gid, found.groups, found.name))
        .map_err(|failure| failure.reason)
}

#[test]
fn users_are_found_by_name_and_number() {
    let ann = (1000, 100, vec![10, 50], "ann".to_owned());
    assert_eq!(find("ann"), Ok(ann.clone()));
    assert_eq!(find("1000"), Ok(ann));
    assert_eq!(find("last"), Ok((9, 9, vec![], "last".to_owned())));
    assert_eq!(find("123"), Ok((77, 78, vec![], "123".to_owned())));
    assert_eq!(find("4242"), Ok((4242, 0, vec![], "4242".to_owned())));
    assert_eq!(find(""), Ok((0, 0, vec![], "root".to_owned())));
}

#[test]
fn a_given_group_stands_alone() {
    assert_eq!(find("ann:staff"), Ok((1000, 50, vec![], "ann".to_owned())));
    assert_eq!(find("5:6"), Ok((5, 6, vec![], "5".to_owned())));
    assert_eq!(find(":staff"), Ok((0, 50, vec![], "root".to_owned())));
}

#[test]
fn what_is_not_there_is_said() {
    for user in [
        "nobody-here",
        "short",
        "broken",
        "high",
        "4294967295",
        "-1",
        "ann:none",
        "ann:",
        "ann:5:6",
    ] {
        assert_eq!(find(user), Err("USER_NOT_FOUND"), "{user}");
    }
}

#[test]
fn the_runner_keeps_its_own_groups() {
    let own = Own {
        uid: 1000,
        gid: 7,
        groups: vec![8, 9],
    };
    for user in ["", "ann", "1000"] {
        let found = of(PASSWD, GROUP).resolve(user, &own).unwrap();
        assert_eq!((found.gid, found.groups), (7, vec![8, 9]), "{user}");
    }
}

proptest! {
    #[test]
    fn garbage_is_never_a_user_out_of_range(
        passwd in proptest::collection::vec(prop_oneof![Just(b':'), Just(b'\n'), Just(b'1'), any::<u8>()], 0..300),
        group in proptest::collection::vec(prop_oneof![Just(b':'), Just(b'\n'), Just(b','), Just(b'1'), any::<u8>()], 0..300),
        user in "[a-z1:]{0,6}",
    ) {
        if let Ok(found) = of(&passwd, &group).resolve(&user, &OWN) {
            prop_assert!(found.uid != u32::MAX && found.gid != u32::MAX);
        }
    }
}
