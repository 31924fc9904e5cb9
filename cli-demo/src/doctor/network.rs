//! Owns the checks on the way to the server and at the server: certificates, proxy, name, connection, clock, metadata,
//! grant.

use super::finding::{Finding, Report};
use crate::args::{Network, Target};
use crate::discover::request_metadata;
use crate::probe::{AnswerHeaders, FirstAnswer, ObservedDiscovery, UntilPolled};
use crate::remedy;
use crate::run_error::RunError;
use crate::session::{Credentials, Remembered, http_builder, remembered};
use crate::shell::word;
use crate::terminal::today;
use device_flow_tokio::{
    DeviceFlow, Failure, Http, HttpError, Metadata, Prompt, Provider, Stopped, UnixTime, entropy, run,
};
use jiff::fmt::rfc2822::DateTimeParser;
use std::future::Future;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use url::{Host, Url};

/// The exit code if the server cannot be reached.
const EXIT: u8 = 6;

/// A name look-up that takes longer deserves a warning.
const SLOW: Duration = Duration::from_secs(2);

/// In seconds. Token lifetimes are in calendar time, so a clock that is off by more deserves a warning.
const SKEW: i64 = 60;

/// In seconds. A clock that is off by more breaks the checks of tokens and certificates.
const MUCH_SKEW: i64 = 300;

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    origin: String,
    /// `None`: an IP address.
    name: Option<String>,
    port: u16,
}

impl Address {
    pub(super) fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let name = match url.host()? {
            Host::Domain(name) => Some(name.to_owned()),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        };
        Some(Self { origin: url.origin().ascii_serialization(), name, port: url.port_or_known_default()? })
    }
}

/// The network settings, before anything is sent. `None`: they are wrong.
pub(super) fn settings(
    report: &mut Report<'_>,
    network: &Network,
    certificate: Option<&Path>,
) -> Result<Option<Http>, RunError> {
    let trusted = match &network.ca_file {
        Some(file) => format!("only those in {}", file.display()),
        None => "those of this system".to_owned(),
    };
    let added =
        network.add_ca_file.as_ref().map_or_else(String::new, |file| format!(", and those in {}", file.display()));
    let ca = |error: &RunError| {
        let remedy = "Name a file with root certificates in PEM (--ca-file, --add-ca-file), or leave it out to trust those of this system.";
        Finding::fail("ca", EXIT, error.to_string(), remedy)
    };
    let builder = match http_builder(network, certificate) {
        Ok(builder) => builder,
        Err(error) => {
            report.add(ca(&error))?;
            report.add(Finding::skipped("proxy", "the root certificates cannot be read"))?;
            return Ok(None);
        }
    };
    match builder.build() {
        Ok(http) => {
            report.add(Finding::ok("ca", format!("root certificates: {trusted}{added}")))?;
            Ok(Some(http))
        }
        Err(error @ HttpError::BadProxy(_)) => {
            report.add(Finding::skipped("ca", "the proxy setting is wrong"))?;
            let remedy = "Correct it (--proxy, HTTPS_PROXY, ALL_PROXY), or leave it out if you need none.";
            report.add(Finding::fail("proxy", EXIT, error.to_string(), remedy))?;
            Ok(None)
        }
        Err(error) => {
            report.add(ca(&RunError::from(error)))?;
            report.add(Finding::skipped("proxy", "the root certificates cannot be used"))?;
            Ok(None)
        }
    }
}

/// Which proxy is used, and whether it can be reached.
pub(super) async fn proxy(
    report: &mut Report<'_>,
    http: &Http,
    address: Option<&Address>,
    network: &Network,
) -> Result<(), RunError> {
    // Any host that no NO_PROXY names.
    let target = address.map_or("https://server.example", |address| &address.origin);
    let Some(proxy) = http.proxy_for(target) else {
        return report.add(Finding::ok("proxy", "none is used")).map(drop);
    };
    let finding = match within(network, tokio::net::TcpStream::connect(&proxy)).await {
        Ok(_) => Finding::ok("proxy", format!("requests go through {proxy}, which can be reached")),
        Err(error) => Finding::fail(
            "proxy",
            EXIT,
            format!("requests go through {proxy}, which cannot be reached: {error}"),
            "Check --proxy, HTTPS_PROXY and ALL_PROXY; if the server needs no proxy, name it in NO_PROXY.",
        ),
    };
    report.add(finding).map(drop)
}

