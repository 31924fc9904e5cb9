//! Owns the way from the words of a run to the sign-in that is meant: which profile, which server, which client, which store.

use crate::args::{ClientAuth, Global, Network, ProviderName, StoreName, Target};
use crate::config::{Config, DEFAULT, check_name};
use crate::end::End;
use crate::probe::discovery;
use crate::servers::Servers;
use crate::settings::{Said, Settings};
use crate::terminal::{Terminal, warn};
use device_flow_tokio::{
    Accounts, Client, ClientBuilder, Contents, EntraCloud, Event, Failure, FileStore, Http, HttpBuilder, KeyringStore,
    Locked, MemoryStore, Provider, Secret, SignInReason, SignInRequest, SignedIn, Store, StoreError, TokenCache,
    default_path, run,
};
use std::cell::OnceCell;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tracing::info;
use zeroize::Zeroizing;

/// The sign-in that is meant: its profile and what is said of it in all places.
#[derive(Debug)]
pub(crate) struct Chosen {
    config: Config,
    /// `None`: everything was said at this call.
    profile: Option<String>,
    settings: Settings,
}

/// The longest that a request takes, unless somebody says otherwise.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// Whether somebody may have to sign in for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `login`: what is not known yet becomes a profile, and what a server says of itself is looked up again every day.
    SignIn,
    /// What `login` left is used.
    UseTokens,
    /// The same, and nothing that a server does not answer may stand in the way.
    SignOut,
}

impl Chosen {
    /// What the flags, the environment and the file of profiles say together.
    pub(crate) fn new(global: &Global, flags: Settings, purpose: Purpose) -> Result<Self, End> {
        let chosen = Self::if_any(global, flags, purpose)?;
        if chosen.settings.names_server() {
            return Ok(chosen);
        }
        Err(match purpose {
            Purpose::UseTokens | Purpose::SignOut => End::SignInNeeded {
                failure: Box::new(Failure::SignInNeeded(SignInReason::NotSignedIn)),
                how: "device-flow login".to_owned(),
            },
            Purpose::SignIn => {
                End::Usage("say where the server is: --provider, --issuer, or both endpoints".to_owned())
            }
        })
    }

    /// The same, even if none of them names a server.
    pub(crate) fn if_any(global: &Global, flags: Settings, purpose: Purpose) -> Result<Self, End> {
        let config = Config::load(global.config.as_deref())?;
        let by_flags = flags.names_server();
        let said = flags.over_environment(Settings::of_environment()?);
        let profile = match &global.profile {
            Some(name) => {
                check_name(name)?;
                Some(name.clone())
            }
            None if said.names_server() => the_one_about(&config, &said)?,
            None => config.current().map(str::to_owned),
        };
        let stored = profile.as_deref().map(|name| config.profile(name)).transpose()?.flatten();
        match (&global.profile, &stored) {
            (Some(name), None) if purpose != Purpose::SignIn && !by_flags => return Err(config.no_such(name)),
            // Who names a profile does not mean another server that some variable names.
            (Some(name), Some(stored)) if !by_flags && !said.agrees_on_server(stored) => {
                return Err(End::Usage(format!(
                    "the environment (DEVICE_FLOW_…) names another server than profile {name}: unset it, or name the server \
                     by a flag"
                )));
            }
            _ => {}
        }
        let stored = stored.unwrap_or_default();
        let mut settings = said.over_profile(stored.clone());
        let mut profile = profile;
        if purpose == Purpose::SignIn && global.profile.is_none() && profile.is_some() && !settings.is_about(&stored) {
            // Another client than that of the profile in use: it is not to be overwritten by the way.
            profile = the_one_about(&config, &settings)?;
            let other = profile.as_deref().map(|name| config.profile(name)).transpose()?.flatten();
            settings = settings.over_profile(other.unwrap_or_default());
        }
        match &profile {
            Some(name) => info!("profile {name} ({})", config.place()),
            None => info!("no profile is used ({})", config.place()),
        }
        Ok(Self { config, profile, settings })
    }

    /// The profile that is meant when none is named.
    pub(crate) fn current(global: &Global) -> Result<Option<String>, End> {
        Ok(Config::load(global.config.as_deref())?.current().map(str::to_owned))
    }

    /// What was said in an earlier run.
    pub(crate) fn again(config: Option<&Path>, profile: Option<String>, settings: Settings) -> Result<Self, End> {
        Ok(Self { config: Config::load(config)?, profile, settings })
    }

