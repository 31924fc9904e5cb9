//! Owns `Rotating`: an authorization server on loopback that accepts each refresh token once and then issues the next
//! (RFC 9700 §4.14.2).

use crate::loopback::{Asked, JSON, Loopback, Next, answer, device_answer, error_answer};
use device_flow_core::{ClientBuilder, Provider};
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// Every code is approved at the first poll, and redeemed once. The tokens of the nth grant are `AT-canary-n` and `RT-canary-n`; there is
/// no ID token. A refresh token is valid once.
pub struct Rotating {
    /// The server below, which records the requests.
    pub server: Loopback,
    state: Arc<Mutex<State>>,
}

struct State {
    grants: u32,
    /// How many codes were issued and not redeemed.
    codes: u32,
    /// The refresh token that is valid.
    live: Option<String>,
    reuses: u32,
    lifetime: u64,
    slowness: Duration,
    /// Where refreshes wait.
    gate: Option<Arc<Opening>>,
}

/// Whether a gate is open, and the news that it is.
type Opening = (Mutex<bool>, Condvar);

/// Refreshes are not answered until this is dropped.
pub struct Gate(Arc<Opening>);

impl Drop for Gate {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl Rotating {
    /// A server whose access tokens live this long, in seconds.
    #[must_use]
    pub fn new(lifetime: u64) -> Self {
        let slowness = Duration::ZERO;
        let state = State { grants: 0, codes: 0, live: None, reuses: 0, lifetime, slowness, gate: None };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let server = Loopback::http(move |asked, wire| serve(&shared, asked, wire));
        Self { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A client of this server.
    pub fn client_builder(&self) -> ClientBuilder {
        let provider = Provider::endpoints(self.server.url("/device"), self.server.url("/token"));
        let provider = provider.revocation_endpoint(self.server.url("/revoke"));
        device_flow_core::Client::builder(provider, "client").allow_http_loopback()
    }

    /// From now on access tokens live this long, in seconds.
    pub fn set_lifetime(&self, lifetime: u64) {
        self.state().lifetime = lifetime;
    }

    /// From now on a refresh takes this long.
    pub fn set_slowness(&self, slowness: Duration) {
        self.state().slowness = slowness;
    }

    /// From now on refreshes are recorded at once, and answered when the gate is dropped.
    #[must_use]
    pub fn close_gate(&self) -> Gate {
        let gate = Arc::<Opening>::default();
        self.state().gate = Some(Arc::clone(&gate));
        Gate(gate)
    }

    /// Revokes everything, as the person can on the pages of the server.
    pub fn revoke(&self) {
        self.state().live = None;
    }

    /// Makes this refresh token the valid one again, for a test that goes back to an earlier state.
    pub fn revive(&self, refresh_token: &str) {
        self.state().live = Some(refresh_token.to_owned());
    }

    /// Makes one code valid again that was redeemed, and no refresh token, for the same.
    pub fn revive_code(&self) {
        let mut state = self.state();
        (state.codes, state.live) = (1, None);
    }

    /// The refresh token that is valid.
    #[must_use]
    pub fn live(&self) -> Option<String> {
        self.state().live.clone()
    }

    /// How many refreshes came with a refresh token that was no longer valid.
    #[must_use]
    pub fn reuses(&self) -> u32 {
        self.state().reuses
    }

    /// How many refreshes there were so far.
    #[must_use]
    pub fn refreshes(&self) -> usize {
        self.server.polls().iter().filter(|asked| asked.body.contains("grant_type=refresh_token")).count()
    }

    /// How many codes were issued so far.
    #[must_use]
    pub fn codes(&self) -> usize {
        self.server.requests().iter().filter(|asked| asked.target == "/device").count()
    }

    /// How many requests there were so far, of any kind.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.server.requests().len()
    }
}

fn serve(state: &Mutex<State>, asked: &Asked, wire: &mut dyn Write) -> Next {
    let parameter = |name: &str| {
        form_urlencoded::parse(asked.body.as_bytes())
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.into_owned())
    };
    let (slowness, gate) = {
        let state = state.lock().unwrap();
        (state.slowness, state.gate.clone())
    };
    if parameter("refresh_token").is_some() {
        if let Some(gate) = gate {
            drop(gate.1.wait_while(gate.0.lock().unwrap(), |is_open| !*is_open).unwrap());
        }
        thread::sleep(slowness);
    }
    let mut state = state.lock().unwrap();
    match asked.target.as_str() {
        "/device" => {
            state.codes += 1;
            return device_answer(wire);
        }
        "/revoke" => {
            if parameter("token") == state.live {
                state.live = None;
            }
            return answer(wire, 200, "", "");
        }
        _ => {}
    }
    if let Some(token) = parameter("refresh_token")
        && state.live.as_ref() != Some(&token)
    {
        state.reuses += 1;
        return error_answer(wire, "invalid_grant");
    }
    if parameter("device_code").is_some() {
        let Some(left) = state.codes.checked_sub(1) else { return error_answer(wire, "invalid_grant") };
        state.codes = left;
    }
    state.grants += 1;
    let (number, lifetime) = (state.grants, state.lifetime);
    state.live = Some(format!("RT-canary-{number}"));
    let body = format!(
        r#"{{"access_token":"AT-canary-{number}","refresh_token":"RT-canary-{number}","token_type":"Bearer","expires_in":{lifetime}}}"#
    );
    answer(wire, 200, JSON, &body)
}
