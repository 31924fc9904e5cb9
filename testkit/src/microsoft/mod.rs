//! Owns `Microsoft`: a server on loopback that looks like Microsoft Entra ID to every client, follows a test's script,
//! and records each request, the program that sent it, and the state of its refresh token.
//!
//! It speaks HTTPS with a certificate for Microsoft's own hosts and for `localhost`. A client reaches it as
//! `https://localhost:{port}/{tenant}`, or under Microsoft's names through [`Microsoft::proxy`]: then the proxy and the
//! certificate authority are the only settings that differ from production.

mod answers;
mod errors;
mod tokens;

pub use tokens::TokenState;

use crate::loopback::{Asked, Authority, JSON, Loopback, Next, answer, tunnel_to};
use errors::OAuthError;
use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard};
use tokens::Tokens;

/// The tenant of everybody here.
pub const TENANT: &str = "5a3c1f0e-8d24-4b6a-9c11-2f7be0a4d316";
/// The same by its domain.
pub const DOMAIN: &str = "contoso.onmicrosoft.com";
/// The host of the public cloud that clients are configured with.
pub const HOST: &str = "login.microsoftonline.com";
/// A client that the server knows.
pub const CLIENT: &str = "4b0db8c2-9f26-4417-8bde-3f0e3656f8e0";
/// Two clients that share their refresh tokens (`foci`).
pub const FAMILY: [&str; 2] = ["04b07795-0000-4ddb-88bd-5a3c1f0e0001", "04b07795-0000-4ddb-88bd-5a3c1f0e0002"];

/// Somebody who can sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The id in the tenant.
    pub oid: &'static str,
    /// What they type.
    pub username: &'static str,
    /// What others call them.
    pub name: &'static str,
}

/// The first person.
pub const ADA: Person =
    Person { oid: "0b5e6a1c-41d7-4c59-b0a2-7d90e3f1a201", username: "ada@contoso.example", name: "Ada Lovelace" };
/// The second one.
pub const GRACE: Person =
    Person { oid: "0b5e6a1c-41d7-4c59-b0a2-7d90e3f1a202", username: "grace@contoso.example", name: "Grace Hopper" };

impl Person {
    /// `uid.utid`.
    #[must_use]
    pub fn home_account_id(&self) -> String {
        format!("{}.{TENANT}", self.oid)
    }
}

/// What the person with the browser decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// To allow it.
    Approved,
    /// To refuse it.
    Denied,
    /// Nothing, until the server says that the code has expired.
    Expired,
}

/// What the server does. A device code keeps what was set when it was asked for.
#[derive(Clone, Debug)]
pub struct Script {
    /// Who signs in.
    pub person: Person,
    /// How many polls are answered with `authorization_pending`.
    pub pending: usize,
    /// What happens after these.
    pub decision: Decision,
    /// The lifetime of a code, in seconds: announced, and not enforced.
    pub code_lives: u64,
    /// The lifetime of an access token, in seconds.
    pub token_lives: u64,
    /// `refresh_in` of an access token, in seconds; left out when `None`.
    pub refresh_in: Option<u64>,
    /// Whether the numbers of a token answer are strings, as those of the older endpoint are.
    pub numbers_are_text: bool,
    /// Whether a token answer lists its scopes.
    pub tells_scope: bool,
    /// Whether a refresh token still works after it was replaced. Microsoft's do for a while; here they do not by
    /// default.
    pub tolerates_reuse: bool,
    /// The claims challenge with which every refresh is refused.
    pub challenge: Option<&'static str>,
    /// Whether every request is answered with 503.
    pub outage: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            person: ADA,
            pending: 0,
            decision: Decision::Approved,
            code_lives: 900,
            token_lives: 3599,
            refresh_in: None,
            numbers_are_text: false,
            tells_scope: true,
            tolerates_reuse: false,
            challenge: None,
            outage: false,
        }
    }
}

