//! Clients with keys (RFC 7523, RFC 9449, RFC 9396): what is signed, how often, and what a challenge does to a poll. The
//! signatures are those of a signer that counts them.

use crate::support::*;
use device_flow_core::{
    Client, ClientAssertion, ClientBuilder, ConfigError, DeviceFlow, Discovery, Failure, Metadata, ProofOfPossession,
    ProofRequest, ProtocolFault, Provider, Refresh, Response, Revocation, Secret, SigningError, Timestamp, TokenType,
    TransportErrorKind, WaitReason,
};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Signs as `canary.N.what`, where N never comes twice, unless it is locked.
#[derive(Debug, Default)]
pub(crate) struct Signer {
    signed: AtomicUsize,
    pub(crate) locked: AtomicBool,
    nonces: Mutex<HashMap<String, String>>,
    pub(crate) thumbprint: String,
    text: Option<&'static str>,
}

impl Signer {
    pub(crate) fn named(thumbprint: &str) -> Arc<Self> {
        Arc::new(Self { thumbprint: thumbprint.to_owned(), ..Self::default() })
    }

    fn signing(text: &'static str) -> Arc<Self> {
        Arc::new(Self { text: Some(text), ..Self::default() })
    }

    fn sign(&self, what: &str) -> Result<Secret, SigningError> {
        if self.locked.load(Ordering::Relaxed) {
            return Err(SigningError::new("the key is locked"));
        }
        let number = self.signed.fetch_add(1, Ordering::Relaxed);
        let what: String = what.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        Ok(Secret::from(self.text.map_or_else(|| format!("canary.{number}.{what}"), str::to_owned)))
    }

    fn count(&self) -> usize {
        self.signed.load(Ordering::Relaxed)
    }
}

impl ClientAssertion for Signer {
    fn algorithm(&self) -> &str {
        "ES256"
    }

    fn assertion(&self, client_id: &str, audience: &str) -> Result<Secret, SigningError> {
        self.sign(&format!("{client_id} to {audience}"))
    }
}

impl ProofOfPossession for Signer {
    fn algorithm(&self) -> &str {
        "ES256"
    }

    fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    fn proof(&self, request: &ProofRequest<'_>) -> Result<Secret, SigningError> {
        let nonces = self.nonces.lock().unwrap();
        let nonce = nonces.iter().find(|(url, _)| url.starts_with(request.url())).map_or("", |(_, nonce)| nonce);
        self.sign(&format!("{} {} {nonce}", request.method(), request.url()))
    }

    fn remember_nonce(&self, url: &str, nonce: &str) {
        self.nonces.lock().unwrap().insert(url.to_owned(), nonce.to_owned());
    }
}

const CHALLENGE: &str = r#"{"error":"use_dpop_nonce","error_description":"nonce is required in the DPoP proof"}"#;
const BOUND: &str = r#"{"access_token":"AT-canary","token_type":"DPoP","refresh_token":"RT-canary"}"#;

fn issuer() -> ClientBuilder {
    metadata_client(json!({}))
}

/// A client of a server whose metadata has these members, too.
fn metadata_client(more: serde_json::Value) -> ClientBuilder {
    Client::builder(metadata(more), "my-app")
}

