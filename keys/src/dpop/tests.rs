//! Owns the tests of where a nonce is for.
#![allow(clippy::unwrap_used, reason = "tests panic to report")]

use super::*;

#[test]
fn rfc9449_8_2_a_nonce_is_for_one_origin_however_its_url_is_written() {
    for (url, same) in [
        ("https://op.example.com/token", "https://op.example.com"),
        ("HTTPS://OP.example.com:443/other?x=1", "https://op.example.com"),
        ("https://op.example.com:8443/token", "https://op.example.com:8443"),
        ("http://127.0.0.1:80/", "http://127.0.0.1"),
        ("http://[::1]:9402/token", "http://[::1]:9402"),
        ("https://bücher.example/token", "https://xn--bcher-kva.example"),
    ] {
        assert_eq!(origin(url).as_deref(), Some(same));
        let written = Url::parse(url).unwrap();
        assert_eq!(written_origin(written.as_str()), same);
    }
    for url in ["", "op.example.com", "mailto:somebody", "data:text/plain,x", "https://"] {
        assert_eq!(origin(url), None);
    }
}

#[test]
fn rfc9449_8_2_of_sixty_five_servers_the_one_heard_of_longest_ago_is_forgotten() {
    let mut nonces = Nonces::default();
    for number in 0..MOST {
        nonces.remember(format!("https://{number}.example"), "first");
    }
    nonces.remember("https://0.example".into(), "second");
    assert_eq!((nonces.0.len(), nonces.of("https://0.example")), (MOST, Some("second")));
    nonces.remember("https://new.example".into(), "first");
    assert_eq!(nonces.0.len(), MOST);
    assert_eq!(nonces.of("https://1.example"), None);
    for kept in ["https://0.example", "https://2.example", "https://63.example", "https://new.example"] {
        assert!(nonces.of(kept).is_some(), "{kept}");
    }
}
