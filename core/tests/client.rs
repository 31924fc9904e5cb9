//! The client: authentication, parameters, PKCE, every check of the configuration from both sides, and what is printed.

use crate::support::*;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use device_flow_core::{
    Action, Client, ClientBuilder, ConfigError, DeviceFlow, Discovery, Machine, Metadata, Provider, Response, Secret,
    TextFault, Timestamp,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const DEVICE: &str = "https://as/device";
const TOKEN_URL: &str = "https://as/token";

fn client(id: &str) -> ClientBuilder {
    Client::builder(Provider::endpoints(DEVICE, TOKEN_URL), id)
}

/// The device request and two polls.
fn requests(client: ClientBuilder) -> Vec<Sent> {
    let mut run = Run::new(client.build().unwrap());
    run.go();
    run.answer(200, &device_answer(json!({})));
    run.script(&[(400, PENDING), (200, TOKEN)]);
    run.requests
}

#[track_caller]
fn error(client: ClientBuilder) -> ConfigError {
    client.build().expect_err("a configuration error was expected")
}

fn metadata(change: Value) -> Metadata {
    let mut document = json!({
        "issuer": "https://as", "device_authorization_endpoint": DEVICE, "token_endpoint": TOKEN_URL
    });
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    let mut run = Run::of(Discovery::new("https://as").unwrap());
    while run.go() {
        run.answer(200, &document.to_string());
    }
    run.outcome.unwrap().unwrap()
}

// G09, P28, R6749-3.2.1-2, RFC 6749 §2.3.1, §10.1, R8628-3.1-3, R8628-3.4-3: a public client names itself in every
// request.
#[test]
fn a_public_client_names_itself_everywhere() {
    for sent in requests(client("my-app")) {
        assert_eq!(sent.parameter("client_id").as_deref(), Some("my-app"));
        assert_eq!((sent.parameter("client_secret"), sent.header("authorization")), (None, None));
    }
}

// R6749-2.3.1-1, R6749-2.3.1-2, R6749-2.3.1-5, R6749-B-1, G09: id and secret are form-encoded first, a space as %20.
#[test]
fn rfc6749_2_3_1_basic_credentials() {
    // `Listed` is the default: without metadata the header.
    for (id, secret, header) in [
        ("device-basic", "s3cret+/= %:canary", "Basic ZGV2aWNlLWJhc2ljOnMzY3JldCUyQiUyRiUzRCUyMCUyNSUzQWNhbmFyeQ=="),
        ("a:b c", "p+%/&", "Basic YSUzQWIlMjBjOnAlMkIlMjUlMkYlMjY="),
    ] {
        for with_secret in [client(id).client_secret_basic(secret), client(id).client_secret(secret)] {
            for sent in requests(with_secret) {
                assert_eq!(sent.header("authorization"), Some(header));
                assert!(!sent.body.contains("client_id") && !sent.body.contains("client_secret"));
            }
        }
    }
    // Form decoding returns each half, with every character that a secret can have.
    let all: String = (' '..='~').collect();
    let sent = requests(client(&all).client_secret_basic(all.as_str()));
    let header = sent[0].header("authorization").unwrap().strip_prefix("Basic ").unwrap();
    let pair = String::from_utf8(Base64::decode_vec(header).unwrap()).unwrap();
    let (id, secret) = pair.split_once(':').unwrap();
    for half in [id, secret] {
        assert!(!half.contains('+'), "some servers take it literally");
        let decoded: Vec<_> = form_urlencoded::parse(half.as_bytes()).collect();
        assert_eq!(decoded, [(all.as_str().into(), "".into())]);
    }
}

// R6749-2.3.1-1: the header as django-allauth and Glewlwyd want it.
#[test]
fn basic_credentials_without_encoding() {
    for sent in requests(client("device-basic").client_secret_basic_unencoded("s3cret+/= %:canary")) {
        assert_eq!(sent.header("authorization"), Some("Basic ZGV2aWNlLWJhc2ljOnMzY3JldCsvPSAlOmNhbmFyeQ=="));
        assert_eq!(sent.parameter("client_id"), None);
    }
}

// R6749-2.3.1-3, R6749-B-1, P40: in the body, encoded as every parameter is.
#[test]
fn rfc6749_2_3_1_credentials_in_the_body() {
    let sent = requests(client("my app").client_secret_post("s3cret+/= %:canary").scope("a"));
    let credentials = "client_id=my+app&client_secret=s3cret%2B%2F%3D+%25%3Acanary";
    assert_eq!(sent[0].body, format!("{credentials}&scope=a"));
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code";
    assert_eq!(sent[1].body, format!("{grant}&{credentials}&device_code=d"));
    assert!(sent.iter().all(|sent| sent.header("authorization").is_none()));
}

// R6749-2.3-1, R6749-3.2.1-1, R6749-2.3.1-6, R8628-3.1-9, R8628-3.4-4, P13: one way, the same at both endpoints and at
// every poll.
#[test]
fn rfc6749_2_3_one_way_to_authenticate_at_every_request() {
    let ways: [fn(ClientBuilder) -> ClientBuilder; 5] = [
        |client| client,
        |client| client.client_secret("SEC-canary"),
        |client| client.client_secret_basic("SEC-canary"),
        |client| client.client_secret_basic_unencoded("SEC-canary"),
        |client| client.client_secret_post("SEC-canary"),
    ];
    for (index, way) in ways.into_iter().enumerate() {
        for id_in_body in [false, true] {
            let configured = way(client("my-app").scope("a"));
            let configured = if id_in_body { configured.client_id_in_body() } else { configured };
            let told =
                ["none", "client_secret_basic", "client_secret_basic", "client_secret_basic", "client_secret_post"];
            assert_eq!(configured.clone().build().unwrap().authentication_method(), told[index]);
            let sent = requests(configured);
            let first = &sent[0];
            for sent in &sent {
                let (header, body) = (sent.header("authorization"), sent.parameter("client_secret"));
                let (in_header, in_body) = ((1..4).contains(&index), index == 4);
                assert_eq!((header.is_some(), body.is_some()), (in_header, in_body));
                assert_eq!(sent.parameter("client_id").is_some(), !in_header || id_in_body);
                assert_eq!((header, sent.parameter("client_secret")), (first.header("authorization"), body));
                let names: Vec<_> = sent.parameters().into_iter().map(|(name, _)| name).collect();
                let mut unique = names.clone();
                unique.dedup();
                assert_eq!(names, unique);
            }
            assert_eq!(
                (sent[0].url.as_str(), sent[1].url.as_str(), sent[2].url.as_str()),
                (DEVICE, TOKEN_URL, TOKEN_URL)
            );
            assert_eq!(sent[1].body, sent[2].body);
        }
    }
    // The last method that was set counts.
    let sent = requests(client("my-app").client_secret_basic("one").client_secret_post("two"));
    assert_eq!((sent[1].header("authorization"), sent[1].parameter("client_secret").as_deref()), (None, Some("two")));
}

// RFC 8414 §2, R6749-2.3.1-5, R9700-2.6-1: what the metadata lists decides, the header first; nothing listed means the
// header.
#[test]
fn the_way_to_authenticate_comes_from_the_metadata() {
    for (listed, in_header, says_so) in [
        (json!({}), true, false),
        (json!({"token_endpoint_auth_methods_supported": []}), true, false),
        (json!({"token_endpoint_auth_methods_supported": null}), true, false),
        (json!({"token_endpoint_auth_methods_supported": "client_secret_post"}), false, true),
        (json!({"token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"]}), true, true),
        (
            json!({"token_endpoint_auth_methods_supported": ["none", "client_secret_post", "private_key_jwt"]}),
            false,
            true,
        ),
    ] {
        let metadata = metadata(listed.clone());
        assert_eq!(metadata.lists_auth_methods(), says_so, "{listed}");
        let sent = requests(Client::builder(metadata, "my-app").client_secret("SEC-canary"));
        assert_eq!(sent[1].header("authorization").is_some(), in_header, "{listed}");
        assert_eq!(sent[1].parameter("client_secret").is_some(), !in_header, "{listed}");
    }
    for none in [json!(["none"]), json!(["private_key_jwt"]), json!(["CLIENT_SECRET_BASIC"])] {
        let provider = || Provider::from(metadata(json!({"token_endpoint_auth_methods_supported": none})));
        let failed = error(Client::builder(provider(), "my-app").client_secret("SEC-canary"));
        assert_eq!(failed, ConfigError::NoAuthenticationMethod);
        // Set by hand it is tried all the same; and for a public client the list does not matter.
        for by_hand in [
            Client::builder(provider(), "my-app").client_secret_basic("SEC-canary"),
            Client::builder(provider(), "my-app").client_secret_post("SEC-canary"),
            Client::builder(provider(), "my-app"),
        ] {
            by_hand.build().unwrap();
        }
    }
}

