//! Proves both adapters on real authorization servers, over real sockets and in real time.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "test code: a panic is how it reports"
)]

#[path = "support/adapters.rs"]
mod adapters;
#[path = "support/keycloak.rs"]
mod keycloak;
#[path = "support/keycloak_sessions.rs"]
mod keycloak_sessions;
#[path = "support/keys.rs"]
mod keys;
#[path = "support/methods.rs"]
mod methods;
#[path = "support/mutual_tls.rs"]
mod mutual_tls;
#[path = "support/plain_http.rs"]
mod plain_http;

use std::thread;
use std::time::Duration;

use adapters::Adapter;
use device_flow_core::{
    Action, Client, ClientBuilder, ConfigError, DeviceFlow, Discovery, Event, Expired, Failure, Machine, Metadata,
    Misuse, OAuthError, Prompt, Provider, Refresh, Response, Revocation, Secret, SignInRequest, Stopped, Ticket,
    Timestamp, TokenCache, TokenKind, TokenResponse, TokenSource, TransportError, UnixTime, WaitReason,
};
use device_flow_testkit::abreast::side_by_side;
use device_flow_testkit::servers::{BASIC, BASIC_PLAIN, Kind, NO_DEVICE, Options, POST, PUBLIC, Server, Tap};
use device_flow_tokio::{MemoryStore, Store as _};
use plain_http::{json as json_of, post};
use serde_json::{Value, json};

const SCOPE: &str = "openid offline_access";

fn discover(adapter: Adapter, server: &Server) -> Metadata {
    adapter.run(&mut Discovery::builder(&server.issuer()).allow_http_loopback().build().unwrap(), |_| {}).unwrap()
}

/// Runs the test for both adapters on these servers, all at once.
fn everywhere(kinds: &[Kind], test: impl Fn(Adapter, Kind) + Sync) {
    let kinds = Kind::of(kinds);
    let cases: Vec<_> = kinds.iter().flat_map(|&kind| Adapter::BOTH.map(|adapter| (adapter, kind))).collect();
    side_by_side(&cases, |&(adapter, kind)| test(adapter, kind));
}

/// A sign-in that has ended, and all that can be observed of it.
struct SignIn {
    outcome: Result<TokenResponse, Stopped>,
    flow: DeviceFlow,
    tap: Tap,
    events: Vec<Event>,
}

/// What the person knows when deciding.
struct Scene<'a> {
    server: &'a Server,
    tap: &'a Tap,
    user_code: &'a str,
}

impl Scene<'_> {
    fn approve(&self) {
        self.server.approve(self.user_code);
    }

    fn approve_after_polls(&self, polls: usize) {
        self.tap.after_polls(polls);
        self.approve();
    }
}

