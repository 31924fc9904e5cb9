//! Owns the comparison with another client: oauth2-rs 5 in the same small worlds, under the same watch as ours.
//!
//! `cargo run --profile proof -p device-flow-testkit --features compare --bin compare`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a panic is how it reports"
)]

use chrono::{DateTime, TimeDelta, Utc};
use device_flow_core::TransportErrorKind;
use device_flow_testkit::choices::{Choose, every_path};
use device_flow_testkit::server::Number::{self, Absent, Whole};
use device_flow_testkit::server::{self, Asked, Endpoint, Reply, Turn};
use device_flow_testkit::signer::Key;
use device_flow_testkit::watch::{Breach, Observation, Outcome, Rule, Watch};
use device_flow_testkit::world::{Intervention, Menu, Wake, play};
use oauth2::basic::BasicClient;
use oauth2::http::{Response, StatusCode};
use oauth2::{
    ClientId, DeviceAuthorizationUrl, DeviceCodeErrorResponseType, HttpRequest, HttpResponse, RequestTokenError, Scope,
    StandardDeviceAuthorizationResponse, TokenResponse as _, TokenUrl,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const CODES: [Turn; 8] = [
    code(Whole(5), Whole(32)),
    code(Whole(15), Whole(100)),
    code(Absent, Whole(32)),
    code(Whole(0), Whole(12)),
    code(Number::Quoted(5), Whole(32)),
    code(Whole(5), Absent),
    code(Whole(u64::MAX), Whole(900)),
    code(Whole(5), Whole(u64::MAX)),
];

const POLLS: [Turn; 12] = [
    Turn::new(Reply::Pending),
    Turn::new(Reply::Token),
    Turn::new(Reply::SlowDown(Absent)),
    Turn::new(Reply::SlowDown(Whole(25))),
    Turn::new(Reply::Pending).status(200),
    Turn::new(Reply::Pending).retry_after(8),
    Turn::new(Reply::Fault(TransportErrorKind::Timeout)),
    Turn::new(Reply::Fault(TransportErrorKind::UntrustedCertificate)),
    Turn::new(Reply::Unavailable(503)),
    Turn::new(Reply::Page),
    Turn::new(Reply::Trailing),
    Turn::new(Reply::Error("access_denied")),
];

const fn code(interval: Number, lifetime: Number) -> Turn {
    Turn::new(Reply::Code { interval, lifetime })
}

/// Four polls, then a token.
const DEPTH: usize = 4;

fn main() {
    let mut broken: BTreeMap<Rule, (u64, Breach)> = BTreeMap::new();
    // A panic is one of the things that are counted here.
    std::panic::set_hook(Box::new(|_| {}));
    let mut paths_with_breaches = 0_u64;
    let paths = every_path(|path| {
        let watch = theirs(path);
        paths_with_breaches += u64::from(!watch.breaches().is_empty());
        let first_of_each: BTreeMap<Rule, &Breach> =
            watch.breaches().iter().rev().map(|breach| (breach.rule, breach)).collect();
        // The contract is that of our machine alone: no other client promises it.
        for (rule, breach) in first_of_each.into_iter().filter(|(rule, _)| *rule != Rule::Contract) {
            broken.entry(rule).or_insert_with(|| (0, breach.clone())).0 += 1;
        }
    });
    let _ = std::panic::take_hook();
    println!("oauth2-rs 5: {} rules broken, on {paths_with_breaches} of {paths} paths", broken.len());
    for (rule, (times, breach)) in &broken {
        println!("{times:>8} paths break {rule}; for example at {} ms: {}", breach.at, breach.what);
    }
    let menu = Menu {
        starts: &[START],
        keys: &[Key::None],
        device: |choose| CODES[choose.pick(CODES.len())],
        poll: |choose| POLLS[choose.pick(POLLS.len())],
        wakes: &[Wake::OnTime],
        interventions: &[Intervention::None],
        max_interventions: 0,
    };
    let ours = every_path(|path| {
        play(&mut Shallow { path, polls: 0 }, &menu);
    });
    println!("device-flow: 0 rules broken, on 0 of {ours} paths");
}

const START: u64 = 7_000_000;

/// Lets polls be chosen up to the depth, then gives the token.
struct Shallow<'a> {
    path: &'a mut dyn Choose,
    polls: usize,
}

