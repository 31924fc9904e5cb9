//! Owns how settings from three sources become one: a flag takes precedence over the environment, the environment over
//! the profile.
//!
//! A setting has the same value syntax in every source, and [`SignInOptions`] reads them all, with the same checks.

mod key;

pub(crate) use key::Key;

use crate::args::SignInOptions;
use crate::run_error::RunError;
use clap::{ArgMatches, Parser as _};
use key::Group;
use serde::{Deserialize, Serialize};
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
    pub(crate) fn server_name(&self) -> Option<&str> {
        [Key::Issuer, Key::Host, Key::Provider, Key::DeviceEndpoint].into_iter().find_map(|key| self.get(key))
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
        lower.0.extend(self.0);
        lower
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
            environment.remove(Key::GitHost);
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
                Group::Server => !names_server,
                Group::Place | Group::Credential | Group::Request => false,
            });
        }
        if !self.agrees(&profile, &[Key::ClientId]) {
            profile.0.retain(|key, _| key.group() != Group::Credential);
        }
        self.over(profile)
    }

    /// Whether both mean the same server. Settings that name none agree with any; a named one without a host means the
    /// provider's own host.
    pub(crate) fn agrees_on_server(&self, other: &Self) -> bool {
        let both_named = self.names_server() && other.names_server();
        let same_host = match both_named {
            true => self.get(Key::Host) == other.get(Key::Host),
            false => self.agrees(other, &[Key::Host]),
        };
        same_host && self.0.keys().filter(|key| key.group() == Group::Server).all(|key| self.agrees(other, &[*key]))
    }

    /// Whether the other has the same value for each of these keys that is set here.
    fn agrees(&self, other: &Self, keys: &[Key]) -> bool {
        keys.iter().all(|key| self.0.get(key).is_none_or(|values| other.0.get(key) == Some(values)))
    }

    /// The first setting that a sign-in which has begun can no longer change. Where tokens are stored, how the network
    /// is reached and which file holds the client secret may still change.
    pub(crate) fn fixed_by_the_sign_in(&self) -> Option<Key> {
        self.0.keys().copied().find(|key| key.group() != Group::Local && *key != Key::ClientSecretFile)
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

    /// Whether both mean the same tenant and host.
    pub(crate) fn has_same_place(&self, other: &Self) -> bool {
        let is_place = |key: &Key| key.group() == Group::Place;
        Key::ALL.iter().copied().filter(is_place).all(|key| self.get(key) == other.get(key))
    }

    /// The values, checked. `place`: where they were found, for the message.
    pub(crate) fn parse(&self, place: &str) -> Result<SignInOptions, RunError> {
        let words = self.0.iter().flat_map(|(key, values)| values.iter().map(move |value| format!("--{key}={value}")));
        SignInOptions::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            let text = text.lines().next().unwrap_or_default();
            RunError::Usage(format!("{place}: {}", text.strip_prefix("error: ").unwrap_or(text)))
        })
    }
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
