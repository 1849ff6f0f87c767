//! All that knows the program bubblewrap: its options, the descriptors it is given, what it says.

mod args;
mod etc;
mod launch;
mod seccomp;
mod spawner;
mod status;
mod trial;
mod userns;

pub(crate) use self::{
    args::{HOME, UID, USER, View, WORKSPACE},
    etc::publish as publish_etc,
    launch::{LaunchError, Launched, Launcher},
    spawner::Spawner,
    status::Status,
    trial::{trial, version},
    userns::UserNamespace,
};
