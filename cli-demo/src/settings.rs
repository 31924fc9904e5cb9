//! Owns how what is set in three places becomes one: a flag goes before the environment, that before the profile.
//!
//! Each place is a list of words, which one definition reads ([`Target`], [`Network`]): what can be written as a flag can stand
//! in the environment and in a profile, with the same checks.

use crate::args::{GitHosts, Network, Target};
use crate::end::End;
use clap::{ArgAction, ArgMatches, CommandFactory as _, Parser};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use toml_edit::{Array, Item, Table, Value};

/// What is set, by the name of its flag, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings(BTreeMap<String, Vec<String>>);

/// What the settings say.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(crate) struct Said {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) network: Network,
    #[command(flatten)]
    pub(crate) hosts: GitHosts,
}

/// They name a server together: who names one sets aside what else was said of it.
const SERVER: [&str; 5] = ["provider", "issuer", "device-endpoint", "token-endpoint", "revocation-endpoint"];
const PLACE: [&str; 2] = ["tenant", "host"];
/// Of a profile for another server only these are of use.
const ANYWHERE: [&str; 6] = ["store", "token-file", "ca-file", "proxy", "connect-timeout", "request-timeout"];
/// They belong to one client.
const SECRET: [&str; 4] = ["client-secret-file", "client-auth", "client-id-in-body", "account"];

impl Settings {
    /// The flags of a sub-command.
    pub(crate) fn of_flags(matches: &ArgMatches) -> Result<Self, End> {
        let mut found = Self::default();
        for (name, _) in definitions() {
            let raw = matches.try_get_raw(&name.replace('-', "_")).ok().flatten();
            let values = raw.into_iter().flatten().map(|value| text(value.to_owned(), &format!("--{name}")));
            let values = values.collect::<Result<_, _>>()?;
            found.set(name, values);
        }
        Ok(found)
    }

    /// The variables `DEVICE_FLOW_…`. An empty one counts as unset.
    pub(crate) fn of_environment() -> Result<Self, End> {
        let mut found = Self::default();
        for (name, many) in definitions() {
            let variable = format!("DEVICE_FLOW_{}", name.replace('-', "_").to_ascii_uppercase());
            let Some(value) = std::env::var_os(&variable).filter(|value| !value.is_empty()) else { continue };
            let value = text(value, &variable)?;
            let words = if many { value.split_whitespace().map(str::to_owned).collect() } else { vec![value] };
            found.set(name, words);
        }
        found.parse("the environment (DEVICE_FLOW_…)")?;
        Ok(found)
    }

