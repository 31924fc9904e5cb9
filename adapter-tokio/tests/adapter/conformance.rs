//! The transport of this crate, and those of the examples, under the suite of the testkit.

use device_flow_testkit::conformance::{self, Sender, Setup};
use device_flow_tokio::{Http, Transport};

#[expect(dead_code, reason = "its `main` is the example")]
#[path = "../../examples/own_reqwest.rs"]
mod own_reqwest;
#[expect(dead_code, reason = "its `main` is the example")]
#[path = "../../examples/plain_hyper.rs"]
mod plain_hyper;

/// Each transport has a runtime of its own, on which its connections live.
fn sender(transport: impl Transport + 'static) -> Sender {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    Box::new(move |request| runtime.block_on(transport.send(request)))
}

#[test]
fn http_meets_every_duty() {
    conformance::check(|Setup { roots_pem, timeout, .. }| {
        sender(
            Http::builder().no_proxy().root_certificates_pem(roots_pem.as_bytes()).timeout(*timeout).build().unwrap(),
        )
    });
}

#[test]
fn http_meets_every_duty_with_client_certificates() {
    conformance::check_client_certificates(|Setup { roots_pem, timeout, client_certificate }| {
        let http = Http::builder().no_proxy().root_certificates_pem(roots_pem.as_bytes()).timeout(*timeout);
        let http = match client_certificate {
            Some(client) => http.client_certificate_pem(client.pem()),
            None => http,
        };
        sender(http.build().unwrap())
    });
}

#[test]
fn a_reqwest_client_of_ones_own_meets_every_duty() {
    conformance::check(|Setup { roots_pem, timeout, .. }| {
        let roots = reqwest::Certificate::from_pem(roots_pem.as_bytes()).unwrap();
        let client = own_reqwest::client_builder().tls_certs_only([roots]).timeout(*timeout);
        sender(own_reqwest::OwnReqwest(client.build().unwrap()))
    });
}

#[test]
fn plain_hyper_meets_every_duty() {
    conformance::check(|Setup { roots_pem, timeout, .. }| {
        sender(plain_hyper::PlainHyper::new(roots_pem.as_bytes(), *timeout).unwrap())
    });
}
