//! The texts that are looked for, and who may be told them.

use sandgate_system::{Search, Words, uuid};

/// Answers that hold a spec, which is told to its owner as it was given.
const SPECS: &[&str] = &[
    "CreateSandbox",
    "GetSandbox",
    "ListSandboxes",
    "StartSandbox",
    "StopSandbox",
    "PauseSandbox",
    "ResumeSandbox",
    "RenewSandbox",
    "DeleteSandbox",
    "CreateSession",
    "GetSession",
    "ListSessions",
    "UpdateSession",
    "WatchSession",
    "CreateAgent",
    "GetAgent",
    "ListAgents",
    "UpdateAgent",
];

/// Answers that hold a command or what it printed.
const COMMANDS: &[&str] = &[
    "Exec",
    "RunCommand",
    "StartExecution",
    "StreamExecution",
    "GetExecution",
    "ListExecutions",
    "WaitExecution",
    "GetSandboxLogs",
    "RenewSandbox",
    "WatchSession",
];

/// Answers that hold the content of files.
const FILES: &[&str] = &["ReadFile", "DownloadArchive", "ReadSessionFile"];

/// A text that is looked for.
pub(crate) struct Canary {
    pub(crate) name: &'static str,
    pub(crate) text: Vec<u8>,
    /// Rpcs that may answer with it where they succeed.
    pub(crate) told_by: &'static [&'static str],
    /// It may be read in the database.
    pub(crate) stored: bool,
}

/// All of them.
pub(crate) struct Canaries {
    pub(crate) all: Vec<Canary>,
}

/// Nobody can guess it, nor does it occur by chance.
fn random() -> String {
    format!("{}{}", uuid(), uuid()).replace('-', "")
}

impl Canaries {
    pub(crate) fn new() -> Self {
        const NOBODY: &[&str] = &[];
        let texts = [
            ("session secret", NOBODY, false),
            ("connection key", NOBODY, false),
            ("refused connection key", NOBODY, false),
            ("provider state", NOBODY, false),
            ("admin key", NOBODY, false),
            ("unknown credential", NOBODY, false),
            ("provider token", NOBODY, false),
            ("encryption key", NOBODY, false),
            ("spec env", SPECS, true),
            ("request env", NOBODY, false),
            ("input", NOBODY, false),
            ("command", COMMANDS, false),
            ("file content", FILES, false),
            ("junk", NOBODY, false),
        ];
        let all = texts.map(|(name, told_by, stored)| Canary {
            name,
            text: random().into_bytes(),
            told_by,
            stored,
        });
        let mut canaries = Self { all: all.into() };
        // The key itself, besides its base64 in the settings.
        let key = canaries.key();
        canaries.add("bytes of the encryption key", key, NOBODY);
        canaries
    }

    pub(crate) fn add(
        &mut self,
        name: &'static str,
        text: Vec<u8>,
        told_by: &'static [&'static str],
    ) {
        self.all.push(Canary {
            name,
            text,
            told_by,
            stored: false,
        });
    }

    /// The secret of an issued key, without the id that is a part of it and no secret.
    pub(crate) fn add_issued(&mut self, secret: &str, id: &str) {
        let secret = secret.split(id).max_by_key(|part| part.len());
        let secret = secret.unwrap().as_bytes().to_vec();
        self.add("secret of an API key", secret, &["IssueApiKey"]);
    }

    /// The text of this name.
    pub(crate) fn text(&self, name: &str) -> String {
        let found = self.all.iter().find(|canary| canary.name == name).unwrap();
        String::from_utf8(found.text.clone()).unwrap()
    }

    /// The 32 bytes of the encryption key.
    fn key(&self) -> Vec<u8> {
        let text = self.text("encryption key").into_bytes();
        text.chunks(2)
            .map(|two| two[0].wrapping_mul(31) ^ two[1].rotate_left(3))
            .collect()
    }

    /// The setting that holds it.
    pub(crate) fn encryption_keys(&mut self) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let text = STANDARD.encode(self.key());
        self.add("encryption key in base64", text.clone().into_bytes(), &[]);
        format!("first:{text}")
    }

    /// What requests are filled with.
    pub(crate) fn words(&self) -> Words {
        Words {
            secret: self.text("session secret"),
            connection: self.text("connection key"),
            spec_env: self.text("spec env"),
            request_env: self.text("request env"),
            stdin: self.text("input"),
            command: self.text("command"),
            content: self.text("file content"),
            ..Words::default()
        }
    }

    pub(crate) fn search(&self) -> Search {
        let mut search = Search::default();
        for canary in &self.all {
            search.add(canary.name, &canary.text);
        }
        search
    }

    pub(crate) fn named(&self, name: &str) -> &Canary {
        self.all.iter().find(|canary| canary.name == name).unwrap()
    }
}
