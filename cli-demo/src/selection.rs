//! Owns which sign-in a run is about: the profile, and the settings of all sources together.

use crate::args::{Global, SignInOptions, StoreName};
use crate::config::{Config, DEFAULT, check_name};
use crate::run_error::RunError;
use crate::session::{HowToSignIn, NO_SERVER, Purpose, Session, Storage, is_stdin};
use crate::settings::{Key, Settings};
use crate::shell::word;
use crate::terminal::Terminal;
use device_flow_tokio::{Client, Failure, SignInReason, SignedIn};
use std::path::Path;
use tracing::info;

/// A profile, if one is used, and everything that is set.
#[derive(Debug)]
pub(crate) struct Selection {
    config: Config,
    /// `None`: all settings come from flags and the environment.
    profile: Option<String>,
    settings: Settings,
}

impl Selection {
    /// What the flags, the environment and the file of profiles say together. A server must be named.
    pub(crate) fn new(global: &Global, flags: Settings, purpose: Purpose) -> Result<Self, RunError> {
        let selection = Self::with_or_without_server(global, flags, purpose)?;
        if selection.settings.names_server() {
            return Ok(selection);
        }
        Err(match purpose {
            Purpose::UseTokens | Purpose::SignOut => {
                selection.require_places()?;
                RunError::SignInNeeded {
                    failure: Box::new(Failure::SignInNeeded(SignInReason::NotSignedIn)),
                    how: "device-flow login SERVER --client-id ID, where SERVER is a URL or a name that `device-flow providers` lists"
                        .to_owned(),
                }
            }
            Purpose::SignIn => RunError::Usage(NO_SERVER.to_owned()),
        })
    }

    /// An error where profiles or tokens cannot be stored at all: nobody knows whether somebody is signed in then.
    pub(crate) fn require_places(&self) -> Result<(), RunError> {
        self.config.require_place()?;
        Ok(Storage::of(&self.options()?.target)?.require_place()?)
    }

    pub(crate) fn with_or_without_server(global: &Global, flags: Settings, purpose: Purpose) -> Result<Self, RunError> {
        let config = Config::load(global.config.as_deref())?;
        let server_by_flags = flags.names_server();
        let (by_flags, environment) = (flags.clone(), Settings::from_environment()?);
        let environment_names_server = environment.names_server();
        let given = flags.over_environment(environment.clone());
        let mut profile = match &global.profile {
            Some(name) => {
                check_name(name)?;
                Some(name.clone())
            }
            None if given.names_server() => matching_profile(&config, &given)?,
            None => config.current().map(str::to_owned),
        };
        let stored = profile.as_deref().map(|name| config.profile(name)).transpose()?.flatten();
        match (&global.profile, &stored) {
            (Some(name), None) if !server_by_flags && (purpose != Purpose::SignIn || !config.has_place()) => {
                return Err(config.no_such(name));
            }
            // A profile that is named on the command line takes precedence over a server in the environment. If the two
            // differ, a token could reach the wrong server, so neither is used.
            (Some(name), Some(stored)) if !server_by_flags && !by_flags.agrees_on_server(stored) => {
                return Err(RunError::Usage(format!(
                    "the flags name another server than profile {name}: leave them out, or name that server as a whole \
                     (--provider, --issuer)"
                )));
            }
            (Some(name), Some(stored)) if !server_by_flags && !given.agrees_on_server(stored) => {
                return Err(RunError::Usage(format!(
                    "the environment (DEVICE_FLOW_…) names another server than profile {name}: unset it, or name the server \
                     by a flag"
                )));
            }
            _ => {}
        }
        let stored = stored.unwrap_or_default();
        let mut settings = given.over_profile(stored.clone());
        let is_other_client = profile.is_some() && !settings.is_about(&stored);
        if purpose == Purpose::SignIn && global.profile.is_none() && is_other_client {
            // A sign-in of another client must not overwrite the profile in use.
            profile = matching_profile(&config, &settings)?;
            let other = profile.as_deref().map(|name| config.profile(name)).transpose()?.flatten();
            settings = settings.over_profile(other.unwrap_or_default());
        }
        settings = settings.over(config.defaults()?);
        if settings.get(Key::TokenFile).is_some() && !settings.stores_in_a_file() {
            let store = settings.get(Key::Store).unwrap_or_default();
            return Err(RunError::Usage(format!(
                "--token-file is for --store file and --store age, not for --store {store}: leave one out"
            )));
        }
        let misplaced: Vec<_> = settings.misplaced().collect();
        for key in misplaced {
            let why = settings.why_misplaced(key);
            let of_environment = environment.get(key).is_some();
            match (&profile, by_flags.get(key).is_some()) {
                (_, true) => return Err(RunError::Usage(why)),
                // Alone it is meant for other servers, as a secret is that stands alone in the environment.
                (_, false) if of_environment && !environment_names_server => {
                    info!("{} in the environment is not for this server", key.variable());
                    settings.remove(key);
                }
                // What an old profile says besides of the server that a flag names.
                (Some(_), false) if server_by_flags && !of_environment => settings.remove(key),
                (_, false) if of_environment => {
                    return Err(RunError::Usage(format!("the environment ({}): {why}", key.variable())));
                }
                (Some(name), false) => {
                    let file = config.place();
                    return Err(RunError::Usage(format!("profile {name} in {file}: {why}. Remove {key} there")));
                }
                (None, false) => return Err(RunError::Usage(why)),
            }
        }
        match &profile {
            Some(name) => info!("profile {name} ({})", config.place()),
            None => info!("no profile is used ({})", config.place()),
        }
        Ok(Self { config, profile, settings })
    }

