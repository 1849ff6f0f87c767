//! Git in sandboxes: what is asked for, checked, becomes an execution of the runner's own program, and
//! what that says of itself is read as the word of the sandbox.

mod address;
mod credentials;
mod job;
mod login;
mod report;

pub(crate) use self::{
    credentials::Credentials,
    job::clone,
    login::Login,
    report::{Report, failed, tail},
};
