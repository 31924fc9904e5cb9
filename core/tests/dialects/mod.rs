//! Providers that do not speak RFC 8628: what is sent to each, what each answer means, and that the polling law holds in
//! all of them. The words of each are those of the scripted servers of the testkit.

mod answers;
mod configuration;
mod registration;
mod requests;

use crate::support::Run;
use device_flow_core::{DeviceFlow, Response};
use device_flow_testkit::dialects::{Asked, Reply, Say, Server, Speech};

const HOST: &str = "provider.example";

/// Hands an answer with its headers to the machine.
fn respond(run: &mut Run<DeviceFlow>, reply: &Reply) {
    let response = Response::new(reply.status, reply.body.as_bytes());
    run.respond(reply.headers.iter().fold(response, |all, (name, value)| all.header(name, value.as_bytes())));
}

/// A flow that has its code.
fn granted(speech: Speech) -> Run<DeviceFlow> {
    let mut run = Run::new(speech.client(HOST).build().unwrap());
    assert!(run.go());
    respond(&mut run, &speech.reply(Say::Code));
    run
}

/// The same, with its first poll in flight.
fn polling(speech: Speech) -> Run<DeviceFlow> {
    let mut run = granted(speech);
    run.poll();
    run
}

/// Runs a flow against the scripted server until it ends.
fn signed_in(speech: Speech, plan: &[Say]) -> (Run<DeviceFlow>, Server) {
    let (mut run, mut server) =
        (Run::new(speech.client(HOST).build().unwrap()), Server::new(speech, plan.iter().copied()));
    while run.go() {
        let sent = run.requests.last().unwrap();
        let asked = Asked {
            method: sent.method.to_owned(),
            target: sent.url.strip_prefix("https://provider.example").unwrap().to_owned(),
            content_type: sent.header("content-type").unwrap().to_owned(),
            body: sent.body.clone(),
        };
        let reply = server.serve(&asked, run.now);
        respond(&mut run, &reply);
    }
    (run, server)
}