    /// Every profile of the file.
    pub(crate) fn all(global: &Global) -> Result<Vec<Self>, End> {
        let names: Vec<_> = Config::load(global.config.as_deref())?.names().map(str::to_owned).collect();
        let one = |name: String| {
            let config = Config::load(global.config.as_deref())?;
            let settings = config.profile(&name)?.unwrap_or_default();
            Ok(Self { config, profile: Some(name), settings })
        };
        names.into_iter().map(one).collect()
    }

    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Where the profiles are, for a message.
    pub(crate) fn config_place(&self) -> String {
        self.config.place()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it says, in all places together.
    pub(crate) fn said(&self) -> Result<Said, End> {
        self.settings.parse(&self.place())
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Remembers it as a profile, under the name that was given or a new one, unless its tokens are gone with this run. Returns
    /// the name.
    pub(crate) fn remember(&self, session: &Session, signed_in: &SignedIn, named: bool) -> Result<Option<String>, End> {
        if session.storage == Storage::Memory {
            return Ok(None);
        }
        let name = match &self.profile {
            Some(name) => name.clone(),
            // Another first sign-in may have been remembered while this one waited.
            None => {
                let now = self.config.reload()?;
                the_one_about(&now, &self.settings)?.unwrap_or_else(|| free_name(&now, &session.client))
            }
        };
        let mut settings = self.settings_for_later();
        if self.reads_secret_from_stdin() {
            // They say nothing without a secret.
            ["client-auth", "client-id-in-body"].iter().for_each(|name| settings.remove(name));
        }
        settings.set("store".to_owned(), vec![session.storage.name().to_owned()]);
        if let Some(account) = signed_in.account().map(|account| account.home_account_id()).filter(|id| !id.is_empty())
        {
            settings.set("account".to_owned(), vec![account.to_owned()]);
        }
        self.config.remember(&name, &settings, !named)?;
        Ok(Some(name))
    }

    /// What is said, for another run: stdin is not there then, and files are found from any folder.
    pub(crate) fn settings_for_later(&self) -> Settings {
        let mut settings = self.settings.clone();
        if self.reads_secret_from_stdin() {
            settings.remove("client-secret-file");
        }
        if self.has_proxy_password() {
            settings.remove("proxy");
        }
        for file in ["client-secret-file", "token-file", "ca-file"] {
            let absolute =
                settings.get(file).and_then(|path| std::path::absolute(path).ok()?.into_os_string().into_string().ok());
            settings.set(file.to_owned(), absolute.into_iter().collect());
        }
        settings
    }

    pub(crate) fn reads_secret_from_stdin(&self) -> bool {
        self.settings.get("client-secret-file").is_some_and(|file| is_stdin(Path::new(file)))
    }

    /// A password is for no file of ours.
    pub(crate) fn has_proxy_password(&self) -> bool {
        let proxy = self.settings.get("proxy").and_then(|proxy| url::Url::parse(proxy).ok());
        proxy.is_some_and(|url| url.password().is_some() || !url.username().is_empty())
    }

    /// Where everything about it is said, for a message.
    fn place(&self) -> String {
        match &self.profile {
            Some(name) => format!("profile {name}"),
            None => "this call".to_owned(),
        }
    }

    /// What a person types to sign in.
    pub(crate) fn how_to_sign_in(&self) -> String {
        match &self.profile {
            Some(name) if self.config.current() != Some(name) => format!("device-flow login --profile {name}"),
            Some(_) => "device-flow login".to_owned(),
            None => "device-flow login with the same options".to_owned(),
        }
    }
}

/// The profile about the same client of the same server, the one in use first.
fn the_one_about(config: &Config, said: &Settings) -> Result<Option<String>, End> {
    let mut found = None;
    for name in config.current().into_iter().chain(config.names()) {
        let Some(profile) = config.profile(name)?.filter(|profile| said.is_about(profile)) else { continue };
        if profile.is_in_same_place(said) {
            return Ok(Some(name.to_owned()));
        }
        found = found.or_else(|| Some(name.to_owned()));
    }
    Ok(found)
}

/// Short and telling: the first is the default, the next are called as their server.
fn free_name(config: &Config, client: &Client) -> String {
    let taken = |name: &str| config.names().any(|known| known == name);
    if !taken(DEFAULT) {
        return DEFAULT.to_owned();
    }
    let host = client.authority().environment().split('/').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '-' };
    let host: String = host.chars().take(48).map(plain).collect();
    let host = Some(host.trim_matches(['-', '.'])).filter(|host| !host.is_empty()).unwrap_or("server").to_owned();
    let numbered = (2..).map(|number: u32| format!("{host}-{number}"));
    std::iter::once(host.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(host)
}

/// Where tokens are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    Keyring,
    File(PathBuf),
    Memory,
}

impl Storage {
    pub(crate) fn of(target: &Target) -> Result<Self, StoreError> {
        let file = || match &target.token_file {
            Some(path) => Ok(path.clone()),
            None => default_path("device-flow", "tokens.json"),
        };
        let default = if target.token_file.is_some() { StoreName::File } else { StoreName::Keyring };
        Ok(match target.store.unwrap_or(default) {
            StoreName::Keyring => Self::Keyring,
            StoreName::File => Self::File(file()?),
            StoreName::Memory => Self::Memory,
        })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::File(_) => "file",
            Self::Memory => "memory",
        }
    }

