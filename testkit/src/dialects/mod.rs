//! Owns the scripted servers of providers that do not speak RFC 8628: each refuses a request that its provider would not
//! take, judges polls by their arrival, and answers in its provider's words. They know no sockets and no clock.

mod lines;
#[cfg(all(feature = "loopback", unix))]
mod on_loopback;

#[cfg(all(feature = "loopback", unix))]
pub use on_loopback::OnLoopback;

use device_flow_core::{Client, ClientBuilder, EntraCloud, Provider, Request};
use lines::{Lines, Said};
use std::collections::VecDeque;

/// The client that every server knows.
pub const CLIENT_ID: &str = "my-app";
/// Its secret; for AWS that of its registration, for Facebook the client token.
pub const CLIENT_SECRET: &str = "SEC-canary";
/// What it requests, where there are scopes.
pub const SCOPES: &str = "one two";
/// What it requests from Microsoft's first endpoint.
pub const RESOURCE: &str = "https://graph.example";
/// The access portal of AWS.
pub const START_URL: &str = "https://d-0.awsapps.example/start";
/// The device code.
pub const DEVICE_CODE: &str = "DC-canary/+ &=";
/// The access token.
pub const ACCESS_TOKEN: &str = "AT-canary";
/// The access token after a refresh.
pub const SECOND_ACCESS_TOKEN: &str = "AT2-canary";
/// The refresh token, where there are any.
pub const REFRESH_TOKEN: &str = "RT-canary";

/// One of the providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say what they are")]
pub enum Speech {
    Aws,
    Twitch,
    Facebook,
    Salesforce,
    Trakt,
    EntraV1,
    Yandex,
    GoogleTv,
}

impl Speech {
    /// Every provider.
    pub const ALL: [Self; 8] = [
        Self::Aws,
        Self::Twitch,
        Self::Facebook,
        Self::Salesforce,
        Self::Trakt,
        Self::EntraV1,
        Self::Yandex,
        Self::GoogleTv,
    ];

    /// The provider at this host, with its port.
    pub fn provider(self, host: &str) -> Provider {
        match self {
            Self::Aws => Provider::aws("eu-west-1", START_URL).at_host(host),
            Self::Twitch => Provider::twitch().at_host(host),
            Self::Facebook => Provider::facebook("v16.0").at_host(host),
            Self::Salesforce => Provider::salesforce(host),
            Self::Trakt => Provider::trakt().at_host(host),
            Self::EntraV1 => Provider::entra_v1(EntraCloud::Public, "common").at_host(host),
            Self::Yandex => Provider::yandex().at_host(host),
            Self::GoogleTv => Provider::google_tv().at_host(host),
        }
    }

    /// The client that the server knows, with all that it needs and nothing else.
    pub fn client(self, host: &str) -> ClientBuilder {
        let mut builder = Client::builder(self.provider(host), CLIENT_ID);
        if self.has_secret() {
            builder = builder.client_secret(CLIENT_SECRET);
        }
        if self.has_scopes() {
            builder = builder.scope(SCOPES);
        }
        if self == Self::EntraV1 { builder.resource(RESOURCE) } else { builder }
    }

    /// Whether its clients have a secret.
    pub fn has_secret(self) -> bool {
        matches!(self, Self::Aws | Self::Facebook | Self::Trakt | Self::Yandex | Self::GoogleTv)
    }

    /// Whether its clients request scopes.
    pub fn has_scopes(self) -> bool {
        !matches!(self, Self::Trakt | Self::EntraV1)
    }

    /// Whether its tokens can be refreshed.
    pub fn has_refresh_tokens(self) -> bool {
        self != Self::Facebook
    }

    /// Whether it is known what the provider says when the person refuses.
    pub fn knows_denial(self) -> bool {
        matches!(self, Self::Aws | Self::Facebook | Self::Trakt | Self::EntraV1 | Self::GoogleTv)
    }

    /// The answer in this provider's words: status, headers and body.
    pub fn reply(self, say: Say) -> Reply {
        let lines = lines::of(self);
        let said = match say {
            Say::Pending => lines.pending,
            Say::SlowDown => lines.slow_down,
            Say::Denied => lines.denied,
            Say::Expired => lines.expired,
            Say::Unknown => lines.unknown,
            Say::WrongClient => lines.wrong_client,
            Say::Malformed => lines.malformed,
            Say::Token => Said { status: 200, error_type: "", body: lines.token },
            Say::Code => Said { status: 200, error_type: "", body: lines.code },
        };
        Reply::from(said)
    }
}

/// What the server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// A code, with an interval of one second where the provider names one.
    Code,
    /// Not approved yet.
    Pending,
    /// Too fast.
    SlowDown,
    /// Refused by the person.
    Denied,
    /// Too late.
    Expired,
    /// A code that it does not know.
    Unknown,
    /// A client that it does not know, or a wrong secret.
    WrongClient,
    /// A request that it does not understand.
    Malformed,
    /// Tokens.
    Token,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

