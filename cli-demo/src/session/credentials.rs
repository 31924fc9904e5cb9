//! Owns what a client proves itself with: its secret, its key or its certificate, and the key that its tokens are bound
//! to.

use super::client::secret;
use super::storage::Storage;
use super::{Purpose, client};
use crate::args::{ClientAuth, Target};
use crate::run_error::RunError;
use crate::terminal::Terminal;
use device_flow_keys::{Algorithm, DpopKey, KeyError, SigningKey};
use device_flow_tokio::{Change, Client, ClientBuilder, ConfigError, Preset, Provider, Secret, Store};
use std::sync::Arc;

/// What a client proves itself with. The certificate is the connection's.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    secret: Option<Secret>,
    key: Option<Arc<SigningKey>>,
    /// The same key with its other algorithm, for a server that lists that one alone.
    other_key: Option<Arc<SigningKey>>,
    proof: Option<Arc<DpopKey>>,
}

impl Credentials {
    /// Reads the files that the options name. The key that tokens are bound to is stored beside them: a sign-in makes it if
    /// there is none, and so does a refresh of a client that proves who it is, which may bind its tokens to a new key.
    pub(super) async fn read(
        target: &Target,
        storage: &Storage,
        purpose: Purpose,
        terminal: &mut Terminal,
    ) -> Result<Self, RunError> {
        let mut read = Self::for_trial(target, terminal).await?;
        if target.dpop == Some(true) {
            let store = storage.open_for_key(&of_client(target))?;
            let proves = target.client_key_file.is_some()
                || target.client_secret_file.is_some()
                || target.client_certificate.is_some();
            let keep = purpose == Purpose::SignIn || purpose == Purpose::UseTokens && proves;
            let kept = tokio::task::spawn_blocking(move || proof_key(store.as_ref(), keep));
            read.proof = Some(Arc::new(kept.await.map_err(|error| RunError::Internal(error.to_string()))??));
        }
        Ok(read)
    }

    /// What a client would send, as far as that can be told without its secret and the key of its tokens.
    pub(crate) fn of_a_client(target: &Target) -> Result<Self, RunError> {
        let mut read = Self::default();
        if let Some(file) = &target.client_key_file {
            let wrong = |error: KeyError| RunError::Usage(format!("--client-key-file {}: {error}", file.display()));
            read.key = Some(Arc::new(SigningKey::from_file(file).map_err(wrong)?));
            let other = SigningKey::from_file(file).and_then(|key| key.with_algorithm(Algorithm::Ps256));
            read.other_key = other.ok().map(Arc::new);
        }
        if target.client_secret_file.is_some() {
            read.secret = Some(Secret::from("any"));
        }
        if target.dpop == Some(true) {
            read.proof = Some(Arc::new(DpopKey::generate().map_err(|error| RunError::Internal(error.to_string()))?));
        }
        Ok(read)
    }

    /// For requests that bring no token: with the secret, and with a key for tokens that is thrown away.
    pub(crate) async fn for_trial(target: &Target, terminal: &mut Terminal) -> Result<Self, RunError> {
        let mut read = Self::of_a_client(target)?;
        read.secret = secret(target, terminal).await?;
        Ok(read)
    }

    pub(crate) fn with_any_secret() -> Self {
        Self::with_secret(Secret::from("any"))
    }

    pub(crate) fn with_secret(secret: Secret) -> Self {
        Self { secret: Some(secret), ..Self::default() }
    }

    /// The client that these options describe.
    pub(crate) fn client(&self, target: &Target, client_id: &str, provider: Provider) -> Result<Client, RunError> {
        let mut builder = client(target, client_id, provider);
        if let Some(proof) = &self.proof {
            builder = builder.proof_of_possession(proof.clone());
        }
        if let Some(secret) = &self.secret {
            return Ok(with_secret(builder, target, secret)?.build()?);
        }
        let wants = |auth| target.client_auth == Some(auth);
        if let Some(key) = &self.key {
            if target.client_auth.is_some() && !wants(ClientAuth::PrivateKeyJwt) {
                return Err(usage("--client-key-file is for --client-auth private_key_jwt"));
            }
            if target.client_certificate.is_some() {
                builder = builder.certificate_bound_tokens();
            }
            let signed = builder.clone().client_assertion(key.clone()).build();
            return Ok(match (signed, &self.other_key) {
                (Err(ConfigError::NotListed { .. }), Some(other)) => builder.client_assertion(other.clone()).build()?,
                (built, _) => built?,
            });
        }
        if target.client_certificate.is_some() {
            return with_certificate(builder, target);
        }
        Err(match target.client_auth {
            None => return Ok(builder.build()?),
            Some(ClientAuth::PrivateKeyJwt) => usage("--client-auth private_key_jwt needs --client-key-file"),
            Some(ClientAuth::Tls | ClientAuth::SelfSignedTls) => {
                usage("--client-auth with tls needs --client-certificate")
            }
            Some(ClientAuth::Basic | ClientAuth::BasicUnencoded | ClientAuth::Post) => {
                usage("--client-auth with a secret needs --client-secret-file")
            }
        })
    }
}

