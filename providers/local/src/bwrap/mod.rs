//! All that knows the program bubblewrap: its options, the descriptors it is given, what it says.

mod args;
mod etc;
mod launch;
mod seccomp;
mod status;
mod trial;
mod userns;

pub(crate) use self::{
    args::{CONTROL, HOME, OOM, UID, USER, View, WORKSPACE},
    etc::publish as publish_etc,
    launch::{LaunchError, Launched, Launcher, Program, complaint},
    trial::{trial, version},
    userns::UserNamespace,
};