/// Name, connection, TLS, and for the first server the clock.
pub(super) async fn reach(
    report: &mut Report<'_>,
    http: &Http,
    address: &Address,
    network: &Network,
    allow_http_loopback: bool,
    is_first: bool,
) -> Result<bool, RunError> {
    if !report.add(dns(http, address, network).await)?
        && address.name.is_some()
        && http.proxy_for(&address.origin).is_none()
    {
        report.add(Finding::skipped("connection", "the server's name could not be looked up"))?;
        if is_first {
            report.add(Finding::skipped("clock", "the server was not reached"))?;
        }
        return Ok(false);
    }
    let start = Instant::now();
    let mut first = match FirstAnswer::new(&address.origin, allow_http_loopback) {
        Ok(first) => first,
        Err(error) => {
            let remedy = "Use https; http is for loopback only, with --allow-http-loopback.";
            report.add(Finding::fail("connection", 2, error.to_string(), remedy))?;
            if is_first {
                report.add(Finding::skipped("clock", "the server was not asked"))?;
            }
            return Ok(false);
        }
    };
    let outcome = run(http, &mut first, |_| {}).await;
    let (took, arrived) = (start.elapsed(), today());
    let answered = match outcome {
        Ok(answered) => answered,
        Err(stopped) => {
            let finding = Finding::fail("connection", EXIT, stopped.to_string(), remedy(&stopped, "Try again later."));
            report.add(finding)?;
            if is_first {
                report.add(Finding::skipped("clock", "the server was not reached"))?;
            }
            return Ok(false);
        }
    };
    let trust =
        if address.origin.starts_with("https:") { "its certificate is trusted" } else { "without TLS, on loopback" };
    let answers =
        format!("{} answers after {} ms (HTTP status {}), {trust}", address.origin, took.as_millis(), answered.status);
    report.add(Finding::ok("connection", answers))?;
    if is_first {
        report.add(clock(&answered, arrived))?;
    }
    Ok(true)
}

async fn dns(http: &Http, address: &Address, network: &Network) -> Finding {
    let Some(name) = &address.name else {
        return Finding::skipped("dns", "the server is named by its IP address");
    };
    if let Some(proxy) = http.proxy_for(&address.origin) {
        return Finding::skipped("dns", &format!("the proxy {proxy} looks the name up"));
    }
    let start = Instant::now();
    let found = within(network, async { Ok(tokio::net::lookup_host((&**name, address.port)).await?.count()) }).await;
    let took = start.elapsed();
    match found {
        Ok(number) if took < SLOW => {
            let addresses = if number == 1 { "address" } else { "addresses" };
            Finding::ok("dns", format!("{name} has {number} {addresses}, found after {} ms", took.as_millis()))
        }
        Ok(_) => Finding::warn(
            "dns",
            format!("looking up {name} took {:.1} s", took.as_secs_f64()),
            "Check the name servers of this computer (/etc/resolv.conf, resolvectl): the first may not answer.",
        ),
        Err(error) => Finding::fail(
            "dns",
            EXIT,
            format!("{name} could not be looked up: {error}"),
            "Check the spelling, the network and its name servers, and the VPN if the name exists only there.",
        ),
    }
}

/// Within the time limit for connections.
async fn within<T>(network: &Network, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let limit = network.connect_timeout.unwrap_or(Duration::from_secs(10));
    let late = || io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| Err(late()))
}

