//! Owns how settings from three sources become one: a flag takes precedence over the environment, the environment over
//! the profile.
//!
//! A setting has the same value syntax in every source, and [`SignInOptions`] reads them all, with the same checks.

mod key;

pub(crate) use key::Key;

use crate::args::SignInOptions;
use crate::run_error::RunError;
use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use device_flow_tokio::Preset;
use key::Group;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use toml_edit::{Array, Item, Table, Value};

/// Settings as they were written, not yet parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings(BTreeMap<Key, Vec<String>>);

impl Settings {
    /// The flags of a sub-command.
    pub(crate) fn from_flags(matches: &ArgMatches) -> Result<Self, RunError> {
        let mut found = Self::default();
        for &key in Key::ALL {
            // An error here says that this sub-command does not have the flag.
            let raw = matches.try_get_raw(&key.name().replace('-', "_")).ok().flatten();
            let values = raw.into_iter().flatten().map(|value| utf8(value.to_owned(), &format!("--{key}")));
            found.set(key, values.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(found)
    }

    /// The variables `DEVICE_FLOW_…`. An empty one counts as unset.
    pub(crate) fn from_environment() -> Result<Self, RunError> {
        let mut found = Self::default();
        for &key in Key::ALL {
            let variable = key.variable();
            let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else { continue };
            let value = utf8(value, variable)?;
            match key.takes_many() {
                true => found.set(key, value.split_whitespace()),
                false => found.set(key, [value]),
            }
        }
        found.parse("the environment (DEVICE_FLOW_…)")?;
        Ok(found)
    }

    /// A table of the file of profiles. `place` names it in messages.
    pub(crate) fn from_profile(place: &str, table: &Table) -> Result<Self, RunError> {
        let mut found = Self::default();
        for (name, item) in table {
            let Some(key) = Key::named(name) else {
                let known = Key::ALL.iter().map(|key| key.name()).collect::<Vec<_>>().join(", ");
                return Err(RunError::Usage(format!("{place} has an unknown key {name:?}. Known keys: {known}")));
            };
            let wrong =
                || RunError::Usage(format!("{place}: the value of {key} must be a string or a list of strings"));
            let value = item.as_value().ok_or_else(wrong)?;
            let values = match value.as_array().filter(|_| key.takes_many()) {
                Some(list) => list.iter().map(text).collect(),
                None => text(value).map(|value| vec![value]),
            };
            found.set(key, values.ok_or_else(wrong)?);
        }
        found.parse(place)?;
        Ok(found)
    }

    /// A table of the file of profiles.
    pub(crate) fn to_profile(&self) -> Table {
        let mut table = Table::new();
        for (key, values) in &self.0 {
            let value = match (&**values, key.takes_many()) {
                ([one], false) => match one.as_str() {
                    "true" => Value::from(true),
                    "false" => Value::from(false),
                    one => Value::from(one),
                },
                (values, _) => Value::Array(values.iter().collect::<Array>()),
            };
            table.insert(key.name(), Item::Value(value));
        }
        table
    }

    /// No values: what is set stays.
    pub(crate) fn set<T: Into<String>>(&mut self, key: Key, values: impl IntoIterator<Item = T>) {
        let values: Vec<_> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.0.insert(key, values);
        }
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.0.remove(&key);
    }

    /// The value, or the first of many.
    pub(crate) fn get(&self, key: Key) -> Option<&str> {
        self.0.get(&key).and_then(|values| values.first()).map(String::as_str)
    }

    /// What a person would call the server, for lists and messages.
    pub(crate) fn server_name(&self) -> Option<String> {
        let name = [Key::Issuer, Key::Host, Key::Provider, Key::DeviceEndpoint].into_iter();
        let mut name = name.into_iter().find_map(|key| self.get(key))?.to_owned();
        for key in Key::ALL.iter().filter(|key| key.tells_servers_apart() && **key != Key::Host) {
            name += &self.get(*key).map_or_else(String::new, |value| format!(", {key} {value}"));
        }
        Some(name)
    }

    /// The preset that `provider` names.
    fn preset(&self) -> Option<&'static Preset> {
        self.get(Key::Provider).and_then(Preset::find)
    }

    /// The value, or the one that the provider takes in its place.
    fn place(&self, key: Key) -> Option<&str> {
        let default = || self.preset()?.needs().iter().find(|need| need.name() == key.name())?.default();
        self.get(key).or_else(default)
    }

