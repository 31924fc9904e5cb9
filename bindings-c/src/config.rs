//! Owns configurations and clients: the settings by their numbers, and how a client is built of them.

use crate::code::{Code, Refused};
use crate::handle::{Handle, give, out_handle, text, with};
use crate::machine::Machine;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ffi::c_char;
use device_flow_core::{ClientBuilder, Discovery, Metadata, Preset, Provider, Secret};

/// The settings of a client in the making. Opaque: always behind a pointer.
#[derive(Debug)]
pub struct Config {
    _opaque: (),
}

/// A client: a configuration that was checked. It never changes, and many machines may use it. Opaque: always behind a
/// pointer.
#[derive(Debug)]
pub struct Client {
    _opaque: (),
}

impl Handle for Config {
    type Inside = Settings;
    const KIND: u32 = 0x6466_6366;
}

impl Handle for Client {
    type Inside = Arc<device_flow_core::Client>;
    const KIND: u32 = 0x6466_636c;
}

/// A setting. Those without a value are set by an empty text.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The client id (RFC 6749 §2.2).
    ClientId = 0,
    /// The URL of the device authorization endpoint (RFC 8628 §3.1), with `DF_SETTING_TOKEN_ENDPOINT`; a preset or discovery names both.
    DeviceAuthorizationEndpoint = 1,
    /// The URL of the token endpoint (RFC 6749 §3.2).
    TokenEndpoint = 2,
    /// The URL of the revocation endpoint (RFC 7009 §2), instead of one from the preset or the metadata.
    RevocationEndpoint = 3,
    /// A server that is known by name, such as `github` or `keycloak`, in place of endpoints.
    Preset = 4,
    /// A pair: what the preset must be told, such as `host` or `realm`, and its value.
    PresetParameter = 5,
    /// The issuer that `df_discovery_new` asks for its endpoints.
    Issuer = 6,
    /// Scopes, separated by spaces; may be set again for more.
    Scope = 7,
    /// No value: with Microsoft's servers only the given scopes are requested.
    ExactScope = 8,
    /// A secret, sent in a way that the metadata lists: in the `Authorization` header if possible (RFC 6749 §2.3.1), else in
    /// the body.
    ClientSecret = 9,
    /// A secret in the `Authorization` header.
    ClientSecretBasic = 10,
    /// A secret in the body.
    ClientSecretPost = 11,
    /// No value: repeats the client id in the body beside the `Authorization` header.
    ClientIdInBody = 12,
    /// The API that the token is for, as the parameter `audience`.
    Audience = 13,
    /// The API that the token is for, as an absolute URI (RFC 8707 §2); may be set again for more.
    Resource = 14,
    /// The language of the person, such as `de-DE`.
    Language = 15,
    /// The header `client-request-id` of every request.
    CorrelationId = 16,
    /// What the program can handle, such as `cp1` (Microsoft's servers); may be set again for more.
    Capability = 17,
    /// A JSON array of objects (RFC 9396).
    AuthorizationDetails = 18,
    /// A pair: a further parameter of the device authorization request.
    DeviceParameter = 19,
    /// A pair: a further parameter of every token request.
    TokenParameter = 20,
    /// No value: PKCE, always (RFC 7636).
    Pkce = 21,
    /// No value: PKCE if the metadata lists S256.
    PkceIfListed = 22,
    /// No value: tries methods that the metadata does not list.
    TryUnlisted = 23,
    /// No value: refuses what is tolerated otherwise, such as a token without `token_type`.
    Strict = 24,
    /// No value: allows `http://` to 127.0.0.0/8, `[::1]` and `localhost`, for development.
    AllowHttpLoopback = 25,
    /// The most bytes that an answer may have, in decimal digits; 65536 unless set.
    MaxAnswer = 26,
}

impl Setting {
    const ALL: [Self; 27] = [
        Self::ClientId,
        Self::DeviceAuthorizationEndpoint,
        Self::TokenEndpoint,
        Self::RevocationEndpoint,
        Self::Preset,
        Self::PresetParameter,
        Self::Issuer,
        Self::Scope,
        Self::ExactScope,
        Self::ClientSecret,
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::ClientIdInBody,
        Self::Audience,
        Self::Resource,
        Self::Language,
        Self::CorrelationId,
        Self::Capability,
        Self::AuthorizationDetails,
        Self::DeviceParameter,
        Self::TokenParameter,
        Self::Pkce,
        Self::PkceIfListed,
        Self::TryUnlisted,
        Self::Strict,
        Self::AllowHttpLoopback,
        Self::MaxAnswer,
    ];

