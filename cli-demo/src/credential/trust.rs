//! Owns the decision whether git may have the token for a host. In doubt it may not.

use crate::args::{ProviderName, SignInOptions};
use crate::host::{Host, default_port};

/// What git may be given for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The token: the host is the server's, or an option names it.
    Trusted,
    /// Nothing, and a note: the host is trusted, but without TLS anybody on the way could read the token.
    WithoutTls,
    /// Nothing: any other host.
    Foreign,
}

impl Trust {
    pub(crate) fn of(protocol: &str, host: &str, options: &SignInOptions) -> Self {
        let parse = |text: &str| default_port(protocol).and_then(|port| Host::parse(text, port));
        let Some(asked) = parse(host) else { return Self::Foreign };
        let is_named = options.hosts.git_host.iter().any(|named| parse(named).as_ref() == Some(&asked));
        if server(options).as_ref() != Some(&asked) && !is_named {
            return Self::Foreign;
        }
        let may_be_http = options.target.allow_http_loopback == Some(true) && asked.is_loopback();
        if protocol == "https" || may_be_http { Self::Trusted } else { Self::WithoutTls }
    }
}

/// The host of the authorization server, where git repositories may be on the same host: never at Microsoft or Google.
fn server(options: &SignInOptions) -> Option<Host> {
    let target = &options.target;
    let host_or = |default: &str| Host::parse(target.host.as_deref().unwrap_or(default), 443);
    match target.provider {
        Some(ProviderName::Github) => host_or("github.com"),
        Some(ProviderName::Gitlab) => host_or("gitlab.com"),
        Some(ProviderName::Entra | ProviderName::Google) => None,
        None => Host::of_url(target.issuer.as_deref().or(target.token_endpoint.as_deref())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn trust(words: &[&str], protocol: &str, host: &str) -> Trust {
        Trust::of(protocol, host, &SignInOptions::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")))
    }

    #[test]
    fn the_servers_host_and_the_named_ones_are_trusted() {
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
            assert_eq!(trust(words, "https", host), Trust::Trusted, "{words:?} {host}");
        }
    }

    /// Each of these has been, in some program, a way to have a token sent elsewhere.
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
        // There is no git at the hosts where people sign in.
        assert_eq!(trust(&["--provider=entra"], "https", "login.microsoftonline.com"), Trust::Foreign);
        // The port belongs to the host: another scheme's default port is another host.
        assert_eq!(trust(&["--issuer=http://127.0.0.1:8080"], "https", "127.0.0.1"), Trust::Foreign);
    }

    #[test]
    fn without_tls_only_loopback_and_only_when_allowed() {
        for (words, host, expected) in [
            (&["--provider=github"][..], "github.com", Trust::Foreign),
            (&["--provider=github", "--git-host=git.example.com"], "git.example.com", Trust::WithoutTls),
            (
                &["--provider=github", "--allow-http-loopback=true", "--git-host=a.example"],
                "a.example",
                Trust::WithoutTls,
            ),
            (&["--git-host=127.0.0.1:8080"], "127.0.0.1:8080", Trust::WithoutTls),
            (&["--git-host=127.0.0.1:8080", "--allow-http-loopback=true"], "127.0.0.1:8080", Trust::Trusted),
            (&["--git-host=[::1]:8080", "--allow-http-loopback=true"], "[::1]:8080", Trust::Trusted),
            (&["--git-host=localhost", "--allow-http-loopback=true"], "localhost:80", Trust::Trusted),
            (
                &["--git-host=127.0.0.1.evil.example", "--allow-http-loopback=true"],
                "127.0.0.1.evil.example",
                Trust::WithoutTls,
            ),
        ] {
            assert_eq!(trust(words, "http", host), expected, "{words:?} {host}");
        }
    }
}
