//! Owns how the options become a client: discovery or known endpoints, its parameters, its secret.

use crate::args::{ClientAuth, ProviderName, Target};
use crate::run_error::RunError;
use crate::terminal::Terminal;
use device_flow_tokio::{Client, ClientBuilder, ConfigError, Discovery, EntraCloud, Provider, Secret};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) const NO_SERVER: &str =
    "no server is named: use --provider, --issuer, or --device-endpoint and --token-endpoint";

/// A discovery that accepts http on loopback only if the options allow it.
pub(crate) fn discovery(issuer: &str, allow_http_loopback: bool) -> Result<Discovery, ConfigError> {
    let builder = Discovery::builder(issuer);
    if allow_http_loopback { builder.allow_http_loopback() } else { builder }.build()
}

pub(crate) fn client(target: &Target, client_id: &str, provider: Provider, secret: Option<Secret>) -> ClientBuilder {
    let mut builder = Client::builder(provider, client_id);
    for scope in &target.scope {
        builder = builder.scope(scope);
    }
    for resource in &target.resource {
        builder = builder.resource(&**resource);
    }
    if let Some(audience) = &target.audience {
        builder = builder.audience(&**audience);
    }
    if let Some(language) = &target.language {
        builder = builder.language(&**language);
    }
    if target.allow_http_loopback == Some(true) {
        builder = builder.allow_http_loopback();
    }
    if let Some(secret) = secret {
        // Google documents the secret in the body only.
        let google = (target.provider == Some(ProviderName::Google)).then_some(ClientAuth::Post);
        builder = match target.client_auth.or(google) {
            None => builder.client_secret(secret),
            Some(ClientAuth::Basic) => builder.client_secret_basic(secret),
            Some(ClientAuth::BasicUnencoded) => builder.client_secret_basic_unencoded(secret),
            Some(ClientAuth::Post) => builder.client_secret_post(secret),
        };
        if target.client_id_in_body == Some(true) {
            builder = builder.client_id_in_body();
        }
    }
    builder
}

/// The endpoints that are known without a request: of a known provider, or named one by one.
pub(crate) fn known_provider(target: &Target) -> Result<Provider, RunError> {
    let host = |default: &str| target.host.clone().unwrap_or_else(|| default.to_owned());
    let tenant = || target.tenant.clone().unwrap_or_else(|| "common".to_owned());
    Ok(match (target.provider, &target.device_endpoint, &target.token_endpoint) {
        (Some(ProviderName::Entra), ..) => Provider::entra(EntraCloud::Public, tenant()),
        (Some(ProviderName::Github), ..) => Provider::github_enterprise(host("github.com")),
        (Some(ProviderName::Gitlab), ..) => Provider::gitlab_at(host("gitlab.com")),
        (Some(ProviderName::Google), ..) => Provider::google(),
        (None, Some(device), Some(token)) => {
            let provider = Provider::endpoints(device, token);
            match &target.revocation_endpoint {
                Some(url) => provider.revocation_endpoint(url),
                None => provider,
            }
        }
        (None, ..) => return Err(RunError::Usage(NO_SERVER.to_owned())),
    })
}

/// One line from a file or stdin, without its line end. Never from the command line, which everyone on the machine can
/// read.
pub(crate) async fn secret(target: &Target, terminal: &mut Terminal) -> Result<Option<Secret>, RunError> {
    const MOST: u64 = 64 * 1024;
    let Some(file) = target.client_secret_file.clone() else { return Ok(None) };
    let is_stdin = is_stdin(&file);
    if is_stdin && std::io::stdin().is_terminal() {
        terminal.note("Type the client secret and press Enter.");
    }
    let path = file.clone();
    let read = move || {
        let mut text = Zeroizing::new(String::new());
        let read = if is_stdin {
            std::io::stdin().lock().take(MOST).read_line(&mut text)
        } else {
            std::fs::File::open(path).and_then(|open| open.take(MOST).read_to_string(&mut text))
        };
        read.map(|_| Secret::from(text.trim_end_matches(['\r', '\n'])))
    };
    // On another thread: reading may wait for a person or a pipe, and Ctrl-C must end that wait.
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| RunError::Internal(error.to_string()))?;
    read.map(Some).map_err(|error| RunError::unreadable("--client-secret-file", &file, &error))
}

pub(crate) fn is_stdin(file: &Path) -> bool {
    file == Path::new("-") || file == Path::new("/dev/stdin")
}
