//! The strict part of the URL standard beside the crate `url`: what it takes is read alike.

use super::strict::{Host, Url};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use proptest::prelude::*;

/// The parts of a URL as both types tell them.
#[derive(Debug, PartialEq)]
struct Parts {
    text: String,
    scheme: String,
    has_user: bool,
    host: Option<String>,
    domain: Option<String>,
    address: Option<String>,
    port: Option<u16>,
    path: String,
    query: Option<String>,
    without_query: String,
}

macro_rules! parts {
    ($url:expr, $hosts:ident) => {{
        let mut url = $url;
        let address = match url.host() {
            Some($hosts::Ipv4(address)) => Some(address.to_string()),
            Some($hosts::Ipv6(address)) => Some(address.to_string()),
            Some($hosts::Domain(_)) | None => None,
        };
        Parts {
            text: String::from(url.as_str()),
            scheme: String::from(url.scheme()),
            has_user: !url.username().is_empty() || url.password().is_some(),
            host: url.host_str().map(String::from),
            domain: url.domain().map(String::from),
            address,
            port: url.port(),
            path: String::from(url.path()),
            query: url.query().map(String::from),
            without_query: {
                url.set_query(None);
                String::from(url)
            },
        }
    }};
}

/// Whether the strict part takes it; then both read it alike.
fn taken(text: &str) -> bool {
    let Ok(strict) = Url::parse(text) else { return false };
    let strict = parts!(strict, Host);
    // It decodes names of other scripts, which the strict part leaves to whoever looks them up.
    if strict.host.as_ref().is_some_and(|host| host.contains("xn--")) {
        return true;
    }
    let is_web = matches!(&*strict.scheme, "http" | "https");
    let whole = match ::url::Url::parse(text) {
        Ok(url) => {
            use ::url::Host as Hosts;
            parts!(url, Hosts)
        }
        Err(error) => {
            assert!(!is_web, "{text}: {error}");
            return true;
        }
    };
    assert_eq!(strict.scheme, whole.scheme, "{text}");
    if is_web {
        // A user is refused with the whole URL. The standard escapes an apostrophe, which is never shown that way.
        let plain = |parts: Parts| {
            if parts.has_user {
                return Parts { text: String::new(), without_query: String::new(), ..parts };
            }
            let text = parts.text.replace('\'', "%27");
            Parts {
                text,
                path: parts.path.replace('\'', "%27"),
                query: parts.query.map(|query| query.replace('\'', "%27")),
                without_query: parts.without_query.replace('\'', "%27"),
                ..parts
            }
        };
        assert_eq!(plain(strict), plain(whole), "{text}");
    }
    true
}

#[test]
fn what_is_spelt_as_it_is_read_is_taken() {
    for text in [
        "https://login.example.com",
        "HTTPS://Login.Example.COM/Device?user_code=WDJB-MJHT#top",
        "https://a",
        "https://a.:443/",
        "https://a_b.example:8443/x//y/%2F/%zz?'q'",
        "http://127.0.0.1:8080/device",
        "http://[::1]:80/?a=b?c",
        "http://localhost:/x",
        "https://example.com:0443?x#y?z",
        "https://0x.example",
        "https://xn--bcher-kva.example/",
        "urn:ietf:params:oauth:grant-type:device_code",
        "api://app-id",
        "mailto:a@b",
        "web+app.x-1:z",
    ] {
        assert!(taken(text), "{text}");
    }
    assert!(taken("https://user:secret@example.com/") && taken("https://user@example.com"));
}

#[test]
fn what_a_reader_could_take_for_another_is_refused() {
    for text in [
        "",
        ":",
        "example.com",
        "//example.com",
        "1https://a",
        "https:/a",
        "https:a",
        "https:///a",
        "https://",
        "https://:80",
        "https://@a",
        "https://:@a",
        "https://a:b",
        "https://a:65536",
        "https://a:-1",
        "https://a:+1",
        "https://a::1",
        "https://a b",
        " https://a",
        "https://a\\b",
        "https://\u{430}pple.com",
        "https://%61.com",
        "https://a^b",
        "https://a/\u{fc}",
        "https://a/\"",
        "https://1",
        "https://1.2.3",
        "https://1.2.3.4.5",
        "https://01.2.3.4",
        "https://0x7f.0.0.1",
        "https://1.0x1",
        "https://256.1.1.1",
        "https://1.2.3.4.",
        "https://[::1",
        "https://[::1]a",
        "https://[0:0::1]",
        "https://[::ffff:1.2.3.4]",
        "https://[::FFFF:102:304]:x",
        "https://[v1.a]",
        "https://.a",
        "https://a/.",
        "https://a/../b",
        "https://a/b/%2E%2e",
        "https://a/.%2e/",
        "https://a!b",
    ] {
        assert!(!taken(text), "{text}");
    }
}

proptest! {
    /// Of the pieces that parsers disagree on.
    #[test]
    fn any_text_that_is_taken_is_read_alike(pieces in proptest::collection::vec(
        prop_oneof![
            proptest::sample::select(Vec::from([
                "https://", "http://", "HTTPS:", "//", "/", "\\", "@", ":", "?", "#", "%", "%2e", ".", "..", "[", "]", "[::1]", "::", "0x1f", "1",
                "127.0.0.1", "256", "08", "443", "80", "localhost", "a", "B", "_", "-", "~", "'", "&", "=", "+", "xn--a", " ", "\t", "\u{e4}",
            ])).prop_map(String::from),
            "[a-z0-9.:-]{1,4}",
        ], 0..9), at_front in any::<bool>())
    {
        let text = pieces.concat();
        taken(&if at_front { format!("https://{text}") } else { text });
    }
}
