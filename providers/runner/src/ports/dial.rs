//! The connection to a port of loopback: first as IPv4 has it, then as IPv6 does.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, connect, getpeername, getsockname, socket_with,
        sockopt::{set_tcp_nodelay, socket_error},
    },
};

/// A connection that is being made.
pub(super) struct Dial {
    port: u16,
    /// That it is tried at.
    is_v6: bool,
    /// Dropped at once by who makes the next one.
    pub(super) socket: OwnedFd,
}

/// How it stands.
pub(super) enum Dialled {
    /// It is there.
    Connected,
    /// Not yet.
    Waits,
    /// It has to be watched anew: this one is to another address.
    Again(Dial),
    /// There is none.
    Failed(Errno),
}

impl Dial {
    /// Begins.
    pub(super) fn begin(port: u16) -> Result<Self, Errno> {
        Self::at(port, false).or_else(|_| Self::at(port, true))
    }

    fn at(port: u16, is_v6: bool) -> Result<Self, Errno> {
        let (family, address) = match is_v6 {
            false => (
                AddressFamily::INET,
                SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            ),
            true => (
                AddressFamily::INET6,
                SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
            ),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        // Small answers go out at once.
        set_tcp_nodelay(socket.as_fd(), true)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(Self {
                port,
                is_v6,
                socket,
            }),
            Err(errno) => Err(errno),
        }
    }

    /// Looks how it stands.
    pub(super) fn look(&self) -> Dialled {
        let failed = match socket_error(&self.socket) {
            Ok(Ok(())) => match self.peer() {
                Ok(Peer::Another) => return Dialled::Connected,
                Ok(Peer::None) => return Dialled::Waits,
                Ok(Peer::Itself) => Errno::CONNREFUSED,
                Err(errno) => errno,
            },
            Ok(Err(errno)) | Err(errno) => errno,
        };
        if self.is_v6 {
            return Dialled::Failed(failed);
        }
        Self::at(self.port, true).map_or(Dialled::Failed(failed), Dialled::Again)
    }

    fn peer(&self) -> Result<Peer, Errno> {
        let Ok(peer) = getpeername(&self.socket) else {
            return Ok(Peer::None);
        };
        match peer == Some(getsockname(&self.socket)?) {
            true => Ok(Peer::Itself),
            false => Ok(Peer::Another),
        }
    }
}

/// Who is at the other end.
enum Peer {
    None,
    Another,
    /// Nobody listens, and the kernel happened to give it that very port as its own.
    Itself,
}

#[cfg(test)]
mod tests {
    use rustix::net::bind;

    use super::*;

    #[test]
    fn a_connection_to_itself_is_none() {
        let own = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        );
        let own = own.unwrap();
        bind(&own, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&own).unwrap()).unwrap();
        connect(&own, &address).unwrap();
        let mut dial = Dial {
            port: address.port(),
            is_v6: true,
            socket: own,
        };
        assert!(matches!(dial.look(), Dialled::Failed(Errno::CONNREFUSED)));
        // The other kind of address is tried all the same.
        dial.is_v6 = false;
        assert!(!matches!(dial.look(), Dialled::Connected | Dialled::Waits));
    }
}