// G06, R6749-2.2-1, R6749-A-1.
#[test]
fn client_ids_from_both_sides() {
    for good in ["x", " ", "~", "a:b c", "3MVG9&=?#", &"x".repeat(1_024), &"x".repeat(16 * 1024)] {
        assert_eq!(client(good).build().unwrap().client_id(), good);
        assert_eq!(requests(client(good))[1].parameter("client_id").as_deref(), Some(good));
    }
    for bad in
        ["", "a\n", "\0", "\u{1f}", "\u{7f}", "é", "app\u{200b}", &"x".repeat(16 * 1024 + 1), &"x".repeat(1 << 20)]
    {
        assert_eq!(error(client(bad)), ConfigError::ClientId);
    }
}

// R6749-2.3.1-4, R6749-A-1: an empty secret is a mistake, not a public client; and the error does not repeat a bad one.
#[test]
fn client_secrets_from_both_sides() {
    let ways: [fn(ClientBuilder, &str) -> ClientBuilder; 4] = [
        |client, secret| client.client_secret(secret),
        |client, secret| client.client_secret_basic(secret),
        |client, secret| client.client_secret_basic_unencoded(secret),
        |client, secret| client.client_secret_post(secret),
    ];
    for way in ways {
        for good in [" ", "~", "a b", &"s".repeat(10_000)] {
            way(client("my-app"), good).build().unwrap();
        }
        for bad in ["", "canary\n", "canary\u{0}", "canary\u{7f}", "canaryé"] {
            let failed = error(way(client("my-app"), bad));
            assert_eq!(failed, ConfigError::ClientSecret);
            assert!(!format!("{failed} {failed:?}").contains("canary"));
        }
    }
}

