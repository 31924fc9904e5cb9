//! Owns the sub-command `discover`: what a server's metadata says, how it is used, and what is missing for a sign-in.

use crate::args::{Discover, Global, SignInOptions, Target};
use crate::probe::{MetadataAnswer, ObservedDiscovery};
use crate::run_error::RunError;
use crate::selection::Selection;
use crate::session::{Credentials, Purpose, http, known_provider};
use crate::settings::Settings;
use crate::shell::word;
use crate::terminal::Terminal;
use device_flow_tokio::{Client, ConfigError, Http, Metadata, Provider, run};
use serde::Serialize;

/// What is known about a server.
#[derive(Serialize)]
struct Server {
    /// `metadata`, `built_in` or `by_hand`.
    source: &'static str,
    issuer: Option<String>,
    /// Every URL that was asked for metadata.
    metadata: Vec<Asked>,
    device_authorization_endpoint: Option<String>,
    token_endpoint: String,
    revocation_endpoint: Option<String>,
    /// Whether the metadata lists the grant; `None` without metadata.
    device_grant_listed: Option<bool>,
    /// As the metadata lists them.
    auth_methods: Option<Vec<String>>,
    /// Algorithms of client assertions, and of DPoP proofs, and methods of PKCE, as the metadata lists them.
    auth_algorithms: Vec<String>,
    dpop_algorithms: Vec<String>,
    pkce: Vec<String>,
    /// Whether tokens can be bound to the certificate of the connection.
    certificate_bound_tokens: bool,
    /// The method that this client would use.
    authentication: Option<&'static str>,
    /// The method that a client with a secret would use, if there is one.
    authentication_with_secret: Option<&'static str>,
    /// Whether a sign-in is possible.
    usable: bool,
    missing: Vec<Missing>,
}

#[derive(Serialize)]
struct Asked {
    url: String,
    status: u16,
    used: bool,
    /// Why it was not used.
    fault: Option<String>,
}

#[derive(Serialize)]
struct Missing {
    what: &'static str,
    remedy: String,
}

pub(crate) async fn discover(
    _: Discover,
    flags: Settings,
    global: &Global,
    terminal: &mut Terminal,
) -> Result<(), RunError> {
    let selection = Selection::new(global, flags, Purpose::SignIn)?;
    let SignInOptions { target, network, .. } = selection.options()?;
    let found = match &target.issuer {
        Some(issuer) => by_metadata(issuer, &target, &http(&network)?, terminal).await?,
        None => without_metadata(&target)?,
    };
    terminal.result("discovered", &found, &found.text())
}

/// Requests the metadata.
pub(crate) async fn request_metadata(places: &mut ObservedDiscovery, http: &Http) -> Result<Metadata, RunError> {
    Ok(run(http, places, |_| {}).await?)
}

async fn by_metadata(issuer: &str, target: &Target, http: &Http, terminal: &mut Terminal) -> Result<Server, RunError> {
    let mut places = ObservedDiscovery::new(issuer, target.allow_http_loopback == Some(true))?;
    let outcome = request_metadata(&mut places, http).await;
    let metadata = match outcome {
        Ok(metadata) => metadata,
        Err(end) => {
            for asked in places.answers.iter().map(|place| Asked::new(place, false)) {
                terminal.note(&asked.to_string());
            }
            return Err(end);
        }
    };
    let used = places.answers.iter().position(|place| place.document.as_ref() == Ok(&metadata));
    let asked = places.answers.iter().enumerate().map(|(number, place)| Asked::new(place, Some(number) == used));
    let provider = Provider::from(metadata.clone());
    let built = built(target, provider.clone(), &Credentials::of_a_client(target)?);
    let missing = missing(&metadata, target, built.as_ref().err());
    Ok(Server {
        source: "metadata",
        issuer: Some(metadata.issuer().to_owned()),
        metadata: asked.collect(),
        device_authorization_endpoint: metadata.device_authorization_endpoint().map(str::to_owned),
        token_endpoint: metadata.token_endpoint().to_owned(),
        revocation_endpoint: revocation(&metadata, target).unwrap_or_default().map(str::to_owned),
        device_grant_listed: Some(metadata.lists_device_grant()),
        auth_methods: Some(own(&mut metadata.token_endpoint_auth_methods())),
        auth_algorithms: own(&mut metadata.token_endpoint_auth_signing_algs()),
        dpop_algorithms: own(&mut metadata.dpop_signing_algs()),
        pkce: own(&mut metadata.code_challenge_methods()),
        certificate_bound_tokens: metadata.binds_tokens_to_certificates(),
        authentication: built.as_ref().ok().map(Client::authentication_method),
        authentication_with_secret: method_with_secret(target, provider),
        usable: built.is_ok(),
        missing,
    })
}

