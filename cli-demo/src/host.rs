//! Owns host names with ports, as git and URLs write them.

use std::net::{IpAddr, Ipv6Addr};

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// In lower case, since case is the only difference between two spellings of one host that is allowed here.
    name: String,
    port: u16,
}

impl Host {
    /// `None`: it is anything but a host in ASCII letters and perhaps a port.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => {
                let _: Ipv6Addr = address.parse().ok()?;
                (text.get(..address.len().checked_add(2)?)?, port)
            }
            None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        if name.is_empty() || !name.starts_with('[') && !name.bytes().all(plain) {
            return None;
        }
        let port = match port.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0)?
            }
            None if port.is_empty() => default_port,
            Some(_) | None => return None,
        };
        Some(Self { name: name.to_ascii_lowercase(), port })
    }

    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Self::parse(rest.get(..end)?, default_port(scheme)?)
    }

    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.name.trim_start_matches('[').trim_end_matches(']');
        self.name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The port of a URL without one; `None` where a token can never be sent.
pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}
