//! Signs in over the program's own `reqwest::Client`, whatever else that is used for.
//!
//! ```sh
//! cargo run -p device-flow-tokio --example own_reqwest -- https://login.example.com my-client-id
//! ```

use device_flow_tokio::{
    Answer, Client, DeviceFlow, Discovery, Event, Request, Transport, TransportError, TransportErrorKind, entropy, run,
    transport_error_kind,
};
use std::time::Duration;

/// A client made of [`client_builder`].
pub(crate) struct OwnReqwest(pub(crate) reqwest::Client);

/// What of a transport's duties is a matter of settings. Roots, proxies, pools and the rest are the program's choice.
pub(crate) fn client_builder() -> reqwest::ClientBuilder {
    // This crate builds reqwest without a TLS provider; a program that has named one before keeps it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .timeout(Duration::from_secs(30))
}

impl Transport for OwnReqwest {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let limit = request.max_response() + 1;
        let request = request.into_http().map_err(|error| failed(TransportErrorKind::Other, &error))?;
        let request = reqwest::Request::try_from(request).map_err(failed_request)?;
        let mut response = self.0.execute(request).await.map_err(failed_request)?;
        let mut body = Vec::new();
        while body.len() < limit
            && let Some(chunk) = response.chunk().await.map_err(failed_request)?
        {
            body.extend(chunk.iter().take(limit - body.len()));
        }
        Ok(Answer::new(response.status().as_u16(), body).headers(response.headers().clone()))
    }
}

fn failed_request(error: reqwest::Error) -> TransportError {
    failed(transport_error_kind(&error), &error.without_url())
}

fn failed(kind: TransportErrorKind, error: &dyn std::fmt::Display) -> TransportError {
    TransportError::new(kind).with_detail(&error.to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(issuer), Some(client_id)) = (words.next(), words.next()) else {
        return Err("usage: own_reqwest ISSUER CLIENT_ID".into());
    };
    let transport = OwnReqwest(client_builder().build()?);

    let metadata = run(&transport, &mut Discovery::builder(&issuer).allow_http_loopback().build()?, |_| {}).await?;
    let client = Client::builder(metadata, client_id).scope("openid").allow_http_loopback().build()?;
    let token = run(&transport, &mut DeviceFlow::new(client, entropy()?), |event| {
        if let Event::ShowCode(prompt) = event {
            println!("Open {} and enter {}", prompt.verification_uri(), prompt.user_code());
        }
    })
    .await?;
    println!("Signed in, with the scopes {:?}", token.scopes().collect::<Vec<_>>());
    Ok(())
}