fn own(listed: &mut dyn Iterator<Item = &str>) -> Vec<String> {
    listed.map(str::to_owned).collect()
}

fn without_metadata(target: &Target) -> Result<Server, RunError> {
    let provider = known_provider(target)?;
    let client = built(target, provider.clone(), &Credentials::of_a_client(target)?);
    // Some servers have no clients without a secret.
    let with_secret = |error| built(target, provider.clone(), &Credentials::with_any_secret()).map_err(|_| error);
    let client = client.or_else(with_secret)?;
    let mut missing = Vec::new();
    if client.revocation_endpoint().is_none() {
        missing.push(no_revocation());
    }
    Ok(Server {
        source: if target.provider.is_some() { "built_in" } else { "by_hand" },
        issuer: client.issuer().map(str::to_owned),
        metadata: Vec::new(),
        device_authorization_endpoint: Some(client.device_authorization_endpoint().to_owned()),
        token_endpoint: client.token_endpoint().to_owned(),
        revocation_endpoint: client.revocation_endpoint().map(str::to_owned),
        device_grant_listed: None,
        auth_methods: None,
        auth_algorithms: Vec::new(),
        dpop_algorithms: Vec::new(),
        pkce: Vec::new(),
        certificate_bound_tokens: false,
        authentication: Some(client.authentication_method()),
        authentication_with_secret: method_with_secret(target, provider),
        usable: true,
        missing,
    })
}

/// The client that would sign in. Its id does not matter here.
fn built(target: &Target, provider: Provider, credentials: &Credentials) -> Result<Client, RunError> {
    credentials.client(target, target.client_id.as_deref().unwrap_or("any"), provider)
}

/// The authentication method of a client with a secret.
fn method_with_secret(target: &Target, provider: Provider) -> Option<&'static str> {
    built(target, provider, &Credentials::with_any_secret()).ok().map(|client| client.authentication_method())
}

fn missing(metadata: &Metadata, target: &Target, error: Option<&RunError>) -> Vec<Missing> {
    let mut missing = Vec::new();
    let revocation_or_fault = revocation(metadata, target);
    let revocation = revocation_or_fault.as_ref().ok().copied().flatten();
    if metadata.device_authorization_endpoint().is_none() {
        let revocation = revocation.map(|url| format!(" --revocation-endpoint {}", word(url)));
        missing.push(Missing {
            what: "device authorization endpoint",
            remedy: format!(
                "If the server has one, look it up in its documentation (GitLab: /oauth/authorize_device, django-oauth-toolkit: \
                 /o/device-authorization/) and name it: device-flow login --device-endpoint URL --token-endpoint {}{} --client-id {}",
                word(metadata.token_endpoint()),
                revocation.unwrap_or_default(),
                word(target.client_id.as_deref().unwrap_or("ID")),
            ),
        });
    } else if !metadata.lists_device_grant() {
        missing.push(Missing {
            what: "device grant in grant_types_supported",
            remedy: "The endpoint is there, which is what matters: test it with device-flow doctor --try".to_owned(),
        });
    }
    if let Err(error) = &revocation_or_fault {
        missing.push(Missing { what: "usable revocation endpoint", remedy: error.to_string() });
    } else if revocation.is_none() {
        missing.push(no_revocation());
    }
    if metadata.device_authorization_endpoint().is_some()
        && let Some(error) = error
    {
        missing.push(Missing { what: "way for this client to prove who it is", remedy: error.to_string() });
    }
    missing
}