    /// The settings that the server which is named here does not take: all that a provider could be told, if none is.
    pub(crate) fn misplaced(&self) -> impl Iterator<Item = Key> {
        let needs = self.preset().map(Preset::needs).unwrap_or_default();
        let places = self.0.keys().copied().filter(|key| key.group() == Group::Place);
        places.filter(|key| !needs.iter().any(|need| need.name() == key.name()))
    }

    /// Why such a setting is refused, and the way out.
    pub(crate) fn why_misplaced(&self, key: Key) -> String {
        let taking = || {
            let takes = |preset: &&Preset| preset.needs().iter().any(|need| need.name() == key.name());
            Preset::all().iter().filter(takes).map(Preset::name).collect::<Vec<_>>().join(", ")
        };
        let Some(preset) = self.preset() else {
            let named = if self.names_server() { "the server is named by its URLs" } else { "no server is named" };
            return format!("--{key} goes with a --provider that takes it ({}), but {named}", taking());
        };
        let flags: Vec<_> = preset.needs().iter().map(|need| format!("--{}", need.name())).collect();
        let takes = match &*flags {
            [] => "which takes no such option".to_owned(),
            flags => format!("which takes {}", flags.join(", ")),
        };
        let mut text = format!("--{key} is not for --provider {}, {takes}", preset.name());
        let choices = preset.needs().iter().flat_map(|need| need.choices().iter().map(move |choice| (need, choice)));
        let value = self.get(key).unwrap_or_default();
        if let Some((need, (word, _))) = choices.into_iter().find(|(_, (_, host))| host.eq_ignore_ascii_case(value)) {
            text += &format!(": for {value} write --{} {word}", need.name());
        }
        text
    }

    /// These settings, and from `lower` what they leave open.
    pub(crate) fn over(self, mut lower: Self) -> Self {
        if self.names_server() && lower.names_server() && !self.agrees_on_server(&lower) {
            lower.0.retain(|key, _| !matches!(key.group(), Group::Server | Group::Place));
        }
        if self.0.contains_key(&Key::TokenFile) && !self.0.contains_key(&Key::Store) {
            // Naming a token file chooses the file store.
            lower.remove(Key::Store);
        }
        if self.0.contains_key(&Key::Store) && !self.0.contains_key(&Key::TokenFile) && !self.stores_in_a_file() {
            lower.remove(Key::TokenFile);
        }
        lower.0.extend(self.0);
        lower
    }

    /// Whether tokens go into a file: a token file alone says so, too.
    pub(crate) fn stores_in_a_file(&self) -> bool {
        self.get(Key::Store)
            .map_or_else(|| self.get(Key::TokenFile).is_some(), |store| store == "file" || store == "age")
    }

    /// These settings over the environment. A secret there is for the client and the server that are named there, if
    /// any are.
    pub(crate) fn over_environment(self, mut environment: Self) -> Self {
        let other_server = environment.names_server() && !self.agrees_on_server(&environment);
        let other_client = environment.0.contains_key(&Key::ClientId) && !self.agrees(&environment, &[Key::ClientId]);
        if other_server || other_client {
            environment.0.retain(|key, _| key.group() != Group::Credential);
        }
        if other_server {
            [Key::GitHost, Key::TokenHost, Key::TokenUsername].into_iter().for_each(|key| environment.remove(key));
        }
        self.over(environment)
    }

    /// These settings over a profile. A profile is about one client of one server: nothing that it says of this client
    /// may reach another server, and its secret may reach no other client.
    pub(crate) fn over_profile(self, mut profile: Self) -> Self {
        if !self.agrees_on_server(&profile) {
            let names_server = self.0.keys().any(|key| key.group() == Group::Server);
            profile.0.retain(|key, _| match key.group() {
                Group::Local => true,
                // Another realm on the same host, for example.
                Group::Server | Group::Place => !names_server,
                Group::Credential | Group::Request => false,
            });
        }
        if !self.agrees(&profile, &[Key::ClientId]) {
            profile.0.retain(|key, _| key.group() != Group::Credential);
        }
        self.over(profile)
    }

    /// Whether both mean the same server. Settings that name none agree with any; a named one without a host, or what else
    /// it could be told, means the provider's default.
    pub(crate) fn agrees_on_server(&self, other: &Self) -> bool {
        let both_named = self.names_server() && other.names_server();
        let same_place = Key::ALL.iter().copied().filter(|key| key.tells_servers_apart()).all(|key| match both_named {
            true => self.place(key) == other.place(key),
            false => self.agrees(other, &[key]),
        });
        same_place && self.0.keys().filter(|key| key.group() == Group::Server).all(|key| self.agrees(other, &[*key]))
    }

