//! Owns how connections are made: when a name is looked up and for how long it is remembered, which address is tried for how long,
//! and the sockets, which cost a system call where ureq's own cost three.
//!
//! ureq looks a name up before it looks whether it has a connection, in a new thread for the sake of the time limit. Here a name
//! is looked up when a connection is needed, and remembered for a minute. What was remembered never decides that a host cannot be
//! reached, or that it has another's certificate: unless the time is over, the name is looked up anew, and tried again.

use crate::ready;
use rustix::event::PollFlags;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector,
    SocksConnector, Transport,
};
use ureq::{Agent, Error, ProxyProtocol};

/// The client that looks up its names with this.
pub(crate) fn agent(config: Config, names: impl Resolver) -> Agent {
    let connect = |names| Connect { names, known: Mutex::default(), tls: RustlsConnector::default() };
    if config.proxy().is_some_and(|proxy| matches!(proxy.protocol(), ProxyProtocol::Socks5h)) {
        // The one name to look up is that of the proxy.
        let socks = Socks(SocksConnector::default());
        return Agent::with_parts(config, ().chain(socks).chain(connect(Box::new(Later))), names);
    }
    let proxy = ConnectProxyConnector::default();
    Agent::with_parts(config, ().chain(proxy).chain(connect(Box::new(names))), Later)
}

/// A way through a SOCKS proxy, whose failures are told as its own: ureq tells them like those of any socket.
#[derive(Debug)]
struct Socks(SocksConnector);

impl<In: Transport> Connector<In> for Socks {
    type Out = <SocksConnector as Connector<In>>::Out;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, chained).map_err(|error| {
            let Error::Io(error) = error else { return error };
            io::Error::new(io::ErrorKind::ConnectionRefused, error.to_string()).into()
        })
    }
}

/// Looks up no name: [`Connect`] does, when it has to.
#[derive(Debug)]
struct Later;

impl Resolver for Later {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        Ok(self.empty())
    }
}

/// Makes connections: addresses, TCP, TLS.
#[derive(Debug)]
struct Connect {
    names: Box<dyn Resolver>,
    known: Mutex<HashMap<Place, (ResolvedSocketAddrs, Instant)>>,
    tls: RustlsConnector,
}

/// A host name and a port.
type Place = (String, u16);

/// How long the addresses of a name are used again: shorter than most name servers let them be.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The least that each address of a host gets of the time.
const MIN_SHARE: Duration = Duration::from_millis(10);

impl<In: Transport> Connector<In> for Connect {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails, tunnel: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(tunnel) = tunnel {
            return self.secure(details, Box::new(tunnel));
        }
        let limit = Limit::new(details.timeout);
        let place = place(details.uri)?;
        if let Ok(address) = place.0.trim_matches(['[', ']']).parse::<IpAddr>() {
            return self.reach(details, &limit, &[SocketAddr::new(address, place.1)]);
        }
        let known = match self.recall(&place) {
            Some(known) => match self.reach(details, &limit, &known) {
                Err(error) => Some((known, error)),
                reached @ Ok(_) => return reached,
            },
            None => None,
        };
        self.forget(&place);
        let timeout = NextTimeout { after: limit.rest()?.into(), ..details.timeout };
        let addresses = self.names.resolve(details.uri, details.config, timeout)?;
        if let Some((known, error)) = known
            && known == addresses
        {
            return Err(error);
        }
        let reached = self.reach(details, &limit, &addresses)?;
        self.remember(place, addresses);
        Ok(reached)
    }
}

impl Connect {
    /// A connection to the first of these addresses that takes one, with TLS where the URL wants it.
    fn reach(
        &self,
        details: &ConnectionDetails,
        limit: &Limit,
        addresses: &[SocketAddr],
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        let stream = first(addresses, limit)?;
        stream.set_nodelay(details.config.no_delay())?;
        stream.set_nonblocking(true)?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        self.secure(details, Box::new(Socket { stream, buffers }))
    }

    fn secure(
        &self,
        details: &ConnectionDetails,
        transport: Box<dyn Transport>,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        let secured = self.tls.connect(details, Some(transport))?;
        Ok(secured.map(|transport| Box::new(transport) as Box<dyn Transport>))
    }

    fn recall(&self, place: &Place) -> Option<ResolvedSocketAddrs> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(place).filter(|(_, since)| since.elapsed() < REMEMBERED).map(|(addresses, _)| addresses.clone())
    }

    fn forget(&self, place: &Place) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }

    fn remember(&self, place: Place, addresses: ResolvedSocketAddrs) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, since)| since.elapsed() < REMEMBERED);
        known.insert(place, (addresses, Instant::now()));
    }
}

fn place(uri: &Uri) -> Result<Place, Error> {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let host = uri.host().ok_or_else(|| Error::BadUri("no host".to_owned()))?;
    Ok((host.to_ascii_lowercase(), uri.port_u16().unwrap_or(default)))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Tries the addresses one after the other. Each has two thirds of the time that is left, the last one all of it.
fn first(addresses: &[SocketAddr], limit: &Limit) -> Result<TcpStream, Error> {
    let mut failure = Error::HostNotFound;
    for (index, address) in addresses.iter().enumerate() {
        let rest = limit.rest()?;
        let share = if index.saturating_add(1) == addresses.len() { rest } else { rest / 3 * 2 };
        match TcpStream::connect_timeout(address, share.max(MIN_SHARE)) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

/// A time limit that runs.
struct Limit {
    timeout: NextTimeout,
    since: Instant,
}

impl Limit {
    fn new(timeout: NextTimeout) -> Self {
        Self { timeout, since: Instant::now() }
    }

    /// What is left of it.
    fn rest(&self) -> Result<Duration, Error> {
        let rest = self.timeout.after.saturating_sub(self.since.elapsed());
        if rest.is_zero() { Err(Error::Timeout(self.timeout.reason)) } else { Ok(rest) }
    }
}

/// A socket that never blocks by itself. Its time limit is that of the wait for it, and whether it is still open, one look tells.
struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
}

impl Socket {
    /// Waits until there may be something to do. Being wrong costs another look.
    fn wait(&self, flags: PollFlags, limit: &Limit) -> Result<(), Error> {
        ready::wait(&self.stream, flags, limit.rest()?)?;
        Ok(())
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let limit = Limit::new(timeout.for_write());
        let mut sent = 0;
        while sent < amount {
            let output = self.buffers.output().get(sent..amount).unwrap_or_default();
            match self.stream.write(output) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => sent = sent.saturating_add(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(PollFlags::OUT, &limit)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Who is gone may have said why, such as a server that wants a client certificate, while the rest was still being
                // written. The next read finds that, or that the connection has ended.
                Err(error) if is_gone(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = Limit::new(timeout.for_read());
        loop {
            self.wait(PollFlags::IN, &limit)?;
            match self.stream.read(self.buffers.input_append_buf()) {
                Ok(read) => {
                    self.buffers.input_appended(read);
                    return Ok(read > 0);
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What came without being asked for does not belong to the next answer: then it counts as closed.
    fn is_open(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

impl fmt::Debug for Socket {
    /// What lies in the buffers may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.stream).finish()
    }
}

#[cfg(test)]
mod tests;