// G08, R8628-3.1-5, R6749-3.2-1, R6749-10.3-2, R6749-10.4-2, R6749-10.8-1, OpenID Connect Discovery §3, A21: endpoints,
// verbatim or not at all.
#[test]
fn endpoints_from_both_sides() {
    use TextFault::{Empty, Fragment, NotAUri, Scheme, TooLong, UserInfo};
    let build = |device: &str, token: &str, http: bool| {
        let client = Client::builder(Provider::endpoints(device, token), "my-app");
        if http { client.allow_http_loopback().build() } else { client.build() }
    };
    for good in [
        "https://as/token",
        "https://as",
        "https://as/token?tenant=1",
        "https://as//api/oidc/token",
        "https://AS:8443/a/../b;c=d?x[]=1&y=%2F",
        "https://192.0.2.1/",
        "https://[2001:db8::1]:8/t",
        "HTTPS://as/",
        &format!("https://as/{}", "x".repeat(8_192 - 11)),
    ] {
        for http in [false, true] {
            let built = build(good, good, http).unwrap();
            assert_eq!((built.device_authorization_endpoint(), built.token_endpoint()), (good, good));
            let mut run = Run::new(built);
            run.go();
            run.answer(200, &device_answer(json!({})));
            run.poll();
            assert!(run.requests.iter().all(|sent| sent.url == good));
        }
    }
    for (bad, fault) in [
        ("", Empty),
        ("http://as/token", Scheme),
        ("ftp://as/token", Scheme),
        ("javascript:alert(1)", Scheme),
        ("file:///etc/passwd", Scheme),
        ("http://10.0.0.1/", Scheme),
        ("http://localhost.evil/", Scheme),
        ("/token", NotAUri),
        ("as/token", NotAUri),
        ("//as/token", NotAUri),
        ("https://", NotAUri),
        ("https://as/a b", NotAUri),
        ("https://as/ä", NotAUri),
        ("https://as/\n", NotAUri),
        ("https://as/\u{1b}[2J", NotAUri),
        ("https://as\\x", NotAUri),
        ("https://ä.example/", NotAUri),
        ("https:as/token", NotAUri),
        ("https:///as/token", NotAUri),
        ("https://%61s/token", NotAUri),
        ("https://0x7f.1/token", NotAUri),
        ("https://@as/token", NotAUri),
        ("https://as/#", Fragment),
        ("https://as/token#x", Fragment),
        ("https://user@as/token", UserInfo),
        ("https://user:pw@as/token", UserInfo),
        (&format!("https://as/{}", "x".repeat(8_192 - 10)), TooLong),
    ] {
        for http in [false, true] {
            for (device, token, name) in
                [(bad, TOKEN_URL, "device authorization endpoint"), (DEVICE, bad, "token endpoint")]
            {
                match build(device, token, http) {
                    Err(ConfigError::Endpoint { which, url, fault: found }) => {
                        assert_eq!((which, found), (name, fault), "{bad}");
                        assert!(!url.contains(char::is_control));
                    }
                    other => panic!("{bad}: {other:?}"),
                }
            }
        }
    }
    for loopback in ["http://127.0.0.1:9101/token", "http://[::1]/token", "http://localhost:8080/token"] {
        build(loopback, loopback, true).unwrap();
        assert!(matches!(build(loopback, TOKEN_URL, false), Err(ConfigError::Endpoint { fault: Scheme, .. })));
    }
}