    /// A table of the file of profiles.
    pub(crate) fn of_profile(place: &str, table: &Table) -> Result<Self, End> {
        let mut found = Self::default();
        let known = definitions();
        for (key, item) in table {
            let Some((name, many)) = known.iter().find(|(name, _)| name == key) else {
                let near = known.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(End::Usage(format!("{place} has an unknown key {key:?}; known are: {near}")));
            };
            let wrong = || End::Usage(format!("{place}: the value of {key} is neither a text nor a list of texts"));
            let one = |value: &Value| match value {
                Value::String(text) => Ok(text.value().clone()),
                Value::Boolean(yes) => Ok(yes.value().to_string()),
                Value::Integer(number) => Ok(number.value().to_string()),
                Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_) => Err(wrong()),
            };
            let value = item.as_value().ok_or_else(wrong)?;
            let values = match value.as_array().filter(|_| *many) {
                Some(list) => list.iter().map(one).collect::<Result<_, _>>()?,
                None => vec![one(value)?],
            };
            found.set(name.clone(), values);
        }
        found.parse(place)?;
        Ok(found)
    }

    /// As a table of the file of profiles.
    pub(crate) fn to_profile(&self) -> Table {
        let mut table = Table::new();
        let known = definitions();
        for (key, values) in &self.0 {
            let many = known.iter().any(|(name, many)| name == key && *many);
            let value = match (&**values, many) {
                ([one], false) => match one.as_str() {
                    "true" => Value::from(true),
                    "false" => Value::from(false),
                    one => Value::from(one),
                },
                (values, _) => Value::Array(values.iter().collect::<Array>()),
            };
            table.insert(key, Item::Value(value));
        }
        table
    }

    pub(crate) fn set(&mut self, name: String, values: Vec<String>) {
        if !values.is_empty() {
            self.0.insert(name, values);
        }
    }

    /// Whether each says of the place in a server what the other says.
    pub(crate) fn is_in_same_place(&self, other: &Self) -> bool {
        PLACE.iter().all(|name| self.get(name) == other.get(name))
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Of one value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    /// These before those.
    pub(crate) fn over(self, mut lower: Self) -> Self {
        if self.names_server() && lower.names_server() && !self.agrees_on_server(&lower) {
            lower.0.retain(|name, _| !SERVER.contains(&&**name) && !PLACE.contains(&&**name));
        }
        if self.0.contains_key("token-file") && !self.0.contains_key("store") {
            // A file is named, so a file is meant.
            lower.remove("store");
        }
        lower.0.extend(self.0);
        lower
    }

    /// These before the environment. A secret there belongs to the client there, if it names one, and to the server there.
    pub(crate) fn over_environment(self, mut environment: Self) -> Self {
        let other_server = environment.names_server() && !self.agrees_on_server(&environment);
        let other_client = environment.0.contains_key("client-id") && !self.agrees(&environment, &["client-id"]);
        if other_server || other_client {
            environment.0.retain(|name, _| !SECRET.contains(&&**name));
        }
        if other_server {
            environment.remove("git-host");
        }
        self.over(environment)
    }

    /// These before a profile. It is about one client of one server: what it says of that client goes to no other server, and
    /// its secret to no other client.
    pub(crate) fn over_profile(self, mut profile: Self) -> Self {
        if !self.agrees_on_server(&profile) {
            let names_server = SERVER.iter().any(|name| self.0.contains_key(*name));
            profile.0.retain(|name, _| ANYWHERE.contains(&&**name) || !names_server && SERVER.contains(&&**name));
        }
        if !self.agrees(&profile, &["client-id"]) {
            profile.0.retain(|name, _| !SECRET.contains(&&**name));
        }
        self.over(profile)
    }

    /// Where no server is named, every one is meant; where one is named without a host, it is the one without a host.
    pub(crate) fn agrees_on_server(&self, other: &Self) -> bool {
        let whole = self.names_server() && other.names_server();
        let host = if whole { self.get("host") == other.get("host") } else { self.agrees(other, &["host"]) };
        host && self.agrees(other, &SERVER)
    }

    /// Whether the other says the same of all of these that are set here.
    fn agrees(&self, other: &Self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.get(*name).is_none_or(|values| other.0.get(*name) == Some(values)))
    }

    /// The first that says more than where tokens are kept, how the network is reached and what the client secret is: what a
    /// sign-in that has begun cannot change any more.
    pub(crate) fn about_the_sign_in(&self) -> Option<&str> {
        let free = |name: &str| ANYWHERE.contains(&name) || name == "client-secret-file";
        self.0.keys().map(String::as_str).find(|name| !free(name))
    }

    /// Whether a server is named.
    pub(crate) fn names_server(&self) -> bool {
        ["provider", "issuer", "device-endpoint"].iter().any(|name| self.0.contains_key(*name))
    }

    /// Whether a profile is about the same client of the same server.
    pub(crate) fn is_about(&self, profile: &Self) -> bool {
        self.agrees_on_server(profile) && self.agrees(profile, &["client-id", "tenant"])
    }

    /// What they say. `place`: where they were found, for the message.
    pub(crate) fn parse(&self, place: &str) -> Result<Said, End> {
        let words =
            self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| format!("--{name}={value}")));
        Said::try_parse_from(words).map_err(|error| {
            let text = error.to_string();
            let text = text.lines().next().unwrap_or_default();
            End::Usage(format!("{place}: {}", text.strip_prefix("error: ").unwrap_or(text)))
        })
    }
}

