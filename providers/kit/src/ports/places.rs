//! Where forwards listen: a free port of the configured address.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::net::TcpListener;

use super::{PortArgs, too_many};
use crate::{Kind, ProviderError};

/// Free ports.
pub(super) struct Places {
    args: PortArgs,
    /// Place in the range behind the one that was taken last: one that was given back is not the next
    /// to be given, since somebody may still know its address.
    next: AtomicUsize,
}

impl Places {
    pub(super) const fn new(args: PortArgs) -> Self {
        Self {
            args,
            next: AtomicUsize::new(0),
        }
    }

    /// Listens at one.
    pub(super) fn take(&self) -> Result<TcpListener, ProviderError> {
        let Some(range) = self.args.ports_range else {
            return self.bind(0).map_err(unusable);
        };
        let size = usize::from(range.last - range.first) + 1;
        let begin = self.next.load(Relaxed);
        for step in 0..size {
            let place = (begin + step) % size;
            let port = range.first + u16::try_from(place).unwrap_or_default();
            match self.bind(port) {
                Ok(listener) => {
                    self.next.store(place + 1, Relaxed);
                    return Ok(listener);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(unusable(error)),
            }
        }
        Err(too_many(
            "no port of this provider's range is free: unexpose one, or have SANDGATE_PORTS_RANGE extended",
        ))
    }

    fn bind(&self, port: u16) -> io::Result<TcpListener> {
        let listener = std::net::TcpListener::bind((self.args.ports_address, port))?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    }

    /// What callers are sent to.
    pub(super) fn url(&self, at: SocketAddr) -> String {
        match &self.args.ports_host {
            Some(host) => format!("http://{host}:{}", at.port()),
            None => format!("http://{at}"),
        }
    }
}

fn unusable(error: io::Error) -> ProviderError {
    ProviderError::new(
        Kind::Internal,
        "this provider cannot listen for the port; have SANDGATE_PORTS_ADDRESS and SANDGATE_PORTS_RANGE looked at",
    )
    .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> PortArgs {
        PortArgs {
            ports_range: Some(text.parse().unwrap()),
            ..PortArgs::default()
        }
    }

    #[tokio::test]
    async fn a_range_is_gone_through_and_may_be_used_up() {
        // Three that are free together, found by trying.
        let (places, first) = (20_000..60_000)
            .step_by(3)
            .find_map(|first| {
                let places = Places::new(range(&format!("{first}-{}", first + 2)));
                let held: Vec<_> = (0..3).map(|_| places.take()).collect();
                let is_free = held.iter().all(Result::is_ok);
                is_free.then_some((places, first))
            })
            .unwrap();
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let one = places.take().unwrap();
        assert_eq!(port(&one), first);
        drop(one);
        // Not the same again.
        let two = places.take().unwrap();
        assert_eq!(port(&two), first + 1);
        let rest = [places.take().unwrap(), places.take().unwrap()];
        assert_eq!(rest.each_ref().map(port), [first + 2, first]);
        let error = places.take().unwrap_err();
        assert_eq!(error.kind(), &Kind::TooManyPorts);
    }

    #[test]
    fn urls_name_the_address_or_the_host() {
        let at = "[::1]:80".parse().unwrap();
        assert_eq!(Places::new(PortArgs::default()).url(at), "http://[::1]:80");
        let args = PortArgs {
            ports_host: Some("apps.example.com".to_owned()),
            ..PortArgs::default()
        };
        assert_eq!(Places::new(args).url(at), "http://apps.example.com:80");
    }
}
