//! What stands before everything: tells sandboxes from the management API, spoils what is to be
//! spoiled, and answers for sandboxes that cannot.

use std::sync::Arc;

use axum::{Router, body::Body};
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode, header};
use serde_json::json;
use tower::ServiceExt as _;

use super::{
    ENVD_PORT, api,
    cloud::Cloud,
    control, proxy,
    sandbox::{Phase, Sandbox},
};
use crate::{
    http::{Answers, BrokenOff},
    requests::Asked,
};

/// What of envd only E2B itself may call.
const INTERNAL: [&str; 7] = [
    "/init",
    "/freeze",
    "/unfreeze",
    "/collapse",
    "/fsfreeze",
    "/fsthaw",
    "/upgrade",
];

/// The front.
pub(super) struct Front {
    cloud: Arc<Cloud>,
    api: Router,
    control: Router,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Api,
    /// A sandbox, and its port.
    Inside(String, u16),
    /// Nowhere, and what is said.
    Bad(&'static str),
}

impl Front {
    pub(super) fn new(cloud: Arc<Cloud>) -> Self {
        Self {
            api: api::router(Arc::clone(&cloud)),
            control: control::router(Arc::clone(&cloud)),
            cloud,
        }
    }

    async fn route(&self, request: Request<Body>) -> Result<Response<Body>, BrokenOff> {
        let path = request.uri().path().to_owned();
        if path.starts_with(control::PREFIX) {
            return Ok(self.carried_out(&self.control, request).await);
        }
        let way = way(host(&request), request.headers());
        self.cloud.requests.note(Asked {
            method: request.method().to_string(),
            path: path.clone(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            sandbox: match &way {
                Way::Inside(id, _) => Some(id.clone()),
                Way::Api | Way::Bad(_) => None,
            },
        });
        let Some(rule) = self.cloud.faults.hit(request.method(), &path) else {
            return Ok(self.true_answer(way, request).await);
        };
        let kind = request.headers().get(header::CONTENT_TYPE).cloned();
        let answer = if rule.asks() {
            Some(self.true_answer(way, request).await)
        } else {
            None
        };
        rule.spoil(answer, kind).await
    }

    /// Answers in a task of its own: what is begun is done, also when the caller is gone.
    async fn carried_out(&self, router: &Router, request: Request<Body>) -> Response<Body> {
        let task = self.cloud.tasks.spawn(router.clone().oneshot(request));
        match task.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(never)) => match never {},
            Err(error) => {
                tracing::error!(%error, "a call was not carried out");
                let mut answer = Response::new(Body::empty());
                *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                answer
            }
        }
    }

    /// Lets a paused sandbox go on where it was made so.
    async fn wake(&self, sandbox: &Arc<Sandbox>) {
        let now = sandbox.now();
        if !sandbox.born.auto_resume || !matches!(now.phase, Phase::Paused { .. }) {
            return;
        }
        let (cloud, sandbox) = (Arc::clone(&self.cloud), Arc::clone(sandbox));
        let woken = async move { cloud.resume(&sandbox, now.timeout, false).await };
        if let Ok(Err(error)) = self.cloud.tasks.spawn(woken).await {
            tracing::debug!(?error, "traffic does not wake a sandbox");
        }
    }

    async fn true_answer(&self, way: Way, request: Request<Body>) -> Response<Body> {
        match way {
            Way::Api => self.carried_out(&self.api, request).await,
            Way::Bad(said) => {
                let mut answer = Response::new(Body::from(said));
                *answer.status_mut() = StatusCode::BAD_REQUEST;
                answer
            }
            Way::Inside(id, port) => self.inside(&id, port, request).await,
        }
    }

    async fn inside(&self, id: &str, port: u16, request: Request<Body>) -> Response<Body> {
        let missing = || refusal(502, id, "The sandbox was not found", None);
        let Some(sandbox) = self.cloud.find(id) else {
            return missing();
        };
        self.wake(&sandbox).await;
        match sandbox.now().phase {
            Phase::Running => forward(&sandbox, port, request).await,
            Phase::Pausing => refusal(
                409,
                id,
                "The sandbox is still transitioning. Try again in a moment.",
                None,
            ),
            Phase::Paused { .. } | Phase::Killing | Phase::Gone => missing(),
        }
    }
}

