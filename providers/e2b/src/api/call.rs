//! One request to the management API: bounded in time, in size and in tries.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Method, Response, header::HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::{Instant, sleep, timeout};

use super::{Api, body::Refusal};
use crate::{
    fault::{Fault, unread},
    words::retry_after,
};

/// Largest answer that is read, bytes: a page has at most 100 sandboxes.
const MOST: usize = 8 * 1024 * 1024;
/// How often what may be repeated is sent.
const TRIES: u32 = 3;
/// Before the second try; twice as long before the third.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a sandbox may take to come to another state, and the time between two questions.
pub(crate) const SETTLED: Duration = Duration::from_secs(30);
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What to send.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<serde_json::Value>,
    /// For one try.
    pub(crate) within: Duration,
    /// Done twice it is as if it had been done once.
    pub(crate) repeatable: bool,
}

/// A good answer.
pub(crate) struct Answer {
    /// Where the next page begins; empty: there is none.
    pub(crate) next_token: String,
    body: Bytes,
}

impl Answer {
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body).map_err(|error| unread(&error))
    }
}

impl Api {
    /// As [`Self::call`], once a sandbox that is just changing its state has done so.
    pub(super) async fn once_settled(
        &self,
        key: &SecretString,
        call: Call,
    ) -> Result<Answer, Fault> {
        let begun = Instant::now();
        loop {
            match self.call(key, &call).await {
                Err(fault) if fault.is_conflict() && begun.elapsed() < SETTLED => {
                    sleep(LOOK_AGAIN).await;
                }
                done => return done,
            }
        }
    }

    pub(super) async fn call(&self, key: &SecretString, call: &Call) -> Result<Answer, Fault> {
        let mut pause = PAUSE;
        for tries in 1.. {
            let tried = timeout(call.within, self.once(key, call)).await;
            let fault = match tried.unwrap_or(Err(Fault::Late)) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let again = fault.is_unsent() || (call.repeatable && fault.is_passing());
            if tries >= TRIES || !again {
                return Err(fault);
            }
            tracing::debug!(%fault, path = call.path, "E2B is asked again");
            sleep(pause).await;
            pause *= 2;
        }
        Err(Fault::Late)
    }

    async fn once(&self, key: &SecretString, call: &Call) -> Result<Answer, Fault> {
        let url = format!("{}{}", self.base, call.path);
        let mut header = HeaderValue::from_str(key.expose_secret()).map_err(|_| Fault::BadKey)?;
        header.set_sensitive(true);
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .query(&call.query)
            .header("x-api-key", header);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(Fault::of)?;
        let status = response.status();
        let body = read(&mut response).await?;
        if status.is_success() {
            // Here, so that what is no JSON at all may be asked for again.
            if !body.is_empty() {
                let read = serde_json::from_slice::<IgnoredAny>(&body);
                read.map_err(|error| unread(&error))?;
            }
            let next = response.headers().get("x-next-token");
            let next_token = next.and_then(|token| token.to_str().ok());
            return Ok(Answer {
                next_token: next_token.unwrap_or_default().to_owned(),
                body,
            });
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        Err(Fault::Refused {
            status,
            message: refusal.message,
            retry_after: retry_after(response.headers(), status),
        })
    }
}

async fn read(response: &mut Response) -> Result<Bytes, Fault> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(Fault::of)? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return Err(Fault::Garbage(format!("more than {MOST} bytes")));
        }
    }
    Ok(body.freeze())
}
