//! Signs in on smol, over hyper. The loop is all that a runtime has to bring: what to do next, the time, and random bytes
//! come from `device-flow-adapter`, which knows no runtime.
//!
//! ```sh
//! cargo run -q --bin device-flow -- demo --serve --decide approve --port 8628
//! cargo run -q -p device-flow-testkit --example smol -- http://127.0.0.1:8628
//! ```
//!
//! It connects to servers on loopback alone. For others it lacks TLS: `futures-rustls` around the stream, and port 443 where
//! the URL has none. The other duties of a transport are the first page of `device-flow-adapter`.

use device_flow_adapter::driver::{Next, Run, hand_over};
use device_flow_adapter::{Answer, entropy, failure, timeline};
use device_flow_core::{
    Client, DeviceFlow, Discovery, Event, Machine, Request, Stopped, TransportError, TransportErrorKind,
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Bytes, client::conn::http1, header::HOST};
use smol::{Timer, future::or, net::TcpStream};
use smol_hyper::rt::FuturesIo;
use std::time::{Duration, Instant};

async fn run<M: Machine>(machine: &mut M) -> Result<M::Output, Stopped> {
    let mut run = Run::default();
    let show = |event| {
        let Event::ShowCode(prompt) = event else { return };
        println!("Open {} and enter {}", prompt.verification_uri(), prompt.user_code());
    };
    loop {
        match run.next_step(machine, || timeline::rounded_down(Instant::now()), show)? {
            Next::Send(outgoing) => {
                let exchange = async { exchange(outgoing.request).await.map_err(|error| failure::other(&error)) };
                let answer = or(exchange, too_long()).await;
                hand_over(machine, outgoing.ticket, answer, timeline::rounded_up(Instant::now()))?;
            }
            Next::WaitUntil(until) => drop(Timer::after(timeline::rest(Instant::now(), until)).await),
            Next::Done(output) => return Ok(output),
        }
    }
}

async fn too_long() -> Result<Answer, TransportError> {
    Timer::after(Duration::from_secs(30)).await;
    Err(TransportError::new(TransportErrorKind::Timeout))
}

async fn exchange(request: Request) -> Result<Answer, Box<dyn std::error::Error>> {
    let limit = request.max_response() + 1;
    let mut request = request.into_http()?.map(Full::<Bytes>::from);
    let authority = request.uri().authority().ok_or("no host")?.to_string();
    *request.uri_mut() = request.uri().path_and_query().ok_or("no path")?.as_str().parse()?;
    request.headers_mut().insert(HOST, authority.parse()?);
    let (mut sender, connection) = http1::handshake(FuturesIo::new(TcpStream::connect(authority).await?)).await?;
    smol::spawn(connection).detach();
    let (head, mut incoming) = sender.send_request(request).await?.into_parts();
    let mut body = Vec::new();
    while body.len() < limit
        && let Some(frame) = incoming.frame().await
    {
        body.extend(frame?.into_data().unwrap_or_default());
    }
    Ok(Answer::new(head.status.as_u16(), body).headers(head.headers))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let issuer = std::env::args().nth(1).ok_or("usage: smol ISSUER")?;
    smol::block_on(async {
        let metadata = run(&mut Discovery::builder(&issuer).allow_http_loopback().build()?).await?;
        let client = Client::builder(metadata, "my-app").scope("openid").allow_http_loopback().build()?;
        let token = run(&mut DeviceFlow::new(client, entropy()?)).await?;
        println!("Signed in, with the scopes {:?}", token.scopes().collect::<Vec<_>>());
        Ok(())
    })
}
