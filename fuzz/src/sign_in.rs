//! Invariant: for any cache and any sequence of answers, delays, cancellation and misuse, a sign-in keeps the contract
//! of the machine; a silent one never shows a code; no refresh token is lost unless the server has refused it, and no
//! new one ever is; an answer that arrives just before a cancellation counts; the token was granted or is in the cache
//! and not expired; and no secret is shown.

use crate::judge;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use device_flow_core::{
    Action, Client, EntraCloud, Failure, Machine, Outgoing, Provider, Request, Response, SignIn, SignInRequest,
    SignedIn, Ticket, Timestamp, TokenCache, TokenSource, TransportError, TransportErrorKind, UnixTime,
};
use device_flow_testkit::choices::{Bytes, Choose};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

const NOW: u64 = 1_800_000_000;
/// How every secret in this file begins.
const SECRET: &str = "s3cr3t-";
const TENANT: &str = "utid";

/// The bytes are a sequence of choices.
pub fn check(data: &[u8]) {
    let mut choose = Bytes(data);
    let cache = any_cache(&mut choose);
    let mut request = SignInRequest::new(client(choose.pick(2)));
    match choose.pick(6) {
        0 => request = request.force_refresh(),
        1 => request = request.claims(r#"{"a":"claim"}"#).unwrap(),
        2 => request = request.account("UID.utid"),
        3 => request = request.account("nobody@example.com"),
        _ => {}
    }
    let now = UnixTime::from_secs([NOW, NOW + 1_800, NOW + 3_300, 0, u64::MAX - 1_000_000][choose.pick(5)]);
    let world = World::new(&cache, &request, now);
    let silent = choose.pick(3) == 0;
    let machine = match silent {
        true => SignIn::silent(request, cache, now),
        false => SignIn::new(request, cache, now, [data.len() as u8; 32]),
    };
    world.play(machine, silent, &mut choose);
}

fn client(choice: usize) -> Arc<Client> {
    static CLIENTS: OnceLock<[Arc<Client>; 2]> = OnceLock::new();
    let build = |provider| Client::builder(provider, "fuzz").scope("user.read").build().unwrap().into();
    let clients = CLIENTS.get_or_init(|| {
        let plain = Provider::endpoints("https://as.example/device", "https://as.example/token");
        [build(Provider::entra(EntraCloud::Public, TENANT)), build(plain)]
    });
    Arc::clone(&clients[choice])
}

/// A person, an access token of any age, refresh tokens of several writers and of the family, all or some of them.
fn any_cache(choose: &mut Bytes<'_>) -> TokenCache {
    let environment = ["login.windows.net", "as.example/token"][choose.pick(2)];
    let entry = |secret: &str| {
        json!({
            "home_account_id": "uid.utid", "environment": environment, "client_id": "fuzz", "realm": TENANT,
            "secret": format!("{SECRET}{secret}"), "target": "openid profile user.read"
        })
    };
    let mut file = json!({"Account": {}, "AccessToken": {}, "RefreshToken": {}, "AppMetadata": {}});
    if choose.pick(4) > 0 {
        let mut account = entry("no");
        account.as_object_mut().unwrap().remove("secret");
        account["username"] = json!("grace@example.com");
        if choose.pick(4) == 1 {
            account["home_account_id"] = json!("other.utid");
            file["Account"]["other"] = account.clone();
            account["home_account_id"] = json!("uid.utid");
        }
        file["Account"]["k"] = account;
    }
    if choose.pick(3) > 0 {
        let mut token = entry("access-0");
        token["cached_at"] = json!(NOW.to_string());
        token["expires_on"] = json!((NOW + 3_600).to_string());
        token["refresh_on"] = [json!(null), json!((NOW + 1_800).to_string())][choose.pick(2)].clone();
        file["AccessToken"]["k"] = token;
    }
    for number in 0..choose.pick(4) {
        let mut token = entry(&format!("refresh-{number}"));
        token["last_modification_time"] = json!(number);
        if choose.pick(3) == 2 {
            token["client_id"] = json!("office");
            token["family_id"] = json!("1");
        }
        file["RefreshToken"][number.to_string()] = token;
    }
    if choose.pick(3) == 1 {
        file["AppMetadata"]["k"] = json!({"client_id": "fuzz", "environment": environment, "family_id": "1"});
    }
    TokenCache::from_json(file.to_string().as_bytes()).unwrap()
}

/// The purpose of a request.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Code,
    Poll,
    /// With this token.
    Refresh(String),
}