// G07, R6749-3.3-1, R6749-3.3-2, RFC 6749 §10.3, R8628-3.1-4: single spaces, none twice, no characters that a scope
// cannot have.
#[test]
fn scopes_from_both_sides() {
    for (given, sent) in [
        (vec![], None),
        (vec![""], None),
        (vec!["  "], None),
        (vec![" a  b "], Some("a b")),
        (vec!["a b", "b c", "a"], Some("a b c")),
        (vec!["A a"], Some("A a")),
        (vec!["b a"], Some("b a")),
        (vec!["https://graph.example/.default", "a,b"], Some("https://graph.example/.default a,b")),
        (vec!["!#[]~"], Some("!#[]~")),
    ] {
        let built = given.iter().fold(client("my-app"), |client, scope| client.scope(scope));
        assert_eq!(built.clone().build().unwrap().scope(), sent.unwrap_or_default());
        let requests = requests(built);
        assert_eq!(requests[0].parameter("scope").as_deref(), sent, "{given:?}");
        assert_eq!(requests[1].parameter("scope"), None, "it belongs to the device request alone");
    }
    for bad in ["a\tb", "a\nb", "\"a\"", "a\\b", "é", "a\u{7f}", "ok bad\u{0}", "a\u{a0}b"] {
        let failed = error(client("my-app").scope(bad));
        assert!(matches!(failed, ConfigError::Scope(_)), "{bad:?}");
        assert!(!failed.to_string().contains(char::is_control));
    }
}

// R8707-2-1, R8707-2-2, R8707-2-3, R8707-2-4, R8707-2-5, R8707-2.2-1, R9700-2.3-1, R9700-4.10.2-1: at both endpoints.
#[test]
fn rfc8707_2_resource_and_audience() {
    let configured =
        client("my-app").resource("https://api.example/").resource("urn:x:y?z=1").audience("https://hub.example");
    for sent in requests(configured) {
        let resources: Vec<_> = sent.parameters().into_iter().filter(|(name, _)| name == "resource").collect();
        let values: Vec<_> = resources.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["https://api.example/", "urn:x:y?z=1"]);
        assert_eq!(sent.parameter("audience").as_deref(), Some("https://hub.example"));
    }
    for bad in ["", "api", "/api", "https://api/#x", "https://api/#", "https://a b", "https://é/", "urn:\n"] {
        assert!(matches!(error(client("my-app").resource(bad)), ConfigError::Resource(_)), "{bad:?}");
    }
    // What tokens are stored by is in order, whatever order they are named in.
    let built = client("my-app").resource("https://b/").resource("https://a/").audience("https://ab/").build().unwrap();
    assert_eq!(built.audience(), "https://a/ https://ab/ https://b/");
    for absent in requests(client("my-app").audience("")) {
        assert_eq!((absent.parameter("audience"), absent.parameter("resource")), (None, None));
    }
}

