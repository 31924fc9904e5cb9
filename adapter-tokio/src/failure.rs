//! Owns what an error of reqwest or hyper means to a machine.

use device_flow_adapter::failure::{cause, io_kind, tls_kind};
use device_flow_core::TransportErrorKind;
use std::error::Error;
use std::{io, iter};

/// What kind of failure an error of reqwest, hyper, rustls or a socket is, for a [`Transport`](crate::Transport) of your own.
///
/// An untrusted certificate is found wherever it lies: an error says more than its outermost layer.
#[must_use]
pub fn transport_error_kind(error: &(dyn Error + 'static)) -> TransportErrorKind {
    let reqwest = error.downcast_ref::<reqwest::Error>();
    if reqwest.is_some_and(reqwest::Error::is_timeout) {
        return TransportErrorKind::Timeout;
    }
    if reqwest.is_some_and(reqwest::Error::is_dns) {
        return TransportErrorKind::Dns;
    }
    if let Some(error) = causes(error).find_map(|cause| cause.downcast_ref()) {
        return tls_kind(error);
    }
    let hyper = || causes(error).filter_map(|cause| cause.downcast_ref::<hyper::Error>());
    if hyper().any(hyper::Error::is_parse) {
        return TransportErrorKind::InvalidHttp;
    }
    if let Some(kind) = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).find_map(io_kind) {
        return kind;
    }
    if hyper().any(|error| error.is_incomplete_message() || error.is_closed() || error.is_canceled()) {
        return TransportErrorKind::Closed;
    }
    if reqwest.is_some_and(reqwest::Error::is_connect) {
        TransportErrorKind::Connect
    } else {
        TransportErrorKind::Other
    }
}

/// An error and all below it.
pub(crate) fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| cause(error))
}
