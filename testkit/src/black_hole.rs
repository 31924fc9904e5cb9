//! Owns an address that swallows packets: whoever connects hears nothing, as behind a router that drops IPv6.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A listener that accepts nobody and whose queue is full: the kernel drops every further attempt to connect.
pub struct BlackHole {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    /// On this address; `None` where the system has no such address, which is how one without IPv6 shows.
    pub fn at(address: SocketAddr) -> Option<Self> {
        let listener = match TcpListener::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return None,
            listener => listener.unwrap(),
        };
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = vec![];
        loop {
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => queue.push(stream),
                Err(error) if error.kind() == ErrorKind::TimedOut => break,
                Err(error) => panic!("{error}"),
            }
            assert!(queue.len() < 1_000, "this queue never fills");
        }
        Some(Self { listener, _queue: queue })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }
}