impl From<Said> for Reply {
    fn from(said: Said) -> Self {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if !said.error_type.is_empty() {
            headers.push(("x-amzn-ErrorType", said.error_type.to_owned()));
        }
        Self { status: said.status, headers, body: said.body.to_owned() }
    }
}

/// One request, as a server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// The path, with the query.
    pub target: String,
    /// The media type of the body.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl Asked {
    /// A machine's request.
    pub fn of(request: &Request) -> Self {
        let content_type = request.headers().find(|(name, _)| *name == "content-type");
        let path = request.url().splitn(4, '/').nth(3).unwrap_or_default();
        Self {
            method: request.method().as_str().to_owned(),
            target: format!("/{path}"),
            content_type: content_type.map(|(_, value)| value.to_owned()).unwrap_or_default(),
            body: String::from_utf8_lossy(request.body()).into_owned(),
        }
    }

    /// Names and values; those of JSON that are no text are written as JSON. `None` for another media type.
    fn parameters(&self, json: bool) -> Option<Vec<(String, String)>> {
        let mut all: Vec<(String, String)> = if json {
            let body: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&self.body).ok()?;
            let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            body.into_iter().map(|(name, value)| (name, text(value))).collect()
        } else {
            form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
        };
        all.sort();
        let media_type = if json { "application/json" } else { "application/x-www-form-urlencoded" };
        (self.content_type == media_type).then_some(all)
    }
}

/// A server, and what it has seen.
#[derive(Debug)]
pub struct Server {
    speech: Speech,
    plan: VecDeque<Say>,
    /// Milliseconds; grows with each answer that a poll came too early.
    interval: u64,
    /// When the next poll may come; 0 without a code.
    due: u64,
    /// Polls that came before that.
    pub early: usize,
    /// Polls so far.
    pub polls: usize,
    /// Requests that the provider would not take, and why.
    pub refused: Vec<String>,
}

impl Server {
    /// `plan`: what it says to each poll in turn, then always the last. A poll that comes early is told so in addition.
    pub fn new(speech: Speech, plan: impl IntoIterator<Item = Say>) -> Self {
        let plan = plan.into_iter().collect();
        Self { speech, plan, interval: 0, due: 0, early: 0, polls: 0, refused: Vec::new() }
    }

    /// The answer to a request that arrives at `now`, in milliseconds on any timeline.
    pub fn serve(&mut self, asked: &Asked, now: u64) -> Reply {
        let lines = lines::of(self.speech);
        let found = [lines.registration, lines.device, lines.poll, lines.refresh].into_iter().find_map(|call| {
            let parameters = asked.parameters(lines.json)?;
            (asked.target == call.0 && asked.method == "POST" && same(&parameters, call.1)).then_some(call.0)
        });
        let Some(path) = found else {
            let Asked { method, target, content_type, body } = asked;
            self.refused.push(format!("{method} {target} ({content_type}): {body}"));
            return self.speech.reply(Say::Malformed);
        };
        self.take(&lines, asked, path, now)
    }

    fn take(&mut self, lines: &Lines, asked: &Asked, path: &str, now: u64) -> Reply {
        let is = |call: lines::Call| {
            path == call.0 && asked.parameters(lines.json).is_some_and(|parameters| same(&parameters, call.1))
        };
        if is(lines.registration) {
            return Said { status: 200, error_type: "", body: lines::REGISTERED }.into();
        }
        if is(lines.device) {
            self.interval = lines.interval * 1_000;
            self.due = now + self.interval;
            return self.speech.reply(Say::Code);
        }
        if is(lines.refresh) {
            let token = self.speech.reply(Say::Token);
            return Reply { body: token.body.replace(ACCESS_TOKEN, SECOND_ACCESS_TOKEN), ..token };
        }
        self.polls += 1;
        let is_early = now < self.due;
        let say = match (is_early, self.plan.len()) {
            (true, _) => Say::SlowDown,
            (false, 0) => Say::Pending,
            (false, 1) => self.plan[0],
            (false, _) => self.plan.pop_front().unwrap_or(Say::Pending),
        };
        self.early += usize::from(is_early);
        self.interval += if say == Say::SlowDown { 5_000 } else { 0 };
        self.due = now + self.interval;
        self.speech.reply(say)
    }
}

/// Whether these are the parameters, in any order; `*` is any text that is not empty.
fn same(given: &[(String, String)], wanted: &[(&str, &str)]) -> bool {
    let mut wanted = wanted.to_vec();
    wanted.sort_unstable();
    let fits = |((name, value), (known, expected)): (&(String, String), (&str, &str))| {
        name == known && (value == expected || (expected == "*" && !value.is_empty()))
    };
    given.len() == wanted.len() && !wanted.is_empty() && given.iter().zip(wanted).all(fits)
}