impl Answers for Front {
    fn answer(
        self: Arc<Self>,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, BrokenOff>> {
        Box::pin(async move { self.route(request).await })
    }
}

async fn forward(sandbox: &Sandbox, port: u16, mut request: Request<Body>) -> Response<Body> {
    let (now, id) = (sandbox.now(), sandbox.born.id.as_str());
    let closed = || {
        let said = "The sandbox is running but port is not open";
        refusal(502, id, said, Some(port))
    };
    let Some(socket) = sandbox.socket().await else {
        return closed();
    };
    request.headers_mut().remove(proxy::PORT);
    let sent = if port == ENVD_PORT {
        if INTERNAL.contains(&request.uri().path()) {
            return refusal(404, id, "Not found", None);
        }
        proxy::to_envd(&socket, request, now.cut).await
    } else {
        let given = request.headers().get("e2b-traffic-access-token");
        let wanted = sandbox.born.traffic_token.as_deref();
        if wanted.is_some_and(|wanted| given.is_none_or(|given| given != wanted)) {
            return refusal(403, id, "Invalid traffic access token", None);
        }
        proxy::to_port(&socket, port, request, now.cut).await
    };
    sent.unwrap_or_else(|error| {
        tracing::debug!(%error, id, "it was not reached");
        closed()
    })
}

/// What the proxy says for a sandbox.
fn refusal(status: u16, id: &str, message: &str, port: Option<u16>) -> Response<Body> {
    let mut body = json!({"sandboxId": id, "message": message, "code": status});
    if let Some(port) = port {
        body["port"] = port.into();
    }
    let mut answer = Response::new(Body::from(body.to_string()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let json = http::HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn host(request: &Request<Body>) -> &str {
    let named = request.uri().authority().map(http::uri::Authority::as_str);
    let header = || request.headers().get(header::HOST)?.to_str().ok();
    named.or_else(header).unwrap_or_default()
}

/// Where a request goes, by its host and, where that is shared, by two headers.
fn way(host: &str, headers: &HeaderMap) -> Way {
    let bare = host.rsplit_once(':').map_or(host, |(name, port)| {
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port { name } else { host }
    });
    let label = bare.split('.').next().unwrap_or_default();
    let brackets: &[char] = &['[', ']'];
    let is_ip = bare
        .trim_matches(brackets)
        .parse::<std::net::IpAddr>()
        .is_ok();
    let shared = label == "sandbox" && bare.contains('.');
    if shared || is_ip || bare == "localhost" {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        return match (text("e2b-sandbox-id"), text("e2b-sandbox-port")) {
            (Some(id), Some(port)) => inside(id, port),
            (None, None) if !shared => Way::Api,
            _ => Way::Bad("missing header"),
        };
    }
    match label.split_once('-') {
        Some((port, id)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => {
            inside(id, port)
        }
        _ => Way::Api,
    }
}

fn inside(id: &str, port: &str) -> Way {
    let id = id.split('-').next().unwrap_or_default();
    let good = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match port.parse() {
        Ok(port) if good => Way::Inside(id.to_owned(), port),
        Ok(_) => Way::Bad("Invalid sandbox ID"),
        Err(_) => Way::Bad("Invalid host"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(id: &str, port: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("e2b-sandbox-id", id.parse().unwrap());
        headers.insert("e2b-sandbox-port", port.parse().unwrap());
        headers
    }

    #[test]
    fn sandboxes_are_told_by_host_or_by_headers() {
        let (none, both) = (HeaderMap::new(), headers("i1", "49983"));
        let i1 = |port| Way::Inside("i1".to_owned(), port);
        for (host, headers, wanted) in [
            ("127.0.0.1:3000", &none, Way::Api),
            ("[::1]:3000", &none, Way::Api),
            ("localhost", &both, i1(49983)),
            ("127.0.0.1:3000", &both, i1(49983)),
            ("sandbox.e2b.app", &both, i1(49983)),
            ("sandbox.e2b.app", &none, Way::Bad("missing header")),
            ("api.e2b.app", &both, Way::Api),
            ("8080-i1.e2b.app:443", &none, i1(8080)),
            ("8080-i2.e2b.app", &both, Way::Inside("i2".to_owned(), 8080)),
            ("99999-i1.e2b.app", &none, Way::Bad("Invalid host")),
        ] {
            assert_eq!(way(host, headers), wanted, "{host}");
        }
    }
}
