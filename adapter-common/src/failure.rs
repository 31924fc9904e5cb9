//! Owns what failures of TLS and of sockets mean to a machine, whatever HTTP client met them.

use device_flow_core::{TransportError, TransportErrorKind};
use std::error::Error;
use std::{fmt, io};

/// A certificate that is not trusted ends a sign-in; every other failure of TLS may pass.
#[must_use]
pub fn tls_kind(error: &rustls::Error) -> TransportErrorKind {
    let untrusted = matches!(
        error,
        rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::NoCertificatesPresented
    );
    if untrusted { TransportErrorKind::UntrustedCertificate } else { TransportErrorKind::Tls }
}

/// `None` when the error says nothing about the connection.
#[must_use]
pub fn io_kind(error: &io::Error) -> Option<TransportErrorKind> {
    use io::ErrorKind as Io;
    let is = |kinds: &[Io]| kinds.contains(&error.kind());
    if is(&[Io::TimedOut, Io::WouldBlock]) {
        Some(TransportErrorKind::Timeout)
    } else if is(&[Io::UnexpectedEof, Io::ConnectionReset, Io::ConnectionAborted, Io::BrokenPipe, Io::NotConnected]) {
        Some(TransportErrorKind::Closed)
    } else if is(&[
        Io::ConnectionRefused,
        Io::HostUnreachable,
        Io::NetworkUnreachable,
        Io::NetworkDown,
        Io::AddrNotAvailable,
    ]) {
        Some(TransportErrorKind::Connect)
    } else if is(&[Io::InvalidData, Io::InvalidInput]) {
        Some(TransportErrorKind::InvalidHttp)
    } else {
        None
    }
}

/// The error directly below: what an `io::Error` wraps is no `source` of its own, and that is where TLS errors lie.
#[must_use]
pub fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

/// A failure that is none of the known kinds.
#[must_use]
pub fn other(error: &dyn fmt::Display) -> TransportError {
    TransportError::new(TransportErrorKind::Other).with_detail(&error.to_string())
}

/// Of a request that was not sent, because it had to wait for others for too long.
#[must_use]
pub fn no_turn() -> TransportError {
    TransportError::new(TransportErrorKind::Timeout).with_detail("others had their turn first, until it was too late")
}