    fn of(number: u32) -> Result<Self, Code> {
        Self::ALL.into_iter().find(|setting| *setting as u32 == number).ok_or(Code::BadArgument)
    }

    fn is_pair(self) -> bool {
        matches!(self, Self::PresetParameter | Self::DeviceParameter | Self::TokenParameter)
    }

    fn is_switch(self) -> bool {
        matches!(
            self,
            Self::ExactScope
                | Self::ClientIdInBody
                | Self::Pkce
                | Self::PkceIfListed
                | Self::TryUnlisted
                | Self::Strict
                | Self::AllowHttpLoopback
        )
    }
}

/// What was set, in order, and what discovery has found.
#[derive(Default)]
pub(crate) struct Settings {
    set: Vec<Set>,
    metadata: Option<Metadata>,
}

struct Set {
    setting: Setting,
    /// Of a pair; else empty.
    name: String,
    /// It may be a secret.
    value: Secret,
}

impl Settings {
    fn set(&mut self, setting: Setting, name: &str, value: &str) -> Result<(), Refused> {
        if setting.is_switch() && !value.is_empty() {
            return Err(Refused::new(Code::BadArgument, &"this setting has no value: give an empty text"));
        }
        if setting == Setting::MaxAnswer && value.parse::<usize>().is_err() {
            return Err(Refused::new(Code::BadArgument, &"the most bytes of an answer are written in decimal digits"));
        }
        self.set.push(Set { setting, name: name.into(), value: Secret::from(value) });
        Ok(())
    }

    /// The value that was set last. Exposed here for all settings, of which few are secrets.
    fn last(&self, setting: Setting) -> Option<&str> {
        self.set.iter().rev().find(|set| set.setting == setting).map(|set| set.value.expose())
    }

    fn pair(&self, setting: Setting, name: &str) -> Option<String> {
        let pair = self.set.iter().rev().find(|set| set.setting == setting && set.name == name);
        pair.map(|set| set.value.expose().into())
    }

    fn provider(&self) -> Result<Provider, Refused> {
        let ends = (self.last(Setting::DeviceAuthorizationEndpoint), self.last(Setting::TokenEndpoint));
        let provider: Provider = match (&self.metadata, self.last(Setting::Preset), ends) {
            (Some(metadata), None, (None, None)) => metadata.clone().into(),
            (None, Some(name), (None, None)) => {
                let preset = Preset::find(name).ok_or_else(|| {
                    let known: Vec<_> = Preset::all().iter().map(Preset::name).collect();
                    let text = ["there is no preset of this name, only ", &known.join(", ")].concat();
                    Refused::new(Code::BadConfig, &text)
                })?;
                preset.provider(|need| self.pair(Setting::PresetParameter, need))?
            }
            (None, None, (Some(device_authorization), Some(token))) => Provider::endpoints(device_authorization, token),
            (None, None, (None, None)) => {
                let text = "there is no server: set a preset, or both endpoints, or run a discovery of the issuer";
                return Err(Refused::new(Code::BadConfig, &text));
            }
            _ => {
                let text = "name the server in one way: by a preset, by both endpoints, or by discovery";
                return Err(Refused::new(Code::BadConfig, &text));
            }
        };
        Ok(match self.last(Setting::RevocationEndpoint) {
            Some(url) => provider.revocation_endpoint(url),
            None => provider,
        })
    }

    fn client(&self) -> Result<Arc<device_flow_core::Client>, Refused> {
        let client_id = self.last(Setting::ClientId).unwrap_or_default();
        let builder = device_flow_core::Client::builder(self.provider()?, client_id);
        Ok(Arc::new(self.set.iter().fold(builder, Set::apply).build()?))
    }

    pub(crate) fn discovery(&self) -> Result<Discovery, Refused> {
        let issuer = self.last(Setting::Issuer).unwrap_or_default();
        let builder = Discovery::builder(issuer);
        let allows_http = self.last(Setting::AllowHttpLoopback).is_some();
        Ok(if allows_http { builder.allow_http_loopback() } else { builder }.build()?)
    }
}

