//! Owns the sub-command `doctor`: the checks, their order, and which of them depend on others.

mod finding;
mod network;
mod storage;

use crate::args::{Doctor, Global, Network, SignInOptions, Target};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Purpose, known_provider};
use crate::settings::Settings;
use crate::terminal::Terminal;
use device_flow_tokio::{Client, Http, Provider};
use finding::{Finding, Report};
use network::Address;

const NO_SERVER: &str = "no server is named: use --issuer or --provider, or sign in first";

pub(crate) async fn doctor(
    args: Doctor,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let mut report = Report::new(terminal);
    let options = profile(&mut report, &flags, global)?;
    let (target, network) = match &options {
        Some(SignInOptions { target, network, .. }) => (Some(target), network),
        None => (None, &global.network),
    };
    match target {
        Some(target) => storage::check(&mut report, target).await?,
        None => skip(&mut report, &["storage", "lock", "keyring"], "the profile could not be read")?,
    }
    let certificate = target.and_then(|target| target.client_certificate.as_deref());
    let http = network::settings(&mut report, network, certificate)?;
    let target = target
        .filter(|target| target.provider.is_some() || target.issuer.is_some() || target.device_endpoint.is_some());
    match (&http, target) {
        (Some(http), Some(target)) => server(&mut report, target, network, args.ask, http).await?,
        (Some(http), None) => {
            network::proxy(&mut report, http, None, network).await?;
            skip(&mut report, &["dns", "connection", "clock", "discovery", "grant", "interval", "poll"], NO_SERVER)?;
        }
        (None, _) => {
            let checks = ["dns", "connection", "clock", "discovery", "grant", "interval", "poll"];
            skip(&mut report, &checks, "the network settings are wrong")?;
        }
    }
    report.finish()
}

fn skip(report: &mut Report<'_>, checks: &[&'static str], because: &str) -> Result<(), RunError> {
    checks.iter().try_for_each(|check| report.add(Finding::skipped(check, because)).map(drop))
}

/// All settings; `None` if they cannot be read.
fn profile(report: &mut Report<'_>, flags: &Settings, global: &Global) -> Result<Option<SignInOptions>, RunError> {
    let read = Selection::with_or_without_server(global, flags.clone(), Purpose::UseTokens)
        .and_then(|selection| Ok((selection.options()?, selection)));
    let (options, selection) = match read {
        Ok(read) => read,
        Err(error) => {
            let remedy = "Correct it, or choose another with --profile or --config.";
            report.add(Finding::fail("profile", error.exit_status(), error.to_string(), remedy))?;
            return Ok(None);
        }
    };
    let file = selection.config_place();
    if !selection.can_be_saved() && !selection.settings().names_server() {
        let text =
            "there is no place for profiles: no home folder is known, since HOME is unset or not an absolute path";
        let remedy = "Set HOME to your home folder, or name the file of profiles with --config.";
        report.add(Finding::fail("profile", 8, text, remedy))?;
        return Ok(Some(options));
    }
    report.add(Finding::ok(
        "profile",
        match (selection.profile(), selection.settings().names_server()) {
            (Some(name), _) => format!("{name}, in {file}"),
            (None, true) => format!("none is used, since options name the server (profiles are in {file})"),
            (None, false) => format!("there is none in {file} yet; device-flow login creates the first"),
        },
    ))?;
    Ok(Some(options))
}

/// The checks that need a server.
async fn server(
    report: &mut Report<'_>,
    target: &Target,
    network: &Network,
    ask: bool,
    http: &Http,
) -> Result<(), RunError> {
    let allow_http_loopback = target.allow_http_loopback == Some(true);
    // Without an issuer the endpoints are known before any request.
    let known = match &target.issuer {
        Some(_) => None,
        None => match known_provider(target).and_then(|provider| Ok((built(target, provider.clone())?, provider))) {
            Ok(known) => Some(known),
            Err(error) => {
                report.add(Finding::fail(
                    "discovery",
                    error.exit_status(),
                    error.to_string(),
                    "Correct the server's name.",
                ))?;
                return skip(
                    report,
                    &["proxy", "dns", "connection", "clock", "grant", "interval", "poll"],
                    "no server is known",
                );
            }
        },
    };
    let home = match (&target.issuer, &known) {
        (Some(issuer), _) => issuer.clone(),
        (None, Some((client, _))) => client.token_endpoint().to_owned(),
        (None, None) => String::new(),
    };
    let Some(address) = Address::of(&home) else {
        report.add(Finding::fail(
            "discovery",
            2,
            format!("{home} is not the URL of a server"),
            "Write it as https://…",
        ))?;
        return skip(
            report,
            &["proxy", "dns", "connection", "clock", "grant", "interval", "poll"],
            "no server is known",
        );
    };
    network::proxy(report, http, Some(&address), network).await?;
    if !network::reach(report, http, &address, network, allow_http_loopback, true).await? {
        return skip(report, &["discovery", "grant", "interval", "poll"], "the server was not reached");
    }
    let provider = match (&target.issuer, known) {
        (Some(issuer), _) => network::discovery(report, http, issuer, target).await?,
        (None, Some((_, provider))) => {
            skip(report, &["discovery"], "the endpoints are known without metadata")?;
            Some(provider)
        }
        (None, None) => None,
    };
    let Some(provider) = provider else {
        return skip(report, &["grant", "interval", "poll"], "no device authorization endpoint is known");
    };
    // Endpoints may be on other hosts, with other certificates.
    if let Ok(client) = built(target, provider.clone()) {
        let mut seen = vec![address];
        for url in [client.device_authorization_endpoint(), client.token_endpoint()] {
            let Some(other) = Address::of(url).filter(|other| !seen.contains(other)) else { continue };
            network::reach(report, http, &other, network, allow_http_loopback, false).await?;
            seen.push(other);
        }
    }
    network::grant(report, http, target, provider, ask).await
}

/// Only for its endpoints: id and secret of the client do not matter here.
fn built(target: &Target, provider: Provider) -> Result<Client, RunError> {
    // Some servers have no clients without a secret.
    let mut builder = Client::builder(provider, "any").client_secret_post("any");
    if target.is_at("entra-v1") {
        builder = target.resource.iter().fold(builder, |builder, resource| builder.resource(&**resource));
    }
    let builder = if target.allow_http_loopback == Some(true) { builder.allow_http_loopback() } else { builder };
    Ok(builder.build()?)
}