/// The revocation endpoint, which discovery has not checked, as it has the others: no sign-in needs it.
fn revocation<'a>(metadata: &'a Metadata, target: &Target) -> Result<Option<&'a str>, ConfigError> {
    let Some(url) = metadata.revocation_endpoint() else { return Ok(None) };
    let provider = Provider::endpoints(metadata.token_endpoint(), metadata.token_endpoint()).revocation_endpoint(url);
    let client = Client::builder(provider, "any");
    let client = if target.allow_http_loopback == Some(true) { client.allow_http_loopback() } else { client };
    client.build().map(|_| Some(url))
}

fn no_revocation() -> Missing {
    Missing {
        what: "revocation endpoint",
        remedy: "logout only removes the tokens here; the server accepts them until they expire".to_owned(),
    }
}

impl Asked {
    fn new(place: &MetadataAnswer, used: bool) -> Self {
        let fault = place.document.as_ref().err().map(ToString::to_string);
        Self { url: place.url.clone(), status: place.status, used, fault }
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: HTTP status {}", self.url, self.status)?;
        match (&self.fault, self.used) {
            (_, true) => f.write_str(", used"),
            // An error status says enough.
            (Some(fault), false) if self.status < 400 => write!(f, ": {fault}"),
            (_, false) => Ok(()),
        }
    }
}

impl Server {
    fn text(&self) -> String {
        let mut text = String::new();
        // A line end in a value would begin a line of its own, which could say anything.
        let mut line = |name: &str, value: &str| text += &format!("{name:<15} {}\n", value.replace(['\n', '\r'], " "));
        let host = |url: &str| url.split('/').nth(2).map(str::to_owned);
        let home = self.issuer.as_deref().and_then(host);
        let place = |url: &Option<String>| match url {
            None => "none".to_owned(),
            Some(url) if home.is_some() && host(url) != home => format!("{url}  (another host)"),
            Some(url) => url.clone(),
        };
        line("issuer", self.issuer.as_deref().unwrap_or("unknown: the endpoints were named one by one"));
        match self.source {
            "built_in" => line("metadata", "not requested: the endpoints of this provider are built in"),
            "by_hand" => line("metadata", "not requested: the endpoints were named one by one"),
            _ => self.metadata.iter().for_each(|asked| line("metadata", &asked.to_string())),
        }
        line("codes", &place(&self.device_authorization_endpoint));
        line("tokens", &place(&Some(self.token_endpoint.clone())));
        line("revocation", &place(&self.revocation_endpoint));
        if let Some(listed) = self.device_grant_listed {
            line("device grant", if listed { "listed" } else { "not listed" });
        }
        if let Some(methods) = &self.auth_methods {
            line("authentication", &format!("listed: {}", methods.join(", ")));
        }
        let method = match (self.authentication, self.authentication_with_secret) {
            (Some("none"), Some(other)) => format!("this client sends only its id (with a secret: {other})"),
            (Some("none"), None) => "this client sends only its id (no method with a secret is known)".to_owned(),
            (Some(method), _) => format!("this client uses {method}"),
            (None, _) => String::new(),
        };
        if !method.is_empty() {
            line(if self.auth_methods.is_some() { "" } else { "authentication" }, &method);
        }
        for (name, listed) in
            [("signatures", &self.auth_algorithms), ("DPoP", &self.dpop_algorithms), ("PKCE", &self.pkce)]
        {
            if !listed.is_empty() {
                line(name, &format!("listed: {}", listed.join(", ")));
            }
        }
        if self.certificate_bound_tokens {
            line("mutual TLS", "tokens can be bound to the certificate of the client");
        }
        for Missing { what, remedy } in &self.missing {
            line("missing", &format!("{what}. {remedy}"));
        }
        text
    }
}
