//! Owns the scripted authorization server: the bytes of each of its answers, and whether a request has the form that
//! RFC 8628 demands. It knows no sockets and no clock.

use device_flow_core::{
    Client, ClientBuilder, Machine, Provider, Request, Response, Ticket, Timestamp, TransportError, TransportErrorKind,
};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;

/// The device code. Like all secrets here it contains the word of [`secrets`](crate::secrets), so that a search finds
/// every place that shows one.
pub const DEVICE_CODE: &str = "DC-canary/+ &=";
/// The access token.
pub const ACCESS_TOKEN: &str = "AT-canary";
/// The refresh token.
pub const REFRESH_TOKEN: &str = "RT-canary";
/// The ID token.
pub const ID_TOKEN: &str = "IT-canary";
/// The user code, which the person enters.
pub const USER_CODE: &str = "WDJB-MJHT";
/// The verification URI, where the person enters it.
pub const VERIFICATION_URI: &str = "https://as.example/device";

/// The client that the server knows, a public one.
pub const CLIENT_ID: &str = "my app";
/// The scope that this client requests.
pub const SCOPE: &str = "openid profile";

/// A client of the server at this address (scheme, host and port).
pub fn client(base: &str) -> ClientBuilder {
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    Client::builder(provider, CLIENT_ID).scope(SCOPE).allow_http_loopback()
}

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The metadata document (RFC 8414 §3).
    Metadata,
    /// The device authorization endpoint (RFC 8628 §3.1).
    Device,
    /// The token endpoint (RFC 8628 §3.4).
    Token,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "the metadata document",
            Self::Device => "the device authorization endpoint",
            Self::Token => "the token endpoint",
        })
    }
}

/// One request, as a server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// The path and query, or the whole URL.
    pub target: String,
    /// The media type of the body.
    pub content_type: Option<String>,
    /// The body.
    pub body: String,
}

impl Asked {
    /// A machine's request as the server at `base` (scheme, host, port) sees it.
    pub fn of(request: &Request, base: &str) -> Self {
        let content_type = request.headers().find(|(name, _)| *name == "content-type");
        Self {
            method: request.method().as_str().to_owned(),
            target: request.url().strip_prefix(base).unwrap_or(request.url()).to_owned(),
            content_type: content_type.map(|(_, value)| value.to_owned()),
            body: String::from_utf8(request.body().to_vec()).unwrap(),
        }
    }

    /// The endpoint that it went to, if it has the form that RFC 8628 demands; otherwise what is wrong with it.
    ///
    /// # Errors
    /// A sentence for the report of the test.
    pub fn endpoint(&self) -> Result<Endpoint, String> {
        if self.target.contains("/.well-known/") {
            let plain = self.method == "GET" && self.body.is_empty();
            return if plain { Ok(Endpoint::Metadata) } else { Err("metadata is fetched by GET".to_owned()) };
        }
        let mut parameters: Vec<(String, String)> = form_urlencoded::parse(self.body.as_bytes()).into_owned().collect();
        parameters.sort();
        let is_form = self.content_type.as_deref() == Some("application/x-www-form-urlencoded");
        let (endpoint, wanted) = if self.target.ends_with("/device") {
            (Endpoint::Device, vec![("client_id", CLIENT_ID), ("scope", SCOPE)])
        } else {
            let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
            (Endpoint::Token, vec![("client_id", CLIENT_ID), ("device_code", DEVICE_CODE), grant])
        };
        let same = parameters.iter().map(|(name, value)| (&**name, &**value)).eq(wanted);
        if self.method == "POST" && is_form && same {
            return Ok(endpoint);
        }
        Err(format!("{} {} ({:?}) with {parameters:?}", self.method, self.target, self.content_type))
    }
}

/// A number as a server may write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// The member is not there.
    Absent,
    /// `null`.
    Null,
    /// `5`.
    Whole(u64),
    /// `"5"`.
    Quoted(u64),
    /// `5.5`.
    AndAHalf(u64),
    /// `-5`.
    Negative(u64),
    /// `1e400`, beyond every type.
    Huge,
    /// `"soon"`.
    Nonsense,
}