/// Signs in. When the code is shown, `person` is called with it, in another thread.
#[track_caller]
fn sign_in(adapter: Adapter, server: &Server, client: Configure, person: impl FnOnce(&Scene<'_>) + Send) -> SignIn {
    sign_in_through(Tap::on(server), adapter, server, client, person)
}

/// The same through this tap.
#[track_caller]
fn sign_in_through(
    tap: Tap,
    adapter: Adapter,
    server: &Server,
    client: Configure,
    person: impl FnOnce(&Scene<'_>) + Send,
) -> SignIn {
    let mut flow = flow(Provider::endpoints(tap.device_authorization_endpoint(), tap.token_endpoint()), client);
    let (mut events, mut person) = (Vec::new(), Some(person));
    let outcome = thread::scope(|scope| {
        adapter.run(&mut flow, |event| {
            events.push(event.clone());
            if let Event::ShowCode(prompt) = event {
                let (tap, person) = (&tap, person.take().expect("a code is shown once"));
                scope.spawn(move || person(&Scene { server, tap, user_code: prompt.user_code() }));
            }
        })
    });
    if !tap.quiet_before_polls().is_empty() {
        let interval = tap.device_answer()["interval"].as_u64().unwrap_or(5);
        let quiet = tap.quiet_before_polls();
        assert!(quiet.iter().all(|quiet| quiet.as_secs() >= interval), "polled early: {quiet:?}");
        assert_eq!(quiet.len(), flow.trail().polls() as usize, "every poll is one of the flow's");
    }
    assert!(tap.exchanges().iter().skip(1).all(|exchange| exchange.is_poll()), "one code, then polls alone");
    SignIn { outcome, flow, tap, events }
}

/// The settings of a client apart from its provider.
type Configure = fn(Provider) -> ClientBuilder;

fn flow(provider: Provider, client: Configure) -> DeviceFlow {
    let client = client(provider).scope(SCOPE).allow_http_loopback().build().unwrap();
    DeviceFlow::new(client, device_flow_tokio::entropy().unwrap())
}

fn public(provider: Provider) -> ClientBuilder {
    Client::builder(provider, PUBLIC)
}

impl SignIn {
    #[track_caller]
    fn token(&self) -> &TokenResponse {
        self.outcome.as_ref().unwrap_or_else(|stopped| panic!("{stopped}"))
    }

    #[track_caller]
    fn failure(&self) -> &Failure {
        match &self.outcome {
            Err(Stopped::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn rejected(&self) -> &OAuthError {
        match self.failure() {
            Failure::Rejected(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn expired(&self) -> &Expired {
        match self.failure() {
            Failure::Expired(expired) => expired,
            other => panic!("{other:?}"),
        }
    }

    fn prompt(&self) -> &Prompt {
        let shown = self.events.iter().find_map(|event| match event {
            Event::ShowCode(prompt) => Some(prompt),
            _ => None,
        });
        shown.expect("a code was shown")
    }

    /// The requests as text: first the one for a code, then the polls.
    fn requests(&self) -> Vec<String> {
        self.tap.exchanges().iter().map(|exchange| exchange.request()).collect()
    }
}

/// The answer of the server to a refresh, over plain HTTP.
fn refresh(server: &Server, token: &str) -> Value {
    let form = [("client_id", PUBLIC), ("grant_type", "refresh_token"), ("refresh_token", token)];
    json_of(post(&server.token_endpoint(), None, &form))
}

#[test]
fn an_approved_sign_in_ends_with_the_tokens() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let server = Server::shared(kind);
        let done = sign_in(adapter, &server, public, |scene| scene.approve_after_polls(1));

        let token = done.token();
        assert!(!token.access_token().expose().is_empty());
        assert!(token.refresh_token().is_some());
        // django-oauth-toolkit sends one only with a refresh.
        assert_eq!(token.id_token().is_some(), kind != Kind::DjangoOauthToolkit);
        let mut scopes: Vec<_> = token.scopes().collect();
        scopes.sort_unstable();
        assert_eq!(scopes, granted(kind));
        assert_eq!((token.missing_scopes().count(), token.added_scopes().count()), (0, granted(kind).len() - 2));
        lives_an_hour(kind, token);

        let prompt = done.prompt();
        let code = prompt.user_code();
        assert_eq!(done.tap.device_answer()["user_code"], code, "to the letter");
        assert!(prompt.verification_uri_complete().unwrap().ends_with(&format!("user_code={code}")));
        assert_eq!((prompt.interval(), prompt.warnings().count()), (Duration::from_secs(1), 0));

        let trail = done.flow.trail();
        assert!(trail.polls() >= 2, "the first was answered with authorization_pending: {trail}");
        assert_eq!((trail.slow_downs(), trail.failures()), (0, 0), "{trail}");
    });
}

/// Keycloak says what is left of it.
#[track_caller]
fn lives_an_hour(kind: Kind, token: &TokenResponse) {
    let expires_in = token.expires_in().unwrap().as_secs();
    let least = if kind == Kind::Keycloak { 3500 } else { 3600 };
    assert!((least..=3600).contains(&expires_in), "{expires_in}");
}

/// The scopes of a sign-in for [`SCOPE`], in order. Keycloak adds what a realm has for all of its clients.
fn granted(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Keycloak => &["email", "offline_access", "openid", "profile"],
        Kind::OidcProvider | Kind::Authlib | Kind::DjangoOauthToolkit => &["offline_access", "openid"],
    }
}

#[test]
fn a_denied_sign_in_ends_as_denied() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let done = sign_in(adapter, &Server::shared(kind), public, |scene| {
            scene.tap.after_polls(1);
            scene.server.deny(scene.user_code);
        });
        match done.failure() {
            Failure::Denied(error) => assert_eq!((error.code(), error.status()), ("access_denied", 400)),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_unapproved_code_expires_by_the_local_clock_whatever_the_server_says() {
    // One poll, which comes long before either clock has the code expired, and no time for another.
    let options = Options { expires: Some(20), interval: Some(10) };
    side_by_side(&Kind::here(), |&kind| {
        let server = Server::start(kind, options);
        side_by_side(&Adapter::BOTH, |&adapter| {
            let done = sign_in(adapter, &server, public, |_| {});
            let expired = done.expired();
            // All polls were answered with authorization_pending, so only the clock ended it.
            assert_eq!(expired.error, None);
            assert_eq!((expired.trail.polls(), expired.trail.failures()), (1, 0), "{}", expired.trail);
            let waits = done.events.iter().filter(|event| matches!(event, Event::Waiting { .. })).count();
            assert!(waits <= 1, "nobody waits for nothing: {:?}", done.events);
        });
    });
}

#[test]
fn an_expiry_that_only_the_server_has_noticed_is_reported_with_its_error() {
    // django-oauth-toolkit never reports an expiry.
    side_by_side(&Kind::of(&[Kind::OidcProvider, Kind::Authlib, Kind::Keycloak]), |&kind| {
        let server = Server::start(kind, Options { expires: Some(8), interval: Some(1) });
        side_by_side(&Adapter::BOTH, |&adapter| {
            let here = Provider::endpoints(server.device_authorization_endpoint(), server.token_endpoint());
            let mut suspended = Suspended::when_the_code_is_shown(flow(here, public), Duration::from_secs(9));
            let outcome = adapter.run(&mut suspended, |_| {});
            match outcome {
                Err(Stopped::Failed(Failure::Expired(expired))) => {
                    assert_eq!(expired.error.unwrap().code(), "expired_token");
                    assert_eq!(expired.trail.polls(), 1);
                }
                other => panic!("{other:?}"),
            }
        });
    });
}

/// A machine on a computer that is suspended when the code is shown: its monotonic clock stops for so long.
struct Suspended {
    inner: DeviceFlow,
    loses: Duration,
    lost: Duration,
}

impl Suspended {
    fn when_the_code_is_shown(inner: DeviceFlow, loses: Duration) -> Self {
        Self { inner, loses, lost: Duration::ZERO }
    }

    fn inner_time(&self, now: Timestamp) -> Timestamp {
        Timestamp::ZERO.saturating_add(now.saturating_since(Timestamp::ZERO.saturating_add(self.lost)))
    }
}

impl Machine for Suspended {
    type Output = TokenResponse;

    fn next_action(&mut self, now: Timestamp) -> Action<TokenResponse> {
        match self.inner.next_action(self.inner_time(now)) {
            Action::Wait { until, reason } => Action::Wait { until: until.saturating_add(self.lost), reason },
            action @ Action::ShowCode(_) => {
                self.lost = self.loses;
                thread::sleep(self.lost);
                action
            }
            action @ (Action::SendRequest(_) | Action::AwaitResponse | Action::Done(_) | Action::Ended) => action,
        }
    }

    fn response(&mut self, ticket: Ticket, response: Response<'_>, now: Timestamp) -> Result<(), Misuse> {
        self.inner.response(ticket, response, self.inner_time(now))
    }

    fn transport_failed(&mut self, ticket: Ticket, error: TransportError, now: Timestamp) -> Result<(), Misuse> {
        self.inner.transport_failed(ticket, error, self.inner_time(now))
    }

    fn cancel(&mut self) {
        self.inner.cancel();
    }
}

/// R8628-3.5-5, R8628-3.5-6.
#[test]
fn after_a_slow_down_the_interval_is_five_seconds_longer_for_good() {
    everywhere(&[Kind::Authlib, Kind::Keycloak], |adapter, kind| {
        let server = Server::start(kind, Options { interval: Some(4), ..Options::default() });
        let tap = Tap::with_a_poll_before_the_first(&server);
        let done = sign_in_through(tap, adapter, &server, public, |scene| scene.approve_after_polls(2));
        done.token();
        let answers: Vec<_> = done.tap.exchanges().iter().skip(1).map(|exchange| exchange.json()).collect();
        assert_eq!(
            (&answers[0]["error"], &answers[1]["error"]),
            (&"slow_down".into(), &"authorization_pending".into())
        );
        let quiet = done.tap.quiet_before_polls();
        assert!(quiet[1..].iter().all(|quiet| *quiet >= Duration::from_secs(9)), "{quiet:?}");
        // Before it, the interval of the server and at most a tenth of it.
        let first = done.events.iter().find_map(|event| match event {
            Event::Waiting { wait, .. } => Some(*wait),
            _ => None,
        });
        assert!(first.unwrap() <= Duration::from_millis(4_401), "{first:?}");
        assert!(done.flow.trail().polls() >= 3 && done.flow.trail().slow_downs() == 1, "{}", done.flow.trail());
        let slowed =
            |event: &Event| matches!(event, Event::Waiting { reason: WaitReason::SlowDown { interval: 9 }, .. });
        assert!(done.events.iter().any(slowed), "no event reports it: {:?}", done.events);
    });
}

/// RFC 8628 §3.2. The longer interval exceeds the keep-alive time of oidc-provider: five to six seconds.
#[test]
fn polls_keep_the_interval_of_the_server_or_five_seconds_and_a_closed_connection_is_no_failure() {
    side_by_side(&[(None, 5), (Some(7), 7)], |&(interval, seconds)| {
        let server = Server::start(Kind::OidcProvider, Options { interval, ..Options::default() });
        side_by_side(&Adapter::BOTH, |&adapter| {
            let done = sign_in(adapter, &server, public, |scene| scene.approve());
            done.token();
            assert_eq!(done.tap.device_answer()["interval"].as_u64(), interval.map(u64::from));
            let (trail, quiet) = (done.flow.trail(), done.tap.quiet_before_polls());
            // More than one if the person was slow.
            assert_eq!((quiet.len(), trail.failures()), (trail.polls() as usize, 0), "{trail}");
            assert!(quiet.iter().all(|quiet| *quiet >= Duration::from_secs(seconds)), "{quiet:?}");
        });
    });
}

#[test]
fn rfc6749_2_3_1_a_secret_of_any_characters_is_accepted_in_the_header() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let client: Configure = match kind {
            // django-oauth-toolkit reads the client ID only from the body.
            Kind::DjangoOauthToolkit => {
                |at| Client::builder(at, BASIC.0).client_secret_basic(BASIC.1).client_id_in_body()
            }
            Kind::OidcProvider | Kind::Authlib | Kind::Keycloak => {
                |at| Client::builder(at, BASIC.0).client_secret_basic(BASIC.1)
            }
        };
        let done = sign_in(adapter, &Server::shared(kind), client, |scene| scene.approve());
        done.token();
        for request in done.requests() {
            assert!(request.to_lowercase().contains("\r\nauthorization: basic "), "{request}");
            assert!(!request.contains("client_secret"), "{request}");
        }
    });
}

#[test]
fn rfc6749_2_3_1_a_secret_is_accepted_in_the_body() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let client: Configure = |at| Client::builder(at, POST.0).client_secret_post(POST.1);
        let done = sign_in(adapter, &Server::shared(kind), client, |scene| scene.approve());
        done.token();
        for request in done.requests() {
            assert!(request.contains("client_secret=post-secret"), "{request}");
            assert!(!request.to_lowercase().contains("\r\nauthorization:"), "{request}");
        }
    });
}