impl Choose for Shallow<'_> {
    fn pick(&mut self, of: usize) -> usize {
        self.polls += usize::from(of == POLLS.len());
        if of == POLLS.len() && self.polls > DEPTH { 1 } else { self.path.pick(of) }
    }
}

/// One sign-in of oauth2-rs, in virtual time.
fn theirs(path: &mut dyn Choose) -> Watch {
    let mut choose = Shallow { path, polls: 0 };
    let now = AtomicU64::new(START);
    let world = RefCell::new((Watch::silent_client(START), &mut choose));
    let requests = RefCell::new(0);
    let http = |request: HttpRequest| -> Result<HttpResponse, Fault> {
        *requests.borrow_mut() += 1;
        assert!(*requests.borrow() < 1_000, "a thousand requests");
        let (watch, choose) = &mut *world.borrow_mut();
        let asked = asked(&request);
        let endpoint = asked.endpoint().unwrap();
        watch.observe(now.load(Ordering::Relaxed), &Observation::Request(endpoint));
        let turn = match endpoint {
            Endpoint::Device => CODES[choose.pick(CODES.len())],
            Endpoint::Token | Endpoint::Metadata => POLLS[choose.pick(POLLS.len())],
        };
        watch.observe(now.load(Ordering::Relaxed), &Observation::Response(turn));
        let wire = turn.wire("").map_err(Fault)?;
        let mut response = Response::builder().status(StatusCode::from_u16(wire.status).unwrap());
        for (name, value) in wire.headers() {
            response = response.header(name, value);
        }
        Ok(response.body(wire.body.into_owned().into_bytes()).unwrap())
    };
    let sleep = |duration: Duration| {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        now.store(now.load(Ordering::Relaxed).saturating_add(millis), Ordering::Relaxed);
    };
    let time = || {
        let millis = i64::try_from(now.load(Ordering::Relaxed)).unwrap_or(i64::MAX / 2);
        DateTime::<Utc>::UNIX_EPOCH
            .checked_add_signed(TimeDelta::milliseconds(millis))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    };
    let client = BasicClient::new(ClientId::new(server::CLIENT_ID.to_owned()))
        .set_token_uri(TokenUrl::new("https://as.example/token".to_owned()).unwrap())
        .set_device_authorization_url(DeviceAuthorizationUrl::new("https://as.example/device".to_owned()).unwrap())
        .set_auth_type(oauth2::AuthType::RequestBody);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let scopes = server::SCOPE.split(' ').map(|scope| Scope::new(scope.to_owned()));
        let details: StandardDeviceAuthorizationResponse =
            match client.exchange_device_code().add_scopes(scopes).request(&http) {
                Ok(details) => details,
                Err(RequestTokenError::ServerResponse(error)) => return Outcome::Rejected(error.error().to_string()),
                Err(RequestTokenError::Request(Fault(kind))) => return Outcome::Transport(kind),
                Err(_) => return Outcome::Protocol,
            };
        match client.exchange_device_access_token(&details).set_time_fn(time).request(&http, sleep, None) {
            Ok(token) => {
                assert_eq!(token.access_token().secret(), server::ACCESS_TOKEN);
                Outcome::Token
            }
            Err(RequestTokenError::ServerResponse(error)) => match error.error() {
                DeviceCodeErrorResponseType::AccessDenied => Outcome::Denied,
                DeviceCodeErrorResponseType::ExpiredToken => Outcome::Expired,
                other => Outcome::Rejected(other.to_string()),
            },
            Err(RequestTokenError::Request(Fault(kind))) => Outcome::Transport(kind),
            Err(_) => Outcome::Protocol,
        }
    }));
    let (mut watch, _) = world.into_inner();
    let at = now.load(Ordering::Relaxed);
    match outcome {
        Ok(outcome) => watch.observe(at, &Observation::Ended(outcome)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default();
            watch.breach(Rule::Saturate, at, format!("a panic: {text}"));
        }
    }
    watch
}

fn asked(request: &HttpRequest) -> Asked {
    let header = request.headers().get("content-type").and_then(|value| value.to_str().ok());
    Asked {
        method: request.method().to_string(),
        target: request.uri().to_string(),
        content_type: header.map(ToOwned::to_owned),
        body: String::from_utf8(request.body().clone()).unwrap(),
    }
}

/// How a request failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(TransportErrorKind);
