//! The road to a server: a TCP proxy that can be cut, frozen, closed or made to talk rubbish.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The proxy.
pub struct Link {
    address: SocketAddr,
    backend: SocketAddr,
    current: Mutex<Current>,
}

/// One way of behaving, until the next.
#[derive(Clone)]
struct Current {
    kind: Kind,
    /// No new connections, and those that are there stand still.
    frozen: CancellationToken,
    /// Nothing any more.
    closed: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Pass,
    Silent,
    Garbage,
}

impl Link {
    /// A road to `backend` that works.
    pub async fn to(backend: SocketAddr) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let current = Current::serve(Kind::Pass, listener, backend);
        Arc::new(Self {
            address,
            backend,
            current: Mutex::new(current),
        })
    }

    /// Where it begins.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks all connections and refuses new ones.
    pub async fn refuse(&self) {
        let current = self.current.lock().unwrap().clone();
        current.closed.cancel();
        current.tasks.close();
        current.tasks.wait().await;
    }

    /// Breaks all connections; new ones work.
    pub async fn cut(&self) {
        self.again(Kind::Pass).await;
    }

    /// Works again after any of the others.
    pub async fn mend(&self) {
        self.again(Kind::Pass).await;
    }

    /// Breaks all connections; new ones are taken and get no answer.
    pub async fn silence(&self) {
        self.again(Kind::Silent).await;
    }

    /// Breaks all connections; new ones get an answer that is no HTTP/2.
    pub async fn garble(&self) {
        self.again(Kind::Garbage).await;
    }

    /// Nothing moves any more on the connections that are there, and none of them ends.
    pub fn freeze(&self) {
        self.current.lock().unwrap().frozen.cancel();
    }

    async fn again(&self, kind: Kind) {
        self.refuse().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        *self.current.lock().unwrap() = Current::serve(kind, listener, self.backend);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.current.lock().unwrap().closed.cancel();
    }
}

impl Current {
    fn serve(kind: Kind, listener: TcpListener, backend: SocketAddr) -> Self {
        let current = Self {
            kind,
            frozen: CancellationToken::new(),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        current
            .tasks
            .spawn(current.clone().accept(listener, backend));
        current
    }

    async fn accept(self, listener: TcpListener, backend: SocketAddr) {
        loop {
            let stream = tokio::select! {
                () = self.closed.cancelled() => return,
                accepted = listener.accept() => accepted.unwrap().0,
            };
            self.tasks.spawn(self.clone().carry(stream, backend));
        }
    }

    async fn carry(self, mut near: TcpStream, backend: SocketAddr) {
        match self.kind {
            Kind::Silent => self.closed.cancelled().await,
            Kind::Garbage => {
                let _ = near
                    .write_all(b"220 mail.example ESMTP\r\n\r\nwho are you?\r\n")
                    .await;
                self.closed.cancelled().await;
            }
            Kind::Pass => {
                let Ok(mut far) = TcpStream::connect(backend).await else {
                    return;
                };
                let _ = near.set_nodelay(true);
                let _ = far.set_nodelay(true);
                tokio::select! {
                    () = self.closed.cancelled() => return,
                    () = self.frozen.cancelled() => {}
                    _ = copy_bidirectional(&mut near, &mut far) => return,
                }
                self.closed.cancelled().await;
            }
        }
    }
}