#[test]
fn a_wrong_secret_is_reported_as_the_server_says_it() {
    everywhere(&Kind::ALL, |adapter, kind| {
        // W05: Keycloak has the status of the one and the code of the other.
        let expected = match kind {
            Kind::OidcProvider | Kind::Authlib | Kind::DjangoOauthToolkit => "invalid_client",
            Kind::Keycloak => "unauthorized_client",
        };
        let wrong: [Configure; 2] = [
            |at| Client::builder(at, BASIC_PLAIN.0).client_secret_basic("wrong").client_id_in_body(),
            |at| Client::builder(at, POST.0).client_secret_post("wrong"),
        ];
        for client in wrong {
            let done = sign_in(adapter, &Server::shared(kind), client, |_| unreachable!("no code for a wrong secret"));
            assert_eq!(done.rejected().code(), expected);
            assert!(kind != Kind::Keycloak || done.rejected().status() == 401);
            assert!(done.rejected().advice().is_some());
            assert_eq!(done.requests().len(), 1, "a refused request was repeated");
        }
    });
}

#[test]
fn an_unknown_client_is_reported_with_the_servers_description() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let done = sign_in(
            adapter,
            &Server::shared(kind),
            |at| Client::builder(at, "nobody"),
            |_| unreachable!("no code for nobody"),
        );
        let expected = match kind {
            Kind::OidcProvider | Kind::Authlib | Kind::Keycloak => "invalid_client",
            Kind::DjangoOauthToolkit => "invalid_request",
        };
        assert_eq!(done.rejected().code(), expected);
        assert_eq!(done.requests().len(), 1);
    });
}