impl Set {
    fn apply(builder: ClientBuilder, set: &Self) -> ClientBuilder {
        let (name, value) = (&*set.name, set.value.expose());
        match set.setting {
            // What says which server it is, and who asks.
            Setting::ClientId
            | Setting::DeviceAuthorizationEndpoint
            | Setting::TokenEndpoint
            | Setting::RevocationEndpoint
            | Setting::Preset
            | Setting::PresetParameter
            | Setting::Issuer => builder,
            Setting::Scope => builder.scope(value),
            Setting::ExactScope => builder.exact_scope(),
            Setting::ClientSecret => builder.client_secret(value),
            Setting::ClientSecretBasic => builder.client_secret_basic(value),
            Setting::ClientSecretPost => builder.client_secret_post(value),
            Setting::ClientIdInBody => builder.client_id_in_body(),
            Setting::Audience => builder.audience(value),
            Setting::Resource => builder.resource(value),
            Setting::Language => builder.language(value),
            Setting::CorrelationId => builder.correlation_id(value),
            Setting::Capability => builder.capability(value),
            Setting::AuthorizationDetails => builder.authorization_details(value),
            Setting::DeviceParameter => builder.device_parameter(name, value),
            Setting::TokenParameter => builder.token_parameter(name, value),
            Setting::Pkce => builder.pkce(),
            Setting::PkceIfListed => builder.pkce_if_listed(),
            Setting::TryUnlisted => builder.try_unlisted(),
            Setting::Strict => builder.strict(),
            Setting::AllowHttpLoopback => builder.allow_http_loopback(),
            // It was checked when it was set.
            Setting::MaxAnswer => value.parse().into_iter().fold(builder, ClientBuilder::max_answer),
        }
    }
}

/// An empty configuration.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_config_new(config: *mut *mut Config) -> Code {
    // SAFETY: the caller keeps the contract.
    match unsafe { out_handle(config) } {
        Ok(place) => {
            *place = give(Settings::default());
            Code::Ok
        }
        Err(code) => code,
    }
}

/// Sets one setting, a `DF_SETTING_…`. Its value is checked by `df_client_new`; of what cannot be set twice the last value
/// counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_config_set(
    config: *mut Config,
    setting: u32,
    value: *const c_char,
    value_len: usize,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(config, |config| {
            let setting = Setting::of(setting)?;
            if setting.is_pair() {
                return Err(Refused::new(
                    Code::BadArgument,
                    &"this setting has a name and a value: df_config_set_pair",
                ));
            }
            config.set(setting, "", text(value, value_len)?)
        })
    }
}

/// The same for `DF_SETTING_PRESET_PARAMETER`, `DF_SETTING_DEVICE_PARAMETER` and `DF_SETTING_TOKEN_PARAMETER`, which have a
/// name and a value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_config_set_pair(
    config: *mut Config,
    setting: u32,
    name: *const c_char,
    name_len: usize,
    value: *const c_char,
    value_len: usize,
) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(config, |config| {
            let setting = Setting::of(setting)?;
            if !setting.is_pair() {
                return Err(Refused::new(Code::BadArgument, &"this setting has no name: df_config_set"));
            }
            config.set(setting, text(name, name_len)?, text(value, value_len)?)
        })
    }
}

/// Takes the server's endpoints from a discovery that is done; `DF_CODE_NONE` from any other machine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_config_discovered(config: *mut Config, discovery: *mut Machine) -> Code {
    let mut found = None;
    // SAFETY: the caller keeps the contract.
    unsafe {
        let taken = with(discovery, |discovery| {
            found = Some(discovery.metadata().ok_or(Code::None)?.clone());
            Ok(())
        });
        if taken != Code::Ok {
            return taken;
        }
        with(config, |config| {
            config.metadata = found;
            Ok(())
        })
    }
}

/// Checks the configuration and makes a client of it. On `DF_CODE_BAD_CONFIG`, `df_detail` of the configuration says what
/// to change. The configuration may be used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn df_client_new(config: *mut Config, client: *mut *mut Client) -> Code {
    // SAFETY: the caller keeps the contract.
    unsafe {
        with(config, |config| {
            let place = out_handle(client)?;
            *place = give(config.client()?);
            Ok(())
        })
    }
}
