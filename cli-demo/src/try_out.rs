//! Owns the `demo` sub-command: the server of `demo/`, and a sign-in against it.

use crate::args::{Demo, Global};
use crate::demo::{Options, Server};
use crate::end::End;
use crate::login::before_the_person;
use crate::session::http;
use crate::terminal::Terminal;
use device_flow_tokio::{Accounts, Client, Discovery, Event, MemoryStore, Provider, SignInRequest, run};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long `--yes` leaves the code to be looked at.
const BEFORE_YES: Duration = Duration::from_secs(3);

pub(crate) async fn demo(args: Demo, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    let options =
        Options { port: args.port, interval: args.interval, code_lifetime: args.lifetime, ..Options::default() };
    let server = Server::start(options)
        .await
        .map_err(|error| End::Usage(format!("the demo server could not start on 127.0.0.1:{}: {error}", args.port)))?;
    if args.serve {
        return serve(&server, terminal).await;
    }
    terminal.look(args.look);
    if !terminal.can_be_seen() {
        return Err(End::NobodyCanSee);
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

async fn sign_in_here(server: &Server, yes: bool, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    let http = http(&global.network)?;
    let metadata =
        run(&http, &mut Discovery::builder(server.base_url()).allow_http_loopback().build()?, |_| {}).await?;
    let client = Client::builder(Provider::from(metadata), "device-flow-demo")
        .scope("openid profile offline_access")
        .allow_http_loopback()
        .build()?;
    let client = Arc::new(client);
    let request = SignInRequest::new(client.clone());
    let accounts = Accounts::new(http.clone(), MemoryStore::new());
    let sign_in = |tell: mpsc::UnboundedSender<Event>| async move {
        // Who hears it lives as long as this future.
        accounts.sign_in(&request, |event| drop(tell.send(event))).await
    };
    let (tell, shown) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    let hear = |event: &Event, _: &mut Terminal| {
        if let Event::ShowCode(prompt) = event
            && let Some(tell) = tell.take()
        {
            // Without `--yes` nobody listens.
            let _ = tell.send(prompt.user_code().to_owned());
        }
        None
    };
    tokio::select! {
        outcome = before_the_person(&client, terminal, hear, sign_in) => {
            let signed_in = outcome?;
            // Exposed to ask the server whose it is, as an API would.
            let account = server.account(signed_in.access_token().expose());
            terminal.signed_in(&client, &signed_in, account.as_deref(), "memory", None)
        }
        never = approve_by_itself(server, shown), if yes => match never {},
    }
}

/// Says yes to the code, a little after it was shown. Never returns.
async fn approve_by_itself(server: &Server, shown: oneshot::Receiver<String>) -> Infallible {
    if let Ok(code) = shown.await {
        tokio::time::sleep(BEFORE_YES).await;
        // False: a person was quicker, or the code died.
        let _ = server.approve(&code);
    }
    std::future::pending().await
}

/// Only the server, until a signal comes.
async fn serve(server: &Server, terminal: &mut Terminal) -> Result<(), End> {
    let (url, live) = (server.base_url(), server.live_url());
    terminal.server(
        url,
        &live,
        &format!(
            "A small authorization server runs at {url}, on this computer only. Every client id is accepted.\n\
             Watch it, and make it misbehave, at {live}\n\n    \
             device-flow login --issuer {url} --client-id my-app --scope openid --allow-http-loopback\n\n\
             Codes are entered at {url}/device. Press Ctrl-C to stop."
        ),
    )?;
    std::future::pending().await
}
