//! Owns the `login` sub-command: from words to a client, from a client to tokens.

use crate::args::{ClientAuth, Global, Login, ProviderName, ServerArgs, StoreName};
use crate::end::End;
use crate::servers::Servers;
use crate::terminal::{Terminal, warn};
use device_flow_tokio::core::{
    Client, ClientBuilder, Discovery, EntraCloud, Event, Prompt, Provider, Secret, SignInRequest, SignedIn,
};
use device_flow_tokio::store::{FileStore, MemoryStore, default_path};
use device_flow_tokio::{Accounts, Http, SignInError, entropy, run};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

pub(crate) async fn login(args: Login, global: &Global, terminal: &mut Terminal) -> Result<(), End> {
    let http = http(global)?;
    let secret = args.client_secret_file.as_deref().map(secret).transpose()?;
    if !terminal.can_be_seen() {
        return Err(End::NobodyCanSee);
    }
    let tokens = token_file(&args)?;
    let work = async {
        let servers = Servers::beside(tokens.as_deref());
        let provider = provider(&args.server, args.allow_http_loopback, &http, &servers, terminal).await?;
        let client = Arc::new(client(&args, provider, secret).build()?);
        let mut request = SignInRequest::new(client.clone());
        if let Some(account) = &args.account {
            request = request.account(account);
        }
        let accounts = match &tokens {
            Some(path) => {
                let store = FileStore::new(path)?;
                Accounts::new(http.clone(), store.on_warning(|found| warn(&found.to_string())))
            }
            None => Accounts::new(http.clone(), MemoryStore::new()),
        };
        let sign_in = |tell: mpsc::UnboundedSender<Event>| async move {
            // Who hears it lives as long as this future.
            let tell = |event| drop(tell.send(event));
            if args.force {
                let mut flow = request.device_flow(entropy()?);
                accounts.interactive(&request, &mut flow, tell).await
            } else {
                accounts.sign_in(&request, tell).await
            }
        };
        let signed_in = before_the_person(&client, &http, terminal, |_| {}, sign_in).await?;
        let account = signed_in.account().map(|account| account.label()).filter(|label| !label.is_empty());
        let storage = if tokens.is_some() { "file" } else { "memory" };
        terminal.signed_in(&client, &signed_in, account.as_deref(), storage)
    };
    match args.timeout {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or(Err(End::TimedOut(limit))),
    }
}

/// Where the tokens are kept, unless they are not.
fn token_file(args: &Login) -> Result<Option<PathBuf>, End> {
    match (args.store, &args.token_file) {
        (StoreName::Memory, _) => Ok(None),
        (StoreName::File, Some(path)) => Ok(Some(path.clone())),
        (StoreName::File, None) => Ok(Some(default_path("device-flow", "tokens.json")?)),
    }
}

fn client(args: &Login, provider: Provider, secret: Option<Secret>) -> ClientBuilder {
    let mut builder = Client::builder(provider, &*args.client_id);
    for scope in &args.scope {
        builder = builder.scope(scope);
    }
    for resource in &args.resource {
        builder = builder.resource(&**resource);
    }
    if let Some(audience) = &args.audience {
        builder = builder.audience(&**audience);
    }
    if let Some(language) = &args.language {
        builder = builder.language(&**language);
    }
    if args.allow_http_loopback {
        builder = builder.allow_http_loopback();
    }
    if let Some(secret) = secret {
        // Google documents the secret in the body only.
        let google = (args.server.provider == Some(ProviderName::Google)).then_some(ClientAuth::Post);
        builder = match args.client_auth.or(google) {
            None => builder.client_secret(secret),
            Some(ClientAuth::Basic) => builder.client_secret_basic(secret),
            Some(ClientAuth::BasicUnencoded) => builder.client_secret_basic_unencoded(secret),
            Some(ClientAuth::Post) => builder.client_secret_post(secret),
        };
        if args.client_id_in_body {
            builder = builder.client_id_in_body();
        }
    }
    builder
}