#[test]
fn a_client_without_the_device_grant_is_refused_and_does_not_poll_for_ever() {
    // django-oauth-toolkit gives it a code and answers authorization_pending for ever.
    everywhere(&[Kind::OidcProvider, Kind::Authlib, Kind::Keycloak], |adapter, kind| {
        let done = sign_in(adapter, &Server::shared(kind), |at| Client::builder(at, NO_DEVICE), |_| {});
        let (code, requests) = match kind {
            Kind::OidcProvider => ("invalid_request", 1),
            Kind::Keycloak => ("unauthorized_client", 1),
            Kind::Authlib | Kind::DjangoOauthToolkit => ("unauthorized_client", 2),
        };
        assert_eq!((done.rejected().code(), done.requests().len()), (code, requests));
    });
}

#[test]
fn django_oauth_toolkit_needs_the_client_id_in_the_body_and_the_secret_encoded() {
    everywhere(&[Kind::DjangoOauthToolkit], |adapter, kind| {
        let refused: [(Configure, &str); 2] = [
            (|at| Client::builder(at, BASIC.0).client_secret_basic(BASIC.1), "invalid_request"),
            (
                |at| Client::builder(at, BASIC.0).client_secret_basic_unencoded(BASIC.1).client_id_in_body(),
                "invalid_client",
            ),
        ];
        for (client, code) in refused {
            let done = sign_in(adapter, &Server::shared(kind), client, |_| unreachable!("no code"));
            assert_eq!(done.rejected().code(), code);
        }
    });
}

