//! The transport of this crate under the suite of the testkit.

use device_flow_blocking::{Action, Cancel, DeviceFlow, Http, Machine as _, Timestamp, Transport as _, run};
use device_flow_testkit::conformance::{self, Setup};
use device_flow_testkit::loopback::{Loopback, Next};

#[test]
fn http_meets_every_duty() {
    conformance::check(|Setup { roots_pem, timeout, .. }| {
        let http = Http::builder().no_proxy().root_certificates_pem(roots_pem.as_bytes()).timeout(*timeout);
        let http = http.build().unwrap();
        Box::new(move |request| http.send(request))
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
        let http = http.build().unwrap();
        Box::new(move |request| http.send(request))
    });
}

// W10: as the same test of the other adapter.
#[test]
fn w10_compressed_answers_are_declined_and_named() {
    let server = Loopback::http(|_, wire| {
        let body = b"\x1f\x8b\x08\x00{}";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", body.len());
        wire.write_all(&[head.as_bytes(), body].concat()).map_or(Next::Close, |()| Next::Keep)
    });
    let mut flow = DeviceFlow::new(server.client(), [7; 32]);
    let failed = run(&Http::builder().build().unwrap(), &mut flow, &Cancel::new(), |_| {}).unwrap_err();
    assert!(failed.to_string().contains("compressed with gzip"), "{failed}");
    assert!(server.requests()[0].head.contains("\naccept-encoding: identity\r\n"), "{}", server.requests()[0].head);
}

#[test]
fn debug_of_a_client_shows_no_secret() {
    let http = Http::builder().proxy("http://me:canary@proxy.test:1").build().unwrap();
    assert_eq!(format!("{http:?}"), "Http { .. }");
}

// An answer's head may be long, though not without end: from both sides of 48 KiB.
#[test]
fn a_long_head_is_read_and_one_that_is_too_long_is_not() {
    for (lines, is_read) in [(5, true), (7, false)] {
        let server = Loopback::http(move |_, wire| {
            let filler: String = (0..lines).map(|n| format!("x-{n}: {}\r\n", "x".repeat(8_000))).collect();
            let head = format!("HTTP/1.1 400 Bad Request\r\n{filler}Content-Length: 27\r\n\r\n");
            wire.write_all(&[head.as_bytes(), br#"{"error":"invalid_request"}"#].concat())
                .map_or(Next::Close, |()| Next::Keep)
        });
        let Action::SendRequest(first) = DeviceFlow::new(server.client(), [7; 32]).next_action(Timestamp::ZERO) else {
            panic!()
        };
        let answer = Http::builder().build().unwrap().send(first.request);
        assert_eq!(answer.is_ok(), is_read, "{lines}: {answer:?}");
    }
}
