//! Owns the `demo` sub-command: the server of `demo/`, and a sign-in to it.

use crate::args::{self, Demo, Global};
use crate::demo::{Decision, Fault, Options, Server};
use crate::login::show_sign_in;
use crate::run_error::RunError;
use crate::session::http_builder;
use crate::signals;
use crate::terminal::{Kept, Terminal};
use device_flow_tokio::{Accounts, Client, Discovery, Event, MemoryStore, Provider, SignInRequest, run};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long `--yes` leaves the code on the screen before it approves.
const BEFORE_YES: Duration = Duration::from_secs(3);
/// How often the judge looks for sign-ins that are over.
const BETWEEN_VERDICTS: Duration = Duration::from_millis(500);

pub(crate) async fn demo(args: Demo, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    let options = Options {
        port: args.port,
        interval: args.interval,
        code_lifetime: args.lifetime,
        decision: args.decide.map(|decide| match decide {
            args::Decide::Approve => Decision::Approve,
            args::Decide::Deny => Decision::Deny,
        }),
        fault: args.fault.map(|fault| match fault {
            args::Fault::SlowDown => Fault::SlowDown,
            args::Fault::Unavailable => Fault::Unavailable,
            args::Fault::HangUp => Fault::HangUp,
            args::Fault::RetryAfter => Fault::RetryAfter,
            args::Fault::LateAnswer => Fault::LateAnswer,
        }),
        ..Options::default()
    };
    let server = Server::start(options).await.map_err(|error| {
        RunError::Usage(format!("the demo server could not start on 127.0.0.1:{}: {error}", args.port))
    })?;
    if args.serve {
        return serve(&server, args.judge, terminal).await;
    }
    terminal.set_prompt_options(args.prompt);
    // Nobody has to see a code that approves itself.
    if !args.yes && !terminal.can_be_seen() {
        return Err(RunError::NobodyCanSee);
    }
    let (url, live) = (server.base_url(), server.live_url());
    terminal.server(
        url,
        &live,
        &format!(
            "A small authorization server runs at {url}, on this computer only.\n\
             Watch it, and make it misbehave, at {live}\n"
        ),
    )?;
    let outcome = sign_in_here(&server, args.yes, global, terminal).await;
    server.shutdown().await;
    outcome
}

async fn sign_in_here(server: &Server, yes: bool, global: &Global, terminal: &mut Terminal) -> Result<(), RunError> {
    // Nothing but http on loopback, which must work in a container without certificates, too.
    let http = http_builder(&global.network, None)?.no_root_certificates().build()?;
    let metadata =
        run(&http, &mut Discovery::builder(server.base_url()).allow_http_loopback().build()?, |_| {}).await?;
    let client = Client::builder(Provider::from(metadata), "device-flow-demo")
        .scope("openid profile offline_access")
        .allow_http_loopback()
        .build()?;
    let client = Arc::new(client);
    let request = SignInRequest::new(client.clone());
    let accounts = Accounts::new(http.clone(), MemoryStore::new());
    let sign_in = |events: mpsc::UnboundedSender<Event>| async move {
        // The receiver lives as long as this future.
        accounts.sign_in(&request, |event| drop(events.send(event))).await
    };
    let (sender, code) = oneshot::channel();
    let mut sender = Some(sender);
    let on_event = |event: &Event, _: &mut Terminal| {
        if let Event::ShowCode(prompt) = event
            && let Some(sender) = sender.take()
        {
            // Without `--yes` nothing receives it.
            let _ = sender.send(prompt.user_code().to_owned());
        }
        None
    };
    tokio::select! {
        outcome = show_sign_in(&client, terminal, on_event, sign_in) => {
            let signed_in = outcome?;
            // Exposed to ask the server for its account, as an API would.
            let account = server.account(signed_in.access_token().expose());
            let kept = Kept { storage: "memory", file: None, profile: None };
            terminal.signed_in(&client, &signed_in, account.as_deref(), &kept)?;
            terminal.note(
                "Next: `device-flow demo --serve` keeps such a server, and says how to sign in to it with the other commands. For a real \
                 one: device-flow login SERVER --client-id ID (`device-flow providers` lists servers).",
            );
            Ok(())
        }
        never = approve_automatically(server, code), if yes => match never {},
    }
}

/// Approves the code a little after it was shown. Never returns.
async fn approve_automatically(server: &Server, code: oneshot::Receiver<String>) -> Infallible {
    if let Ok(code) = code.await {
        tokio::time::sleep(BEFORE_YES).await;
        // False: a person was faster, or the code has expired.
        let _ = server.approve(&code);
    }
    std::future::pending().await
}

/// Only the server, until a signal comes; with a judge, the verdicts on its clients.
async fn serve(server: &Server, judge: bool, terminal: &mut Terminal) -> Result<(), RunError> {
    // From here on: a script may send one as soon as it has read the address.
    let mut told_to_end = pin!(signals::signal());
    let (url, live) = (server.base_url(), server.live_url());
    terminal.server(
        url,
        &live,
        &format!(
            "A small authorization server runs at {url}, on this computer only. Every client id is accepted.\n\
             Watch it, and make it misbehave, at {live}\n\n    \
             device-flow login --issuer {url} --client-id my-app --scope openid --allow-http-loopback\n\n\
             Codes are entered at {url}/device.{} Press Ctrl-C to stop.{}",
            if judge { " When a sign-in is over, a verdict on its client follows." } else { "" },
            if judge { "\n" } else { "" }
        ),
    )?;
    if !judge {
        return std::future::pending().await;
    }
    loop {
        let error = tokio::select! {
            error = &mut told_to_end => Some(error),
            () = tokio::time::sleep(BETWEEN_VERDICTS) => None,
        };
        let verdicts = if error.is_some() { server.verdicts_so_far() } else { server.verdicts() };
        for verdict in verdicts {
            terminal.result("verdict", &verdict, &verdict.to_string())?;
        }
        if let Some(error) = error {
            return Err(error);
        }
    }
}
