//! Signs in over hyper alone, with a connection for each request: what a transport is when nothing is taken for granted.
//!
//! ```sh
//! cargo run -p device-flow-tokio --example plain_hyper -- https://login.example.com my-client-id
//! ```

use device_flow_tokio::{
    Answer, Client, DeviceFlow, Discovery, Event, Request, Transport, TransportError, TransportErrorKind as Kind,
    entropy, run, transport_error_kind,
};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{Uri, body::Bytes};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// Sends over a new connection each time, straight to the server.
pub(crate) struct PlainHyper {
    tls: TlsConnector,
    timeout: Duration,
}

impl PlainHyper {
    /// Trusts these root certificates, in PEM.
    pub(crate) fn new(roots_pem: &[u8], timeout: Duration) -> Result<Self, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(roots_pem) {
            roots.add(root?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        Ok(Self { tls: Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into(), timeout })
    }

    async fn exchange(&self, request: Request) -> Result<Answer, TransportError> {
        let limit = request.max_response() + 1;
        let mut request = request.into_http().map_err(|error| failed(Kind::Other, &error))?.map(Full::<Bytes>::from);
        let (host, secure) =
            (request.uri().host().unwrap_or_default().to_owned(), request.uri().scheme_str() == Some("https"));
        let port = request.uri().port_u16().unwrap_or(if secure { 443 } else { 80 });
        // What goes to a server and not to a proxy names the host in a header (RFC 9112 §3.2.1).
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
        let authority = authority.try_into().map_err(|error| failed(Kind::Other, &error))?;
        request.headers_mut().insert("host", authority);

        let name = host.trim_matches(['[', ']']);
        let addresses: Vec<_> = lookup_host((name, port)).await.map_err(|error| failed(Kind::Dns, &error))?.collect();
        let stream = TcpStream::connect(&*addresses).await.map_err(|error| failed_as_told(&error))?;
        let (status, headers, body) = if secure {
            let name = ServerName::try_from(name.to_owned()).map_err(|error| failed(Kind::Tls, &error))?;
            let stream = self.tls.connect(name, stream).await.map_err(|error| failed_as_told(&error))?;
            talk(stream, request, limit).await
        } else {
            talk(stream, request, limit).await
        }
        .map_err(|error| failed_as_told(&error))?;
        Ok(Answer::new(status.as_u16(), body).headers(headers))
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: hyper::Request<Full<Bytes>>,
    limit: usize,
) -> Result<(hyper::StatusCode, hyper::HeaderMap, Vec<u8>), hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // It ends with the sender; what goes wrong, the sender is told.
    tokio::spawn(connection);
    let (head, mut incoming) = sender.send_request(request).await?.into_parts();
    let mut body = Vec::new();
    while body.len() < limit
        && let Some(frame) = incoming.frame().await
    {
        let data = frame?.into_data().unwrap_or_default();
        body.extend(data.iter().take(limit - body.len()));
    }
    Ok((head.status, head.headers, body))
}

impl Transport for PlainHyper {
    async fn send(&self, request: Request) -> Result<Answer, TransportError> {
        let outcome = tokio::time::timeout(self.timeout, self.exchange(request)).await;
        outcome.unwrap_or_else(|_| Err(TransportError::new(Kind::Timeout)))
    }
}

fn failed_as_told(error: &(dyn Error + 'static)) -> TransportError {
    failed(transport_error_kind(error), error)
}

fn failed(kind: Kind, error: &dyn Error) -> TransportError {
    TransportError::new(kind).with_detail(&error.to_string())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(issuer), Some(client_id)) = (words.next(), words.next()) else {
        return Err("usage: plain_hyper ISSUER CLIENT_ID (root certificates are read from SSL_CERT_FILE)".into());
    };
    let roots = std::env::var_os("SSL_CERT_FILE").map(std::fs::read).transpose()?.unwrap_or_default();
    let transport = PlainHyper::new(&roots, Duration::from_secs(30))?;

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
