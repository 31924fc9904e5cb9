//! Owns the keys of refresh tokens at Microsoft's servers, which each MSAL spells in its own way.

use super::TokenCache;
use super::entry::Entry;
use super::lookup::OUR_ENDING;
use alloc::string::String;

/// How the key of a refresh token ends, and which `target` makes Python compute the same key, which it does whenever it
/// writes or removes.
///
/// Each MSAL replaces what is under its own key only, and appends its token otherwise. Then Node and Java send the
/// first in the file, which is the replaced one, and Go any of the two; Python and .NET find the right one. No key
/// suits Node, Java and Go at once: so what one of them has written keeps its key, and Node's is the one for a new
/// token.
pub(super) enum Spelling<'a> {
    Node,
    /// .NET's, too.
    Java,
    /// The whole key, which has the host in it that Go was configured with.
    Go(&'a str),
}

impl<'a> Spelling<'a> {
    /// `None` for one that only Python writes, with the scopes at its end.
    fn of(key: &'a str, name: &str) -> Option<Self> {
        let stem = key.trim_end_matches('-');
        let (rest, found) = stem.split_at_checked(stem.len().checked_sub(name.len())?)?;
        let is_whole = found.eq_ignore_ascii_case(name) && rest.ends_with("-refreshtoken-");
        match key.len().saturating_sub(stem.len()) {
            _ if !is_whole => None,
            0 => Some(Self::Go(key)),
            2 => Some(Self::Java),
            3 => Some(Self::Node),
            _ => None,
        }
    }

    pub(super) fn key(&self, stem: &str) -> String {
        let ending = match self {
            Self::Node => OUR_ENDING,
            Self::Java => "--",
            Self::Go(key) => return String::from(*key),
        };
        [&stem.to_lowercase(), ending].concat()
    }

    pub(super) fn target(&self) -> &'static str {
        if matches!(self, Self::Node) { "-" } else { "" }
    }
}

impl TokenCache {
    /// The one of the newest of these refresh tokens, whose client or family has this name.
    pub(super) fn spelling<'a>(&self, older: &[&'a Entry], name: &str) -> Spelling<'a> {
        let beside_node = older.iter().any(|known| known.key().ends_with(OUR_ENDING));
        let found = older.iter().filter_map(|known| {
            let spelling = Spelling::of(known.key(), name)?;
            // Node drops `target`, so that Python writes under Java's key. But Java and .NET write no time.
            let of_python = beside_node && known.written().is_some() && matches!(spelling, Spelling::Java);
            (!of_python).then(|| (self.freshness(known), spelling))
        });
        found.max_by_key(|(freshness, _)| *freshness).map_or(Spelling::Node, |(_, spelling)| spelling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_spelled_in_the_way_of_one_program() {
        let spelled = |key, name| match Spelling::of(key, name) {
            Some(Spelling::Node) => "Node",
            Some(Spelling::Java) => "Java",
            Some(Spelling::Go(whole)) if whole == key => "Go",
            Some(Spelling::Go(_)) | None => "none",
        };
        for (key, name, program) in [
            ("home-host-refreshtoken-app---", "app", "Node"),
            ("home-host-refreshtoken-APP---", "app", "Node"),
            ("home-host-refreshtoken-app--", "App", "Java"),
            ("home-host-refreshtoken-app", "app", "Go"),
            ("home-host-refreshtoken-1---", "1", "Node"),
            // Python's.
            ("home-host-refreshtoken-app--user.read", "app", "none"),
            ("home-host-refreshtoken-app-", "app", "none"),
            ("home-host-refreshtoken-app----", "app", "none"),
            // Another client's, or another kind.
            ("home-host-refreshtoken-pap---", "app", "none"),
            ("home-host-refreshtoken-myapp---", "app", "none"),
            ("home-host-accesstoken-app---", "app", "none"),
            ("app", "app", "none"),
            ("pp", "app", "none"),
        ] {
            assert_eq!(spelled(key, name), program, "{key}");
        }
    }
}