#[test]
fn rfc8414_discovery_by_issuer_leads_to_a_sign_in_with_a_secret_as_the_metadata_lists_it() {
    everywhere(&[Kind::OidcProvider, Kind::Authlib, Kind::Keycloak], |adapter, kind| {
        let server = Server::shared(kind);
        let metadata = discover(adapter, &server);
        assert_eq!(metadata.issuer(), server.issuer());
        assert_eq!(metadata.device_authorization_endpoint(), Some(&*server.device_authorization_endpoint()));
        assert_eq!(metadata.token_endpoint(), server.token_endpoint());
        assert!(metadata.lists_device_grant());
        assert!(metadata.token_endpoint_auth_methods().any(|method| method == "client_secret_basic"));

        let mut flow = flow(metadata.into(), |at| Client::builder(at, BASIC.0).client_secret(BASIC.1));
        assert_eq!(flow.client().issuer(), Some(&*server.issuer()));
        let token = adapter.run(&mut flow, |event| {
            if let Event::ShowCode(prompt) = event {
                server.approve(prompt.user_code());
            }
        });
        assert!(token.unwrap().id_token().is_some());
    });
}

#[test]
fn metadata_without_a_device_authorization_endpoint_is_an_error_when_the_client_is_built() {
    everywhere(&[Kind::DjangoOauthToolkit], |adapter, kind| {
        let server = Server::shared(kind);
        let metadata = discover(adapter, &server);
        assert_eq!(metadata.device_authorization_endpoint(), None);
        let built = public(metadata.into()).allow_http_loopback().build();
        let expected = ConfigError::NoDeviceAuthorizationEndpoint {
            issuer: server.issuer().into(),
            token_endpoint: server.token_endpoint().into(),
        };
        assert_eq!(built.err(), Some(expected));
    });
}