// R8628-3.1-7, R6749-3.2-5: further parameters, each once, none of the grant itself.
#[test]
fn rfc8628_3_1_further_parameters() {
    let ways: [fn(ClientBuilder, &str, &str) -> ClientBuilder; 2] = [
        |client, name, value| client.device_parameter(name, value),
        |client, name, value| client.token_parameter(name, value),
    ];
    for (at, way) in ways.into_iter().enumerate() {
        let sent = requests(way(way(client("my-app"), "Scope", "ä&="), "x y", "1"));
        assert_eq!(sent[at].parameter("Scope").as_deref(), Some("ä&="));
        assert_eq!(sent[at].parameter("x y").as_deref(), Some("1"));
        assert_eq!(sent[1 - at].parameter("Scope"), None);
        assert!(sent[1].body.ends_with("&device_code=d"));
        for owned in [
            "audience",
            "client_assertion",
            "client_assertion_type",
            "client_id",
            "client_secret",
            "code_challenge",
            "code_challenge_method",
            "code_verifier",
            "device_code",
            "grant_type",
            "resource",
            "scope",
            "",
        ] {
            let failed = error(way(client("my-app"), owned, "x"));
            assert_eq!(failed, ConfigError::ReservedParameter(owned.into()));
        }
        let failed = error(way(way(client("my-app"), "x", "1"), "x", "2"));
        assert_eq!(failed, ConfigError::RepeatedParameter("x".into()));
    }
    // The same name at both endpoints is no repetition.
    client("my-app").device_parameter("x", "1").token_parameter("x", "1").build().unwrap();
}

// R9396-3-1, R9396-3-2, R9396-3.2-1, RFC 9396 §3.1, R9396-12-2, R9700-2.3-1: authorization details can be sent, as they
// are.
#[test]
fn rfc9396_3_authorization_details_travel_as_a_parameter() {
    let details = r#"[{"type":"caf\u0065\u0301","actions":["read"]},{"type":"café"}]"#;
    let sent = requests(
        client("my-app").scope("a").resource("https://api/").device_parameter("authorization_details", details),
    );
    assert_eq!(sent[0].parameter("authorization_details").as_deref(), Some(details));
    assert!(sent[0].body.contains("authorization_details=%5B%7B%22type%22%3A%22caf%5Cu0065"));
}

// R7636-3-1, R7636-4.1-1, R7636-4.1-2, R7636-4.2-1, R7636-4.2-2, R7636-4.3-1, R7636-4.3-2, R7636-4.5-1: the vector of
// RFC 7636 Appendix B.
#[test]
fn rfc7636_4_the_challenge_goes_out_first_and_the_verifier_with_each_poll() {
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let entropy: [u8; 32] = Base64UrlUnpadded::decode_vec(VERIFIER).unwrap().try_into().unwrap();
    let mut run = Run::of(DeviceFlow::new(client("my-app").pkce().build().unwrap(), entropy));
    for _ in 0..2 {
        // A repeated device request repeats the challenge.
        run.go();
        let challenge = "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
        assert_eq!(run.requests.last().unwrap().body, format!("client_id=my-app&{challenge}"));
        if run.requests.len() == 1 {
            run.answer(503, "");
        }
    }
    run.answer(200, &device_answer(json!({"device_code": "d&e"})));
    run.script(&[(400, PENDING), (503, ""), (400, SLOW_DOWN), (200, TOKEN)]);
    for poll in &run.requests[2..] {
        assert!(poll.body.ends_with(&format!("&device_code=d%26e&code_verifier={VERIFIER}")), "{}", poll.body);
        assert!(!poll.body.contains("code_challenge"));
    }
    assert!(run.requests[..2].iter().all(|sent| !sent.body.contains(VERIFIER)));
}

