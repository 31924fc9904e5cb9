//! Client certificates (RFC 8705): which are refused and what to do then, who is shown one, and what a server's refusal is called.

use crate::adapter::{
    Client, DeviceFlow, Failure, Http, HttpBuilder, HttpError, Provider, Stopped, TransportError,
    TransportErrorKind as Kind, entropy,
};
use crate::sign_in;
use device_flow_testkit::loopback::{
    self, Authority, ClientIdentity, KeyKind, Loopback, TLS_VERSIONS, expired, tunnel_to,
};
use device_flow_testkit::secrets::{CANARY, leak, none_in};
use std::sync::{Arc, Mutex};

fn client_at(base: &str) -> Client {
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    Client::builder(provider, "client").tls_client_auth().build().unwrap()
}

fn flow(base: &str) -> DeviceFlow {
    DeviceFlow::new(client_at(base), entropy().unwrap())
}

fn trusting(authority: &Authority) -> HttpBuilder {
    Http::builder().no_proxy().root_certificates_pem(authority.pem())
}

fn p256(authority: &Authority) -> ClientIdentity {
    authority.client("client", KeyKind::P256)
}

/// How a sign-in ends that gets no answer.
fn refused(http: HttpBuilder, server: &Loopback) -> TransportError {
    match sign_in(&http.build().unwrap(), flow(&server.url(""))) {
        Err(Stopped::Failed(Failure::Transport(error))) => error,
        other => panic!("{other:?}"),
    }
}

// R9700-2.5-1.
#[test]
fn rfc8705_2_a_sign_in_shows_the_certificate_with_every_request() {
    let authority = Authority::new();
    for version in TLS_VERSIONS {
        for key in KeyKind::ALL {
            let client = authority.client("client", key);
            let server = Loopback::https(
                authority.server_for_clients(true, version),
                loopback::sign_in(&["authorization_pending"]),
            );
            let http = trusting(&authority).client_certificate_pem(client.pem()).build().unwrap();
            let outcome = sign_in(&http, flow(&server.url("")));
            assert!(outcome.is_ok(), "{key:?}, {version:?}: {outcome:?}");
            let requests = server.requests();
            assert_eq!(requests.len(), 3);
            for asked in &requests {
                assert_eq!(asked.client_certificate, Some(client.der()), "{key:?}, {version:?}");
                assert!(asked.body.contains("client_id=client"));
            }
        }
    }
}

// The chain reaches the server, which trusts the root alone.
#[test]
fn rfc8705_2_1_the_certificates_of_issuers_are_shown_too() {
    let authority = Authority::new();
    let intermediate = authority.subordinate();
    let client = p256(&intermediate);
    let server = Loopback::https(authority.server_for_clients(true, TLS_VERSIONS[1]), loopback::sign_in(&[]));
    let alone = trusting(&authority).client_certificate_pem(client.pem());
    assert_eq!(refused(alone, &server).kind(), Kind::Tls);
    let chain = format!("{}{}", client.certificate_pem, intermediate.pem());
    let http = trusting(&authority).client_certificate_pem(chain).client_key_pem(client.key_pem);
    assert!(sign_in(&http.build().unwrap(), flow(&server.url(""))).is_ok());
}

#[test]
fn a_server_that_demands_a_certificate_says_so_in_words() {
    let authority = Authority::new();
    for version in TLS_VERSIONS {
        let server = Loopback::https(authority.server_for_clients(true, version), loopback::sign_in(&[]));
        let error = refused(trusting(&authority), &server);
        assert_eq!(error.kind(), Kind::Tls, "{error}");
        let detail = "the server demands a client certificate (TLS alert CertificateRequired)";
        assert_eq!(error.detail(), format!("127.0.0.1:{}: {detail}", server.port()));
        assert_eq!(server.requests().len(), 0);
    }
}

#[test]
fn a_server_that_refuses_a_certificate_says_why_in_words() {
    let authority = Authority::new();
    let expired = authority.client_with("client", KeyKind::P256, expired);
    // Of the same name as the trusted one.
    let forged = "the server could not verify the client certificate (TLS alert DecryptError)";
    let unknown = "the server does not trust the issuer of the client certificate (TLS alert UnknownCA)";
    for (client, why) in [
        (ClientIdentity::self_signed("client", KeyKind::Ed25519), unknown),
        (p256(&Authority::new().subordinate()), unknown),
        (p256(&Authority::new()), forged),
        (expired, "the server says that the client certificate has expired (TLS alert CertificateExpired)"),
    ] {
        for version in TLS_VERSIONS {
            let server = Loopback::https(authority.server_for_clients(true, version), loopback::sign_in(&[]));
            let error = refused(trusting(&authority).client_certificate_pem(client.pem()), &server);
            assert_eq!(error.kind(), Kind::Tls, "{error}");
            assert_eq!(error.detail(), format!("127.0.0.1:{}: {why}", server.port()));
        }
    }
}

