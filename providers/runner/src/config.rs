//! What the runner is set up with, and the environment that it passes on.

use std::{
    env,
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use sandgate_runner_proto::{VISIT_FILE, VISIT_VARIABLE};

use crate::args::{Init, Options};

/// Variables that say something of the user.
const OF_THE_USER: [&[u8]; 4] = [b"HOME", b"USER", b"LOGNAME", b"SHELL"];

/// Where output lies that is not held in memory.
#[derive(Debug)]
pub(crate) enum Place {
    /// In files without names, in this folder.
    Unnamed(PathBuf),
    /// In this folder, for others to read: there is one execution only.
    Folder(PathBuf),
}

/// What the runner is set up with.
pub(crate) struct Setup {
    /// From the command line.
    pub(crate) options: Options,
    /// Where output lies.
    pub(crate) place: Place,
    /// Names and values that every execution starts with.
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// What a Hello may carry instead of coming from the right peer.
    pub(crate) secret: Option<Vec<u8>>,
    /// Name and generation of the sandbox.
    pub(crate) sandbox: Option<(String, u64)>,
    /// It is PID 1 of its namespace.
    pub(crate) is_init: bool,
}

/// This program, to be started again.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    env::current_exe()
}

/// The file that holds the frames of a visit; none: variables do.
pub(crate) fn visit_file() -> Option<PathBuf> {
    env::var_os(VISIT_FILE).map(PathBuf::from)
}

/// The variables that hold the frames of a visit, in their order.
pub(crate) fn visit_variables() -> Vec<(String, String)> {
    let names = (0..).map(|part| format!("{VISIT_VARIABLE}_{part}"));
    let found = names.map_while(|name| env::var(&name).ok().map(|value| (name, value)));
    found.collect()
}

/// Variables of git that say how to reach a host, which whoever set up the sandbox may need; all others
/// could change what git does, or have it write down what it sends.
const OF_GIT: [&str; 6] = [
    "GIT_EXEC_PATH",
    "GIT_HTTP_LOW_SPEED_LIMIT",
    "GIT_HTTP_LOW_SPEED_TIME",
    "GIT_HTTP_USER_AGENT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
];
/// What git is told besides: its words are those that are looked for, it asks nobody, and no
/// configuration, template or helper of the user's is found.
const FOR_GIT: [(&str, &str); 9] = [
    ("GIT_ALLOW_PROTOCOL", "https:http"),
    ("GIT_ASKPASS", ""),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_TEMPLATE_DIR", ""),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("HOME", "/dev/null"),
    ("LC_ALL", "C"),
    ("SSH_ASKPASS", ""),
    ("XDG_CONFIG_HOME", "/dev/null"),
];

/// The environment of a git that has a token.
pub(crate) fn git_environment() -> Vec<(OsString, OsString)> {
    let stays = |name: &OsString| {
        let of_git = name.as_bytes().starts_with(b"GIT_");
        let asks = name == "LANGUAGE" || name == "SSLKEYLOGFILE";
        !asks && (!of_git || OF_GIT.iter().any(|known| name == known))
    };
    let kept = env::vars_os().filter(|(name, _)| stays(name));
    let ours = FOR_GIT.map(|(name, value)| (name.into(), value.into()));
    kept.chain(ours).collect()
}

/// The names of variables that have git, or what it sends with, write down what it does.
pub(crate) fn traces() -> Vec<OsString> {
    let is_trace = |name: &OsString| {
        let name = name.as_bytes();
        name.starts_with(b"GIT_TRACE") || name == b"GIT_CURL_VERBOSE" || name == b"SSLKEYLOGFILE"
    };
    env::vars_os()
        .map(|(name, _)| name)
        .filter(is_trace)
        .collect()
}

