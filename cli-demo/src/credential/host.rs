//! Owns the question whether a host is one of those that may have the token. When in doubt it is not.

use crate::args::ProviderName;
use crate::settings::Said;
use std::net::IpAddr;

/// A host and its port, as git and addresses write them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// In lower case: names are compared without case, and in no other way do two spellings mean the same here.
    name: String,
    port: u16,
}

impl Host {
    /// `None`: it is no host and port and nothing else, in plain letters.
    pub(crate) fn parse(text: &str, default_port: u16) -> Option<Self> {
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => {
                let _: std::net::Ipv6Addr = address.parse().ok()?;
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

    /// Of an address.
    fn of_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Self::parse(rest.get(..end)?, default_port(scheme)?)
    }

    fn is_loopback(&self) -> bool {
        let address = self.name.trim_start_matches('[').trim_end_matches(']');
        self.name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// What may be sent to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// It is the server's, or was named: the token.
    Ours,
    /// The same, but whoever is on the way could read along.
    OursInTheClear,
    /// Another one: nothing.
    Foreign,
}

impl Trust {
    pub(crate) fn of(protocol: &str, host: &str, said: &Said) -> Self {
        let Some(asked) = default_port(protocol).and_then(|port| Host::parse(host, port)) else { return Self::Foreign };
        let ours =
            |text: &String| default_port(protocol).and_then(|port| Host::parse(text, port)).as_ref() == Some(&asked);
        if server(said).as_ref() != Some(&asked) && !said.hosts.git_host.iter().any(ours) {
            return Self::Foreign;
        }
        let allowed = protocol == "https" || said.target.allow_http_loopback == Some(true) && asked.is_loopback();
        if allowed { Self::Ours } else { Self::OursInTheClear }
    }
}

/// The host of the server that gives the tokens, as far as git may live there: nobody keeps repositories where Microsoft and
/// Google sign people in.
fn server(said: &Said) -> Option<Host> {
    let target = &said.target;
    let named = |default: &str| Host::parse(target.host.as_deref().unwrap_or(default), 443);
    match target.provider {
        Some(ProviderName::Github) => named("github.com"),
        Some(ProviderName::Gitlab) => named("gitlab.com"),
        Some(ProviderName::Entra | ProviderName::Google) => None,
        None => Host::of_url(target.issuer.as_deref().or(target.token_endpoint.as_deref())?),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Said;
    use clap::Parser as _;

    fn trust(words: &[&str], protocol: &str, host: &str) -> Trust {
        Trust::of(protocol, host, &Said::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")))
    }

    #[test]
    fn the_servers_host_and_the_named_ones_are_ours() {
        for (words, host) in [
            (&["--provider=github"][..], "github.com"),
            (&["--provider=github"], "GitHub.com:443"),
            (&["--provider=github", "--host=ghe.example.com"], "ghe.example.com"),
            (&["--provider=gitlab"], "gitlab.com"),
            (&["--provider=gitlab", "--host=git.example.com:8443"], "git.example.com:8443"),
            (&["--issuer=https://git.example.com/oauth"], "git.example.com"),
            (&["--issuer=https://git.example.com:8443"], "git.example.com:8443"),
            (&["--device-endpoint=https://a.example/d", "--token-endpoint=https://b.example/t"], "b.example"),
            (&["--provider=entra", "--git-host=dev.azure.com"], "dev.azure.com"),
            (&["--provider=github", "--git-host=a.example", "--git-host=b.example:1"], "b.example:1"),
            (&["--issuer=https://[2001:db8::1]:8443/x"], "[2001:DB8::1]:8443"),
        ] {
            assert_eq!(trust(words, "https", host), Trust::Ours, "{words:?} {host}");
        }
    }

    /// Each of them has been, in some program, a way to have a token sent elsewhere.
    #[test]
    fn any_other_host_is_foreign() {
        let words = ["--provider=github", "--git-host=git.example.com:8443", "--git-host=127.0.0.1:80"];
        for host in [
            "",
            "evil.example",
            "github.com.evil.example",
            "evilgithub.com",
            "github.com:8443",
            "github.com:0443x",
            "github.com:",
            "github.com.",
            "api.github.com",
            "user@github.com",
            "github.com@evil.example",
            "github.com/",
            "evil.example/github.com",
            "github.com#",
            "github.com?x",
            "github.com\\evil.example",
            "github%2ecom",
            "github.com%00.evil.example",
            "ｇithub.com",
            "gıthub.com",
            " github.com",
            "github.com ",
            "git.example.com",
            "git.example.com:443",
            "127.1:80",
            "2130706433:80",
            "[::1",
            "[::1]evil:80",
            "::1",
        ] {
            assert_eq!(trust(&words, "https", host), Trust::Foreign, "{host:?}");
        }
        for protocol in ["", "ssh", "cert", "HTTPS", "ftp", "https:"] {
            assert_eq!(trust(&words, protocol, "github.com"), Trust::Foreign, "{protocol}");
        }
        // Where people sign in there is no git.
        assert_eq!(trust(&["--provider=entra"], "https", "login.microsoftonline.com"), Trust::Foreign);
        // A server's own port is part of its name, and another's default is not.
        assert_eq!(trust(&["--issuer=http://127.0.0.1:8080"], "https", "127.0.0.1"), Trust::Foreign);
    }

    #[test]
    fn without_tls_only_loopback_and_only_when_allowed() {
        for (words, host, expected) in [
            (&["--provider=github"][..], "github.com", Trust::Foreign),
            (&["--provider=github", "--git-host=git.example.com"], "git.example.com", Trust::OursInTheClear),
            (
                &["--provider=github", "--allow-http-loopback=true", "--git-host=a.example"],
                "a.example",
                Trust::OursInTheClear,
            ),
            (&["--git-host=127.0.0.1:8080"], "127.0.0.1:8080", Trust::OursInTheClear),
            (&["--git-host=127.0.0.1:8080", "--allow-http-loopback=true"], "127.0.0.1:8080", Trust::Ours),
            (&["--git-host=[::1]:8080", "--allow-http-loopback=true"], "[::1]:8080", Trust::Ours),
            (&["--git-host=localhost", "--allow-http-loopback=true"], "localhost:80", Trust::Ours),
            (
                &["--git-host=127.0.0.1.evil.example", "--allow-http-loopback=true"],
                "127.0.0.1.evil.example",
                Trust::OursInTheClear,
            ),
        ] {
            assert_eq!(trust(words, "http", host), expected, "{words:?} {host}");
        }
    }
}
