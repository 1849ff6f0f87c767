//! E2B's management API: the life of sandboxes.

pub(crate) mod body;
mod call;

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method};
use secrecy::SecretString;

pub(crate) use self::call::{LOOK_AGAIN, SETTLED};
use self::{
    body::{Access, Detail, Metadata, NewSandbox, Pause, Timeout},
    call::{Answer, Call},
};
use crate::fault::Fault;

/// For what E2B answers from its database.
const LOOK: Duration = Duration::from_secs(10);
/// For what moves a machine.
const WORK: Duration = Duration::from_secs(60);
/// Sandboxes on a page; E2B's most.
const PAGE: &str = "100";
/// Pages that are read at most.
const PAGES: usize = 1000;
/// What a URL may hold as it is.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The client. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: Client,
    base: String,
}

impl Api {
    /// `base` as in `https://api.e2b.app`.
    pub(crate) fn new(client: Client, base: &str) -> Self {
        Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Makes a sandbox. Not repeated: E2B would make two.
    pub(crate) async fn create(
        &self,
        key: &SecretString,
        new: &NewSandbox<'_>,
    ) -> Result<Access, Fault> {
        let body = serde_json::to_value(new).map_err(|error| Fault::Garbage(error.to_string()))?;
        let call = Call {
            repeatable: false,
            ..post("/sandboxes".to_owned(), body)
        };
        self.call(key, &call).await?.read()
    }

    /// One sandbox; a fault that is gone where there is none.
    pub(crate) async fn get(&self, key: &SecretString, id: &str) -> Result<Detail, Fault> {
        let call = Call {
            method: Method::GET,
            body: None,
            within: LOOK,
            ..post(path(id, ""), serde_json::Value::Null)
        };
        self.call(key, &call).await?.read()
    }

    /// All sandboxes that have this metadata, running or paused.
    pub(crate) async fn list(
        &self,
        key: &SecretString,
        metadata: &Metadata,
    ) -> Result<Vec<Detail>, Fault> {
        let (mut all, mut token) = (Vec::new(), String::new());
        for _ in 0..PAGES {
            let answer = self.page(key, metadata, &token).await?;
            all.extend(answer.read::<Vec<Detail>>()?);
            token = answer.next_token;
            if token.is_empty() {
                return Ok(all);
            }
        }
        Err(Fault::Garbage("its list has no end".to_owned()))
    }

    async fn page(
        &self,
        key: &SecretString,
        metadata: &Metadata,
        token: &str,
    ) -> Result<Answer, Fault> {
        let mut query = vec![
            ("metadata", filter(metadata)),
            ("state", "running,paused".to_owned()),
            ("limit", PAGE.to_owned()),
        ];
        if !token.is_empty() {
            query.push(("nextToken", token.to_owned()));
        }
        let call = Call {
            method: Method::GET,
            path: "/v2/sandboxes".to_owned(),
            query,
            body: None,
            within: LOOK,
            repeatable: true,
        };
        self.call(key, &call).await
    }

    /// Wakes a paused sandbox; one that runs stays as it is, for at least so many seconds.
    pub(crate) async fn connect(
        &self,
        key: &SecretString,
        id: &str,
        timeout: u32,
    ) -> Result<Access, Fault> {
        let call = post(path(id, "/connect"), json(&Timeout { timeout })?);
        self.once_settled(key, call).await?.read()
    }

    /// Freezes a sandbox.
    pub(crate) async fn pause(
        &self,
        key: &SecretString,
        id: &str,
        memory: bool,
    ) -> Result<(), Fault> {
        let call = post(path(id, "/pause"), json(&Pause { memory })?);
        self.call(key, &call).await.map(drop)
    }

    /// Has a running sandbox end in so many seconds.
    pub(crate) async fn set_timeout(
        &self,
        key: &SecretString,
        id: &str,
        timeout: u32,
    ) -> Result<(), Fault> {
        let call = Call {
            within: LOOK,
            ..post(path(id, "/timeout"), json(&Timeout { timeout })?)
        };
        self.call(key, &call).await.map(drop)
    }

    /// Removes a sandbox, running or paused.
    pub(crate) async fn kill(&self, key: &SecretString, id: &str) -> Result<(), Fault> {
        let call = Call {
            method: Method::DELETE,
            body: None,
            ..post(path(id, ""), serde_json::Value::Null)
        };
        self.once_settled(key, call).await.map(drop)
    }

    /// Whether the API answers, whatever it says.
    pub(crate) async fn is_there(&self) -> Result<(), Fault> {
        let request = self.client.get(format!("{}/health", self.base));
        match request.timeout(LOOK).send().await {
            Ok(answer) if answer.status().is_server_error() => {
                Err(Fault::Garbage(format!("/health: {}", answer.status())))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::of(error)),
        }
    }
}

fn post(path: String, body: serde_json::Value) -> Call {
    Call {
        method: Method::POST,
        path,
        query: Vec::new(),
        body: Some(body),
        within: WORK,
        repeatable: true,
    }
}

fn json(body: &impl serde::Serialize) -> Result<serde_json::Value, Fault> {
    serde_json::to_value(body).map_err(|error| Fault::Garbage(error.to_string()))
}

fn path(id: &str, more: &str) -> String {
    format!("/sandboxes/{}{more}", utf8_percent_encode(id, &PLAIN))
}

/// Metadata as a query value: E2B decodes keys and values twice on top of the query's own decoding.
fn filter(metadata: &Metadata) -> String {
    let twice = |text: &str| {
        let once = utf8_percent_encode(text, &PLAIN).to_string();
        utf8_percent_encode(&once, &PLAIN).to_string()
    };
    let pairs = metadata
        .iter()
        .map(|(key, value)| format!("{}={}", twice(key), twice(value)));
    pairs.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the official SDK 2.63.0 was seen to send it.
    #[test]
    fn metadata_is_encoded_three_times() {
        let metadata = [("owner", "a b"), ("k", "v&w")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let client = sandgate_service::web::client().unwrap();
        let request = client
            .get("http://e2b.test")
            .query(&[("metadata", filter(&metadata))])
            .build()
            .unwrap();
        assert_eq!(
            request.url().query(),
            Some("metadata=k%3Dv%252526w%26owner%3Da%252520b")
        );
    }
}
