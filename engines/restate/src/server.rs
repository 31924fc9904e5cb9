//! Owns the authorization server of the trial: it approves each code at its fourth poll, judges each poll by its arrival, and
//! tells what it has seen when its standard input ends.

use device_flow_testkit::crowd::{Crowd, Manners};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// How long an answer is on its way, as from a server that is far away: so a kill meets polls in flight.
const FAR_AWAY: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Crowd::new(Manners { interval: 5, pending: 3, lifetime: 600 });
    let (near, listener) = (server.listen()?, TcpListener::bind("127.0.0.1:0").await?);
    println!("{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(relay(client, near));
        }
    });
    tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new())).await??;
    println!("{}", serde_json::to_string(&server.report())?);
    Ok(())
}

/// Hands on requests at once, and answers later.
async fn relay(client: TcpStream, near: SocketAddr) -> io::Result<()> {
    let (mut requests, mut to_client) = client.into_split();
    let (mut answers, mut to_server) = TcpStream::connect(near).await?.into_split();
    tokio::spawn(async move { copy(&mut requests, &mut to_server).await });
    let mut answer = [0; 4096];
    loop {
        let length = answers.read(&mut answer).await?;
        if length == 0 {
            return Ok(());
        }
        sleep(FAR_AWAY).await;
        to_client.write_all(&answer[..length]).await?;
    }
}
