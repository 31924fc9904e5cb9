//! Owns what failures of TLS and of sockets mean to a machine, whatever HTTP client met them.

use device_flow_core::{TransportError, TransportErrorKind};
use rustls::AlertDescription as Alert;
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

/// The innermost cause of a failure, in words for a person. What a server says about a client certificate it says as a TLS alert,
/// which few people could read.
#[must_use]
pub fn words(cause: &(dyn Error + 'static)) -> String {
    let Some(rustls::Error::AlertReceived(alert)) = cause.downcast_ref() else { return cause.to_string() };
    match CERTIFICATE_ALERTS.iter().find(|(known, _)| known == alert) {
        Some((_, words)) => format!("{words} (TLS alert {alert:?})"),
        None => cause.to_string(),
    }
}

/// What a server tells about the client's certificate (RFC 8446 §6.2). Where there was none, Java says
/// `BadCertificate`, and OpenSSL with TLS 1.2 `HandshakeFailure`, as for much else (RFC 5246 §7.4.6).
const CERTIFICATE_ALERTS: [(Alert, &str); 11] = [
    (Alert::CertificateRequired, "the server demands a client certificate"),
    (Alert::NoCertificate, "the server demands a client certificate"),
    (Alert::BadCertificate, "the server demands a client certificate, or refused the one it got"),
    (Alert::UnknownCA, "the server does not trust the issuer of the client certificate"),
    (Alert::CertificateExpired, "the server says that the client certificate has expired"),
    (Alert::CertificateRevoked, "the server says that the client certificate was revoked"),
    (Alert::UnsupportedCertificate, "the server refused the client certificate"),
    (Alert::CertificateUnknown, "the server refused the client certificate"),
    (Alert::AccessDenied, "the server refused the client certificate"),
    (Alert::DecryptError, "the server could not verify the client certificate"),
    (Alert::HandshakeFailure, "the server broke off the TLS handshake; perhaps it demands a client certificate"),
];

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

#[cfg(test)]
mod tests {
    use super::{tls_kind, words};
    use device_flow_core::TransportErrorKind;
    use rustls::{AlertDescription as Alert, CertificateError, Error};

    #[test]
    fn what_a_server_says_about_a_client_certificate_is_told_in_words_and_as_no_fault_of_its_own() {
        for (alert, said) in [
            (Alert::CertificateRequired, "the server demands a client certificate (TLS alert CertificateRequired)"),
            (
                Alert::BadCertificate,
                "the server demands a client certificate, or refused the one it got (TLS alert BadCertificate)",
            ),
            (
                Alert::HandshakeFailure,
                "the server broke off the TLS handshake; perhaps it demands a client certificate (TLS alert HandshakeFailure)",
            ),
            (Alert::AccessDenied, "the server refused the client certificate (TLS alert AccessDenied)"),
            // About something else.
            (Alert::ProtocolVersion, "received fatal alert: ProtocolVersion"),
        ] {
            let error = Error::AlertReceived(alert);
            assert_eq!((&*words(&error), tls_kind(&error)), (said, TransportErrorKind::Tls));
        }
        // What this side says about the server's certificate.
        let error = Error::InvalidCertificate(CertificateError::Expired);
        assert_eq!((words(&error), tls_kind(&error)), (error.to_string(), TransportErrorKind::UntrustedCertificate));
    }
}
