//! The texts that requests hold.

use sandgate_proto::v1::{self, SandboxSpec};

/// Texts that requests hold. A test that looks for them afterwards makes its own.
#[derive(Clone, Debug)]
pub struct Words {
    /// Value of a session secret.
    pub secret: String,
    /// Name of the session secret that commands use; empty: none.
    pub secret_name: String,
    /// Key of a connection.
    pub connection: String,
    /// Value in the environment of a sandbox.
    pub spec_env: String,
    /// Value in the environment of a command.
    pub request_env: String,
    /// Input of a command.
    pub stdin: String,
    /// What a command prints.
    pub command: String,
    /// Content of files.
    pub content: String,
    /// Titles and labels.
    pub title: String,
    /// Alias of a sandbox; empty: none.
    pub alias: String,
}

impl Default for Words {
    fn default() -> Self {
        let plain = || "plain".to_owned();
        Self {
            secret: plain(),
            secret_name: String::new(),
            connection: "a key of a connection".to_owned(),
            spec_env: plain(),
            request_env: plain(),
            stdin: plain(),
            command: plain(),
            content: plain(),
            title: plain(),
            alias: String::new(),
        }
    }
}

impl Words {
    /// A spec that every provider takes.
    pub fn spec(&self) -> SandboxSpec {
        SandboxSpec {
            title: self.title.clone(),
            env: [("SPEC".to_owned(), self.spec_env.clone())].into(),
            ..Default::default()
        }
    }

    /// What a command has, whatever call starts it.
    pub fn exec(&self) -> v1::ExecRequest {
        let secret =
            |name: &String| (!name.is_empty()).then(|| ("SECRET".to_owned(), name.clone()));
        v1::ExecRequest {
            command: format!("print {}", self.command),
            env: [("PLAIN".to_owned(), self.request_env.clone())].into(),
            secret_env: secret(&self.secret_name).into_iter().collect(),
            stdin: self.stdin.clone().into_bytes().into(),
            ..Default::default()
        }
    }
}