/// Which program sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// This project, through either adapter.
    Ours,
    /// MSAL for Python.
    Python,
    /// MSAL for Node.
    Node,
    /// MSAL for Java.
    Java,
    /// MSAL for Go.
    Go,
    /// Another program.
    Other,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Which hosts are one cloud.
    Instances,
    /// The metadata of a tenant.
    Metadata,
    /// The device authorization endpoint.
    Device,
    /// The token endpoint, with a device code.
    Poll,
    /// The token endpoint, with a refresh token.
    Refresh,
    /// Something that the server does not have.
    Unknown,
}

/// A request and its result.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which program sent it.
    pub caller: Caller,
    /// What it was for.
    pub endpoint: Endpoint,
    /// The tenant, as it was spelled.
    pub tenant: String,
    /// The parameters of the URL and of the body.
    pub form: Vec<(String, String)>,
    /// The state of the refresh token that was sent.
    pub token: Option<TokenState>,
    /// The status of the answer.
    pub status: u16,
    /// Its `error`, if it has one.
    pub error: Option<String>,
}

impl Seen {
    /// The value of a parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Program, purpose and status, for comparison.
    #[must_use]
    pub fn summary(&self) -> (Caller, Endpoint, u16) {
        (self.caller, self.endpoint, self.status)
    }
}

/// The running server.
pub struct Microsoft {
    loopback: Loopback,
    proxy: u16,
    room: Arc<Mutex<Room>>,
}

struct Room {
    script: Script,
    tokens: Tokens,
    seen: Vec<Seen>,
}

impl Microsoft {
    /// Starts it, with a certificate from this authority.
    #[must_use]
    pub fn start(authority: &Authority) -> Self {
        let names = [HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net", "localhost", "127.0.0.1"];
        let room = Room { script: Script::default(), tokens: Tokens::default(), seen: Vec::new() };
        let room = Arc::new(Mutex::new(room));
        let shared = room.clone();
        let loopback = Loopback::https(authority.server(&names), move |asked, wire| {
            let (status, body) = shared.lock().unwrap().serve(asked);
            reply(wire, status, &body)
        });
        let proxy = tunnel_to(loopback.port(), |_| {});
        Self { loopback, proxy, room }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap()
    }

    /// Where a client without a proxy reaches it: `localhost:{port}`.
    #[must_use]
    pub fn local_host(&self) -> String {
        format!("localhost:{}", self.loopback.port())
    }

    /// The port of the server itself.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.loopback.port()
    }

    /// The proxy through which it has Microsoft's names.
    #[must_use]
    pub fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.proxy)
    }

    /// Changes the script from now on.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.room().script);
    }

    /// Revokes every refresh token, as a change of password does.
    pub fn revoke(&self) {
        self.room().tokens.revoke();
    }

    /// The requests so far.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.room().seen.clone()
    }

    /// Runs a step and returns its result, and the requests in the meantime.
    pub fn during<T>(&self, step: impl FnOnce() -> T) -> (T, Vec<Seen>) {
        let before = self.room().seen.len();
        let result = step();
        (result, self.room().seen.split_off(before))
    }
}

fn reply(wire: &mut dyn Write, status: u16, body: &Value) -> Next {
    let headers = format!("{JSON}Cache-Control: no-store, no-cache\r\nx-ms-request-id: {}\r\n", errors::TRACE);
    answer(wire, status, &headers, &body.to_string())
}

