//! Owns what a person can do about a server that was not reached: the option, the variable, the clock, the proxy.

use device_flow_tokio::{Failure, HttpError, TransportErrorKind};

/// What to do after this failure; `None` where its own text says it, or nothing here can help.
pub(crate) fn of(failure: &Failure) -> Option<&'static str> {
    let Failure::Transport(error) = failure else { return None };
    Some(match error.kind() {
        TransportErrorKind::UntrustedCertificate => {
            "If your organization issues its own certificates or inspects TLS, get its root certificate and use --ca-file FILE (or \
             SSL_CERT_FILE). If the certificate has expired or is not valid yet, check this computer's clock. Behind an https \
             proxy (HTTPS_PROXY) it may be the proxy's. Nothing was sent."
        }
        TransportErrorKind::Tls => {
            "The server does not speak TLS 1.2 or later here, or demands a client certificate (--client-certificate): check host and \
             port, the proxy if there is one (HTTPS_PROXY: does it speak https itself?), and any device in between."
        }
        TransportErrorKind::Timeout => {
            "A firewall may drop the packets: check the network, the VPN, and whether a proxy is needed (--proxy)."
        }
        TransportErrorKind::Proxy => {
            "Check the proxy (--proxy, HTTPS_PROXY, ALL_PROXY), and its user name and password: \
             HTTPS_PROXY=http://user:password@host:port. If the server needs no proxy, name it in NO_PROXY."
        }
        TransportErrorKind::InvalidHttp => "What listens there is not a web server: check host and port.",
        // The driver's own doing, and the key's.
        TransportErrorKind::Abandoned | TransportErrorKind::Signing => return None,
        // And kinds that this version does not know.
        TransportErrorKind::Dns
        | TransportErrorKind::Connect
        | TransportErrorKind::Closed
        | TransportErrorKind::Other
        | _ => "Check host and port, the network, the VPN, and whether a proxy is needed (--proxy).",
    })
}

/// A setting that cannot work, with the variable that it may come from.
pub(crate) fn of_settings(error: &HttpError) -> String {
    if !matches!(error, HttpError::NoSystemRoots(_)) {
        return error.to_string();
    }
    match ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find_map(|name| Some((name, std::env::var_os(name)?))) {
        Some((name, value)) => format!(
            "{name}={} names no usable root certificates: correct it, unset it to trust those of this system, or name a file \
             with --ca-file",
            value.to_string_lossy()
        ),
        None => format!("{error} (--ca-file FILE, or SSL_CERT_FILE)"),
    }
}