    /// The name of the profile in use.
    pub(crate) fn current(global: &Global) -> Result<Option<String>, RunError> {
        Ok(Config::load(global.config.as_deref())?.current().map(str::to_owned))
    }

    /// The selection of an earlier run.
    pub(crate) fn resumed(
        config: Option<&Path>,
        profile: Option<String>,
        settings: Settings,
    ) -> Result<Self, RunError> {
        Ok(Self { config: Config::load(config)?, profile, settings })
    }

    /// Every profile of the file.
    pub(crate) fn all(global: &Global) -> Result<Vec<Self>, RunError> {
        let config = Config::load(global.config.as_deref())?;
        config.require_place()?;
        let names: Vec<_> = config.names().map(str::to_owned).collect();
        let one = |name: String| {
            let config = Config::load(global.config.as_deref())?;
            let settings = config.profile(&name)?.unwrap_or_default().over(config.defaults()?);
            Ok(Self { config, profile: Some(name), settings })
        };
        names.into_iter().map(one).collect()
    }

    /// The selection, and its session.
    pub(crate) async fn with_session(
        global: &Global,
        flags: Settings,
        purpose: Purpose,
        terminal: &mut Terminal,
    ) -> Result<(Self, Session), RunError> {
        let selection = Self::new(global, flags, purpose)?;
        let session = selection.open(purpose, terminal).await?;
        Ok((selection, session))
    }

    pub(crate) async fn open(&self, purpose: Purpose, terminal: &mut Terminal) -> Result<Session, RunError> {
        let session = Session::open(self.options()?, self.how_to_sign_in(), purpose, terminal).await?;
        match &self.profile {
            Some(profile) => session.use_slot(profile),
            None if purpose == Purpose::SignIn && self.can_be_saved() => {
                session.use_slot(&self.new_name(&self.config, &session.client())?);
            }
            None => {}
        }
        Ok(session)
    }

    /// The profile that a sign-in without one becomes.
    fn new_name(&self, config: &Config, client: &Client) -> Result<String, RunError> {
        Ok(matching_profile(config, &self.settings)?.unwrap_or_else(|| free_name(config, client)))
    }

    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Whether a sign-in can be saved as a profile.
    pub(crate) fn can_be_saved(&self) -> bool {
        self.config.has_place()
    }

    /// Why it cannot, where it cannot.
    pub(crate) fn why_not_saved(&self) -> Option<&str> {
        self.config.why_no_place()
    }

    /// Before a sign-in: finds out whether a new profile could be saved. Where it could not, as where no home is known, other
    /// commands are given the same options.
    pub(crate) fn try_place(&mut self) -> Result<(), RunError> {
        let is_new = self.profile.as_deref().is_none_or(|name| self.config.names().all(|known| known != name));
        let target = self.options()?.target;
        if is_new && target.store != Some(StoreName::Memory) {
            self.config.try_place();
        }
        Ok(())
    }

    /// An error where it cannot, although the person has named the profile.
    pub(crate) fn require_place_if(&self, named: bool) -> Result<(), RunError> {
        if named { self.config.require_place() } else { Ok(()) }
    }

    /// Makes a profile the current one.
    pub(crate) fn make_current(&self, name: &str) -> Result<(), RunError> {
        self.config.make_current(name)
    }

