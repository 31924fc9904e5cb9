//! Owns the account: what a program may know and show about a person who is signed in.

use super::authority::home_tenant;
use super::entry::{Entry, Kind};
use super::{Person, TokenCache};
use crate::prompt::{harmless, printable};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A person who has signed in. Nothing in it is a secret. All of it came from the server: its texts are safe to print, and
/// those to compare by are called `raw_…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    raw: Texts,
    /// As they may be shown, where some may not be shown as they came.
    shown: Option<Box<Texts>>,
}

/// All texts one after the other, so that a thousand accounts are a thousand allocations.
#[derive(Clone, PartialEq, Eq)]
struct Texts {
    text: Box<str>,
    /// Where each ends.
    ends: [usize; 8],
}

impl Texts {
    fn new(texts: [&str; 8]) -> Self {
        let mut text = String::with_capacity(texts.iter().map(|text| text.len()).sum());
        let ends = texts.map(|part| {
            text.push_str(part);
            text.len()
        });
        Self { text: text.into_boxed_str(), ends }
    }

    fn part(&self, index: usize) -> &str {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| *end);
        self.ends.get(index).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
    }
}

impl Account {
    fn new(texts: [&str; 8]) -> Self {
        let raw = Texts::new(texts);
        let shown = match harmless(&raw.text) {
            Cow::Borrowed(_) => None,
            Cow::Owned(_) => Some(Box::new(Texts::new(texts.map(harmless).each_ref().map(|text| &**text)))),
        };
        Self { raw, shown }
    }

    pub(super) fn of(entry: &Entry) -> Self {
        let (person, names) = ([entry.home(), entry.local()], [entry.username(), entry.name()]);
        let place =
            [entry.environment(), entry.realm(), entry.slot(), if entry.is_exact() { entry.client() } else { "" }];
        let ([home, local], [username, name], [environment, realm, slot, client]) = (person, names, place);
        Self::new([home, local, username, name, environment, realm, slot, client])
    }

    fn shown(&self, index: usize) -> &str {
        self.shown.as_deref().unwrap_or(&self.raw).part(index)
    }

    /// The id of the person at this server: `uid.utid` with Microsoft, the subject of the ID token elsewhere; empty
    /// when the server sent neither, so that the [slot](Self::slot) says who it is.
    #[must_use]
    pub fn home_account_id(&self) -> &str {
        self.shown(0)
    }

    /// The same as it came, to compare: not safe to print.
    #[must_use]
    pub fn raw_home_account_id(&self) -> &str {
        self.raw.part(0)
    }

    /// The id of the person in this realm.
    #[must_use]
    pub fn local_account_id(&self) -> &str {
        self.shown(1)
    }

    /// The same as it came, to compare: not safe to print.
    #[must_use]
    pub fn raw_local_account_id(&self) -> &str {
        self.raw.part(1)
    }

    /// The name that the person knows, such as `ada@example.com`; empty when the server did not send it. To show, never
    /// to decide by.
    #[must_use]
    pub fn username(&self) -> &str {
        self.shown(2)
    }

    /// The same as it came, to compare: not safe to print.
    #[must_use]
    pub fn raw_username(&self) -> &str {
        self.raw.part(2)
    }

    /// A name to show, safe to print: the user name, else the home account id; empty when there is neither.
    #[must_use]
    pub fn label(&self) -> Box<str> {
        printable(if self.raw_username().is_empty() { self.raw_home_account_id() } else { self.raw_username() })
    }

    /// Who it is, for an [`Owner`](super::Owner): with the id, or slot, as it came.
    #[must_use]
    pub fn person(&self) -> Person<'_> {
        match self.raw_home_account_id() {
            "" => Person::Slot(self.slot()),
            id => Person::Id(id),
        }
    }

    /// The slot of a person whom the server does not name ([`SignInRequest::slot`](crate::SignInRequest::slot)); else
    /// empty. It is the caller's text, as the caller wrote it.
    #[must_use]
    pub fn slot(&self) -> &str {
        self.raw.part(6)
    }

    /// The client that the person signed in to; `None` where all clients share an account, as with Microsoft's servers.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        Some(self.shown(7)).filter(|client| !client.is_empty())
    }

    /// The full name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        Some(self.shown(3)).filter(|name| !name.is_empty())
    }

    /// The server, as the writer of the cache names it. Compare it with [`Authority::knows`](super::Authority::knows),
    /// since other spellings may mean the same server.
    #[must_use]
    pub fn environment(&self) -> &str {
        self.shown(4)
    }

    /// The same as it came, to compare: not safe to print.
    #[must_use]
    pub fn raw_environment(&self) -> &str {
        self.raw.part(4)
    }

    /// The tenant; empty for a server without tenants.
    #[must_use]
    pub fn realm(&self) -> &str {
        self.shown(5)
    }

    /// The same as it came, to compare: not safe to print.
    #[must_use]
    pub fn raw_realm(&self) -> &str {
        self.raw.part(5)
    }

    /// The tenant that the person belongs to, when the home account id contains it.
    #[must_use]
    pub fn home_tenant(&self) -> Option<&str> {
        Some(home_tenant(self.home_account_id())).filter(|tenant| !tenant.is_empty())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("home_account_id", &self.home_account_id())
            .field("local_account_id", &self.local_account_id())
            .field("username", &self.username())
            .field("name", &self.name())
            .field("environment", &self.environment())
            .field("realm", &self.realm())
            .field("slot", &self.slot())
            .field("client_id", &self.client_id())
            .finish()
    }
}

impl TokenCache {
    /// All accounts that are signed in, in the order of the file. A person in several realms of one server, or under
    /// several names of it, is one account: that of the home tenant if there is one, else the first.
    #[must_use]
    pub fn accounts(&self) -> Vec<Account> {
        // By hash of the home account id, so that one person's entries are neighbours.
        let place = |place: u32| usize::try_from(place).ok().and_then(|place| self.entries.get(place));
        let listed = self.index.iter().filter_map(|(_, at)| Some((*at, place(*at)?)));
        let mut found: Vec<(u32, u32, &Entry)> = Vec::new();
        let mut same_hash = 0;
        for (at, entry) in listed.filter(|(_, entry)| entry.kind == Kind::Account) {
            if found.get(same_hash).is_some_and(|(_, _, other)| other.home_hash != entry.home_hash) {
                same_hash = found.len();
            }
            let neighbours = found.get_mut(same_hash..).unwrap_or_default();
            let same = neighbours.iter_mut().find(|(_, _, other)| {
                other.is_of_same_person(entry) && (!entry.is_exact() || other.is_of_same_client(entry))
            });
            match same {
                None => found.push((at, at, entry)),
                Some((_, chosen, other)) if !is_home(other) && is_home(entry) => (*chosen, *other) = (at, entry),
                Some(_) => {}
            }
        }
        found.sort_unstable_by_key(|(first, ..)| *first);
        found.into_iter().map(|(_, _, entry)| Account::of(entry)).collect()
    }

    /// The account with this user name (without regard to case), if there is exactly one.
    #[must_use]
    pub fn account(&self, username: &str) -> Option<Account> {
        let mut named =
            self.accounts().into_iter().filter(|account| account.raw_username().eq_ignore_ascii_case(username));
        named.next().filter(|_| named.next().is_none())
    }
}

fn is_home(entry: &Entry) -> bool {
    home_tenant(entry.home()).eq_ignore_ascii_case(entry.realm())
}
