//! An HTTP/2 proxy in front of a provider: records what the gateway sends and the headers of the
//! answers, and can answer in the provider's place as something else would.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use prost::Message as _;
use sandgate_proto::{CONTEXT_METADATA, provider::v1::ProviderContext};
use sandgate_service::{Drain, Server, TlsFiles, Wire, WirePeer};
use tokio::runtime::Handle;
use tonic::body::Body;
use tower::service_fn;

/// One call that passed.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Path of the rpc.
    pub path: String,
    /// Headers that came from the gateway.
    pub request: HeaderMap,
    /// Headers that came from the provider.
    pub response: HeaderMap,
    body: Arc<Mutex<Vec<u8>>>,
}

impl Seen {
    /// What the gateway told the provider beside the call.
    pub fn context(&self) -> ProviderContext {
        let header = self.request[CONTEXT_METADATA].to_str().unwrap();
        let bytes = STANDARD_NO_PAD
            .decode(header.trim_end_matches('='))
            .unwrap();
        ProviderContext::decode(&bytes[..]).unwrap()
    }

    /// The key in that: its kind and its value.
    pub fn key(&self) -> Option<(String, String)> {
        let credential = self.context().credential?;
        let value = String::from_utf8(credential.value.to_vec()).unwrap();
        Some((credential.kind, value))
    }

    /// The first message that came from the gateway, encoded.
    pub fn message(&self) -> Bytes {
        let body = self.body.lock().unwrap();
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
        Bytes::copy_from_slice(&body[5..5 + length as usize])
    }
}

type Answer = Arc<dyn Fn() -> Response<Body> + Send + Sync>;

/// The proxy. Clones are the same one.
#[derive(Clone)]
pub struct Tap {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    answers: Mutex<Vec<(String, Answer)>>,
    added: Mutex<HeaderMap>,
}

impl Tap {
    /// A proxy to `backend`.
    pub async fn to(backend: SocketAddr) -> Self {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::bind(local, &TlsFiles::default())
            .await
            .unwrap()
            .trusting_peers();
        let peer = WirePeer {
            url: format!("http://{backend}"),
            tls: TlsFiles::default(),
        };
        let wire = Wire::new(&peer, Handle::current()).unwrap();
        let tap = Self {
            address: server.address(),
            shared: Arc::default(),
        };
        let shared = tap.shared.clone();
        let service = service_fn(move |request| shared.clone().pass(wire.clone(), request));
        tokio::spawn(server.serve(move |_| service.clone(), Drain::new()));
        tap
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The calls of one rpc, by its name, so far.
    pub fn seen(&self, name: &str) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        let suffix = format!("/{name}");
        seen.iter()
            .filter(|seen| seen.path.ends_with(&suffix))
            .cloned()
            .collect()
    }

    /// The latest calls of one rpc, this many at most, the last one first.
    pub fn latest(&self, name: &str, count: usize) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        let suffix = format!("/{name}");
        let of_rpc = seen
            .iter()
            .rev()
            .filter(|seen| seen.path.ends_with(&suffix));
        of_rpc.take(count).cloned().collect()
    }

    /// Answers the rpc of this name in the provider's place.
    pub fn answer(&self, name: &str, answer: impl Fn() -> Response<Body> + Send + Sync + 'static) {
        self.shared
            .answers
            .lock()
            .unwrap()
            .push((format!("/{name}"), Arc::new(answer)));
    }

    /// Lets the provider answer again.
    pub fn mend(&self) {
        self.shared.answers.lock().unwrap().clear();
    }

    /// Adds a header to every answer of the provider.
    pub fn add(&self, name: &'static str, value: &'static str) {
        let name = HeaderName::from_static(name);
        self.shared
            .added
            .lock()
            .unwrap()
            .insert(name, HeaderValue::from_static(value));
    }
}

impl Shared {
    async fn pass(
        self: Arc<Self>,
        wire: Wire,
        request: Request<Body>,
    ) -> Result<Response<Body>, Infallible> {
        let path = request.uri().path().to_owned();
        let headers = request.headers().clone();
        let read: Arc<Mutex<Vec<u8>>> = Arc::default();
        let record = read.clone();
        let request = request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                if let Some(data) = frame.data_ref() {
                    record.lock().unwrap().extend_from_slice(data);
                }
                frame
            }))
        });
        let answer = {
            let answers = self.answers.lock().unwrap();
            answers
                .iter()
                .find(|(suffix, _)| path.ends_with(suffix))
                .map(|(_, answer)| answer.clone())
        };
        let mut response = match answer {
            Some(answer) => answer(),
            None => wire.send(request).await.unwrap().map(Body::new),
        };
        response
            .headers_mut()
            .extend(self.added.lock().unwrap().clone());
        let seen = Seen {
            path,
            request: headers,
            response: response.headers().clone(),
            body: read,
        };
        self.seen.lock().unwrap().push(seen);
        Ok(response)
    }
}