impl Room {
    fn serve(&mut self, asked: &Asked) -> (u16, Value) {
        let header = |name: &str| asked.head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        // Through a proxy some clients send the whole URL. Java's has another one in its query, and does not escape it.
        let whole = asked.target.strip_prefix("https://");
        let target = whole.map_or(&*asked.target, |rest| &rest[rest.find('/').unwrap()..]);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parse = |text: &str| form_urlencoded::parse(text.as_bytes()).into_owned().collect::<Vec<_>>();
        let form = [parse(query), parse(&asked.body)].concat();
        let (tenant, path) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let agent = header("user-agent: ");
        let mut seen = Seen {
            caller: match agent {
                // These two say what they are, and their user agent is that of the platform.
                _ if header("x-client-sku: ").eq_ignore_ascii_case("MSAL.Java") => Caller::Java,
                _ if header("x-client-sku: ").eq_ignore_ascii_case("MSAL.Go") => Caller::Go,
                agent if agent.starts_with("python-requests") => Caller::Python,
                // What Node's fetch calls itself.
                "node" | "undici" => Caller::Node,
                agent if agent.starts_with("device-flow") => Caller::Ours,
                _ => Caller::Other,
            },
            endpoint: Endpoint::Unknown,
            tenant: tenant.to_owned(),
            form,
            token: None,
            status: 0,
            error: None,
        };
        seen.endpoint = match (path, seen.parameter("grant_type")) {
            ("discovery/instance", _) => Endpoint::Instances,
            ("v2.0/.well-known/openid-configuration", _) => Endpoint::Metadata,
            ("oauth2/v2.0/devicecode", _) => Endpoint::Device,
            // All MSALs but the one for Python send the name from before the RFC.
            ("oauth2/v2.0/token", Some("device_code" | "urn:ietf:params:oauth:grant-type:device_code")) => {
                Endpoint::Poll
            }
            ("oauth2/v2.0/token", Some("refresh_token")) => Endpoint::Refresh,
            _ => Endpoint::Unknown,
        };
        let from_header = Some(header("client-request-id: ")).filter(|id| !id.is_empty()).map(str::to_owned);
        let correlation = from_header.or_else(|| seen.parameter("client-request-id").map(str::to_owned));
        let outcome = self.outcome(&mut seen, header("host: "));
        let (status, body) = match outcome {
            Ok(body) => (200, body),
            Err(error) => error.answer(correlation.as_deref()),
        };
        seen.status = status;
        seen.error = body["error"].as_str().map(str::to_owned);
        self.seen.push(seen);
        (status, body)
    }

    fn outcome(&mut self, seen: &mut Seen, host: &str) -> Result<Value, OAuthError> {
        if self.script.outage {
            return Err(OAuthError::UNAVAILABLE);
        }
        if seen.endpoint == Endpoint::Instances {
            return Ok(answers::instances());
        }
        if ![TENANT, DOMAIN, "organizations", "common"].contains(&&*seen.tenant) {
            return Err(OAuthError::NO_TENANT);
        }
        if seen.endpoint == Endpoint::Metadata {
            return Ok(answers::metadata(host, &seen.tenant));
        }
        let client = seen.parameter("client_id").ok_or(OAuthError::NO_PARAMETER)?.to_owned();
        if client != CLIENT && !FAMILY.contains(&&*client) {
            return Err(OAuthError::NO_CLIENT);
        }
        let script = &self.script;
        match seen.endpoint {
            Endpoint::Device => {
                let scope = seen.parameter("scope").ok_or(OAuthError::NO_PARAMETER)?;
                let (device, user) = self.tokens.code(script, &client, scope);
                Ok(answers::device(script, &device, &user, seen.parameter("mkt").unwrap_or("en-US")))
            }
            Endpoint::Poll => {
                let code = seen.parameter("device_code").ok_or(OAuthError::NO_PARAMETER)?;
                let grant = self.tokens.poll(code, &client)?;
                Ok(answers::token(script, &grant, host, seen.parameter("client_info") == Some("1")))
            }
            Endpoint::Refresh => {
                let token = seen.parameter("refresh_token").ok_or(OAuthError::NO_PARAMETER)?.to_owned();
                seen.token = Some(self.tokens.state(&token));
                let grant = self.tokens.refresh(script, &token, &client, seen.parameter("scope"))?;
                Ok(answers::token(script, &grant, host, seen.parameter("client_info") == Some("1")))
            }
            Endpoint::Instances | Endpoint::Metadata | Endpoint::Unknown => Err(OAuthError::NO_GRANT),
        }
    }
}
