//! Owns URLs in ASCII, for programs without room for the tables of international names. What is taken here of http and
//! https, the crate `url` takes as well and reads alike; what it would read otherwise than it is spelt is refused.
//!
//! The libraries that parse RFC 3986 would save the few lines that split a text, and not those that say which hosts every
//! program reads alike.

use alloc::format;
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

/// A URL with scheme and host in lower case, without a default port. Nothing but the scheme is known of one that has no
/// host.
pub(crate) struct Url {
    text: String,
    scheme: usize,
    user_info: String,
    /// Where the host is in the text; nowhere for a URL without one.
    host: (usize, usize),
    port: Option<u16>,
    /// Where the path begins.
    path: usize,
}

/// The names of the crate `url`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Host<S> {
    Domain(S),
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
}

/// Not a URL of this kind.
#[derive(Debug)]
pub(crate) struct NotAUrl;

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, NotAUrl> {
        let (scheme, rest) = text.split_once(':').ok_or(NotAUrl)?;
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        if !is_scheme || !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b)) {
            return Err(NotAUrl);
        }
        let scheme = scheme.to_ascii_lowercase();
        let default_port = match &*scheme {
            "https" => 443,
            "http" => 80,
            _ => {
                let text = [&*scheme, ":", rest].concat();
                let (scheme, path) = (scheme.len(), text.len());
                return Ok(Self { text, scheme, user_info: String::new(), host: (0, 0), port: None, path });
            }
        };
        let rest = rest.strip_prefix("//").ok_or(NotAUrl)?;
        let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user_info, place) = match authority.rsplit_once('@') {
            Some(("" | ":", _)) => return Err(NotAUrl),
            Some(parts) => parts,
            None => ("", authority),
        };
        let port = place.rfind(':').filter(|colon| !place.get(*colon..).is_some_and(|rest| rest.contains(']')));
        let (host, port) = place.split_at(port.unwrap_or(place.len()));
        let port = match port.trim_start_matches(':') {
            "" => None,
            digits if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().map_err(|_| NotAUrl)?),
            _ => return Err(NotAUrl),
        };
        let port = port.filter(|port| *port != default_port);
        let host = host.to_ascii_lowercase();
        if !is_host(&host) || moves(tail) {
            return Err(NotAUrl);
        }
        let mut text = [&*scheme, "://", &*host].concat();
        let host = (text.len().saturating_sub(host.len()), text.len());
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        let path = text.len();
        if !tail.starts_with('/') {
            text.push('/');
        }
        text.push_str(tail);
        Ok(Self { text, scheme: scheme.len(), user_info: String::from(user_info), host, port, path })
    }

    pub(crate) fn scheme(&self) -> &str {
        self.text.get(..self.scheme).unwrap_or_default()
    }

    pub(crate) fn username(&self) -> &str {
        &self.user_info
    }

    /// It is a part of the name here.
    #[expect(clippy::unused_self, reason = "as in the crate `url`")]
    pub(crate) fn password(&self) -> Option<&str> {
        None
    }

    pub(crate) fn host_str(&self) -> Option<&str> {
        self.text.get(self.host.0..self.host.1).filter(|host| !host.is_empty())
    }

    pub(crate) fn host(&self) -> Option<Host<&str>> {
        let host = self.host_str()?;
        Some(match inside_brackets(host) {
            Some(address) => Host::Ipv6(address.parse().ok()?),
            None => host.parse().map_or(Host::Domain(host), Host::Ipv4),
        })
    }

    pub(crate) fn domain(&self) -> Option<&str> {
        match self.host()? {
            Host::Domain(name) => Some(name),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    pub(crate) fn port(&self) -> Option<u16> {
        self.port
    }

    pub(crate) fn path(&self) -> &str {
        self.tail().split(['?', '#']).next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> Option<&str> {
        Some(self.tail().split('#').next()?.split_once('?')?.1)
    }

    /// Nothing else than `None` is ever set.
    pub(crate) fn set_query(&mut self, query: Option<&str>) {
        debug_assert!(query.is_none());
        let fragment = self.tail().find('#').and_then(|start| self.tail().get(start..)).map(String::from);
        self.text.truncate(self.path.saturating_add(self.path().len()));
        self.text.push_str(&fragment.unwrap_or_default());
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    fn tail(&self) -> &str {
        self.text.get(self.path..).unwrap_or_default()
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.text
    }
}

fn inside_brackets(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// Whether it is a name, or an address in its only spelling.
fn is_host(host: &str) -> bool {
    if let Some(address) = inside_brackets(host) {
        // The dots of an embedded IPv4 address are written as such by some and as two groups by others.
        return address
            .parse::<Ipv6Addr>()
            .is_ok_and(|parsed| format!("{parsed}") == address && !address.contains('.'));
    }
    let is_name = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) && !host.starts_with('.');
    // The URL standard takes a name that ends in a number for an address, also in hexadecimal, and with fewer parts.
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
    is_name && if is_number { host.parse::<Ipv4Addr>().is_ok() } else { !host.is_empty() }
}

/// Whether the path has a segment that the URL standard resolves: `.` or `..`, also escaped.
fn moves(tail: &str) -> bool {
    let path = tail.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    path.split('/').any(|segment| matches!(segment, "." | ".."))
}
