//! Owns the sub-command `doctor`: which checks there are, in which order, and what one of them needs of another.

mod finding;
mod network;
mod storage;

use crate::args::{Doctor, Global, Network, Target};
use crate::end::End;
use crate::session::{Chosen, Purpose, named};
use crate::settings::{Said, Settings};
use crate::terminal::Terminal;
use device_flow_tokio::{Client, Http, Provider};
use finding::{Finding, Report};
use network::Address;

const NO_SERVER: &str = "no server is named: say --issuer or --provider, or sign in first";

pub(crate) async fn doctor(args: Doctor, flags: Settings, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    let mut report = Report::on(terminal);
    let said = profile(&mut report, &flags, global)?;
    let (target, network) = match &said {
        Some(Said { target, network, .. }) => (Some(target), network),
        None => (None, &global.network),
    };
    match target {
        Some(target) => storage::look(&mut report, target).await?,
        None => skip(&mut report, &["storage", "lock", "keyring"], "the profile could not be read")?,
    }
    let http = network::settings(&mut report, network)?;
    let target = target
        .filter(|target| target.provider.is_some() || target.issuer.is_some() || target.device_endpoint.is_some());
    match (&http, target) {
        (Some(http), Some(target)) => server(&mut report, target, network, args.ask, http).await?,
        (Some(http), None) => {
            network::proxy(&mut report, http, None, network).await?;
            skip(&mut report, &["dns", "connection", "clock", "discovery", "grant", "interval"], NO_SERVER)?;
        }
        (None, _) => {
            let checks = ["dns", "connection", "clock", "discovery", "grant", "interval"];
            skip(&mut report, &checks, "the network settings above cannot work")?;
        }
    }
    report.end()
}

fn skip(report: &mut Report<'_>, checks: &[&'static str], because: &str) -> Result<(), End> {
    checks.iter().try_for_each(|check| report.tell(Finding::skipped(check, because)).map(drop))
}

/// What is set, in whatever place; `None` if that cannot be read.
fn profile(report: &mut Report<'_>, flags: &Settings, global: &Global) -> Result<Option<Said>, End> {
    let read =
        Chosen::if_any(global, flags.clone(), Purpose::UseTokens).and_then(|chosen| Ok((chosen.said()?, chosen)));
    let (said, chosen) = match read {
        Ok(read) => read,
        Err(end) => {
            let remedy = "Correct it, or name another with --profile or --config.";
            report.tell(Finding::fail("profile", end.facts().0, end.to_string(), remedy))?;
            return Ok(None);
        }
    };
    let file = chosen.config_place();
    report.tell(Finding::ok(
        "profile",
        match (chosen.profile(), chosen.settings().names_server()) {
            (Some(name), _) => format!("{name}, in {file}"),
            (None, true) => format!("none of {file} is used: the server is named at this call"),
            (None, false) => format!("there is none yet in {file}; device-flow login makes the first"),
        },
    ))?;
    Ok(Some(said))
}

/// Everything that needs a server.
async fn server(
    report: &mut Report<'_>,
    target: &Target,
    network: &Network,
    ask: bool,
    http: &Http,
) -> Result<(), End> {
    let allow_http_loopback = target.allow_http_loopback == Some(true);
    // By name or by hand the endpoints are known before anything is asked.
    let known = match &target.issuer {
        Some(_) => None,
        None => match named(target).and_then(|provider| Ok((built(target, provider.clone())?, provider))) {
            Ok(known) => Some(known),
            Err(end) => {
                report.tell(Finding::fail(
                    "discovery",
                    end.facts().0,
                    end.to_string(),
                    "Correct the name of the server.",
                ))?;
                return skip(
                    report,
                    &["proxy", "dns", "connection", "clock", "grant", "interval"],
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
        report.tell(Finding::fail("discovery", 2, format!("{home} is no URL of a server"), "Write it as https://…"))?;
        return skip(report, &["proxy", "dns", "connection", "clock", "grant", "interval"], "no server is known");
    };
    network::proxy(report, http, Some(&address), network).await?;
    if !network::reach(report, http, &address, network, allow_http_loopback, true).await? {
        return skip(report, &["discovery", "grant", "interval"], "the server was not reached");
    }
    let provider = match (&target.issuer, known) {
        (Some(issuer), _) => network::discovery(report, http, issuer, allow_http_loopback).await?,
        (None, Some((_, provider))) => {
            skip(report, &["discovery"], "the endpoints are known without it")?;
            Some(provider)
        }
        (None, None) => None,
    };
    let Some(provider) = provider else {
        return skip(report, &["grant", "interval"], "no device authorization endpoint is known");
    };
    // Endpoints may live elsewhere, behind another certificate.
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

/// For its endpoints alone: the client's id and secret matter to nobody here.
fn built(target: &Target, provider: Provider) -> Result<Client, End> {
    let builder = Client::builder(provider, "any");
    let builder = if target.allow_http_loopback == Some(true) { builder.allow_http_loopback() } else { builder };
    Ok(builder.build()?)
}
