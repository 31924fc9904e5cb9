//! Owns addresses where no server answers: one that drops packets, as behind a router that drops IPv6, and one that
//! refuses.

use rustix::net;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// A listener that never accepts and whose queue is full: the kernel drops every further attempt to connect.
pub struct BlackHole {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// Listens on this address; `None` where the system has no such address, for example one without IPv6.
    pub fn at(address: SocketAddr) -> Option<Self> {
        let listener = match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return None,
            listener => listener.unwrap(),
        };
        net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = vec![];
        loop {
            // The kernel answers within the call if it answers at all.
            match TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
                Ok(stream) => queue.push(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => panic!("{error}"),
            }
            assert!(queue.len() < 1_000, "the queue does not fill");
        }
        Some(Self { listener, _queue: queue })
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}

/// A port that refuses every connection, and that no other server of the test run can take in the meantime.
pub struct ClosedPort(OwnedFd);

impl ClosedPort {
    /// Binds a port of 127.0.0.1, and never listens on it.
    #[expect(clippy::new_without_default, reason = "each one is different")]
    pub fn new() -> Self {
        let socket = net::socket(net::AddressFamily::INET, net::SocketType::STREAM, None).unwrap();
        net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        Self(socket)
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        SocketAddr::try_from(net::getsockname(&self.0).unwrap()).unwrap().port()
    }

    /// Scheme, host and port.
    pub fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.number())
    }
}
