//! The suite for transports sees the duties that an HTTP client with its default settings does not meet.
#![cfg(unix)]

use device_flow_adapter::Answer;
use device_flow_blocking::{Http, Transport as _};
use device_flow_core::{Method, Request, TransportError, TransportErrorKind};
use device_flow_testkit::conformance::{self, Setup};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

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

fn http(setup: &Setup, pem: Option<String>) -> Http {
    let http = Http::builder().no_proxy().root_certificates_pem(setup.roots_pem.as_bytes()).timeout(setup.timeout);
    pem.into_iter().fold(http, device_flow_adapter::HttpBuilder::client_certificate_pem).build().unwrap()
}

/// The duties around client certificates that a transport made in this way does not meet.
fn unmet(make: impl Fn(&Setup) -> Http + Sync) -> String {
    let check = || {
        conformance::check_client_certificates(|setup| {
            let http = make(setup);
            Box::new(move |request| http.send(request))
        });
    };
    *catch_unwind(AssertUnwindSafe(check)).unwrap_err().downcast().unwrap()
}

#[test]
fn a_client_that_shows_no_certificate_is_caught() {
    let unmet = unmet(|setup| http(setup, None));
    assert!(unmet.contains("9: a server that asks for a certificate sees it"), "{unmet}");
    assert!(!unmet.contains("9: a server that demands none"), "{unmet}");
}

/// One pool for all, so that the first certificate is everybody's.
#[test]
fn clients_that_share_connections_are_caught() {
    let pools = Mutex::new(HashMap::new());
    let unmet = unmet(|setup| {
        let first = || http(setup, setup.client_certificate.as_ref().map(|client| client.pem()));
        pools.lock().unwrap().entry(setup.roots_pem.clone()).or_insert_with(first).clone()
    });
    assert!(unmet.contains("9: clients with different certificates share no connection"), "{unmet}");
    assert!(!unmet.contains("9: a server that demands none"), "{unmet}");
}