    /// A keyring that is not there is told of before anybody is asked for anything; nothing else takes its place by itself.
    fn open(&self) -> Result<Opened, End> {
        Ok(Opened(match self {
            Self::Keyring => Arc::new(keyring()?),
            Self::File(path) => Arc::new(FileStore::new(path)?.on_warning(|found| warn(&found.to_string()))),
            Self::Memory => Arc::new(MemoryStore::new()),
        }))
    }
}

/// Any of them.
#[derive(Clone)]
struct Opened(Arc<dyn Store>);

impl Store for Opened {
    fn load(&self) -> Result<Option<Contents>, StoreError> {
        self.0.load()
    }

    fn lock(&self) -> Result<Box<dyn Locked>, StoreError> {
        self.0.lock()
    }
}

/// What to do without one.
pub(crate) const NO_KEYRING: &str = "Start or unlock the keyring; or say --store file to keep the tokens in a file that only \
    you can read (not encrypted), or --store memory to keep them nowhere";

pub(crate) fn open_keyring() -> Result<KeyringStore, StoreError> {
    KeyringStore::open("device-flow", "tokens", default_path("device-flow", "keyring")?)
}

fn keyring() -> Result<KeyringStore, End> {
    open_keyring().map_err(|error| {
        let StoreError::Keyring { .. } = error else { return error.into() };
        End::Storage(format!("no keyring can be used here. {NO_KEYRING} ({error})"))
    })
}

/// The way into the network, made when it is needed first: the certificates that a system trusts are many.
struct Net {
    network: Network,
    http: OnceCell<Http>,
}

impl Net {
    fn http(&self) -> Result<&Http, End> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let made = http(&self.network)?;
        Ok(self.http.get_or_init(|| made))
    }
}

/// A client, and where its tokens are.
pub(crate) struct Session {
    net: Net,
    pub(crate) client: Arc<Client>,
    store: Opened,
    pub(crate) storage: Storage,
    /// The longest that a request takes.
    pub(crate) request_limit: Duration,
    account: Option<String>,
    how_to_sign_in: String,
}

impl Session {
    pub(crate) async fn open(chosen: &Chosen, purpose: Purpose, terminal: &mut Terminal) -> Result<Self, End> {
        let Said { target, network, .. } = chosen.said()?;
        let net = Net { network, http: OnceCell::new() };
        if purpose == Purpose::SignIn {
            // What cannot work is told before anything else.
            net.http()?;
        }
        let Some(client_id) = &target.client_id else {
            return Err(End::Usage("say which client is meant: --client-id, as registered with the server".to_owned()));
        };
        let secret = secret(&target, terminal).await?;
        let storage = Storage::of(&target)?;
        let store = storage.open()?;
        let servers = Servers::beside(&storage);
        let provider = provider(&target, purpose, &net, &servers, terminal).await?;
        let client = Arc::new(client(&target, client_id, provider, secret).build()?);
        info!("client {} of {}", client.client_id(), client.issuer().unwrap_or_else(|| client.token_endpoint()));
        match &storage {
            Storage::File(path) => info!("tokens are kept in {}", path.display()),
            Storage::Keyring | Storage::Memory => info!("tokens are kept in the {}", storage.name()),
        }
        let how_to_sign_in = chosen.how_to_sign_in();
        let request_limit = net.network.request_timeout.unwrap_or(REQUEST_LIMIT);
        Ok(Self { net, client, store, storage, request_limit, account: target.account, how_to_sign_in })
    }

    pub(crate) fn http(&self) -> Result<&Http, End> {
        self.net.http()
    }

    pub(crate) fn accounts(&self) -> Result<Accounts, End> {
        Ok(Accounts::new(self.http()?.clone(), self.store.clone()))
    }

