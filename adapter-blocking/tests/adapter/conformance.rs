//! The transport of this crate under the suite of the testkit.

use device_flow_blocking::{Http, Transport as _};
use device_flow_testkit::conformance::{self, Setup};

#[test]
fn http_meets_every_duty() {
    conformance::check(|Setup { roots_pem, timeout }| {
        let http = Http::builder().no_proxy().root_certificates_pem(roots_pem.as_bytes()).timeout(*timeout);
        let http = http.build().unwrap();
        Box::new(move |request| http.send(request))
    });
}