#[test]
fn pkce_and_a_resource_reach_the_server_and_do_no_harm() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let (client, resource): (Configure, _) = match kind {
            // The only resource that oidc-provider knows.
            Kind::OidcProvider => (|at| pkce(at).resource("urn:example:api"), "urn%3Aexample%3Aapi"),
            // Authlib accepts only resources with a host.
            Kind::Authlib | Kind::DjangoOauthToolkit | Kind::Keycloak => {
                (|at| pkce(at).resource("https://api.example/v1"), "https%3A%2F%2Fapi.example%2Fv1")
            }
        };
        let done = sign_in(adapter, &Server::shared(kind), client, |scene| scene.approve_after_polls(1));
        done.token();
        for (number, request) in done.requests().iter().enumerate() {
            assert!(request.contains(&format!("resource={resource}")), "{request}");
            let (pkce, other) =
                if number == 0 { ("code_challenge=", "code_verifier=") } else { ("code_verifier=", "code_challenge=") };
            assert!(request.contains(pkce) && !request.contains(other), "{request}");
        }
    });
}

fn pkce(provider: Provider) -> ClientBuilder {
    public(provider).pkce().scope("api:read")
}

/// RFC 8707 §2. django-oauth-toolkit checks it only after the approval, Authlib and Keycloak never.
#[test]
fn an_unknown_resource_is_reported_as_invalid_target() {
    everywhere(&[Kind::OidcProvider, Kind::DjangoOauthToolkit], |adapter, kind| {
        let client: Configure = |at| public(at).resource("urn:example:unknown");
        let done = sign_in(adapter, &Server::shared(kind), client, |scene| scene.approve());
        assert_eq!(done.rejected().code(), "invalid_target");
    });
}

#[test]
fn a_used_code_is_never_sent_again() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let server = Server::shared(kind);
        let mut done = sign_in(adapter, &server, public, |scene| scene.approve());
        let requests = done.requests().len();
        let again = adapter.run(&mut done.flow, |_| {});
        assert!(matches!(again, Err(Stopped::AlreadyEnded)), "{again:?}");
        assert_eq!(done.requests().len(), requests);

        let tokens = refresh(&server, done.token().refresh_token().unwrap().expose());
        assert!(tokens["access_token"].is_string(), "{tokens}");

        // That the test could fail: this server answers a second use by revoking everything.
        if kind == Kind::OidcProvider {
            let device_code = done.tap.device_answer()["device_code"].as_str().unwrap().to_owned();
            assert_eq!(server.poll_from_elsewhere(&device_code)["error"], "invalid_grant");
            let revoked = refresh(&server, tokens["refresh_token"].as_str().unwrap());
            assert_eq!(revoked["error"], "invalid_grant");
        }
    });
}

/// A client that has signed in.
struct Session<'a> {
    adapter: Adapter,
    client: std::sync::Arc<Client>,
    server: &'a Server,
}