// R7636-5-1, R7636-4.1-1, R7636-4.1-3: only when asked for, and new with each flow.
#[test]
fn rfc7636_4_1_verifiers() {
    for sent in requests(client("my-app")) {
        assert!(!sent.body.contains("code_challenge") && !sent.body.contains("code_verifier"));
    }
    let shared = std::sync::Arc::new(client("my-app").pkce().build().unwrap());
    let mut seen = vec![];
    for seed in [0_u8, 1, 127, 255] {
        let mut run = Run::of(DeviceFlow::new(shared.clone(), [seed; 32]));
        run.go();
        run.answer(200, &device_answer(json!({})));
        run.poll();
        let verifier = run.requests[1].parameter("code_verifier").unwrap();
        let challenge = run.requests[0].parameter("code_challenge").unwrap();
        assert_eq!(challenge, Base64UrlUnpadded::encode_string(&Sha256::digest(&verifier)));
        assert!(verifier.len() == 43 && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
        assert!(!seen.contains(&verifier));
        seen.push(verifier);
    }
}

// R8628-3.1-2: a body begins with its first parameter, even when the client has nothing to say in it.
#[test]
fn an_empty_form_begins_without_a_separator() {
    let sent = requests(client("my-app").client_secret_basic("SEC-canary").pkce());
    assert!(sent[0].body.starts_with("code_challenge="), "{}", sent[0].body);
    assert_eq!(requests(client("my-app").client_secret_basic("SEC-canary"))[0].body, "");
}

// RFC 8628 §4, RFC 8414 §2, R9700-2.6-1: the client knows the issuer when metadata or a preset names it.
#[test]
fn the_issuer_comes_from_metadata_or_preset() {
    assert_eq!(client("my-app").build().unwrap().issuer(), None);
    let built = Client::builder(metadata(json!({})), "my-app").build().unwrap();
    assert_eq!(built.issuer(), Some("https://as"));
    assert_eq!((built.device_authorization_endpoint(), built.token_endpoint()), (DEVICE, TOKEN_URL));
}

// RFC 8628 §4: metadata without the endpoint: an error that says what to do.
#[test]
fn metadata_without_the_device_endpoint_is_a_configuration_error() {
    let failed = error(Client::builder(metadata(json!({"device_authorization_endpoint": null})), "my-app"));
    let ConfigError::NoDeviceAuthorizationEndpoint { issuer, token_endpoint } = &failed else { panic!("{failed}") };
    assert_eq!((&**issuer, &**token_endpoint), ("https://as", TOKEN_URL));
    let text = failed.to_string();
    assert!(text.contains("by hand") && text.contains(TOKEN_URL), "{text}");
}

// G11, R6749-10.3-1, RFC 6749 §10.4, R8628-5.6-1: no secret in the Debug of anything, at any moment, in any form.
#[test]
fn nothing_prints_a_secret() {
    let secret = "hunter2-canary";
    let verifier = Base64UrlUnpadded::encode_string(&[7; 32]);
    let forbidden = ["canary", "bXktYXBwOmh1bnRlcjItY2FuYXJ5", verifier.as_str()];
    #[track_caller]
    fn check(forbidden: &[&str], shown: &str) {
        for word in forbidden {
            assert!(!shown.contains(word), "{shown}");
        }
    }
    let ways: [fn(ClientBuilder, &str) -> ClientBuilder; 4] = [
        |client, secret| client.client_secret(secret),
        |client, secret| client.client_secret_basic(secret),
        |client, secret| client.client_secret_basic_unencoded(String::from(secret)),
        |client, secret| client.client_secret_post(secret),
    ];
    for way in ways {
        let configured = way(client("my-app").pkce(), secret);
        check(&forbidden, &format!("{configured:?} {:?}", Secret::from(secret)));
        let built = configured.build().unwrap();
        check(&forbidden, &format!("{built:?}"));
        let mut flow = DeviceFlow::new(built, [7; 32]);
        let (mut now, mut sent) = (0, 0);
        let answers = [
            device_answer(json!({"device_code": "DC-canary"})),
            PENDING.to_owned(),
            TOKEN.replace('}', r#","refresh_token":"RT-canary","id_token":"IT-canary","x":"X-canary"}"#),
        ];
        loop {
            let action = flow.next_action(Timestamp::from_millis(now));
            check(&forbidden, &format!("{action:?} {flow:?} {:?} {:?}", flow.trail(), flow.client()));
            match action {
                Action::SendRequest(outgoing) => {
                    let response = Response::new(200, answers[sent].as_bytes());
                    sent += 1;
                    check(&forbidden, &format!("{response:?}"));
                    flow.response(outgoing.ticket, response, Timestamp::from_millis(now)).unwrap();
                }
                Action::Wait { until, .. } => now = until.as_millis(),
                Action::Done(outcome) => assert_eq!(token(outcome).access_token().expose(), "AT-canary"),
                Action::Ended => break,
                Action::ShowCode(_) | Action::AwaitResponse => {}
            }
        }
        assert_eq!(sent, 3);
    }
}