fn metadata(more: serde_json::Value) -> Metadata {
    let mut document = json!({
        "issuer": "https://as", "device_authorization_endpoint": "https://as/device", "token_endpoint": "https://as/token",
        "revocation_endpoint": "https://as/revoke"
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut run = Run::of(Discovery::new("https://as").unwrap());
    run.poll();
    run.answer(200, &document.to_string());
    run.outcome().unwrap()
}

fn proven(key: &Arc<Signer>) -> ClientBuilder {
    issuer().proof_of_possession(key.clone())
}

/// Answers with a nonce.
fn challenge(run: &mut Run<DeviceFlow>, nonce: &str) {
    run.respond(Response::new(400, CHALLENGE.as_bytes()).header("DPoP-Nonce", nonce.as_bytes()));
}

/// A flow with its first poll in flight.
fn polling(client: ClientBuilder) -> Run<DeviceFlow> {
    let mut run = Run::new(client.build().unwrap());
    run.script(&[(200, &device_answer(json!({})))]);
    run.poll();
    run
}

fn proof(run: &Run<DeviceFlow>) -> &str {
    run.requests.last().unwrap().header("dpop").unwrap()
}

// R7523-2.2-1, R7523-2.2-2, R7523-3-7, R7521-4.2-1, R7521-4.2-2, R7521-4.2-3, OIDC-9-2, OIDC-12.1-1: in every request
// of every kind, each time a new one, and one JWT alone.
#[test]
fn rfc7523_3_every_request_has_an_assertion_of_its_own() {
    let signer = Signer::named("");
    let client = Arc::new(issuer().client_assertion(signer.clone()).build().unwrap());
    assert_eq!(client.authentication_method(), "private_key_jwt");
    let mut run = Run::new(client.clone());
    run.script(&[(503, ""), (200, &device_answer(json!({}))), (400, PENDING), (503, ""), (200, TOKEN)]);
    token(run.outcome());
    let mut sent = run.requests;
    let mut refresh = Run::of(Refresh::new(client.clone(), "RT-canary"));
    refresh.script(&[(503, ""), (200, TOKEN)]);
    sent.append(&mut refresh.requests);
    let mut revocation = Run::of(Revocation::new(client, "RT-canary").unwrap());
    revocation.script(&[(503, ""), (200, "")]);
    sent.append(&mut revocation.requests);

    assert_eq!(sent.len(), 9);
    let mut seen = BTreeSet::new();
    for request in sent {
        assert_eq!(request.parameter("client_id").as_deref(), Some("my-app"));
        let assertion_type = request.parameter("client_assertion_type");
        assert_eq!(assertion_type.as_deref(), Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        assert_eq!((request.header("authorization"), request.parameter("client_secret")), (None, None));
        let assertion = request.parameter("client_assertion").unwrap();
        assert!(assertion.ends_with(".my_app_to_https___as"), "{assertion}: the issuer is the audience");
        assert!(seen.insert(assertion), "an assertion is for one request");
        let names: Vec<String> = request.parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }
    assert_eq!(signer.count(), 9, "nothing is signed that is not sent");
}

// R7523-3-3, R7523-7-1, D7523bis-aud, OIDC-9-3, RFC 7523 §5: the issuer where one is known (RFC 9700), or what was
// agreed.
#[test]
fn rfc7523_3_the_audience_is_the_issuer_or_the_token_endpoint() {
    let by_hand = Client::builder(Provider::endpoints("https://as/device", "https://as/token"), "my-app");
    // §7: over TLS alone.
    let in_the_clear = Client::builder(Provider::endpoints("https://as/device", "http://as/token"), "my-app");
    let refused = in_the_clear.client_assertion(Signer::named("")).build().unwrap_err();
    assert!(matches!(refused, ConfigError::Endpoint { which: "token endpoint", .. }));
    for (client, audience) in [
        (issuer(), "https___as"),
        (issuer().token_endpoint_as_audience(), "https___as_token"),
        (by_hand, "https___as_token"),
    ] {
        let run = polling(client.client_assertion(Signer::named("")));
        for request in &run.requests {
            let assertion = request.parameter("client_assertion").unwrap();
            assert!(assertion.ends_with(&format!(".my_app_to_{audience}")), "{assertion}");
        }
    }
}

// RFC 8414 §2, RFC 9449 §5.1: what the server lists decides, before anybody is asked for anything.
#[test]
fn rfc8414_2_what_the_metadata_does_not_list_is_refused_with_what_it_lists() {
    let listed = |member: &str, values: &[&str]| metadata_client(json!({ member: values }));
    let error = |client: ClientBuilder| client.build().unwrap_err().to_string();
    let methods = "token_endpoint_auth_methods_supported";
    let by_key = listed(methods, &["client_secret_basic", "none"]).client_assertion(Signer::named(""));
    assert_eq!(
        error(by_key.clone()),
        "the server does not list private_key_jwt for client authentication, only client_secret_basic, none: use one of those"
    );
    by_key.try_unlisted().build().unwrap();
    let algorithms = "token_endpoint_auth_signing_alg_values_supported";
    let other = listed(algorithms, &["RS256", "PS256"]).client_assertion(Signer::named(""));
    let wanted =
        ConfigError::NotListed { what: "client assertions", wanted: "ES256".into(), listed: "RS256, PS256".into() };
    assert_eq!(other.clone().build().unwrap_err(), wanted);
    other.try_unlisted().build().unwrap();
    let proofs = listed("dpop_signing_alg_values_supported", &["EdDSA"]).proof_of_possession(Signer::named("t"));
    assert!(error(proofs.clone()).starts_with("the server does not list ES256 for DPoP proofs, only EdDSA:"));
    proofs.try_unlisted().build().unwrap();
    // What is listed, and what a server says nothing about.
    listed(methods, &["none", "private_key_jwt"]).client_assertion(Signer::named("")).build().unwrap();
    listed(algorithms, &["RS256", "ES256"]).client_assertion(Signer::named("")).build().unwrap();
    issuer().client_assertion(Signer::named("")).proof_of_possession(Signer::named("t")).build().unwrap();
    let whole = metadata(json!({
        methods: ["private_key_jwt"], algorithms: ["ES256"], "dpop_signing_alg_values_supported": ["PS256"],
        "code_challenge_methods_supported": ["plain", "S256"], "tls_client_certificate_bound_access_tokens": true
    }));
    assert_eq!(whole.token_endpoint_auth_methods().collect::<Vec<_>>(), ["private_key_jwt"]);
    assert_eq!(whole.token_endpoint_auth_signing_algs().collect::<Vec<_>>(), ["ES256"]);
    assert_eq!(whole.dpop_signing_algs().collect::<Vec<_>>(), ["PS256"]);
    assert_eq!(whole.code_challenge_methods().collect::<Vec<_>>(), ["plain", "S256"]);
    assert!(whole.binds_tokens_to_certificates() && !metadata(json!({})).binds_tokens_to_certificates());
    for no in [json!(false), json!("true"), json!(1), json!(null)] {
        assert!(!metadata(json!({"tls_client_certificate_bound_access_tokens": no})).binds_tokens_to_certificates());
    }
}

// R7636-4.2-2, R7636-5-1, RFC 8414 §2 (code_challenge_methods_supported).
#[test]
fn rfc8414_2_pkce_is_used_where_it_is_listed() {
    for (listed, sent) in [(json!(["plain", "S256"]), true), (json!(["plain"]), false), (json!(null), false)] {
        let client = metadata_client(json!({"code_challenge_methods_supported": listed}));
        let run = polling(client.clone().pkce_if_listed());
        assert_eq!(run.requests[0].parameter("code_challenge_method").is_some(), sent, "{listed}");
        assert_eq!(run.requests[1].parameter("code_verifier").is_some(), sent, "{listed}");
        assert!(polling(client.clone().pkce()).requests[0].parameter("code_challenge").is_some());
        assert!(polling(client).requests[0].parameter("code_challenge").is_none());
    }
    let by_hand = Client::builder(Provider::endpoints("https://as/device", "https://as/token"), "my-app");
    assert!(polling(by_hand.pkce_if_listed()).requests[0].parameter("code_challenge").is_none());
}

// R10027-6.1.12-1. A key that cannot be used now: what happens once fails at once, and a code that may be approved is
// not thrown away.
#[test]
fn a_poll_that_cannot_be_signed_comes_later_and_every_other_request_fails() {
    let signer = Signer::named("");
    let locked = |locked| signer.locked.store(locked, Ordering::Relaxed);
    let client = Arc::new(issuer().client_assertion(signer.clone()).build().unwrap());
    let is_signing = |failure: &Failure| {
        assert_eq!(failure.to_string(), "the request could not be signed with the client's key: the key is locked");
        matches!(failure, Failure::Transport(error) if error.kind() == TransportErrorKind::Signing)
    };
    locked(true);
    let mut run = Run::new(client.clone());
    assert!(is_signing(&run.failure()) && run.requests.is_empty() && run.waits.is_empty());
    let mut refresh = Run::of(Refresh::new(client.clone(), "RT-canary"));
    let failure = refresh.failure();
    assert!(is_signing(&failure) && failure.keeps_refresh_token() && failure.is_retryable());
    assert!(is_signing(&Run::of(Revocation::new(client.clone(), "RT-canary").unwrap()).failure()));

    locked(false);
    let mut run = Run::new(client);
    run.script(&[(200, &device_answer(json!({})))]);
    locked(true);
    let flow = &mut run.machine;
    let mut now = run.now;
    let mut waits = vec![];
    for _ in 0..5 {
        let device_flow_core::Action::Wait { until, reason } =
            device_flow_core::Machine::next_action(flow, Timestamp::from_millis(now))
        else {
            // The code is shown first.
            continue;
        };
        now = until.as_millis();
        waits.push(reason);
    }
    assert_eq!(waits[0], WaitReason::Interval);
    assert!(matches!(
        waits[2],
        WaitReason::Backoff { cause: device_flow_core::Cause::Transport(TransportErrorKind::Signing), attempt: 2 }
    ));
    assert_eq!((flow.trail().polls(), flow.trail().failures()), (0, 3));
    locked(false);
    run.now = now;
    run.poll();
    run.answer(200, TOKEN);
    token(run.outcome());
}

// R9449-4.1-1, R7523-2.2-2.
#[test]
fn what_is_not_a_jwt_is_not_sent() {
    for text in ["", "a.b", "a.b.c.d", "a..c", ".b.c", "a.b.", "a.b.c&client_id=x", "a.b.c\r\nx: y", "a.b.ü", "a b.c.d"]
    {
        let mut run = Run::new(issuer().client_assertion(Signer::signing(text)).build().unwrap());
        assert!(matches!(run.failure(), Failure::Transport(error) if error.detail().contains("not a JWT")), "{text}");
        let mut run = Run::of(Refresh::new(issuer().proof_of_possession(Signer::signing(text)).build().unwrap(), "R"));
        assert!(matches!(run.failure(), Failure::Transport(_)) && run.requests.is_empty(), "{text}");
    }
}

// R9449-4-1, R9449-4.1-1, R9449-5-1, R9449-7.3-1, R9449-10-1, R9449-4.2-7, R9449-4.2-8: one new proof in each request
// to the token endpoint, repeated ones too, and nowhere else; `htu` without a query; no `dpop_jkt`, which no RFC
// defines for this request.
#[test]
fn rfc9449_5_a_proof_goes_with_every_request_to_the_token_endpoint() {
    let key = Signer::named("thumb");
    let provider = Provider::endpoints("https://as/device", "HTTPS://AS:443/token?tenant=1");
    let provider = provider.revocation_endpoint("https://as/revoke");
    let client = Client::builder(provider, "my-app").proof_of_possession(key.clone());
    let client = Arc::new(client.build().unwrap());
    let mut run = Run::new(client.clone());
    run.script(&[(200, &device_answer(json!({}))), (400, PENDING), (200, BOUND)]);
    token(run.outcome());
    assert_eq!((run.requests[0].header("dpop"), run.requests[0].parameter("dpop_jkt")), (None, None));
    let mut refresh = Run::of(Refresh::new(client.clone(), "RT-canary"));
    refresh.script(&[(503, ""), (200, BOUND)]);
    let proofs: Vec<_> = run.requests[1..].iter().chain(&refresh.requests).map(|sent| sent.header("dpop")).collect();
    let number = |n| format!("canary.{n}.POST_https___as_token_");
    let wanted = [number(0), number(1), number(2), number(3)];
    assert_eq!(proofs, wanted.iter().map(|proof| Some(proof.as_str())).collect::<Vec<_>>());
    assert_eq!(run.requests[1].url, "HTTPS://AS:443/token?tenant=1");
    let mut revocation = Run::of(Revocation::new(client, "RT-canary").unwrap());
    revocation.poll();
    assert_eq!(revocation.requests[0].header("dpop"), None);
}

// Rule 15, R9449-8-1, R9449-8-2, B22.
#[test]
fn rule_15_a_challenge_is_answered_once_and_at_once() {
    let (key, signer) = (Signer::named("thumb"), Signer::named(""));
    let mut run = polling(proven(&key).client_assertion(signer.clone()));
    let first = run.requests.last().unwrap().clone();
    challenge(&mut run, "nonce1");
    assert_eq!(run.poll(), 0, "the server did not look at the first request, so the second is no early poll");
    let second = run.requests.last().unwrap().clone();
    assert_eq!(second.parameter("device_code"), first.parameter("device_code"));
    assert_ne!(second.parameter("client_assertion"), first.parameter("client_assertion"));
    assert!(proof(&run).ends_with("_nonce1"), "{}", proof(&run));

    // A second challenge for the same poll is a failure that the code survives.
    challenge(&mut run, "nonce2");
    assert_gap(run.poll(), 10, 5);
    assert!(proof(&run).ends_with("_nonce2"));
    assert_eq!(run.machine.trail().failures(), 1);
    // The next poll has a repetition of its own.
    challenge(&mut run, "nonce3");
    assert_eq!(run.poll(), 0);
    run.answer(400, PENDING);
    assert_gap(run.poll(), 5, 5);
    challenge(&mut run, "nonce4");
    assert_eq!(run.poll(), 0);
    run.answer(200, BOUND);
    assert_eq!(token(run.outcome()).token_type(), TokenType::Dpop);
    assert_eq!(run.machine.trail().polls(), 6);
}

// Rule 15, the other side: without a nonce, or without a key, there is nothing to repeat.
#[test]
fn rule_15_a_challenge_that_cannot_be_answered_is_an_error() {
    let key = Signer::named("thumb");
    let mut run = polling(proven(&key));
    run.answer(400, CHALLENGE);
    assert_gap(run.poll(), 10, 5);
    assert!(run.machine.trail().last_error().unwrap().to_string().contains("use_dpop_nonce"));

    let mut run = polling(issuer());
    challenge(&mut run, "nonce");
    let Failure::Rejected(error) = run.failure() else { panic!() };
    assert_eq!(error.code(), "use_dpop_nonce");
}

// Rule 8 goes before rule 15.
#[test]
fn rule_15_no_repetition_after_the_deadline() {
    let key = Signer::named("thumb");
    for (late, repeated) in [(-1_i64, true), (0, false)] {
        let mut run = polling(proven(&key));
        let deadline = run.prompts[0].expires_at().as_millis();
        run.now = deadline.checked_add_signed(late).unwrap();
        challenge(&mut run, "nonce");
        if repeated {
            assert_eq!(run.poll(), 0);
        } else {
            expired(run.failure());
        }
    }
}

// Rule 15: what is stored is no repetition, since the nonce stays behind; and it counts as an answer, not as a failure.
#[cfg(feature = "serde")]
#[test]
fn rule_15_a_stored_flow_waits_a_whole_interval_after_a_challenge() {
    let key = Signer::named("thumb");
    let client = Arc::new(proven(&key).build().unwrap());
    let mut run = Run::new(client);
    run.script(&[(200, &device_answer(json!({})))]);
    run.poll();
    challenge(&mut run, "nonce");
    let snapshot = run.machine.snapshot(Timestamp::from_millis(run.now)).unwrap();
    let wait = u64::try_from(snapshot.poll_in().as_millis()).unwrap();
    assert_gap(wait, 5, 5);
    assert_eq!(snapshot.poll_in(), run.machine.snapshot(Timestamp::from_millis(run.now)).unwrap().poll_in());
    assert_eq!(run.poll(), 0, "the flow itself goes on");
    let stored = serde_json::to_value(&snapshot).unwrap();
    assert_eq!((&stored["v1"]["failures"], &stored["v1"]["last_error"]), (&json!(0), &json!(null)));
}

#[test]
fn a_flow_is_cancelled_between_a_challenge_and_its_answer() {
    let key = Signer::named("thumb");
    let mut run = polling(proven(&key));
    challenge(&mut run, "nonce");
    device_flow_core::Machine::cancel(&mut run.machine);
    assert_eq!(run.failure(), Failure::Cancelled);
    let mut run = polling(proven(&key));
    challenge(&mut run, "nonce");
    run.poll();
    let ticket = run.take_ticket();
    device_flow_core::Machine::cancel(&mut run.machine);
    let late = Response::new(200, BOUND.as_bytes());
    device_flow_core::Machine::response(&mut run.machine, ticket, late, Timestamp::from_millis(run.now)).unwrap();
    assert_eq!(run.failure(), Failure::Cancelled);
}

// R9449-8.2-2, RFC 9449 §8.1, R9449-4.2-12: from every answer of the token endpoint; the characters of a nonce, and no
// others.
#[test]
fn rfc9449_8_nonces_are_kept_from_every_answer() {
    let key = Signer::named("thumb");
    let mut run = polling(proven(&key));
    let longest = "n".repeat(1024);
    for (nonce, kept) in
        [("from-pending", "from_pending"), (longest.as_str(), longest.as_str()), ("last!#[]~", "last_____")]
    {
        run.respond(Response::new(400, PENDING.as_bytes()).header("dpop-nonce", nonce.as_bytes()));
        assert_gap(run.poll(), 5, 5);
        assert!(proof(&run).ends_with(&format!("_{kept}")), "{}", proof(&run));
    }
    let too_long = "n".repeat(1025);
    for nonce in ["", "a b", "a\"b", "a\\b", "a\r\nb", "\u{7f}", "ü", too_long.as_str()] {
        run.respond(Response::new(400, PENDING.as_bytes()).header("DPOP-NONCE", nonce.as_bytes()));
        run.poll();
        assert!(proof(&run).ends_with("_last_____"), "{nonce:?}");
        // Nor is there anything to repeat with.
        run.respond(Response::new(400, CHALLENGE.as_bytes()).header("dpop-nonce", nonce.as_bytes()));
        assert!(run.poll() > 0, "{nonce:?}");
        run.answer(400, PENDING);
        run.poll();
    }
    run.respond(Response::new(503, b"").header("dpop-nonce", b"from-an-outage"));
    run.poll();
    assert!(proof(&run).ends_with("_from_an_outage"));
    run.respond(Response::new(200, BOUND.as_bytes()).header("dpop-nonce", b"from-success"));
    token(run.outcome());
    let mut refresh = Run::of(Refresh::new(proven(&key).build().unwrap(), "RT-canary"));
    refresh.poll();
    assert!(refresh.requests[0].header("dpop").unwrap().ends_with("_from_success"));
}

// R9449-8-1, R9449-8-2: the same for a refresh, which consumes nothing by a challenge.
#[test]
fn rfc9449_8_a_refresh_answers_a_challenge_once() {
    let key = Signer::named("thumb");
    let mut run = Run::of(Refresh::new(proven(&key).build().unwrap(), "RT-canary"));
    let challenge = |run: &mut Run<Refresh>, nonce: &str| {
        run.respond(Response::new(400, CHALLENGE.as_bytes()).header("dpop-nonce", nonce.as_bytes()));
    };
    run.poll();
    challenge(&mut run, "one");
    assert_eq!(run.poll(), 0);
    assert!(run.requests[1].header("dpop").unwrap().ends_with("_one"));
    let mut gaps = vec![];
    for nonce in ["two", "three", "four"] {
        challenge(&mut run, nonce);
        gaps.push(run.poll());
        assert!(run.requests.last().unwrap().header("dpop").unwrap().ends_with(&format!("_{nonce}")));
    }
    assert_eq!(gaps, [1_000, 2_000, 4_000], "then it is an outage");
    challenge(&mut run, "five");
    let failure = run.failure();
    assert!(matches!(&failure, Failure::Rejected(error) if error.code() == "use_dpop_nonce"));
    assert!(failure.keeps_refresh_token());
    // Without a nonce it is an error like any other.
    let mut run = Run::of(Refresh::new(proven(&key).build().unwrap(), "RT-canary"));
    run.poll();
    run.answer(400, CHALLENGE);
    assert!(matches!(run.failure(), Failure::Rejected(_)));
}

// R9449-5-4, R6749-7.1-1, R6749-7-1: DPoP exactly when it was asked for, and a Bearer token in its place is told.
#[test]
fn rfc9449_5_which_token_types_are_accepted() {
    let key = Signer::named("thumb");
    let ask = |proof: bool, strict: bool, token_type: Option<&str>| {
        let mut client = issuer();
        client = if proof { client.proof_of_possession(key.clone()) } else { client };
        client = if strict { client.strict() } else { client };
        let mut run = polling(client);
        run.answer(200, &json!({"access_token": "AT-canary", "token_type": token_type}).to_string());
        match run.outcome() {
            Ok(response) => {
                let authorization = response.authorization().unwrap();
                assert_eq!(authorization.expose(), format!("{} AT-canary", response.token_type()));
                Some(response.token_type())
            }
            Err(Failure::Protocol(error)) => {
                assert!(matches!(error.fault, ProtocolFault::TokenType(_) | ProtocolFault::Missing("token_type")));
                None
            }
            Err(other) => panic!("{other}"),
        }
    };
    let (bearer, dpop) = (Some(TokenType::Bearer), Some(TokenType::Dpop));
    for (name, plain, strict, proven, both) in [
        (Some("Bearer"), bearer, bearer, bearer, None),
        (Some("bEARER"), bearer, bearer, bearer, None),
        (Some("DPoP"), None, None, dpop, dpop),
        (Some("dpop"), None, None, dpop, dpop),
        (Some("mac"), None, None, None, None),
        (None, bearer, None, bearer, None),
    ] {
        let seen = [ask(false, false, name), ask(false, true, name), ask(true, false, name), ask(true, true, name)];
        assert_eq!(seen, [plain, strict, proven, both], "{name:?}");
    }
}

// RFC 9449 §4.2 (htu), §7, §7.1; a bound token goes to no server without its proof by itself (§7.2).
#[test]
fn rfc9449_4_2_a_proof_for_an_api_names_its_url_without_query_and_fragment() {
    let token = Secret::from("AT-canary");
    for (url, htu) in [
        ("https://api.example.com/files", "https://api.example.com/files"),
        ("HTTPS://Api.Example.com:443/Files?a=1#b", "https://api.example.com/Files"),
        ("https://api.example.com", "https://api.example.com/"),
        ("https://api.example.com:8443/%74oken?", "https://api.example.com:8443/%74oken"),
        ("http://127.0.0.1:80/a", "http://127.0.0.1/a"),
        ("https://api.example.com/a?b=\u{fc} \"", "https://api.example.com/a"),
    ] {
        let request = ProofRequest::to_resource("DELETE", url, &token).unwrap();
        assert_eq!((request.method(), request.url()), ("DELETE", htu));
        assert_eq!(request.access_token().unwrap().expose(), "AT-canary");
    }
    for url in [
        "",
        "api.example.com",
        "http://api.example.com/",
        "ftp://api.example.com/",
        "https:\\\\api.example.com",
        "https://u:p@api.example.com/",
    ] {
        let error = ProofRequest::to_resource("GET", url, &token).unwrap_err();
        assert!(error.to_string().starts_with("the URL of the API"), "{error}");
    }
}

// R9396-2-1, R9396-2-2, R9396-2-3, R9396-3-1, R9396-6-1, RFC 9396 §2.2, §3.1, §3.2: in the device request, beside scope
// and resource, as they were written; in a token request only where the caller puts them.
#[test]
fn rfc9396_2_authorization_details_are_an_array_of_objects_with_a_type() {
    let details = r#" [{"type":"payment","amount":"1.00"},{"type":"x"}] "#;
    let run = polling(issuer().authorization_details(details));
    assert_eq!(run.requests[0].parameter("authorization_details").as_deref(), Some(details.trim()));
    assert_eq!(run.requests[1].parameter("authorization_details"), None);
    assert_eq!(polling(issuer().authorization_details("")).requests[0].parameter("authorization_details"), None);
    let alike = r#"[{"type":"x","n":1},{"type":"x","n":2}]"#;
    let alike_sent = polling(issuer().authorization_details(alike)).requests[0].parameter("authorization_details");
    assert_eq!(alike_sent.as_deref(), Some(alike));
    let fewer = Refresh::new(issuer().authorization_details(alike).build().unwrap(), "RT-canary");
    let mut fewer = Run::of(fewer.parameter("authorization_details", r#"[{"type":"x","n":1}]"#).unwrap());
    fewer.poll();
    assert!(fewer.requests[0].body.ends_with("authorization_details=%5B%7B%22type%22%3A%22x%22%2C%22n%22%3A1%7D%5D"));
    for bad in [
        "[]",
        "{}",
        "x",
        "[1]",
        "[{}]",
        r#"[{"type":""}]"#,
        r#"[{"type":1}]"#,
        r#"[{"type":"x"},{}]"#,
        r#"[{"type":"x"}] y"#,
    ] {
        let error = issuer().authorization_details(bad).build().unwrap_err();
        assert_eq!(error, ConfigError::AuthorizationDetails, "{bad}");
    }
    let twice = issuer().authorization_details(details).device_parameter("authorization_details", "[]");
    assert_eq!(twice.build().unwrap_err(), ConfigError::RepeatedParameter("authorization_details".into()));
}

/// The first words of the advice that a refused poll gets.
fn advice(client: ClientBuilder, error: &str, description: &str) -> String {
    let mut run = polling(client);
    run.answer(400, &json!({"error": error, "error_description": description}).to_string());
    let Failure::Rejected(error) = run.failure() else { panic!() };
    error.advice().unwrap_or_default().split(':').next().unwrap().to_owned()
}

// What oidc-provider, Keycloak and Spring answer when keys are missing or wrong: the same codes mean other things there.
#[test]
fn advice_about_keys_depends_on_what_was_sent() {
    let key = Signer::named("thumb");
    let wanted = "the server wants tokens that are bound to a key";
    let refused = "the server does not accept the proof of possession (DPoP)";
    for (code, description) in [
        ("invalid_dpop_proof", "DPoP proof iat is not recent enough"),
        ("invalid_dpop_proof", ""),
        ("invalid_request", "DPoP proof is missing"),
        ("invalid_request", "DPoP proof is not active"),
        ("invalid_grant", "DPoP confirmation doesn't match DPoP proof"),
        ("use_dpop_nonce", "nonce is required in the DPoP proof"),
    ] {
        assert_eq!(advice(issuer(), code, description), wanted, "{code}");
        if code != "use_dpop_nonce" {
            assert_eq!(advice(proven(&key), code, description), refused, "{code}");
        }
    }
    assert!(advice(issuer(), "invalid_grant", "grant request is invalid").contains("or wants tokens that are bound"));
    assert!(advice(proven(&key), "invalid_grant", "grant request is invalid").contains("no longer knows this code"));
    assert!(advice(issuer(), "invalid_grant", "").contains("no longer knows this code"));
    for (code, description) in [
        ("invalid_request", "Missing parameter: code_challenge_method"),
        ("invalid_grant", "PKCE code verifier not specified"),
    ] {
        assert_eq!(advice(issuer(), code, description), "the server wants PKCE from this client");
    }
    assert!(advice(issuer(), "invalid_client", "").ends_with("and no secret was sent"));
    let signed = advice(issuer().client_assertion(key.clone()), "invalid_client", "Token reuse detected");
    assert_eq!(signed, "the server does not accept what this client has signed");
    // A refresh that is refused for its proof says nothing about the token (Keycloak).
    for (description, kept) in [("DPoP proof is missing", true), ("Session not active", false)] {
        let mut run = Run::of(Refresh::new(proven(&key).build().unwrap(), "RT-canary"));
        run.poll();
        run.answer(400, &json!({"error": "invalid_grant", "error_description": description}).to_string());
        assert_eq!(run.failure().keeps_refresh_token(), kept, "{description}");
    }
}

// RFC 9449 §11.4, RFC 9396 §12, §13: what is printed of a client, and the trace of a flow, hold no signature and no details.
#[test]
fn signatures_stay_out_of_debug_texts() {
    let key = Signer::named("thumb");
    let details = r#"[{"type":"canary"}]"#;
    let client = proven(&key).client_assertion(key.clone()).authorization_details(details);
    assert!(!format!("{client:?}").contains("canary"));
    let run = polling(client);
    assert!(!format!("{:?} {:?}", run.machine.client(), run.machine).contains("canary"));
}