    /// Where the profiles are stored, for a message.
    pub(crate) fn config_place(&self) -> String {
        self.config.place()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Puts these settings over its own.
    pub(crate) fn put_over(&mut self, flags: &Settings) {
        self.settings = flags.clone().over(std::mem::take(&mut self.settings));
    }

    /// The settings, checked.
    pub(crate) fn options(&self) -> Result<SignInOptions, RunError> {
        self.settings.parse(&match &self.profile {
            Some(name) => format!("profile {name}"),
            None => "this command".to_owned(),
        })
    }

    /// Stores it as a profile, under its name or a new one, unless its tokens end with this run. Returns the name, and that
    /// of the current profile.
    pub(crate) fn remember(
        &self,
        storage: &Storage,
        client: &Client,
        signed_in: &SignedIn,
    ) -> Result<Option<(String, Option<String>)>, RunError> {
        // Without a place for profiles none was named: the options must be repeated.
        if *storage == Storage::Memory || !self.config.has_place() {
            return Ok(None);
        }
        let mut settings = self.settings_for_later().without(&self.config.defaults()?);
        if self.reads_secret_from_stdin() {
            // Without a secret these are usage errors.
            [Key::ClientAuth, Key::ClientIdInBody].into_iter().for_each(|key| settings.remove(key));
        }
        settings.set(Key::Store, [storage.name()]);
        let account = signed_in.account().map(|account| account.raw_home_account_id()).filter(|id| !id.is_empty());
        settings.set(Key::Account, account);
        let choose = |now: &Config| match &self.profile {
            Some(name) => Ok(name.clone()),
            // Another first sign-in may have been stored while this one waited.
            None => self.new_name(now, client),
        };
        Ok(Some(self.config.remember(choose, &settings)?))
    }

    /// The settings as another run can use them: it has another stdin, and may start in another folder.
    pub(crate) fn settings_for_later(&self) -> Settings {
        let mut settings = self.settings.clone();
        if self.reads_secret_from_stdin() {
            settings.remove(Key::ClientSecretFile);
        }
        if self.has_proxy_password() {
            settings.remove(Key::Proxy);
        }
        for key in [
            Key::ClientSecretFile,
            Key::ClientKeyFile,
            Key::ClientCertificate,
            Key::TokenFile,
            Key::CaFile,
            Key::AgeKeyFile,
            Key::AddCaFile,
        ] {
            let absolute =
                settings.get(key).and_then(|path| std::path::absolute(path).ok()?.into_os_string().into_string().ok());
            settings.set(key, absolute);
        }
        settings
    }

    pub(crate) fn reads_secret_from_stdin(&self) -> bool {
        self.settings.get(Key::ClientSecretFile).is_some_and(|file| is_stdin(Path::new(file)))
    }

    /// A password is never written to a file of ours.
    pub(crate) fn has_proxy_password(&self) -> bool {
        let proxy = self.settings.get(Key::Proxy).and_then(|proxy| url::Url::parse(proxy).ok());
        proxy.is_some_and(|url| url.password().is_some() || !url.username().is_empty())
    }

    /// What a person types to sign in.
    pub(crate) fn how_to_sign_in(&self) -> HowToSignIn {
        let command = match &self.profile {
            Some(name) if self.config.current() != Some(name) => format!("device-flow login --profile {}", word(name)),
            Some(_) | None => "device-flow login".to_owned(),
        };
        HowToSignIn { command, with_the_same_options: self.profile.is_none() }
    }
}

/// The profile about the same client of the same server; if there are several, the one in use.
fn matching_profile(config: &Config, given: &Settings) -> Result<Option<String>, RunError> {
    let mut found = None;
    for name in config.current().into_iter().chain(config.names()) {
        let Some(profile) = config.profile(name)?.filter(|profile| given.is_about(profile)) else { continue };
        if profile.has_same_place(given) {
            return Ok(Some(name.to_owned()));
        }
        found = found.or_else(|| Some(name.to_owned()));
    }
    Ok(found)
}

/// A name for a new profile: the first is the default, later ones are named after their server.
fn free_name(config: &Config, client: &Client) -> String {
    let taken = |name: &str| config.names().any(|known| known == name);
    if !taken(DEFAULT) {
        return DEFAULT.to_owned();
    }
    let server = client.authority().environment();
    let host = server.split_once("://").map_or(server, |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '-' };
    let host: String = host.chars().take(48).map(plain).collect();
    let host = Some(host.trim_matches(['-', '.'])).filter(|host| !host.is_empty()).unwrap_or("server").to_owned();
    let numbered = (2..).map(|number: u32| format!("{host}-{number}"));
    std::iter::once(host.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or(host)
}