impl Number {
    /// `"name":value,` or nothing.
    fn member(self, name: &str) -> String {
        match self {
            Self::Absent => String::new(),
            Self::Null => format!("\"{name}\":null,"),
            Self::Whole(number) => format!("\"{name}\":{number},"),
            Self::Quoted(number) => format!("\"{name}\":\"{number}\","),
            Self::AndAHalf(number) => format!("\"{name}\":{number}.5,"),
            Self::Negative(number) => format!("\"{name}\":-{number},"),
            Self::Huge => format!("\"{name}\":1e400,"),
            Self::Nonsense => format!("\"{name}\":\"soon\","),
        }
    }
}

/// What the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A metadata document.
    Metadata,
    /// Codes for device and person.
    Code {
        /// `interval`.
        interval: Number,
        /// `expires_in`.
        lifetime: Number,
    },
    /// `authorization_pending`.
    Pending,
    /// `slow_down`, perhaps with a new interval.
    SlowDown(Number),
    /// Tokens.
    Token,
    /// `use_dpop_nonce`, mostly with a [nonce](Turn::nonce) (RFC 9449 §8).
    Challenge,
    /// Another OAuth error.
    Error(&'static str),
    /// An outage: a status without an OAuth error.
    Unavailable(u16),
    /// A page, of a captive portal or a firewall.
    Page,
    /// `{}`.
    Nothing,
    /// Tokens in an array.
    Array,
    /// Tokens, and further bytes after them.
    Trailing,
    /// A redirect to another place.
    Redirect,
    /// No answer at all.
    Fault(TransportErrorKind),
}

/// What happens to one request: the answer, how it deviates from the usual form, and how long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The answer.
    pub reply: Reply,
    /// A status other than the usual one.
    pub status: Option<u16>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
    /// `DPoP-Nonce`, by its number: see [`nonce`].
    pub nonce: Option<u32>,
    /// From the request to the answer, in milliseconds.
    pub latency: u64,
}

impl From<Reply> for Turn {
    fn from(reply: Reply) -> Self {
        Self::new(reply)
    }
}

impl Turn {
    /// This answer in its usual form, at once.
    pub const fn new(reply: Reply) -> Self {
        Self { reply, status: None, retry_after: None, nonce: None, latency: 0 }
    }

    /// With this status.
    pub const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// With this `Retry-After`, in seconds.
    pub const fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// With the nonce of this number.
    pub const fn nonce(mut self, number: u32) -> Self {
        self.nonce = Some(number);
        self
    }

    /// After this many milliseconds.
    pub const fn latency(mut self, millis: u64) -> Self {
        self.latency = millis;
        self
    }

    /// Hands the answer of the server at `base` to the machine whose request it was.
    pub fn hand_to<M: Machine>(&self, machine: &mut M, ticket: Ticket, base: &str, now: Timestamp) {
        self.answered(base, |answer| match answer {
            Ok(response) => machine.response(ticket, response, now),
            Err(error) => machine.transport_failed(ticket, error, now),
        })
        .unwrap();
    }