fn usage(text: &str) -> RunError {
    RunError::Usage(text.to_owned())
}

fn with_secret(builder: ClientBuilder, target: &Target, secret: &Secret) -> Result<ClientBuilder, RunError> {
    let secret = secret.clone();
    // Google documents the secret in the body only.
    let google = target.is_at("google").then_some(ClientAuth::Post);
    let builder = match target.client_auth.or(google) {
        None => builder.client_secret(secret),
        Some(ClientAuth::Basic) => builder.client_secret_basic(secret),
        Some(ClientAuth::BasicUnencoded) => builder.client_secret_basic_unencoded(secret),
        Some(ClientAuth::Post) => builder.client_secret_post(secret),
        Some(ClientAuth::PrivateKeyJwt | ClientAuth::Tls | ClientAuth::SelfSignedTls) => {
            return Err(usage("a client proves itself in one way: leave out --client-secret-file, or --client-auth"));
        }
    };
    let builder = if target.client_certificate.is_some() { builder.certificate_bound_tokens() } else { builder };
    Ok(if target.client_id_in_body == Some(true) { builder.client_id_in_body() } else { builder })
}

/// Unless it is said what the certificate is for: what the server lists of what it can be for.
fn with_certificate(builder: ClientBuilder, target: &Target) -> Result<Client, RunError> {
    let all = [
        (ClientAuth::Tls, builder.clone().tls_client_auth()),
        (ClientAuth::SelfSignedTls, builder.clone().self_signed_tls_client_auth()),
    ];
    match target.client_auth {
        None => {
            for (_, way) in all {
                match way.build() {
                    Err(ConfigError::NotListed { .. }) => {}
                    built => return Ok(built?),
                }
            }
            Ok(builder.certificate_bound_tokens().build()?)
        }
        Some(wanted) => match all.into_iter().find(|(way, _)| *way == wanted) {
            Some((_, way)) => Ok(way.build()?),
            None => Err(usage(
                "--client-certificate is for --client-auth tls_client_auth or self_signed_tls_client_auth, or beside a secret or a key",
            )),
        },
    }
}

/// The client of a server that a key belongs to. No two of them have the same key, so servers cannot recognize a person by
/// it.
fn of_client(target: &Target) -> String {
    let server = [&target.issuer, &target.device_endpoint].into_iter().flatten().map(String::as_str);
    let places = target.provider.into_iter().flat_map(Preset::needs).filter_map(|need| target.place.get(need.name()));
    let provider = target.provider.map(Preset::name).unwrap_or_default();
    let client = target.client_id.as_deref().unwrap_or_default();
    server.chain(places).chain([provider, client]).collect::<Vec<_>>().join(" ")
}

/// The key that is stored, or a new one, which is stored first if tokens are going to be bound to it.
fn proof_key(store: &dyn Store, keep: bool) -> Result<DpopKey, RunError> {
    let internal = |error: KeyError| RunError::Internal(error.to_string());
    if !keep {
        return match store.load()? {
            Some(pem) => DpopKey::from_pem(&*pem).map_err(|error| damaged(&error)),
            None => DpopKey::generate().map_err(internal),
        };
    }
    let mut found = None;
    store.update(&mut |stored| {
        if let Some(pem) = stored {
            found = Some(DpopKey::from_pem(pem).map_err(|error| damaged(&error)));
            return Change::Keep;
        }
        match DpopKey::generate_pem() {
            Ok(pem) => {
                found = Some(DpopKey::from_pem(pem.expose()).map_err(internal));
                Change::Save(pem.expose().as_bytes().to_vec().into())
            }
            Err(error) => {
                found = Some(Err(internal(error)));
                Change::Keep
            }
        }
    })?;
    found.unwrap_or_else(|| Err(RunError::Internal("the store was not asked".to_owned())))
}

fn damaged(error: &KeyError) -> RunError {
    RunError::Storage(format!(
        "the key that the tokens are bound to (--dpop) cannot be read: {error}. Without it they are of no use: sign in again, \
         after removing it"
    ))
}