/// Runs a sign-in before the eyes of a person. `on_code` hears of the code when it is shown.
pub(crate) async fn before_the_person<W: Future<Output = Result<SignedIn, SignInError>>>(
    client: &Client,
    http: &Http,
    terminal: &mut Terminal,
    mut on_code: impl FnMut(&Prompt),
    sign_in: impl FnOnce(mpsc::UnboundedSender<Event>) -> W,
) -> Result<SignedIn, End> {
    // The driver tells, the terminal shows: a channel between them lets the countdown run in between.
    let (tell, mut told) = mpsc::unbounded_channel();
    let mut driving = std::pin::pin!(sign_in(tell));
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            Some(event) = told.recv() => match event {
                Event::SignInNeeded(reason) => terminal.sign_in_needed(&reason)?,
                Event::ShowCode(prompt) => {
                    terminal.show_code(client, &prompt, prompt.expires_in(http.now()))?;
                    on_code(&prompt);
                }
                Event::Waiting { wait, reason, .. } => terminal.waiting(wait, reason)?,
                _ => {}
            },
            outcome = &mut driving => return Ok(outcome?),
            _ = second.tick(), if terminal.counts_down() => terminal.tick(),
        }
    }
}

pub(crate) fn http(global: &Global) -> Result<Http, End> {
    let mut http = Http::builder().timeout(global.request_timeout).connect_timeout(global.connect_timeout);
    if let Some(file) = &global.ca_file {
        let pem = std::fs::read(file).map_err(|error| cannot_read("--ca-file", file, &error))?;
        http = http.root_certificates_pem(pem);
    }
    if let Some(proxy) = &global.proxy {
        http = http.proxy(proxy);
    }
    Ok(http.build()?)
}

/// The endpoints: by name, by metadata or by hand. (The definition of the arguments lets exactly one of the three through.)
async fn provider(
    server: &ServerArgs,
    allow_http_loopback: bool,
    http: &Http,
    servers: &Servers,
    terminal: &mut Terminal,
) -> Result<Provider, End> {
    if let Some(issuer) = &server.issuer {
        if let Some(known) = servers.known(issuer, allow_http_loopback) {
            return Ok(Provider::from(known));
        }
        let mut discovery = Discovery::new(issuer, allow_http_loopback)?;
        let found = run(http, &mut discovery, |event| {
            if let Event::Waiting { wait, reason, .. } = event {
                // Only a note on the way: if it cannot be written, the result cannot be either, and that is told.
                let _ = terminal.waiting(wait, reason);
            }
        });
        let found = found.await?;
        servers.remember(&found);
        return Ok(Provider::from(found));
    }
    let host = |default: &str| server.host.clone().unwrap_or_else(|| default.to_owned());
    Ok(match (server.provider, &server.device_endpoint, &server.token_endpoint) {
        (Some(ProviderName::Entra), ..) => Provider::entra(EntraCloud::Public, server.tenant.clone()),
        (Some(ProviderName::Github), ..) => Provider::github_enterprise(host("github.com")),
        (Some(ProviderName::Gitlab), ..) => Provider::gitlab_at(host("gitlab.com")),
        (Some(ProviderName::Google), ..) => Provider::google(),
        (None, Some(device), Some(token)) => Provider::endpoints(device, token),
        (None, ..) => {
            return Err(End::Usage("say where the server is: --provider, --issuer, or both endpoints".to_owned()));
        }
    })
}

/// One line from a file or stdin, without its line end. Never from the command line, which everyone on the machine can read.
fn secret(file: &Path) -> Result<Secret, End> {
    const MOST: u64 = 64 * 1024;
    let mut text = Zeroizing::new(String::new());
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MOST).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(MOST).read_to_string(&mut text))
    };
    read.map_err(|error| cannot_read("--client-secret-file", file, &error))?;
    Ok(Secret::from(text.trim_end_matches(['\r', '\n'])))
}

fn cannot_read(flag: &str, file: &Path, error: &std::io::Error) -> End {
    End::Usage(format!("{flag} {}: {error}", file.display()))
}