    /// What is stored now. Most runs need no more, so no more is made for them.
    pub(crate) async fn cache(&self) -> Result<TokenCache, End> {
        let store = self.store.clone();
        let stored = tokio::task::spawn_blocking(move || store.load()).await;
        let stored = stored.map_err(|error| End::Internal(error.to_string()))??;
        match TokenCache::from_json(stored.as_deref().unwrap_or_default()) {
            Ok(cache) => Ok(cache),
            // Another program may be writing it just now: this waits for the lock.
            Err(_) => Ok(self.accounts()?.cache().await?),
        }
    }

    /// A token of whom is meant.
    pub(crate) fn request(&self) -> SignInRequest {
        let request = SignInRequest::new(Arc::clone(&self.client));
        match &self.account {
            Some(account) => request.account(account),
            None => request,
        }
    }

    /// The end of a run that may not ask the person: it says how they sign in.
    pub(crate) fn end(&self, error: impl Into<End>) -> End {
        let end = error.into();
        if let End::Failed(failure @ Failure::SignInNeeded(_)) = end {
            return End::SignInNeeded { failure: Box::new(failure), how: self.how_to_sign_in.clone() };
        }
        end
    }
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

pub(crate) fn http(network: &Network) -> Result<Http, End> {
    Ok(http_builder(network)?.build()?)
}

pub(crate) fn http_builder(network: &Network) -> Result<HttpBuilder, End> {
    let http = Http::builder().on_exchange(|exchange| info!("{exchange}"));
    let mut http = http.timeout(network.request_timeout.unwrap_or(REQUEST_LIMIT));
    if let Some(limit) = network.connect_timeout {
        http = http.connect_timeout(limit);
    }
    if let Some(file) = &network.ca_file {
        let pem = std::fs::read(file).map_err(|error| cannot_read("--ca-file", file, &error))?;
        http = http.root_certificates_pem(pem);
    }
    if let Some(proxy) = &network.proxy {
        http = http.proxy(proxy);
    }
    Ok(http)
}

/// The endpoints: by name, by metadata or by hand. (The definition of the arguments lets exactly one of the three through.)
async fn provider(
    target: &Target,
    purpose: Purpose,
    net: &Net,
    servers: &Servers,
    terminal: &mut Terminal,
) -> Result<Provider, End> {
    if let Some(issuer) = &target.issuer {
        return by_metadata(issuer, target.allow_http_loopback == Some(true), purpose, net, servers, terminal).await;
    }
    named(target)
}

/// Those that are known without asking: by name or by hand.
pub(crate) fn named(target: &Target) -> Result<Provider, End> {
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
        (None, ..) => {
            return Err(End::Usage("say where the server is: --provider, --issuer, or both endpoints".to_owned()));
        }
    })
}

async fn by_metadata(
    issuer: &str,
    allow_http_loopback: bool,
    purpose: Purpose,
    net: &Net,
    servers: &Servers,
    terminal: &mut Terminal,
) -> Result<Provider, End> {
    let known = servers.known(issuer, allow_http_loopback);
    if let Some((metadata, _)) = known.as_ref().filter(|(_, fresh)| *fresh || purpose != Purpose::SignIn) {
        info!("what the server said of itself is remembered");
        return Ok(Provider::from(metadata.clone()));
    }
    let mut discovery = discovery(issuer, allow_http_loopback)?;
    let found = run(net.http()?, &mut discovery, |event| {
        if let Event::Waiting { wait, reason, .. } = event {
            // Only a note on the way: if it cannot be written, the result cannot be either, and that is told.
            let _ = terminal.waiting(wait, reason);
        }
    });
    let found = match found.await {
        // Only its name is needed to find the tokens that have to go.
        Err(_) if purpose == Purpose::SignOut => return Ok(Provider::endpoints(issuer, issuer)),
        found => found?,
    };
    servers.remember(&found);
    Ok(Provider::from(found))
}

/// One line from a file or stdin, without its line end. Never from the command line, which everyone on the machine can read.
pub(crate) async fn secret(target: &Target, terminal: &mut Terminal) -> Result<Option<Secret>, End> {
    const MOST: u64 = 64 * 1024;
    let Some(file) = target.client_secret_file.clone() else { return Ok(None) };
    let is_stdin = is_stdin(&file);
    if is_stdin && std::io::stdin().is_terminal() {
        terminal.note("Type the client secret, and press Enter.");
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
    // In a thread: whoever types or pipes it may let it wait, and Ctrl-C ends that, too.
    let read = tokio::task::spawn_blocking(read).await.map_err(|error| End::Internal(error.to_string()))?;
    read.map(Some).map_err(|error| cannot_read("--client-secret-file", &file, &error))
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-") || file == Path::new("/dev/stdin")
}

fn cannot_read(flag: &str, file: &Path, error: &std::io::Error) -> End {
    End::Usage(format!("{flag} {}: {error}", file.display()))
}
