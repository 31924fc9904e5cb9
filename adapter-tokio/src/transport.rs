//! Owns `Transport`: the seam between the driver and whatever sends its requests.

use device_flow_adapter::Answer;
use device_flow_core::{Request, TransportError};
use std::sync::Arc;

/// Sends requests: this crate's [`Http`](crate::Http), or a client of your own.
///
/// What [`run`](crate::run) and [`Accounts`](crate::Accounts) ask of a transport is written down in
/// [its duties](device_flow_adapter#the-duties-of-a-transport): above all it follows no redirect, reads no further than
/// [`max_response`](Request::max_response), and has one time limit for the whole request. A request is given up by dropping the
/// future.
///
/// ```
/// use device_flow_tokio::{Answer, Request, Transport, TransportError, TransportErrorKind};
///
/// /// A network in which nothing is ever reached.
/// struct Unplugged;
///
/// impl Transport for Unplugged {
///     async fn send(&self, _: Request) -> Result<Answer, TransportError> {
///         Err(TransportError::new(TransportErrorKind::Connect))
///     }
/// }
/// ```
///
/// The examples `own_reqwest` and `plain_hyper` of this crate are whole ones.
pub trait Transport: Send + Sync {
    /// Sends one request, once, and brings the answer, whatever its status.
    ///
    /// # Errors
    /// [`TransportError`] when no answer came.
    fn send(&self, request: Request) -> impl Future<Output = Result<Answer, TransportError>> + Send;
}

impl<T: Transport + ?Sized> Transport for &T {
    fn send(&self, request: Request) -> impl Future<Output = Result<Answer, TransportError>> + Send {
        (**self).send(request)
    }
}

impl<T: Transport + ?Sized> Transport for Arc<T> {
    fn send(&self, request: Request) -> impl Future<Output = Result<Answer, TransportError>> + Send {
        (**self).send(request)
    }
}
