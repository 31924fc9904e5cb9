//! Owns how the options become a client: discovery or known endpoints, its parameters, the file of its secret.

use crate::args::{Parameter, Pkce, Target};
use crate::run_error::RunError;
use crate::terminal::Terminal;
use device_flow_tokio::{Client, ClientBuilder, ConfigError, Discovery, Provider, Secret};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::Path;
use zeroize::Zeroizing;

pub(crate) const NO_SERVER: &str = "no server is named: use --provider (`device-flow providers` lists them), --issuer, or --device-endpoint and \
     --token-endpoint";

/// A discovery that accepts http on loopback only if the options allow it.
pub(crate) fn discovery(issuer: &str, allow_http_loopback: bool) -> Result<Discovery, ConfigError> {
    let builder = Discovery::builder(issuer);
    if allow_http_loopback { builder.allow_http_loopback() } else { builder }.build()
}

/// Without what it proves itself with.
pub(crate) fn client(target: &Target, client_id: &str, provider: Provider) -> ClientBuilder {
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
    if let Some(details) = &target.authorization_details {
        builder = builder.authorization_details(&**details);
    }
    let hints = [("login_hint", &target.login_hint), ("acr_values", &target.acr_values)];
    for (name, value) in hints.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        builder = builder.device_parameter(name, &**value);
    }
    for Parameter { name, value } in &target.device_parameter {
        builder = builder.device_parameter(&**name, &**value);
    }
    for Parameter { name, value } in &target.token_parameter {
        builder = builder.token_parameter(&**name, &**value);
    }
    builder = match target.pkce {
        None => builder.pkce_if_listed(),
        Some(Pkce::On) => builder.pkce(),
        Some(Pkce::Off) => builder,
    };
    if target.allow_http_loopback == Some(true) {
        builder = builder.allow_http_loopback();
    }
    builder
}

/// The endpoints that are known without a request: of a known provider, or named one by one.
pub(crate) fn known_provider(target: &Target) -> Result<Provider, RunError> {
    Ok(match (target.provider, &target.device_endpoint, &target.token_endpoint) {
        (Some(preset), ..) => preset.provider(|need| target.place.get(need).map(str::to_owned))?,
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