// In the tunnel, and never to the proxy itself.
#[test]
fn a_certificate_goes_through_a_proxy_and_to_none() {
    let authority = Authority::new();
    let client = p256(&authority);
    let server = Loopback::https(authority.server_for_clients(true, TLS_VERSIONS[1]), loopback::sign_in(&[]));
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let proxy = tunnel_to(server.port(), move |head| seen.lock().unwrap().push(head.to_owned()));
    let with_certificate =
        || Http::builder().root_certificates_pem(authority.pem()).client_certificate_pem(client.pem());
    let http = with_certificate().proxy(format!("http://127.0.0.1:{proxy}")).build().unwrap();
    assert!(sign_in(&http, flow("https://as.example")).is_ok());
    assert_eq!(server.requests()[0].client_certificate, Some(client.der()));
    assert!(heads.lock().unwrap()[0].starts_with("CONNECT as.example:443 "));

    let error = with_certificate().proxy("https://127.0.0.1:1").build().unwrap_err();
    assert_eq!(error, HttpError::ClientCertificateAndHttpsProxy);
    assert!(Http::builder().proxy("https://127.0.0.1:1").build().is_ok());
}

// RFC 8628 is tried out without TLS.
#[test]
fn loopback_without_tls_needs_no_certificate_and_bears_one() {
    let server = Loopback::http(loopback::sign_in(&[]));
    let http = Http::builder().client_certificate_pem(p256(&Authority::new()).pem()).build().unwrap();
    assert!(sign_in(&http, DeviceFlow::new(server.client(), entropy().unwrap())).is_ok());
    assert_eq!(server.requests()[0].client_certificate, None);
}

#[test]
fn debug_of_a_certificate_counts_the_chain_and_shows_no_key() {
    let client = p256(&Authority::new());
    let settings = Http::builder().client_certificate_pem(client.pem()).check().unwrap();
    let shown = format!("{:?}", settings.client_certificate.unwrap());
    assert!(shown.contains("certificates: 1") && shown.len() < 60, "{shown}");
}

#[test]
fn certificate_and_key_are_taken_from_one_text_or_two_in_any_form() {
    let authority = Authority::new();
    let built = |http: HttpBuilder| http.build().map(drop);
    for key in KeyKind::ALL {
        let client = authority.client("client", key);
        let ClientIdentity { certificate_pem, key_pem } = client.clone();
        assert_eq!(built(Http::builder().client_certificate_pem(client.pem())), Ok(()), "{key:?}");
        // As pkcs12 of OpenSSL writes it.
        let bag =
            format!("Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n{key_pem}{certificate_pem}");
        assert_eq!(built(Http::builder().client_certificate_pem(bag.replace('\n', "\r\n"))), Ok(()), "{key:?}");
        for certificate in [certificate_pem, client.pem(), p256(&authority).key_pem + &client.certificate_pem] {
            let two = Http::builder().client_key_pem(key_pem.clone()).client_certificate_pem(certificate);
            assert_eq!(built(two), Ok(()), "{key:?}");
        }
    }
    for (key, label) in
        [(KeyKind::Rsa, "RSA PRIVATE KEY"), (KeyKind::P256, "EC PRIVATE KEY"), (KeyKind::P384, "EC PRIVATE KEY")]
    {
        let client = authority.client("client", key);
        let http = Http::builder().client_certificate_pem(client.certificate_pem.clone());
        assert_eq!(built(http.client_key_pem(client.traditional_key_pem(label))), Ok(()), "{key:?}");
    }
}