fn remedy(stopped: &Stopped, otherwise: &'static str) -> &'static str {
    let Stopped::Failed(failure) = stopped else { return otherwise };
    remedy::of(failure).unwrap_or(otherwise)
}

/// No wait and no poll depends on this clock, but the lifetimes of stored tokens do.
fn clock(answered: &AnswerHeaders, now: UnixTime) -> Finding {
    let date = answered.date.as_deref().and_then(|date| DateTimeParser::new().parse_timestamp(date).ok());
    let Some(date) = date else {
        return Finding::skipped("clock", "the server did not send its time (no Date header)");
    };
    // A cache passes on the date of the answer that it stored (RFC 9111 §4.2.3).
    let server = date.as_second().saturating_add(i64::try_from(answered.age).unwrap_or(i64::MAX));
    let ahead = i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_sub(server);
    let direction = if ahead > 0 { "ahead of" } else { "behind" };
    let message = format!("this computer's clock is {} {direction} the server's", span(ahead.unsigned_abs()));
    let remedy =
        "Set it from the network (Linux: timedatectl set-ntp true): tokens are refreshed too early or too late.";
    match ahead.saturating_abs() {
        0..=SKEW => Finding::ok("clock", format!("within {SKEW} s of the server's")),
        _ if ahead.saturating_abs() <= MUCH_SKEW => Finding::warn("clock", message, remedy),
        _ => Finding::fail("clock", EXIT, message, remedy),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{seconds} s"),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The server's metadata. `None`: there is no device authorization endpoint.
pub(super) async fn discovery(
    report: &mut Report<'_>,
    http: &Http,
    issuer: &str,
    target: &Target,
) -> Result<Option<Provider>, RunError> {
    let found = match ObservedDiscovery::new(issuer, target.allow_http_loopback == Some(true)) {
        Ok(mut discovery) => request_metadata(&mut discovery, http).await,
        Err(error) => Err(error.into()),
    };
    let finding = match &found {
        Ok(metadata) => match remembered(issuer, target).and_then(|old| outdated(metadata, &old)) {
            Some(finding) if metadata.device_authorization_endpoint().is_some() => finding,
            _ => described(metadata),
        },
        Err(error) => Finding::failed(
            "discovery",
            error,
            "Check the issuer.",
            "`device-flow discover` shows what each metadata URL answers; endpoints by hand are --device-endpoint and \
             --token-endpoint.",
        ),
    };
    let is_usable = report.add(finding)?;
    Ok(found.ok().filter(|_| is_usable).map(Provider::from))
}

/// What other commands remember of the metadata, where the server says something else now.
fn outdated(now: &Metadata, remembered: &Remembered) -> Option<Finding> {
    let before = &remembered.metadata;
    let members = [
        ("token endpoint", Some(now.token_endpoint()), Some(before.token_endpoint())),
        ("device authorization endpoint", now.device_authorization_endpoint(), before.device_authorization_endpoint()),
        ("revocation endpoint", now.revocation_endpoint(), before.revocation_endpoint()),
    ];
    let changed = members.into_iter().filter(|(_, now, before)| now != before);
    let mut changed: Vec<_> = changed
        .map(|(what, now, before)| {
            format!("the {what} is now {}, and {} is remembered", now.unwrap_or("gone"), before.unwrap_or("none"))
        })
        .collect();
    if !now.token_endpoint_auth_methods().eq(before.token_endpoint_auth_methods()) {
        changed.push("it lists other ways for a client to authenticate".to_owned());
    }
    if changed.is_empty() {
        return None;
    }
    let remedy = format!(
        "Commands look it up again when an endpoint is gone, and after a day. To have it done at the next command: rm {}",
        word(&remembered.path.to_string_lossy())
    );
    Some(Finding::warn("discovery", format!("the server's metadata has changed: {}", changed.join("; ")), remedy))
}

fn described(metadata: &Metadata) -> Finding {
    if metadata.device_authorization_endpoint().is_none() {
        let remedy = format!(
            "If the server has one, look it up in its documentation: --device-endpoint URL --token-endpoint {}",
            metadata.token_endpoint()
        );
        return Finding::fail("discovery", 7, "the metadata does not name a device authorization endpoint", remedy);
    }
    if metadata.lists_device_grant() {
        return Finding::ok("discovery", "the metadata names the endpoints and lists the device grant");
    }
    let remedy = "The endpoint matters more than the list: --try shows whether it works.";
    Finding::warn(
        "discovery",
        "the metadata names a device authorization endpoint, but does not list the grant",
        remedy,
    )
}

/// Whether this client gets a code, and what the server says with it.
pub(super) async fn grant(
    report: &mut Report<'_>,
    http: &Http,
    target: &Target,
    provider: Provider,
    ask: bool,
) -> Result<(), RunError> {
    let because = match (&target.client_id, ask) {
        (_, false) => "it was not tested: --try requests a code, which nobody enters",
        (None, true) => "no client is named: use --client-id",
        (Some(client_id), true) => return try_out(report, http, target, client_id, provider).await,
    };
    report.add(Finding::skipped("grant", because))?;
    report.add(Finding::skipped("interval", because))?;
    report.add(Finding::skipped("poll", because)).map(drop)
}

async fn try_out(
    report: &mut Report<'_>,
    http: &Http,
    target: &Target,
    client_id: &str,
    provider: Provider,
) -> Result<(), RunError> {
    let credentials = Credentials::for_trial(target, report.terminal).await;
    let client = credentials.and_then(|credentials| credentials.client(target, client_id, provider));
    let mut until_polled = match client {
        Ok(client) => {
            UntilPolled::new(DeviceFlow::new(client, entropy().map_err(|error| RunError::Internal(error.to_string()))?))
        }
        Err(error) => {
            report.add(Finding::fail(
                "grant",
                error.exit_status(),
                error.to_string(),
                "Correct the settings of the client.",
            ))?;
            report.add(Finding::skipped("interval", "no code could be requested"))?;
            return report.add(Finding::skipped("poll", "no code could be requested")).map(drop);
        }
    };
    match run(http, &mut until_polled, |_| {}).await {
        Ok(prompt) => {
            report.add(granted(&prompt))?;
            report.add(interval(&until_polled, &prompt))?;
            report.add(poll(until_polled.refused)).map(drop)
        }
        Err(stopped) => {
            let otherwise = remedy(
                &stopped,
                "Check the client's registration: is the id right, and is the device grant allowed for it?",
            );
            report.add(Finding::failed("grant", &RunError::from(stopped), otherwise, ""))?;
            report.add(Finding::skipped("interval", "there is no code"))?;
            report.add(Finding::skipped("poll", "there is no code")).map(drop)
        }
    }
}

fn granted(prompt: &Prompt) -> Finding {
    let life = prompt.expires_in(device_flow_tokio::now()).as_secs();
    let message = format!(
        "the server issues codes to this client, valid for {life} s, to enter at {}",
        prompt.verification_uri()
    );
    let odd: Vec<_> = prompt.warnings().map(|warning| warning.to_string()).collect();
    if odd.is_empty() {
        return Finding::ok("grant", message);
    }
    Finding::warn("grant", format!("{message}. But {}", odd.join("; ")), "Report this to the operator of the server.")
}

fn interval(asked: &UntilPolled, prompt: &Prompt) -> Finding {
    let used = prompt.interval().as_secs();
    Finding::ok(
        "interval",
        match asked.sent.as_ref().map(|sent| &sent.interval) {
            Some(Some(sent)) => format!("the server sends {sent}: polling every {used} s"),
            Some(None) => format!("the server sends none: polling every {used} s (RFC 8628 §3.2)"),
            None => format!("polling every {used} s"),
        },
    )
}

/// What the server says to a poll before anybody has approved: some demand a key or PKCE only then.
fn poll(refused: Option<Failure>) -> Finding {
    match refused {
        None => Finding::ok("poll", "the server lets this client poll"),
        Some(failure) => {
            let error = RunError::from(failure);
            let remedy = "Nobody could finish a sign-in with this client. What may be missing: --dpop, --pkce on, --client-auth.";
            Finding::fail("poll", error.exit_status(), error.to_string(), remedy)
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a panic is how a test reports")]
mod tests {
    use super::*;

    fn finding(date: Option<&str>, age: u64, now: u64) -> serde_json::Value {
        let answered = AnswerHeaders { status: 200, date: date.map(str::to_owned), age };
        serde_json::to_value(clock(&answered, UnixTime::from_secs(now))).unwrap_or_default()
    }

    #[test]
    fn c19_a_clock_that_is_off_is_reported_with_amount_and_direction() {
        const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
        const SERVER: u64 = 784_111_777;
        for (now, status, text) in [
            (SERVER, "ok", "within 60 s"),
            (SERVER + 60, "ok", "within 60 s"),
            (SERVER - 60, "ok", "within 60 s"),
            (SERVER + 61, "warn", "61 s ahead of the server's"),
            (SERVER - 300, "warn", "300 s behind the server's"),
            (SERVER + 301, "fail", "301 s ahead of"),
            (SERVER - 3 * 3_600, "fail", "3 hours behind"),
            (SERVER + 10 * 365 * 86_400, "fail", "3650 days ahead of"),
            (0, "fail", "days behind"),
            (u64::MAX, "fail", "days ahead of"),
        ] {
            let found = finding(Some(DATE), 0, now);
            assert_eq!(found["status"], status, "{found}");
            assert!(found["message"].as_str().is_some_and(|message| message.contains(text)), "{found}");
            assert_eq!(found["remedy"].is_null(), status == "ok", "{found}");
        }
        // An answer that a cache stored an hour ago is an hour old.
        assert_eq!(finding(Some(DATE), 3_600, SERVER + 3_600)["status"], "ok");
        for none in [None, Some(""), Some("yesterday")] {
            assert_eq!(finding(none, 0, SERVER)["status"], "skipped");
        }
    }
}
