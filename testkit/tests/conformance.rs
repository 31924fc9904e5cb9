//! The suite for transports sees the duties that an HTTP client with its default settings does not meet.
#![cfg(unix)]

use device_flow_adapter::Answer;
use device_flow_core::{Method, Request, TransportError, TransportErrorKind};
use device_flow_testkit::conformance;
use std::panic::catch_unwind;

/// As a first draft would have it: redirects are followed, a status of 400 or more is an error, and every error is the same.
fn first_draft(request: &Request) -> Result<Answer, TransportError> {
    let other = |_| TransportError::new(TransportErrorKind::Other);
    let mut outgoing = ureq::http::Request::builder().method(request.method().as_str()).uri(request.url());
    for (name, value) in request.headers() {
        outgoing = outgoing.header(name, value);
    }
    let mut response = match request.method() {
        Method::Get => ureq::run(outgoing.body(()).unwrap()),
        Method::Post => ureq::run(outgoing.body(request.body()).unwrap()),
    }
    .map_err(other)?;
    let body = response.body_mut().read_to_vec().map_err(other)?;
    Ok(Answer::new(response.status().as_u16(), body).headers(response.headers().clone()))
}

#[test]
fn a_client_with_its_default_settings_is_caught() {
    let caught = catch_unwind(|| conformance::check(|_| Box::new(|request| first_draft(&request)))).unwrap_err();
    let message = caught.downcast_ref::<String>().unwrap();
    for duty in
        ["2: no redirect", "3: every status", "4: a body is read", "5: a request ends", "7: an answer that breaks off"]
    {
        assert!(message.contains(duty), "{duty} in {message}");
    }
    assert!(!message.contains("8: no cookie"), "{message}");
}
