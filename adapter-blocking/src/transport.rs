//! Owns `Transport`: the seam between the driver and whatever sends its requests.

use device_flow_adapter::Answer;
use device_flow_core::{Request, TransportError};
use std::sync::Arc;

/// Sends requests: this crate's [`Http`](crate::Http), or a client of your own.
///
/// What [`run`](crate::run) and [`Accounts`](crate::Accounts) ask of a transport is written down in
/// [its duties](device_flow_adapter#the-duties-of-a-transport): above all it follows no redirect, reads no further than
/// [`max_response`](Request::max_response), and has one time limit for the whole request, after which it returns.
///
/// ```
/// use device_flow_blocking::{Answer, Request, Transport, TransportError, TransportErrorKind};
///
/// /// A network in which nothing is ever reached.
/// struct Unplugged;
///
/// impl Transport for Unplugged {
///     fn send(&self, _: Request) -> Result<Answer, TransportError> {
///         Err(TransportError::new(TransportErrorKind::Connect))
///     }
/// }
/// ```
pub trait Transport {
    /// Sends one request, once, and brings the answer, whatever its status.
    ///
    /// # Errors
    /// [`TransportError`] when no answer came.
    fn send(&self, request: Request) -> Result<Answer, TransportError>;
}

impl<T: Transport + ?Sized> Transport for &T {
    fn send(&self, request: Request) -> Result<Answer, TransportError> {
        (**self).send(request)
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: Request) -> Result<Answer, TransportError> {
        (**self).send(request)
    }
}