impl Setup {
    /// For many executions.
    pub(crate) fn init(init: &Init, options: Options) -> io::Result<Self> {
        let spool = init
            .spool_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from("/tmp"));
        let secret = init.secret_file.as_ref().map(fs::read).transpose()?;
        let mut setup = Self::new(options, Place::Unnamed(spool));
        setup.secret = secret.map(|secret| secret.trim_ascii_end().to_vec());
        if setup.secret.as_ref().is_some_and(Vec::is_empty) {
            return Err(io::Error::other(
                "the secret file is empty; write at least 32 random bytes",
            ));
        }
        setup.sandbox.clone_from(&init.sandbox);
        if let Some(file) = &init.env_file {
            setup.add_environment(file)?;
        }
        Ok(setup)
    }

    /// Adds what a file holds; one that is not there holds nothing.
    fn add_environment(&mut self, file: &Path) -> io::Result<()> {
        let text = match fs::read(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for pair in text.split(|byte| *byte == 0) {
            let Some(split) = pair.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let (name, value) = (&pair[..split], &pair[split + 1..]);
            self.environment.retain(|(known, _)| known != name);
            self.environment.push((name.to_vec(), value.to_vec()));
        }
        Ok(())
    }

    /// For one execution, in this folder.
    pub(crate) fn single(folder: PathBuf, options: Options) -> Self {
        Self::new(options, Place::Folder(folder))
    }

    fn new(options: Options, place: Place) -> Self {
        let inherited = env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec()));
        Self {
            options,
            place,
            environment: inherited.collect(),
            secret: None,
            sandbox: None,
            is_init: std::process::id() == 1,
        }
    }

    /// Whether it holds one execution only.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.place, Place::Folder(_))
    }

    /// The environment of an execution: of one name the last wins. What the runner's own says of
    /// its user does not hold for another one, who gets what the passwd file says.
    pub(crate) fn environment<'a>(
        &self,
        user: &str,
        added: impl Iterator<Item = &'a [u8]>,
    ) -> Vec<Vec<u8>> {
        let mut all = self.environment.clone();
        if !user.is_empty() && user != self.options.user {
            all.retain(|(name, _)| !OF_THE_USER.contains(&name.as_slice()));
        }
        for pair in added {
            let split = pair
                .iter()
                .position(|byte| *byte == b'=')
                .unwrap_or(pair.len());
            let (name, value) = (&pair[..split], pair.get(split + 1..).unwrap_or_default());
            all.retain(|(known, _)| known != name);
            all.push((name.to_vec(), value.to_vec()));
        }
        all.into_iter()
            .map(|(name, value)| [name, value].join(&b'='))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_name_the_last_wins() {
        let mut setup = Setup::single("/".into(), Options::default());
        setup.environment = vec![
            (b"A".to_vec(), b"1".to_vec()),
            (b"B".to_vec(), b"2".to_vec()),
        ];
        let added = [&b"A=3"[..], b"C=x=y", b"A=4"];
        let pairs = setup.environment("", added.into_iter());
        assert_eq!(pairs, [&b"B=2"[..], b"C=x=y", b"A=4"]);
    }

    #[test]
    fn a_file_adds_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("environment");
        let mut setup = Setup::single("/".into(), Options::default());
        setup.environment = vec![(b"A".to_vec(), b"1".to_vec())];
        setup.add_environment(&file).unwrap();
        assert_eq!(setup.environment("", std::iter::empty()), [b"A=1"]);
        fs::write(&file, b"A=2\nx\0B==\0").unwrap();
        setup.add_environment(&file).unwrap();
        let all = setup.environment("", std::iter::empty());
        assert_eq!(all, [&b"A=2\nx"[..], b"B=="]);
    }

    #[test]
    fn another_user_has_another_home() {
        let mut setup = Setup::single("/".into(), Options::default());
        setup.options.user = "1000".to_owned();
        setup.environment = vec![
            (b"HOME".to_vec(), b"/root".to_vec()),
            (b"B".to_vec(), b"2".to_vec()),
        ];
        let own = [&b"HOME=/root"[..], b"B=2"];
        assert_eq!(setup.environment("", std::iter::empty()), own);
        assert_eq!(setup.environment("1000", std::iter::empty()), own);
        assert_eq!(setup.environment("7", std::iter::empty()), [b"B=2"]);
        let given = [&b"B=2"[..], b"HOME=/mine"];
        assert_eq!(setup.environment("7", [given[1]].into_iter()), given);
    }
}
