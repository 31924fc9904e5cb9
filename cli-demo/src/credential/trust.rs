//! Owns the decision whether another program may have the token for a host. In doubt it may not.

use crate::args::SignInOptions;
use crate::host::{Host, default_port};
use crate::terminal::Terminal;
use device_flow_tokio::Preset;

/// Who asks. Hosts that are named for git alone are no others' business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Git,
    Other,
}

/// What may be given for a host.
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
    /// Of a registry or an index, as a URL, or as a host that a path may follow. Without a scheme it is https, except on
    /// loopback.
    pub(crate) fn of_service(service: &str, options: &SignInOptions) -> Self {
        let (protocol, rest) = service.split_once("://").unwrap_or(("", service));
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_loopback = Host::parse(host, 80).is_some_and(|host| host.is_loopback());
        let protocol = match protocol {
            "" if is_loopback => "http",
            "" => "https",
            named => named,
        };
        Self::of(protocol, host, options, Asker::Other)
    }

    /// Whether the token is given. What is refused for want of TLS is told; to any other host there is nothing to say.
    pub(crate) fn allows(self, place: &str, terminal: &mut Terminal) -> bool {
        if self == Self::WithoutTls {
            terminal.note(&format!("The token is not sent to {place}, where others could read it: use https."));
        }
        self == Self::Trusted
    }

    pub(crate) fn of(protocol: &str, host: &str, options: &SignInOptions, asker: Asker) -> Self {
        let parse = |text: &str| default_port(protocol).and_then(|port| Host::parse(text, port));
        let Some(asked) = parse(host) else { return Self::Foreign };
        let for_git = options.helpers.git_host.iter().filter(|_| asker == Asker::Git);
        let is_named =
            options.helpers.token_host.iter().chain(for_git).any(|named| parse(named).as_ref() == Some(&asked));
        if server(options).as_ref() != Some(&asked) && !is_named {
            return Self::Foreign;
        }
        let may_be_http = options.target.allow_http_loopback == Some(true) && asked.is_loopback();
        if protocol == "https" || may_be_http { Self::Trusted } else { Self::WithoutTls }
    }
}

/// The host of the authorization server, where git repositories may be on the same host. Of the providers that are known by
/// name only GitHub and GitLab have any.
fn server(options: &SignInOptions) -> Option<Host> {
    let target = &options.target;
    let host_or = |default: &str| Host::parse(target.place.host.as_deref().unwrap_or(default), 443);
    match target.provider.map(Preset::name) {
        Some("github") => host_or("github.com"),
        Some("gitlab") => host_or("gitlab.com"),
        Some(_) => None,
        None => Host::of_url(target.issuer.as_deref().or(target.token_endpoint.as_deref())?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn options(words: &[&str]) -> SignInOptions {
        SignInOptions::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"))
    }

    fn trust(words: &[&str], protocol: &str, host: &str) -> Trust {
        Trust::of(protocol, host, &options(words), Asker::Git)
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

    // Other inputs of the kinds of `any_other_host_is_foreign` are refused by the same words.
    #[test]
    fn a_service_is_a_url_or_a_host_that_a_path_may_follow() {
        let options = options(&[
            "--issuer=https://login.example.com",
            "--git-host=git.example.com",
            "--token-host=registry.example.com",
            "--token-host=registry.example.com:5000",
            "--token-host=127.0.0.1:5000",
            "--allow-http-loopback=true",
        ]);
        for (service, expected) in [
            ("registry.example.com", Trust::Trusted),
            ("registry.example.com/ada/app", Trust::Trusted),
            ("https://registry.example.com/v2/?x#y", Trust::Trusted),
            ("https://REGISTRY.example.com:443", Trust::Trusted),
            ("registry.example.com:5000", Trust::Trusted),
            ("login.example.com", Trust::Trusted),
            ("127.0.0.1:5000/ada/app", Trust::Trusted),
            ("http://127.0.0.1:5000/simple/", Trust::Trusted),
            ("http://registry.example.com/simple/", Trust::WithoutTls),
            // For git alone.
            ("git.example.com", Trust::Foreign),
            ("registry.example.com:5001", Trust::Foreign),
            ("127.0.0.1:5001", Trust::Foreign),
            ("registry.example.com@evil.example", Trust::Foreign),
            ("https://ada@registry.example.com/", Trust::Foreign),
            ("registry.example.com.evil.example/registry.example.com", Trust::Foreign),
            ("evil.example/registry.example.com", Trust::Foreign),
            ("evil.example#registry.example.com", Trust::Foreign),
            ("ftp://registry.example.com", Trust::Foreign),
            ("://registry.example.com", Trust::Trusted),
            ("https:registry.example.com", Trust::Foreign),
            ("docker.io", Trust::Foreign),
            ("", Trust::Foreign),
            ("/", Trust::Foreign),
        ] {
            assert_eq!(Trust::of_service(service, &options), expected, "{service:?}");
        }
    }
}