#[test]
fn client_certificates_that_are_unusable_are_refused_with_what_to_do() {
    let authority = Authority::new();
    let ClientIdentity { certificate_pem: certificate, key_pem: key } = p256(&authority);
    let other = p256(&authority);
    let refused = |pem: &[u8]| Http::builder().client_certificate_pem(pem).build().unwrap_err();
    let two = |certificate: &str, key: &str| {
        Http::builder().client_certificate_pem(certificate).client_key_pem(key).build().unwrap_err()
    };

    assert_eq!(refused(&[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01]), HttpError::ClientCertificateNotPem);
    assert_eq!(refused(b"\x30\x82").to_string().matches("openssl p").count(), 2);
    assert_eq!(two(&certificate, "cert? key? none."), HttpError::ClientCertificateNotPem);

    assert_eq!(refused(b""), HttpError::NoClientCertificate);
    assert_eq!(refused(key.as_bytes()), HttpError::NoClientCertificate);
    assert_eq!(Http::builder().client_key_pem(key.clone()).build().unwrap_err(), HttpError::NoClientCertificate);

    assert_eq!(refused(certificate.as_bytes()), HttpError::NoClientKey);
    assert_eq!(two(&certificate, ""), HttpError::NoClientKey);
    assert_eq!(two(&format!("{certificate}{key}"), &certificate), HttpError::NoClientKey);

    // One that is not needed does no harm where the rest can be read.
    for (encrypted, beside) in [
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHsMFcG\n-----END ENCRYPTED PRIVATE KEY-----\n", Ok(())),
        (OLD_ENCRYPTED_KEY, Err(HttpError::EncryptedClientKey)),
    ] {
        for error in [
            two(&certificate, encrypted),
            refused(format!("{certificate}{encrypted}").as_bytes()),
            refused(format!("{encrypted}{certificate}").as_bytes()),
        ] {
            assert_eq!(error, HttpError::EncryptedClientKey);
            assert!(error.to_string().contains("openssl pkey -in FILE"));
        }
        let both = Http::builder().client_certificate_pem(format!("{encrypted}{certificate}{key}"));
        assert_eq!(both.build().map(drop), beside);
    }

    assert_eq!(two(&certificate, &other.key_pem), HttpError::ClientKeyMismatch);
    let issuer_first = format!("{}{certificate}{key}", authority.pem());
    assert_eq!(refused(issuer_first.as_bytes()), HttpError::ClientKeyMismatch);
    assert_eq!(two(&certificate, &authority.client("client", KeyKind::Rsa).key_pem), HttpError::ClientKeyMismatch);

    let junk = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    assert_eq!(two(&certificate, &junk("PRIVATE KEY")), HttpError::UnusableClientKey);
    assert_eq!(two(&junk("CERTIFICATE"), &key), HttpError::UnusableClientCertificate);
    assert_eq!(two(&certificate.replace("\nMI", "\n?I"), &key), HttpError::DamagedClientCertificate);
    assert_eq!(
        refused(format!("{certificate}{key}").get(..certificate.len() + 60).unwrap().as_bytes()),
        HttpError::DamagedClientCertificate
    );
}

// As `openssl x509 -req` makes them without -extfile, up to its version 3.
#[test]
fn a_certificate_of_version_1_is_told_as_such() {
    let http = Http::builder().client_certificate_pem(VERSION_1).client_key_pem(KEY);
    let error = http.build().unwrap_err();
    assert_eq!(error, HttpError::UnusableClientCertificate);
    assert!(error.to_string().contains("X.509 version 3"));
}

// As Java writes them.
#[test]
fn a_key_without_its_public_half_is_told_as_such() {
    let http = Http::builder().client_certificate_pem(VERSION_1).client_key_pem(KEY_OF_JAVA);
    let error = http.build().unwrap_err();
    assert_eq!(error, HttpError::UnusableClientKey);
    assert!(error.to_string().contains("openssl ec -in FILE"));
}

// G11.
#[test]
fn g11_no_private_key_is_printed() {
    let client = Authority::new().client("client", KeyKind::Ed25519);
    assert!(leak(&client.key_pem).is_some(), "the key does not have the word in it");
    let builder = Http::builder().client_certificate_pem(client.certificate_pem).client_key_pem(client.key_pem);
    let settings = builder.clone().check().unwrap();
    let certificate = settings.client_certificate.clone().unwrap();
    let shown = format!("{builder:?} {settings:?} {certificate:?} {:?}", builder.clone().build().unwrap());
    none_in(&shown);
    let bytes = format!("{:?}", CANARY.as_bytes());
    assert!(!shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
}

const OLD_ENCRYPTED_KEY: &str = "-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,8E8736F8114C968CE2F0DC1AC2BF672F

MIHsMFcG
-----END RSA PRIVATE KEY-----
";

const VERSION_1: &str = "-----BEGIN CERTIFICATE-----
MIIBHTCBxQIUWP9XHwf5H32iLGgHy8HK133nJMkwCgYIKoZIzj0EAwIwETEPMA0G
A1UEAwwGY2xpZW50MCAXDTI2MTEyOTEwMzAwNFoYDzIxMjYxMTA1MTAzMDA0WjAR
MQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQOM58q
/yPjovzGomfoinkvWJ3g3cItiXOFZoYiAZcrQ3qquvSBfeboIgm0ffqzzan/7Mi7
gqF29IicMXisGhCLMAoGCCqGSM49BAMCA0cAMEQCIA0Sebd7t7g6ctmVYy8jY7UX
T0UbNI9JCSidz7EeVgDaAiA+fYa6O516Ph0SrJTvGv3wupcaJkB0nhGHtYD6Zof4
Eg==
-----END CERTIFICATE-----
";

const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgs6oO5ACSdFnj/Arj
WBER62X5z7KXGfd3W+cbgYhbRK+hRANCAAQOM58q/yPjovzGomfoinkvWJ3g3cIt
iXOFZoYiAZcrQ3qquvSBfeboIgm0ffqzzan/7Mi7gqF29IicMXisGhCL
-----END PRIVATE KEY-----
";

const KEY_OF_JAVA: &str = "-----BEGIN PRIVATE KEY-----
MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCCzqg7kAJJ0WeP8CuNY
ERHrZfnPspcZ93db5xuBiFtErw==
-----END PRIVATE KEY-----
";
