//! What a builder refuses, and that no secret setting is printed.

use crate::adapter::{Http, HttpError};
use device_flow_testkit::loopback::Authority;

// C16.
#[test]
fn c16_root_certificates_that_are_unusable_are_refused_with_what_to_do() {
    let pem = Authority::new().pem().to_owned();
    let refused = |roots: &[u8]| Http::builder().root_certificates_pem(roots).build().unwrap_err();
    assert_eq!(refused(b""), HttpError::NoRoots);
    assert_eq!(refused(b" \n"), HttpError::NoRoots);
    assert_eq!(refused(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), HttpError::NoRoots);
    assert_eq!(refused(b"certificates? here? none."), HttpError::RootsNotPem);
    assert_eq!(
        refused(&[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00, 0xff, 0xff, 0xff]),
        HttpError::RootsNotPem
    );
    let junk = format!("{pem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(refused(junk.as_bytes()), HttpError::DamagedRoot(2));
    let cut = pem.get(..pem.len() / 2).unwrap();
    assert!(matches!(refused(cut.as_bytes()), HttpError::DamagedRoot(1) | HttpError::NoRoots));
    assert!(refused(b"\x30\x82").to_string().contains("openssl x509"));
    assert!(Http::builder().root_certificates_pem(pem.repeat(1000)).build().is_ok());
}

// C14.
#[test]
fn c14_a_proxy_address_that_is_unusable_is_refused_without_being_printed() {
    for address in [
        "socks4://u:hunter2-canary@h:1",
        "http://u:hunter2-canary@h:notaport",
        "http://",
        "ftp://u:hunter2-canary@h",
        "",
        "http://u:hunter2-canary@",
    ] {
        let error = Http::builder().proxy(address).build().unwrap_err();
        assert_eq!(error, HttpError::BadProxy("the proxy setting"), "{address}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

// G11.
#[test]
fn g11_no_secret_setting_is_printed() {
    let builder = Http::builder().proxy("http://u:hunter2-canary@127.0.0.1:1");
    assert!(!format!("{builder:?}").contains("hunter2"));
    assert_eq!(format!("{:?}", builder.build().unwrap()), "Http { .. }");
}

#[test]
fn a_user_agent_must_be_a_header_value() {
    assert_eq!(Http::builder().user_agent("a\r\nb: c").build().unwrap_err(), HttpError::BadUserAgent);
    assert_eq!(Http::builder().user_agent("schön").build().unwrap_err(), HttpError::BadUserAgent);
    assert!(Http::builder().user_agent("my-tool/1.0 (+https://tool.example)").build().is_ok());
}