impl<'a> Session<'a> {
    #[track_caller]
    fn start(adapter: Adapter, server: &'a Server, configure: Configure) -> (Self, Secret) {
        let here = Provider::endpoints(server.device_authorization_endpoint(), server.token_endpoint());
        let client = configure(here.revocation_endpoint(server.revocation_endpoint()));
        let client = client.scope(SCOPE).allow_http_loopback().build().unwrap().into();
        let done = sign_in(adapter, server, configure, |scene| scene.approve());
        (Self { adapter, client, server }, done.token().refresh_token().unwrap().clone())
    }

    fn refresh(&self, token: &Secret) -> Result<TokenResponse, Stopped> {
        self.adapter.run(&mut Refresh::new(self.client.clone(), token.clone()), |_| {})
    }

    #[track_caller]
    fn refresh_fails(&self, token: &Secret) {
        match self.refresh(token) {
            Err(Stopped::Failed(failure @ Failure::SignInNeeded(_))) => {
                assert!(!failure.keeps_refresh_token());
                assert!(failure.to_string().starts_with("sign in again: invalid_grant"), "{failure}");
            }
            other => panic!("{:?}: {other:?}", self.server.kind()),
        }
    }

    #[track_caller]
    fn revoke(&self, token: &Secret, kind: TokenKind) {
        let revocation = Revocation::new(self.client.clone(), token.clone()).unwrap();
        self.adapter.run(&mut revocation.kind(kind), |_| {}).unwrap();
    }
}

/// A public client, and one with a secret in the form that the server accepts.
fn public_and_secret(kind: Kind) -> [Configure; 2] {
    match kind {
        Kind::DjangoOauthToolkit => {
            [public, |at| Client::builder(at, BASIC.0).client_secret_basic(BASIC.1).client_id_in_body()]
        }
        Kind::OidcProvider | Kind::Authlib | Kind::Keycloak => {
            [public, |at| Client::builder(at, BASIC.0).client_secret_basic(BASIC.1)]
        }
    }
}

/// R6749-6-7, R9700-2.2.2-1, R9700-4.14.2-1; B23, B24. Keycloak lets a token be used again unless its realm
/// says otherwise.
#[test]
fn rfc6749_6_a_refresh_rotates_and_the_old_token_needs_a_sign_in() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let server = match kind {
            Kind::Keycloak => rotating_realm().into(),
            Kind::OidcProvider | Kind::Authlib | Kind::DjangoOauthToolkit => Server::shared(kind),
        };
        let (session, first) = Session::start(adapter, &server, public);
        if kind == Kind::Keycloak {
            // It counts in seconds: a token of the same second is not yet an old one.
            thread::sleep(Duration::from_millis(1100));
        }
        let tokens = session.refresh(&first).unwrap();
        let second = tokens.refresh_token().unwrap();
        assert_ne!(first.expose(), second.expose(), "a public client's token is used once");
        let mut scopes: Vec<_> = tokens.scopes().collect();
        scopes.sort_unstable();
        assert_eq!(scopes, granted(kind));
        lives_an_hour(kind, &tokens);
        // The stored one works, once.
        let third = session.refresh(second).unwrap().refresh_token().unwrap().clone();
        assert_ne!(second.expose(), third.expose());

        session.refresh_fails(&first);
        // Two take the reuse for a theft, and revoke the whole family of tokens.
        match kind {
            Kind::OidcProvider | Kind::Keycloak => session.refresh_fails(&third),
            Kind::Authlib | Kind::DjangoOauthToolkit => drop(session.refresh(&third).unwrap()),
        }
        session.refresh_fails(&Secret::from("never-given-canary"));
    });
}

/// A realm whose refresh tokens are for one use.
fn rotating_realm() -> Server {
    let options = Options { interval: Some(1), ..Options::default() };
    Server::start_on_keycloak(options, &json!({"revokeRefreshToken": true, "refreshTokenMaxReuse": 0}))
}