struct World {
    /// Refresh tokens that must be in the cache at the end.
    stored: BTreeSet<String>,
    /// Refresh tokens that must not.
    dead: BTreeSet<String>,
    /// Access tokens that may be the result.
    granted: BTreeSet<String>,
    answers: u32,
    /// On the timeline of the driver.
    now: u64,
    calendar: u64,
    flight: Option<(Asked, Ticket)>,
    cancelled: bool,
}

impl World {
    fn new(cache: &TokenCache, request: &SignInRequest, now: UnixTime) -> Self {
        let found = request.cached(cache, now);
        if let Some(found) = &found {
            assert!(found.expires_on().is_some_and(|end| end.as_secs() > now.as_secs().saturating_add(300)));
            assert_eq!(found.source(), TokenSource::Cache);
        }
        Self {
            stored: secrets(cache, "RefreshToken"),
            dead: BTreeSet::new(),
            granted: secrets(cache, "AccessToken"),
            answers: 0,
            now: 7_000,
            calendar: now.as_secs(),
            flight: None,
            cancelled: false,
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn play(mut self, mut machine: SignIn, silent: bool, choose: &mut Bytes<'_>) {
        let mut shown = false;
        for _ in 0..200 {
            hides(&format!("{machine:?}"));
            match choose.pick(24) {
                1 => {
                    machine.cancel();
                    self.cancelled = true;
                }
                2 => self.misuse(&mut machine),
                _ => {}
            }
            match machine.next_action(self.at()) {
                Action::SendRequest(Outgoing { request, ticket }) => {
                    assert!(self.flight.is_none() && !self.cancelled, "an unexpected request");
                    hides(&format!("{request:?}"));
                    let asked = asked(&request);
                    assert!(!silent || matches!(asked, Asked::Refresh(_)), "a silent sign-in that asks for a code");
                    assert!(!(shown && matches!(asked, Asked::Code)), "a second code");
                    self.flight = Some((asked, ticket));
                }
                Action::AwaitResponse => {
                    let (asked, ticket) = self.flight.take().expect("an answer that nobody asked for");
                    self.now += [0, 1, 30_000][choose.pick(3)];
                    self.answer(&mut machine, asked, ticket, choose);
                }
                Action::ShowCode(prompt) => {
                    assert!(!silent && !shown, "an unexpected code");
                    judge::prompt(&prompt);
                    shown = true;
                }
                Action::Wait { until, .. } => {
                    assert!(until.as_millis() > self.now && self.flight.is_none(), "an unexpected wait");
                    self.now = until.as_millis() + [0, 0, 1, 90_000][choose.pick(4)];
                }
                Action::Done(outcome) => return self.end(machine, outcome, silent, choose),
                Action::Ended => panic!("the outcome comes first"),
            }
        }
        // The driver stops here.
        machine.cancel();
        self.cancelled = true;
        self.check_cache(&machine.into_cache());
    }

    fn answer(&mut self, machine: &mut SignIn, asked: Asked, ticket: Ticket, choose: &mut Bytes<'_>) {
        self.answers += 1;
        if choose.pick(8) == 7 {
            let kind = [TransportErrorKind::Closed, TransportErrorKind::UntrustedCertificate][choose.pick(2)];
            machine.transport_failed(ticket, TransportError::new(kind), self.at()).unwrap();
            return;
        }
        let (status, body) = match asked {
            Asked::Code => code(choose),
            Asked::Poll | Asked::Refresh(_) => self.tokens_or_not(&asked, choose),
        };
        let delays: [&[u8]; 4] = [b"", b"", b"2", b"61"];
        let delay = delays[choose.pick(4)];
        let mut response = Response::new(status, body.as_bytes());
        if !delay.is_empty() {
            response = response.header("Retry-After", delay);
        }
        machine.response(ticket, response, self.at()).unwrap();
    }

    /// An answer of the token endpoint, and its effect on the expected cache.
    fn tokens_or_not(&mut self, asked: &Asked, choose: &mut Bytes<'_>) -> (u16, String) {
        let number = self.answers;
        let (access, refresh) = (format!("{SECRET}access-{number}"), format!("{SECRET}refresh-new-{number}"));
        let error = |error: &str, suberror: &str| {
            (400, json!({"error": error, "suberror": suberror, "claims": r#"{"c":"claim"}"#}).to_string())
        };
        let grant = |refresh: Option<&str>, id_token: Option<String>| {
            json!({
                "access_token": access, "token_type": "Bearer", "expires_in": 3_600, "refresh_token": refresh,
                "id_token": id_token
            })
            .to_string()
        };
        let used = if let Asked::Refresh(token) = asked { Some(token.clone()) } else { None };
        let choice = choose.pick(16);
        match choice {
            0..=4 => {
                let rotates = choice != 1;
                let id_token = match choice {
                    2 => Some(id_token("fuzz", self.calendar)),
                    3 => Some(id_token("another", self.calendar)),
                    _ => None,
                };
                let mut body = grant(Some(&*refresh).filter(|_| rotates), id_token);
                if choice == 4 {
                    body = body.replace("\"access_token\"", "\"no_access_token\"");
                }
                // The token of a poll after a cancellation, or for another client, is not stored.
                let usable = choice < 3;
                let good = usable && !self.cancelled;
                if good {
                    // What is saved replaces everything of the same owner.
                    self.stored.clear();
                    self.granted.insert(access.clone());
                }
                if choice == 3 {
                    // Somebody else's: nothing of it is stored, and the token that brought it is not used again.
                    self.dead.insert(refresh);
                    if let (Some(used), false) = (used, self.cancelled) {
                        self.stored.remove(&used);
                        self.dead.insert(used);
                    }
                } else if rotates && (good || used.is_some()) {
                    self.stored.remove(used.as_deref().unwrap_or_default());
                    self.stored.insert(refresh);
                } else if let (Some(used), true) = (used, good) {
                    self.stored.insert(used);
                }
                (200, body)
            }
            5 | 6 => {
                if let (Some(used), false) = (used, self.cancelled) {
                    self.stored.remove(&used);
                    self.dead.insert(used);
                }
                error("invalid_grant", "")
            }
            7 => error("invalid_grant", "basic_action"),
            8 => error("invalid_grant", "client_mismatch"),
            9 => error("invalid_client", ""),
            10 => error("slow_down", ""),
            11 | 12 => error("authorization_pending", ""),
            13 => (503, "busy".to_owned()),
            14 => (200, "<html>log in</html>".to_owned()),
            _ => error("access_denied", ""),
        }
    }

    fn misuse(&mut self, machine: &mut SignIn) {
        let before = format!("{machine:?}");
        let mut other =
            SignIn::new(SignInRequest::new(client(0)), TokenCache::new(), UnixTime::from_secs(NOW), [9; 32]);
        let Action::SendRequest(foreign) = other.next_action(self.at()) else { panic!("no request") };
        let refused = machine.response(foreign.ticket, Response::new(200, b"{}"), self.at()).unwrap_err();
        let error = TransportError::new(TransportErrorKind::Dns);
        let refused = machine.transport_failed(refused.into_ticket(), error, self.at()).unwrap_err();
        other.response(refused.into_ticket(), Response::new(200, b"{}"), self.at()).unwrap();
        if let Some((asked, ticket)) = self.flight.take() {
            let refused = machine.response(ticket, Response::new(0, b"{}"), self.at()).unwrap_err();
            self.flight = Some((asked, refused.into_ticket()));
        }
        assert_eq!(format!("{machine:?}"), before, "misuse changed something");
    }

    fn end(mut self, mut machine: SignIn, outcome: Result<SignedIn, Failure>, silent: bool, choose: &mut Bytes<'_>) {
        hides(&format!("{outcome:?}"));
        match &outcome {
            Ok(signed_in) => {
                assert!(self.granted.contains(signed_in.access_token().expose()), "a token that was not granted");
                assert!(!silent || signed_in.source() != TokenSource::DeviceFlow);
            }
            Err(failure) => {
                judge::failure(failure);
                hides(&failure.to_string());
                assert!(
                    silent || !matches!(failure, Failure::SignInNeeded(_)),
                    "an interactive sign-in must show a code instead"
                );
                assert!(self.cancelled || *failure != Failure::Cancelled, "it was not cancelled");
            }
        }
        // The answer to the request still in flight: its token is stored if it was a refresh.
        if let Some((asked, ticket)) = self.flight.take() {
            self.answer(&mut machine, asked, ticket, choose);
        }
        for at in [self.now, 0, u64::MAX] {
            machine.cancel();
            assert!(
                matches!(machine.next_action(Timestamp::from_millis(at)), Action::Ended),
                "something after the outcome"
            );
        }
        self.check_cache(&machine.into_cache());
    }

    fn check_cache(&self, cache: &TokenCache) {
        let there = secrets(cache, "RefreshToken");
        assert!(self.stored.is_subset(&there), "lost: {:?}, left: {there:?}", self.stored);
        assert!(self.dead.is_disjoint(&there), "not removed: {:?} of {there:?}", self.dead);
        let written = cache.to_json();
        let again = TokenCache::from_json(written.expose().as_bytes()).expect("what was written is read");
        assert_eq!(again.to_json().expose(), written.expose());
    }
}

/// An answer of the device authorization endpoint.
fn code(choose: &mut Bytes<'_>) -> (u16, String) {
    let answer = |lifetime: u32| {
        json!({
            "device_code": format!("{SECRET}device-code"), "user_code": "ABCD", "interval": 5, "expires_in": lifetime,
            "verification_uri": "https://as.example/"
        })
        .to_string()
    };
    match choose.pick(6) {
        0..=2 => (200, answer(900)),
        3 => (200, answer(6)),
        4 => (503, String::new()),
        _ => (400, r#"{"error":"invalid_client"}"#.to_owned()),
    }
}

fn id_token(audience: &str, now: u64) -> String {
    let claims = json!({
        "iss": "https://login.microsoftonline.com/utid/v2.0", "tid": TENANT, "sub": "uid.utid", "aud": audience,
        "exp": now.saturating_add(3_600)
    });
    format!("e30.{}.{SECRET}id", Base64UrlUnpadded::encode_string(claims.to_string().as_bytes()))
}

fn asked(request: &Request) -> Asked {
    let fields: Vec<(String, String)> = form_urlencoded::parse(request.body()).into_owned().collect();
    let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    match field("grant_type").as_deref() {
        None => Asked::Code,
        Some("refresh_token") => Asked::Refresh(field("refresh_token").unwrap()),
        Some(_) => Asked::Poll,
    }
}

fn secrets(cache: &TokenCache, kind: &str) -> BTreeSet<String> {
    let file: serde_json::Value = serde_json::from_str(cache.to_json().expose()).unwrap();
    let entries = file[kind].as_object().into_iter().flat_map(|entries| entries.values());
    entries.filter_map(|entry| entry["secret"].as_str().map(str::to_owned)).collect()
}

fn hides(text: &str) {
    judge::hides(text, &[SECRET]);
}