/// The names of all flags, and whether they take many values.
fn definitions() -> Vec<(String, bool)> {
    let command = Said::command();
    let flag = |arg: &clap::Arg| Some((arg.get_long()?.to_owned(), matches!(arg.get_action(), ArgAction::Append)));
    command.get_arguments().filter_map(flag).collect()
}

fn text(value: OsString, name: &str) -> Result<String, End> {
    value.into_string().map_err(|value| End::Usage(format!("{name}: {value:?} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(words: &[(&str, &str)]) -> Settings {
        Settings(words.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect())
    }

    #[test]
    fn who_names_another_server_sets_aside_what_was_said_of_the_first() {
        let lower =
            || settings(&[("provider", "entra"), ("tenant", "contoso.com"), ("scope", "mail"), ("store", "file")]);
        let flags = || settings(&[("issuer", "https://b.example")]);
        let over = settings(&[("issuer", "https://b.example"), ("scope", "mail"), ("store", "file")]);
        assert_eq!(flags().over(lower()), over);
        // Of a profile nothing about the client is left.
        assert_eq!(flags().over_profile(lower()), settings(&[("issuer", "https://b.example"), ("store", "file")]));
        // The same server keeps its tenant, and a tenant alone is another place in it.
        assert_eq!(settings(&[("provider", "entra")]).over_profile(lower()), lower());
        assert_eq!(settings(&[("tenant", "x")]).over_profile(lower()).get("tenant"), Some("x"));
        // A host alone goes with the provider from below.
        let host = settings(&[("host", "git.example.com")]);
        assert_eq!(settings(&[("provider", "gitlab")]).over(host).get("host"), Some("git.example.com"));
    }

    // A secret goes to no other client, and to no other server.
    #[test]
    fn f14_a_secret_stays_with_its_client_and_server() {
        let secret =
            [("issuer", "https://a.example"), ("client-id", "a"), ("client-secret-file", "s"), ("git-host", "g")];
        let gone = |over: Settings| over.get("client-secret-file").is_none();
        for flags in [
            &[("issuer", "https://b.example")][..],
            &[("client-id", "b")],
            &[("issuer", "https://b.example"), ("client-id", "b")],
            &[("provider", "github")],
        ] {
            assert!(gone(settings(flags).over_environment(settings(&secret))), "{flags:?}");
            assert!(gone(settings(flags).over_profile(settings(&secret))), "{flags:?}");
        }
        assert!(settings(&[("provider", "github")]).over_environment(settings(&secret)).get("git-host").is_none());
        for flags in [&[("issuer", "https://a.example")][..], &[("client-id", "a")], &[("scope", "mail")], &[]] {
            assert!(!gone(settings(flags).over_environment(settings(&secret))), "{flags:?}");
            assert!(!gone(settings(flags).over_profile(settings(&secret))), "{flags:?}");
        }
        // A secret that stands alone in the environment is for the client that the flags name.
        let alone = settings(&[("client-secret-file", "s")]);
        assert!(!gone(settings(&[("issuer", "https://b.example"), ("client-id", "b")]).over_environment(alone)));
    }

    #[test]
    fn a_provider_without_a_host_is_the_one_without_a_host() {
        let of_company = settings(&[("provider", "github"), ("host", "ghe.example.com"), ("client-id", "a")]);
        let public = settings(&[("provider", "github")]);
        assert!(!public.is_about(&of_company));
        assert!(public.over_profile(of_company).get("host").is_none());
    }

    #[test]
    fn a_named_file_is_where_the_tokens_are() {
        let over = settings(&[("token-file", "t.json")]).over_profile(settings(&[("store", "keyring")]));
        assert_eq!((over.get("token-file"), over.get("store")), (Some("t.json"), None));
    }
}
