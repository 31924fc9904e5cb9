//! Owns which proxy a request goes through, if any: the setting, the environment, never for loopback.

use crate::HttpError;
use std::fmt;
use std::net::IpAddr;
use url::{Host, Position, Url};

/// A proxy, and the hosts that are reached without it.
#[derive(Clone)]
pub struct Proxy {
    url: Url,
    /// The entries of `NO_PROXY`, in lower case.
    bypassed: Vec<String>,
}

impl Proxy {
    /// A proxy for everything but loopback. `source` names the setting in an error, for the address may hold a password.
    ///
    /// # Errors
    /// [`HttpError::BadProxy`] when it is not an `http://`, `https://` or `socks5://` address.
    pub fn new(address: &str, source: &'static str) -> Result<Self, HttpError> {
        let with_scheme = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let bad = || HttpError::BadProxy(source);
        let mut url = Url::parse(&with_scheme).map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") || url.host_str().is_none_or(str::is_empty)
        {
            return Err(bad());
        }
        if is_socks(&url) {
            // The proxy looks names up, as with http: whether this computer could is no concern of it (as in Go; in curl, only
            // with `socks5h`).
            url.set_scheme("socks5h").map_err(|()| bad())?;
            url.set_port(url.port().or(Some(SOCKS_PORT))).map_err(|()| bad())?;
        }
        Ok(Self { url, bypassed: Vec::new() })
    }

    /// The proxy that the environment names, if it does. `HTTP_PROXY` is not among the variables: plain http goes to loopback
    /// alone, and never through a proxy.
    ///
    /// # Errors
    /// [`HttpError::BadProxy`] when the variable holds something else.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, HttpError> {
        let set = |name: &'static str| Some((name, variable(name).filter(|value| !value.trim().is_empty())?));
        let Some((name, address)) = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"].into_iter().find_map(set)
        else {
            return Ok(None);
        };
        let mut proxy = Self::new(address.trim(), name)?;
        if let Some((_, hosts)) = ["NO_PROXY", "no_proxy"].into_iter().find_map(set) {
            proxy.bypassed.extend(hosts.split([',', ' ']).map(|host| host.trim().to_ascii_lowercase()));
        }
        Ok(Some(proxy))
    }

    /// The address, with credentials: for the HTTP client alone. SOCKS is `socks5h://`, with its port.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Host and port, without credentials.
    #[must_use]
    pub fn address(&self) -> String {
        let port = self.url.port_or_known_default().map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", self.url.host_str().unwrap_or_default())
    }

    /// Host and port of the proxy that serves this URL, if one does.
    #[must_use]
    pub fn address_for(proxy: Option<&Self>, url: &str) -> Option<String> {
        let url = Url::parse(url).ok()?;
        proxy.filter(|proxy| proxy.serves(&url)).map(Self::address)
    }

    /// Whether a request to this URL goes through the proxy.
    #[must_use]
    pub fn serves(&self, target: &Url) -> bool {
        let direct = match target.host() {
            Some(Host::Domain(name)) => name == "localhost" || self.bypasses(name, None),
            Some(Host::Ipv4(ip)) => ip.is_loopback() || self.bypasses(&ip.to_string(), Some(ip.into())),
            Some(Host::Ipv6(ip)) => ip.is_loopback() || self.bypasses(&ip.to_string(), Some(ip.into())),
            None => true,
        };
        !direct
    }

    /// As curl and Go read `NO_PROXY`: `*`, a domain with all below it, an address, a network (`10.0.0.0/8`).
    fn bypasses(&self, host: &str, ip: Option<IpAddr>) -> bool {
        self.bypassed.iter().any(|entry| {
            let domain = entry.trim_start_matches("*.").trim_start_matches('.');
            entry == "*"
                || host == domain
                || (!domain.is_empty() && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
                || entry.split_once('/').zip(ip).is_some_and(|((network, bits), ip)| within(ip, network, bits))
        })
    }
}

impl fmt::Debug for Proxy {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Proxy {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}", authority(&self.url))
    }
}

/// Where none is named (RFC 1928 §3).
const SOCKS_PORT: u16 = 1080;

fn is_socks(url: &Url) -> bool {
    url.scheme().starts_with("socks")
}

/// Host and port of a URL: the part that may be shown to anyone.
#[must_use]
pub fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::AfterPort]
}

