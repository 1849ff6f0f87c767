//! An issuer of tokens: keys to sign with, and a web server that shows their public halves.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// What the issuer's server answers where its keys should be.
#[derive(Clone, Debug)]
pub enum Shown {
    /// These keys.
    Keys(Vec<Value>),
    /// This text.
    Text(String),
    /// Nothing: it closes the connection.
    Nothing,
}

/// A web server with keys.
#[derive(Clone)]
pub struct Issuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    shown: Shown,
    fetches: usize,
}

/// A key pair of an issuer (ES256).
pub struct TokenKey {
    kid: String,
    key: EncodingKey,
    /// The public half.
    pub jwk: Value,
}

impl TokenKey {
    /// Makes one with this id.
    pub fn new(kid: &str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let (x, y) = pair.public_key_raw()[1..].split_at(32);
        let b64 = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        Self {
            kid: kid.to_owned(),
            key: EncodingKey::from_ec_der(pair.serialized_der()),
            jwk: json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": b64(x), "y": b64(y)}),
        }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let header = Header {
            kid: Some(self.kid.clone()),
            ..Header::new(Algorithm::ES256)
        };
        encode(&header, claims, &self.key).unwrap()
    }
}

impl Issuer {
    /// Starts one that shows this.
    pub async fn start(shown: Shown) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State { shown, fetches: 0 })),
        };
        let serving = issuer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.answer(stream).await });
            }
        });
        issuer
    }

    /// Its `iss`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shows something else from now on.
    pub fn show(&self, shown: Shown) {
        self.state.lock().unwrap().shown = shown;
    }

    /// How often its keys were asked for.
    pub fn fetches(&self) -> usize {
        self.state.lock().unwrap().fetches
    }

    /// One request, one answer.
    async fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.ok()?);
        }
        let request = String::from_utf8(request).ok()?;
        let body = self.body(request.split(' ').nth(1)?)?;
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()
    }

    fn body(&self, path: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        if path == "/.well-known/openid-configuration" {
            let url = self.url();
            let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
            return Some(document.to_string());
        }
        state.fetches += 1;
        match &state.shown {
            Shown::Keys(keys) => Some(json!({ "keys": keys }).to_string()),
            Shown::Text(text) => Some(text.clone()),
            Shown::Nothing => None,
        }
    }
}
