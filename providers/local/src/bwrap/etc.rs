//! The files below /etc that are not the host's own.

use std::{io, path::Path};

use super::args::{HOME, UID, USER};

/// Their names.
pub(super) const NAMES: [&str; 5] = ["group", "hostname", "hosts", "nsswitch.conf", "passwd"];

/// Writes them into `folder`.
pub(crate) fn publish(folder: &Path) -> io::Result<()> {
    for name in NAMES {
        crate::store::publish(folder, name, &content(name))?;
    }
    Ok(())
}

fn content(name: &str) -> String {
    match name {
        "group" => format!("root:x:0:\n{USER}:x:{UID}:\nnogroup:x:65534:\n"),
        "hostname" => "sandbox\n".into(),
        "hosts" => "127.0.0.1 localhost sandbox\n::1 localhost\n".into(),
        "nsswitch.conf" => {
            "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
                .into()
        }
        _ => format!(
            "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n\
             {USER}:x:{UID}:{UID}::{HOME}:/bin/sh\n\
             nobody:x:65534:65534:the host:/nonexistent:/usr/sbin/nologin\n"
        ),
    }
}