/// The host of a URL, and the proxy on the way if the connection to it is encrypted, too: a failure of TLS does not say with
/// which of the two it was.
#[must_use]
pub fn through(proxy: Option<&Proxy>, url: &Url) -> String {
    match proxy.filter(|proxy| proxy.url.scheme() == "https" && proxy.serves(url)) {
        Some(proxy) => format!("{} through {proxy}", authority(url)),
        None => authority(url).to_owned(),
    }
}

/// Whether an address lies in a network, written as in `10.0.0.0/8`.
fn within(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let differing = match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => u128::from(ip.to_bits() ^ network.to_bits()) << 96,
        (IpAddr::V6(ip), IpAddr::V6(network)) => ip.to_bits() ^ network.to_bits(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    differing.leading_zeros() >= bits
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test reports")]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Option<Proxy>, HttpError> {
        Proxy::from_env(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn serves(proxy: &Proxy, target: &str) -> bool {
        proxy.serves(&Url::parse(target).unwrap())
    }

    #[test]
    fn c15_the_environment_names_the_proxy() {
        assert!(from(&[]).unwrap().is_none());
        assert!(from(&[("HTTPS_PROXY", " ")]).unwrap().is_none());
        assert!(from(&[("HTTP_PROXY", "http://h:1"), ("NO_PROXY", "*")]).unwrap().is_none());
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            let proxy = from(&[(name, "http://u:p@h:1")]).unwrap().unwrap();
            assert_eq!((proxy.url().as_str(), &*proxy.to_string()), ("http://u:p@h:1/", "the proxy h:1"));
            assert_eq!(format!("{proxy:?}"), "the proxy h:1");
        }
        let proxy = from(&[("ALL_PROXY", "a:1"), ("HTTPS_PROXY", "b:1")]).unwrap().unwrap();
        assert_eq!((proxy.url().as_str(), &*proxy.address()), ("http://b:1/", "b:1"));
        let default_ports =
            ["http://u:canary@[::1]", "https://u:canary@h"].map(|url| Proxy::new(url, "").unwrap().address());
        assert_eq!(default_ports, ["[::1]:80", "h:443"]);
        for (address, url) in [
            ("socks5://h:1", "socks5h://h:1"),
            ("socks5h://u:p@h", "socks5h://u:p@h:1080"),
            ("SOCKS5://[::1]", "socks5h://[::1]:1080"),
        ] {
            let proxy = from(&[("HTTPS_PROXY", address)]).unwrap().unwrap();
            assert_eq!(proxy.url().as_str(), url);
            assert!(!format!("{proxy}{}", proxy.address()).contains("u:p"));
        }
        for address in ["socks4://h:1", "socks://h", "socks5://", "socks5h://:1", "ftp://h"] {
            assert_eq!(from(&[("HTTPS_PROXY", address)]).err(), Some(HttpError::BadProxy("HTTPS_PROXY")), "{address}");
        }
    }

    #[test]
    fn c15_no_proxy_names_hosts_domains_addresses_and_networks() {
        let hosts = ".as, example.com,*.wild.example, 10.0.0.0/8,192.0.2.7,fd00::/8, Upper.Example,,/,1.2.3.4/x";
        let proxy = from(&[("HTTPS_PROXY", "h:1"), ("no_proxy", hosts)]).unwrap().unwrap();
        for direct in [
            "https://as",
            "https://login.as",
            "https://example.com:8443/x",
            "https://a.b.example.com",
            "https://a.wild.example",
            "https://10.255.0.1",
            "https://192.0.2.7",
            "https://[fd12::1]",
            "https://upper.example",
        ] {
            assert!(!serves(&proxy, direct), "{direct}");
        }
        for through in [
            "https://notexample.com",
            "https://bas",
            "https://example.com.evil",
            "https://11.0.0.1",
            "https://192.0.2.70",
            "https://[fe80::1]",
            "https://1.2.3.4",
        ] {
            assert!(serves(&proxy, through), "{through}");
        }
        let proxy = from(&[("HTTPS_PROXY", "h:1"), ("NO_PROXY", "*")]).unwrap().unwrap();
        assert!(!serves(&proxy, "https://example.com"));
    }

    #[test]
    fn c15_loopback_is_never_served() {
        let proxy = Proxy::new("http://h:1", "").unwrap();
        for target in
            ["http://127.0.0.1:1", "https://127.9.9.9", "https://[::1]", "https://localhost:8443", "http://localhost"]
        {
            assert!(!serves(&proxy, target), "{target}");
        }
        assert!(serves(&proxy, "https://localhost.example"));
    }
}
