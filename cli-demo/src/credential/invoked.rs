//! Owns the names by which other programs start this one, since they say by name, and not by option, what they want.

use super::cargo;
use std::ffi::OsString;
use std::path::Path;

/// The command line as if a person had typed it.
pub(crate) struct Invocation {
    pub(crate) words: Vec<OsString>,
    /// Cargo reads its own format only, for mistakes, too.
    pub(crate) by_cargo: bool,
}

pub(crate) fn invocation() -> Invocation {
    let mut words: Vec<_> = std::env::args_os().collect();
    let name = words.first().and_then(|first| Path::new(first).file_stem()?.to_str()).unwrap_or_default();
    if let Some(meant) = meant_by(name) {
        words.splice(..1, meant.into_iter().map(OsString::from));
    }
    // Cargo adds it as the last word. Behind `--` it would be a word of the command of `run`.
    let by_cargo =
        words.len() > 1 && words.last().is_some_and(|word| word == "--cargo-plugin") && !words.contains(&"--".into());
    if by_cargo {
        words = cargo::words(&words);
    }
    Invocation { words, by_cargo }
}

/// `docker-credential-device-flow`, or `docker-credential-device-flow-work` for the profile work.
fn meant_by(name: &str) -> Option<Vec<String>> {
    let helpers = [
        ("docker-credential-device-flow", "docker"),
        ("npm-token-device-flow", "npm"),
        ("cargo-credential-device-flow", "cargo"),
    ];
    let word = |word: &str| word.to_owned();
    if name == "keyring" {
        return Some(vec![word("device-flow"), word("credential"), word("keyring")]);
    }
    helpers.into_iter().find_map(|(prefix, helper)| {
        let rest = name.strip_prefix(prefix)?;
        let mut words = vec![word("device-flow")];
        match rest.strip_prefix('-') {
            Some(profile) if !profile.is_empty() => words.push(format!("--profile={profile}")),
            _ if rest.is_empty() => {}
            _ => return None,
        }
        words.extend([word("credential"), word(helper)]);
        Some(words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_wanted_and_for_which_profile() {
        let meant = |name| meant_by(name).map(|words| words.join(" "));
        for (name, words) in [
            ("docker-credential-device-flow", Some("device-flow credential docker")),
            ("docker-credential-device-flow-work", Some("device-flow --profile=work credential docker")),
            ("docker-credential-device-flow-a-b", Some("device-flow --profile=a-b credential docker")),
            ("npm-token-device-flow", Some("device-flow credential npm")),
            ("npm-token-device-flow-work", Some("device-flow --profile=work credential npm")),
            ("cargo-credential-device-flow", Some("device-flow credential cargo")),
            ("keyring", Some("device-flow credential keyring")),
            ("device-flow", None),
            ("docker-credential-device-flow-", None),
            ("docker-credential-device-flows", None),
            ("keyrings", None),
            ("", None),
        ] {
            assert_eq!(meant(name).as_deref(), words, "{name}");
        }
    }
}
