//! Owns the duties around client certificates: who is shown one, and what a refusal is.

use super::{Duty, Maker, PATIENT, Sender, Setup, kind, post, trusting};
use crate::loopback::{self, Authority, ClientIdentity, KeyKind, Loopback, Next, TLS_VERSIONS, expired};
use device_flow_core::TransportErrorKind as Kind;

#[rustfmt::skip]
pub(super) const DUTIES: &[Duty] = &[
    ("9: a server that asks for a certificate sees it", shown),
    ("9: a server that demands none is content without", optional),
    ("9: a server that refuses the certificate is not called untrusted", refused),
    ("9: clients with different certificates share no connection", apart),
];

/// How often something is tried that could come out otherwise by the order of bytes on the wire.
const TRIES: usize = 20;

fn with(make: Maker<'_>, authority: &Authority, client: &ClientIdentity) -> Sender {
    let client_certificate = Some(client.clone());
    make(&Setup { roots_pem: authority.pem().to_owned(), timeout: PATIENT, client_certificate })
}

/// With TLS 1.3 the client has sent its request by the time it hears of it.
pub(super) fn demanded(make: Maker<'_>) {
    let authority = Authority::new();
    for version in TLS_VERSIONS {
        let server =
            Loopback::https(authority.server_for_clients(true, version), |_, wire| loopback::device_answer(wire));
        for _ in 0..TRIES {
            assert_eq!(kind(trusting(make, &authority)(post(&server.url("")))), Kind::Tls, "{version:?}");
        }
        assert_eq!(server.requests().len(), 0);
    }
}

fn shown(make: Maker<'_>) {
    let authority = Authority::new();
    for version in TLS_VERSIONS {
        let server =
            Loopback::https(authority.server_for_clients(true, version), |_, wire| loopback::device_answer(wire));
        for key in KeyKind::ALL {
            let client = authority.client("client", key);
            let answer = with(make, &authority, &client)(post(&server.url(""))).unwrap();
            assert_eq!(answer.as_response().status(), 200, "{key:?}, {version:?}");
            assert_eq!(server.requests().pop().unwrap().client_certificate, Some(client.der()), "{key:?}, {version:?}");
        }
    }
}

fn optional(make: Maker<'_>) {
    let authority = Authority::new();
    for version in TLS_VERSIONS {
        let server =
            Loopback::https(authority.server_for_clients(false, version), |_, wire| loopback::device_answer(wire));
        assert!(trusting(make, &authority)(post(&server.url(""))).is_ok());
        assert_eq!(server.requests()[0].client_certificate, None);
    }
}

fn refused(make: Maker<'_>) {
    let authority = Authority::new();
    for version in TLS_VERSIONS {
        let server =
            Loopback::https(authority.server_for_clients(true, version), |_, wire| loopback::device_answer(wire));
        for client in [
            ClientIdentity::self_signed("client", KeyKind::P256),
            Authority::new().client("client", KeyKind::P256),
            authority.client_with("client", KeyKind::P256, expired),
        ] {
            for _ in 0..TRIES {
                assert_eq!(kind(with(make, &authority, &client)(post(&server.url("")))), Kind::Tls, "{version:?}");
            }
        }
        assert_eq!(server.requests().len(), 0);
    }
}

/// Neither one that is kept open, nor a session that is resumed on a new one.
fn apart(make: Maker<'_>) {
    let authority = Authority::new();
    let clients = ["one", "other"].map(|name| authority.client(name, KeyKind::P256));
    for version in TLS_VERSIONS {
        for next in [Next::Keep, Next::Close] {
            let server = Loopback::https(authority.server_for_clients(false, version), move |_, wire| {
                let connection = if next == Next::Close { "Connection: close\r\n" } else { "" };
                loopback::answer(wire, 200, connection, "{}");
                next
            });
            let senders = clients.each_ref().map(|client| with(make, &authority, client));
            let nobody = trusting(make, &authority);
            for _ in 0..3 {
                for (sender, client) in senders.iter().zip(&clients) {
                    assert!(sender(post(&server.url(""))).is_ok());
                    assert_eq!(server.requests().pop().unwrap().client_certificate, Some(client.der()));
                }
                assert!(nobody(post(&server.url(""))).is_ok());
                assert_eq!(server.requests().pop().unwrap().client_certificate, None);
            }
            assert_eq!(server.connections(), if next == Next::Keep { 3 } else { 9 });
        }
    }
}
