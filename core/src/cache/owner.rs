//! Owns whose tokens are whose: server, client and person, and how each of them is compared.

use super::authority::{Authority, AuthorityKind, same_realm};
use super::entry::Entry;
use crate::prompt::is_unsafe;
use alloc::format;
use alloc::string::String;

/// The owner of tokens: a person, for a client, at a server. Tokens of one owner are never found, replaced, removed or
/// refreshed for another.
///
/// Microsoft's servers are compared as every MSAL compares them: letter case does not matter, and a cloud has several
/// names. Everywhere else server, client and person are compared code point by code point, because OAuth says nothing
/// of letter case: `https://as.example/Acme` and `https://as.example/acme` are two servers.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// Who it is.
    pub person: Person<'a>,
    /// The client that the tokens were issued to.
    pub client_id: &'a str,
    /// The server.
    pub authority: &'a Authority,
}

/// The person of an [`Owner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Person<'a> {
    /// As the server names them: [`Account::home_account_id`](super::Account::home_account_id).
    Id(&'a str),
    /// Somebody whom the server does not name. The caller says which slot is meant; two slots are never the same person.
    Slot(&'a str),
}

impl<'a> Person<'a> {
    /// The id; empty for a person without one.
    pub(super) fn id(self) -> &'a str {
        match self {
            Self::Id(id) => id,
            Self::Slot(_) => "",
        }
    }

    /// The slot; empty for a person with an id.
    pub(super) fn slot(self) -> &'a str {
        match self {
            Self::Id(_) => "",
            Self::Slot(slot) => slot,
        }
    }
}

impl Owner<'_> {
    /// A text that is equal for equal owners alone: the name of a lease, or the key of a map. It holds no secret, and is safe
    /// to print.
    ///
    /// ```
    /// use device_flow_core::{Authority, Owner, Person};
    ///
    /// let (authority, upper) = (Authority::at("https://as.example/acme"), Authority::at("https://as.example/Acme"));
    /// let owner = Owner { person: Person::Id("ada"), client_id: "app", authority: &authority };
    /// assert_ne!(owner.key(), Owner { authority: &upper, ..owner }.key());
    /// assert_ne!(owner.key(), Owner { person: Person::Slot("ada"), ..owner }.key());
    /// ```
    #[must_use]
    pub fn key(&self) -> String {
        let (kind, person) = match self.person {
            Person::Id(id) => ("id", id),
            Person::Slot(slot) => ("slot", slot),
        };
        let key = exact_key(&[self.authority.canonical(), self.client_id, kind, person]);
        let key = if self.is_exact() { key } else { key.to_ascii_lowercase() };
        if !key.contains(is_unsafe) {
            return key;
        }
        // Behind a percent sign there was no brace so far, so two owners still have two keys.
        let shown = |c: char| if is_unsafe(c) { format!("%{{{:x}}}", u32::from(c)) } else { String::from(c) };
        key.chars().map(shown).collect()
    }

    /// Whether everything is compared code point by code point.
    pub(super) fn is_exact(&self) -> bool {
        self.authority.kind() == AuthorityKind::Generic
    }

    /// Whether an entry belongs to this person at this server, whatever the client.
    pub(super) fn is_person_of(&self, entry: &Entry) -> bool {
        if !self.authority.knows(entry.environment()) {
            return false;
        }
        match self.person {
            Person::Id(id) => !id.is_empty() && same(self.is_exact(), entry.home(), id),
            // Version 0.1.0 wrote no slots: whoever asks first takes over what it wrote.
            Person::Slot(slot) => entry.home().is_empty() && (!entry.is_exact() || entry.slot() == slot),
        }
    }

    pub(super) fn is_client_of(&self, entry: &Entry) -> bool {
        same(self.is_exact(), entry.client(), self.client_id)
    }

    pub(super) fn is_in_realm_of(&self, entry: &Entry) -> bool {
        same_realm(self.authority.realm(), entry.realm(), self.person.id())
    }

    /// Whether an account is this person's. Those of Microsoft's servers are shared by all clients.
    pub(super) fn is_account_of(&self, entry: &Entry) -> bool {
        self.is_person_of(entry) && (!entry.is_exact() || self.is_client_of(entry))
    }
}

/// Compares two texts, code point by code point or as MSAL does.
pub(super) fn same(exact: bool, one: &str, other: &str) -> bool {
    if exact { one == other } else { one.eq_ignore_ascii_case(other) }
}

/// One text for several, of which no two lists have the same.
pub(super) fn exact_key(parts: &[&str]) -> String {
    let mut key = String::with_capacity(parts.iter().map(|part| part.len().saturating_add(1)).sum());
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            key.push(' ');
        }
        for c in part.chars() {
            match c {
                ' ' => key.push_str("%20"),
                '%' => key.push_str("%25"),
                c => key.push(c),
            }
        }
    }
    key
}

/// Whether this is a key of an exact entry, which begins with the URL of its server. MSAL's begin with an account id.
pub(super) fn is_exact_key(key: &str) -> bool {
    key.starts_with("https://") || key.starts_with("http://")
}