    /// What a driver gets from the server at `base`.
    pub fn answered<T>(&self, base: &str, take: impl FnOnce(Result<Response<'_>, TransportError>) -> T) -> T {
        match self.wire(base) {
            Ok(wire) => {
                let headers = wire.headers();
                let response = Response::new(wire.status, wire.body.as_bytes());
                take(Ok(headers
                    .iter()
                    .fold(response, |response, (name, value)| response.header(name, value.as_bytes()))))
            }
            Err(kind) => take(Err(TransportError::new(kind))),
        }
    }

    /// The answer of the server at `base`, in bytes.
    ///
    /// # Errors
    /// How the request failed, if there is no answer.
    pub fn wire(&self, base: &str) -> Result<Wire, TransportErrorKind> {
        let token = format!(
            r#"{{"access_token":"{ACCESS_TOKEN}","token_type":"bearer","expires_in":3600,"refresh_token":"{REFRESH_TOKEN}","id_token":"{ID_TOKEN}"}}"#
        );
        let (status, body): (u16, Cow<'static, str>) = match self.reply {
            Reply::Fault(kind) => return Err(kind),
            Reply::Metadata => (200, metadata(base).into()),
            Reply::Code { interval, lifetime } => (
                200,
                format!(
                    r#"{{"device_code":"{DEVICE_CODE}",{}{}"user_code":"{USER_CODE}","verification_uri":"{VERIFICATION_URI}"}}"#,
                    interval.member("interval"),
                    lifetime.member("expires_in")
                )
                .into(),
            ),
            Reply::Pending => (400, r#"{"error":"authorization_pending"}"#.into()),
            Reply::SlowDown(hint) => (400, format!(r#"{{{}"error":"slow_down"}}"#, hint.member("interval")).into()),
            Reply::Token => (200, token.into()),
            Reply::Challenge => (400, r#"{"error":"use_dpop_nonce"}"#.into()),
            Reply::Error(code) => (400, format!(r#"{{"error":"{code}"}}"#).into()),
            Reply::Unavailable(status) => (status, "busy".into()),
            Reply::Page => (200, "<html>Welcome to our hotel</html>".into()),
            Reply::Nothing => (200, "{}".into()),
            Reply::Array => (200, format!("[{token}]").into()),
            Reply::Trailing => (200, format!("{token}GARBAGE").into()),
            Reply::Redirect => (307, "".into()),
        };
        let (status, retry_after, nonce) = (self.status.unwrap_or(status), self.retry_after, self.nonce);
        Ok(Wire { status, retry_after, nonce, body })
    }
}

/// The nonce of this number, as the header has it.
pub fn nonce(number: u32) -> String {
    format!("nonce-{number}")
}

fn metadata(base: &str) -> String {
    format!(
        r#"{{"issuer":"{base}","device_authorization_endpoint":"{base}/device","token_endpoint":"{base}/token","grant_types_supported":["urn:ietf:params:oauth:grant-type:device_code"]}}"#
    )
}

/// An answer in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The status.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<u64>,
    /// The number of the nonce in the header `DPoP-Nonce`.
    pub nonce: Option<u32>,
    /// The body.
    pub body: Cow<'static, str>,
}

impl Wire {
    /// The headers, without `Content-Length`, which the transport adds.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let content_type = if self.body.starts_with('<') { "text/html" } else { "application/json" };
        let mut headers = vec![("content-type", content_type.to_owned())];
        headers.extend(self.retry_after.map(|seconds| ("retry-after", seconds.to_string())));
        headers.extend(self.nonce.map(|number| ("dpop-nonce", nonce(number))));
        headers.extend((self.status == 307).then(|| ("location", "https://elsewhere.example/".to_owned())));
        headers
    }
}

/// A script: what happens to each request in turn; after the last one the server answers `authorization_pending` for
/// ever.
#[derive(Clone, Debug, Default)]
pub struct Script {
    turns: VecDeque<Turn>,
    complaints: Vec<String>,
}

impl Script {
    /// These turns, one for each request.
    pub fn new(turns: impl IntoIterator<Item = impl Into<Turn>>) -> Self {
        Self { turns: turns.into_iter().map(Into::into).collect(), complaints: Vec::new() }
    }

    /// What happens to this request.
    pub fn turn(&mut self, asked: &Asked) -> Turn {
        if let Err(complaint) = asked.endpoint() {
            self.complaints.push(complaint);
        }
        self.turns.pop_front().unwrap_or(Turn::new(Reply::Pending))
    }

    /// What was wrong with the requests so far.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// How many turns are left.
    pub fn left(&self) -> usize {
        self.turns.len()
    }
}
