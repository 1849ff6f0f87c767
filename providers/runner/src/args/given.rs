//! The options of one command line, as they were given.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use super::{Init, OPTIONS, Options, Usage};

/// The options as they were given.
pub(super) struct Given {
    values: Vec<(&'static str, OsString)>,
    detached: bool,
    pub(super) command: Vec<OsString>,
}

impl Given {
    pub(super) fn read(
        mut args: impl Iterator<Item = OsString>,
        allowed: &[&str],
    ) -> Result<Self, Usage> {
        let mut given = Self {
            values: Vec::new(),
            detached: false,
            command: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let known = OPTIONS
                .iter()
                .find(|(name, _)| *name == arg && allowed.contains(name));
            match known {
                Some((name, what)) => {
                    let value = args.next().filter(|value| !value.is_empty());
                    given
                        .values
                        .push((name, value.ok_or(Usage::Value(name, what))?));
                }
                None if arg == "--detached" && allowed.contains(&"--detached") => {
                    given.detached = true;
                }
                None if arg == "--" && allowed.contains(&"--") => {
                    given.command = args.by_ref().collect()
                }
                None => return Err(Usage::Unknown(arg.to_string_lossy().into_owned())),
            }
        }
        Ok(given)
    }

    /// The last value of an option.
    fn take(&mut self, name: &'static str) -> Option<OsString> {
        let at = self.values.iter().rposition(|(given, _)| *given == name)?;
        Some(self.values.remove(at).1)
    }

    pub(super) fn need(&mut self, name: &'static str) -> Result<OsString, Usage> {
        self.take(name).ok_or(Usage::Missing(name))
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Usage> {
        self.take(name)
            .map(|value| value.into_string().map_err(|_| bad(name)))
            .transpose()
    }

    fn number(&mut self, name: &'static str) -> Result<Option<u64>, Usage> {
        let text = self.text(name)?;
        text.map(|text| text.parse().map_err(|_| bad(name)))
            .transpose()
    }

    pub(super) fn folder(&mut self) -> Result<PathBuf, Usage> {
        self.need("--dir").map(PathBuf::from)
    }

    /// The control socket of an execution that `run` holds.
    pub(super) fn control(&mut self) -> Result<PathBuf, Usage> {
        let folder = self.folder()?;
        let id = self.text("--id")?.ok_or(Usage::Missing("--id"))?;
        if !crate::execution::is_id(&id) {
            return Err(bad("--id"));
        }
        Ok(folder.join(id).join("control"))
    }

    pub(super) fn init(&mut self) -> Result<Init, Usage> {
        let sandbox = match (self.text("--sandbox")?, self.number("--generation")?) {
            (Some(id), Some(generation)) => Some((id, generation)),
            (None, None) => None,
            (Some(_), None) => return Err(bad("--sandbox")),
            (None, Some(_)) => return Err(bad("--generation")),
        };
        Ok(Init {
            socket: self.need("--socket")?.into(),
            spool_dir: self.take("--spool-dir").map(PathBuf::from),
            env_file: self.take("--env-file").map(PathBuf::from),
            secret_file: self.take("--secret-file").map(PathBuf::from),
            sandbox,
            detached: self.detached,
            command: std::mem::take(&mut self.command),
        })
    }

    pub(super) fn options(&mut self) -> Result<Options, Usage> {
        let mut options = Options::default();
        if let Some(limit) = self.number("--output-limit")? {
            if limit < 128 * 1024 {
                return Err(bad("--output-limit"));
            }
            options.output_limit = limit;
        }
        options.total_limit = self.number("--total-limit")?.unwrap_or(options.total_limit);
        if let Some(millis) = self.number("--grace")? {
            options.grace = Duration::from_millis(millis.min(600_000));
        }
        if let Some(cwd) = self.take("--cwd") {
            options.cwd = cwd.into();
            if !options.cwd.is_absolute() {
                return Err(bad("--cwd"));
            }
        }
        options.user = self.text("--user")?.unwrap_or_default();
        options.cgroup = self.take("--cgroup").map(PathBuf::from);
        options.oom_file = self.take("--oom-file").map(PathBuf::from);
        Ok(options)
    }
}

fn bad(name: &'static str) -> Usage {
    let what = OPTIONS.iter().find(|(known, _)| *known == name);
    Usage::Value(name, what.map_or("a value", |(_, what)| what))
}