/// R7009-2-1, R7009-2.2-1, RFC 7009 §2.1.
#[test]
fn rfc7009_a_revoked_token_is_dead_and_revoking_it_again_is_no_error() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let server = Server::shared(kind);
        for configure in public_and_secret(kind) {
            let (session, first) = Session::start(adapter, &server, configure);
            let tokens = session.refresh(&first).unwrap();
            let kept = tokens.refresh_token().unwrap();
            session.revoke(tokens.access_token(), TokenKind::AccessToken);
            session.revoke(kept, TokenKind::RefreshToken);
            session.refresh_fails(kept);
            session.revoke(kept, TokenKind::RefreshToken);
            session.revoke(&Secret::from("never-given-canary"), TokenKind::RefreshToken);
        }
    });
}

/// RFC 8414 §2.
#[test]
fn rfc7009_the_revocation_endpoint_comes_from_the_metadata() {
    everywhere(&[Kind::OidcProvider, Kind::Authlib, Kind::Keycloak], |adapter, kind| {
        let server = Server::shared(kind);
        let client = public(discover(adapter, &server).into()).allow_http_loopback().build().unwrap();
        assert_eq!(client.revocation_endpoint(), Some(&*server.revocation_endpoint()));
        // An unknown token counts as revoked.
        adapter.run(&mut Revocation::new(client, "never-given-canary").unwrap(), |_| {}).unwrap();
    });
}

/// An account with the ID tokens, rotations and revocations of real servers.
#[test]
fn an_account_from_its_first_sign_in_to_its_sign_out() {
    everywhere(&Kind::ALL, |adapter, kind| {
        let server = Server::shared(kind);
        let provider = match kind {
            // The metadata of django-oauth-toolkit do not name the device endpoint.
            Kind::DjangoOauthToolkit => {
                let provider = Provider::endpoints(server.device_authorization_endpoint(), server.token_endpoint());
                provider.revocation_endpoint(server.revocation_endpoint())
            }
            Kind::OidcProvider | Kind::Authlib | Kind::Keycloak => discover(adapter, &server).into(),
        };
        let client = public(provider).scope(SCOPE).allow_http_loopback().build().unwrap();
        let request = SignInRequest::new(client);
        let store = MemoryStore::new();
        let accounts = adapter.accounts(store.clone());
        let text = accounts.silent(&request).unwrap_err();
        assert_eq!(text, "nobody is signed in");

        let done = sign_in(adapter, &server, public, |scene| scene.approve());
        let kept = accounts.keep(&request, done.token().clone()).unwrap();
        let who = kept.account().unwrap().home_account_id().to_owned();
        // django-oauth-toolkit sends no ID token, so the account has no name.
        assert_eq!(who.is_empty(), kind == Kind::DjangoOauthToolkit, "{who}");
        let hit = accounts.silent(&request).unwrap();
        assert_eq!((hit.source(), hit.access_token().expose()), (TokenSource::Cache, kept.access_token().expose()));

        // Three times, so that each rotated token must have been stored.
        for _ in 0..3 {
            let fresh = accounts.silent(&request.clone().force_refresh()).unwrap();
            assert_eq!(fresh.source(), TokenSource::Refresh);
            assert_eq!(fresh.account().unwrap().home_account_id(), who);
        }
        let copy = TokenCache::from_json(&store.load().unwrap().unwrap()).unwrap();
        let (account, not_revoked) = accounts.sign_out(&request).unwrap().unwrap();
        assert_eq!((account.home_account_id(), not_revoked), (&*who, None));
        assert_eq!(accounts.silent(&request).unwrap_err(), "nobody is signed in");
        assert!(accounts.sign_out(&request).unwrap().is_none());

        // A copy of the token is no longer valid.
        let mut silent = device_flow_core::SignIn::silent(request.force_refresh(), copy, now());
        let Err(Stopped::Failed(Failure::SignInNeeded(reason))) = adapter.run(&mut silent, |_| {}) else { panic!() };
        assert!(reason.to_string().starts_with("sign in again: invalid_grant"), "{reason}");
    });
}

fn now() -> UnixTime {
    UnixTime::from_secs(std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs())
}