    /// Whether the other has the same value for each of these keys that is set here.
    fn agrees(&self, other: &Self, keys: &[Key]) -> bool {
        keys.iter().all(|key| self.0.get(key).is_none_or(|values| other.0.get(key) == Some(values)))
    }

    /// The first setting that a sign-in which has begun can no longer change. Where tokens are stored, how the network
    /// is reached and which files hold the client's secret, key or certificate may still change.
    pub(crate) fn fixed_by_the_sign_in(&self) -> Option<Key> {
        let is_file = |key| matches!(key, Key::ClientSecretFile | Key::ClientKeyFile | Key::ClientCertificate);
        self.0.keys().copied().find(|key| key.group() != Group::Local && !is_file(*key))
    }

    /// The first setting that says which sign-in is meant, or where its tokens are.
    pub(crate) fn about_a_sign_in(&self) -> Option<Key> {
        self.0
            .keys()
            .copied()
            .find(|key| key.group() != Group::Local || matches!(key, Key::Store | Key::TokenFile | Key::AgeKeyFile))
    }

    /// The first setting that is about one sign-in and not about this computer. Two sign-ins do not share a token file by
    /// default.
    pub(crate) fn of_one_sign_in(&self) -> Option<Key> {
        self.0.keys().copied().find(|key| !Self::is_local(*key))
    }

    /// The names of all others, for a message.
    pub(crate) fn local_names() -> String {
        let local = Key::ALL.iter().filter(|key| Self::is_local(**key)).map(|key| key.name());
        local.collect::<Vec<_>>().join(", ")
    }

    fn is_local(key: Key) -> bool {
        key.group() == Group::Local && key != Key::TokenFile
    }

    /// Without what the defaults say anyway and may say differently tomorrow. Where the tokens are is no such thing.
    pub(crate) fn without(mut self, defaults: &Self) -> Self {
        let stays = |key: &Key| matches!(key, Key::Store | Key::AgeKeyFile);
        self.0.retain(|key, values| stays(key) || defaults.0.get(key) != Some(values));
        self
    }

    pub(crate) fn names_server(&self) -> bool {
        [Key::Provider, Key::Issuer, Key::DeviceEndpoint].iter().any(|key| self.0.contains_key(key))
    }

    /// Whether a profile is about the same client of the same server.
    pub(crate) fn is_about(&self, profile: &Self) -> bool {
        self.agrees_on_server(profile) && self.agrees(profile, &[Key::ClientId, Key::Tenant])
    }

    /// What tells apart sign-ins whose tokens would replace each other.
    pub(crate) fn of_client_and_store(&self) -> Vec<(Key, &[String])> {
        let counts = |key: Key| {
            matches!(key.group(), Group::Server | Group::Place)
                || [Key::ClientId, Key::Store, Key::TokenFile].contains(&key)
        };
        self.0.iter().filter(|(key, _)| counts(**key)).map(|(key, values)| (*key, &**values)).collect()
    }

    /// Whether both mean the same tenant, host, realm and so on.
    pub(crate) fn has_same_place(&self, other: &Self) -> bool {
        let is_place = |key: &Key| key.group() == Group::Place;
        Key::ALL.iter().copied().filter(is_place).all(|key| self.place(key) == other.place(key))
    }

    /// The values, checked. `place`: where they were found, for the message.
    pub(crate) fn parse(&self, place: &str) -> Result<SignInOptions, RunError> {
        let words = self.0.iter().flat_map(|(key, values)| values.iter().map(move |value| format!("--{key}={value}")));
        parsed(words).map_err(|error| {
            let text = error.to_string();
            let text = text.lines().next().unwrap_or_default();
            RunError::Usage(format!("{place}: {}", text.strip_prefix("error: ").unwrap_or(text)))
        })
    }
}

thread_local! {
    /// The definition of the options, put together once.
    static OPTIONS: RefCell<Command> = RefCell::new(SignInOptions::command());
}

fn parsed(words: impl IntoIterator<Item = String>) -> Result<SignInOptions, clap::Error> {
    let matches = OPTIONS.with_borrow_mut(|options| options.try_get_matches_from_mut(words))?;
    SignInOptions::from_arg_matches(&matches)
}

/// A value of a profile as it would be written on the command line.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.value().clone()),
        Value::Boolean(yes) => Some(yes.value().to_string()),
        Value::Integer(number) => Some(number.value().to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_) => None,
    }
}

fn utf8(value: OsString, name: &str) -> Result<String, RunError> {
    value.into_string().map_err(|value| RunError::Usage(format!("{name}: {value:?} is not UTF-8")))
}

#[cfg(test)]
mod tests;
