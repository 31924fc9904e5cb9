//! The binary where tokens cannot be kept, cannot be replaced, or are refused; and where a server's endpoints have
//! moved since they were remembered.
#![cfg(unix)]

mod lost;
mod moved;
mod refused;
mod site;

use crate::program::ended;
use site::{Person, json};
use std::process::Command;

/// The command with this environment instead of a home.
fn without_home(person: &Person, line: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = person.command(line);
    command.env_remove("HOME");
    for (name, value) in variables {
        command.env(name, value.replace("HERE", person.home.path().to_str().unwrap()));
    }
    command
}

const NEED_A_PLACE: [&str; 17] = [
    "token",
    "token --no-refresh",
    "token --id-token",
    "token --profile work",
    "status",
    "refresh",
    "refresh --profile work",
    "logout",
    "logout --no-revoke",
    "logout --all",
    "logout --profile work",
    "login --resume",
    "credential git get",
    "credential git erase",
    "credential kubernetes",
    "token --provider github --client-id x --store file",
    "status --provider github --client-id x",
];

/// Those that need the file of profiles, and nothing else.
const NEED_PROFILES: [&str; 4] = ["list", "use work", "login --profile work", "discover --profile work"];

#[test]
fn k14_without_a_home_there_is_no_place_for_tokens_and_nobody_is_said_to_be_signed_out() {
    let person = Person::new();
    for variables in [
        &[][..],
        &[("HOME", "")],
        &[("HOME", "home")],
        &[("HOME", "./x"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "")],
        &[("XDG_CONFIG_HOME", "HERE")],
        &[("HOME", "relative"), ("XDG_CONFIG_HOME", "HERE")],
        &[("HOME", "/dev/null")],
    ] {
        let has_profiles = variables.iter().any(|(_, value)| value.contains("HERE"));
        for line in NEED_A_PLACE.iter().chain(NEED_PROFILES.iter().filter(|_| !has_profiles)) {
            if has_profiles && line.contains("--profile work") {
                continue;
            }
            let (exit, stdout, stderr) = ended(&mut without_home(&person, line, variables));
            assert_eq!((exit, &*stdout), (8, ""), "{line} {variables:?}: {stderr}");
            let told = stderr.contains("no place for") || variables.contains(&("HOME", "/dev/null"));
            assert!(told && stderr.contains("HOME"), "{line} {variables:?}: {stderr}");
            assert!(!stderr.to_lowercase().contains("nobody") && !stderr.contains("yet"), "{line}: {stderr}");
        }
    }
    // Only the folder of tokens is known, and the profiles would have to say whose.
    for line in ["token", "status", "logout", "list", "refresh"] {
        let (exit, _, stderr) = ended(&mut without_home(&person, line, &[("XDG_STATE_HOME", "HERE")]));
        assert!(exit == 8 && stderr.contains("no place for tokens and profiles"), "{line}: {stderr}");
    }
    let (exit, stdout, _) = ended(&mut without_home(&person, "doctor --store file", &[]));
    assert!(exit == 8 && stdout.contains("fail  profile     there is no place for profiles"), "{stdout}");
    let (exit, stdout, _) = ended(without_home(&person, "token", &[]).arg("--json"));
    let error = json(&stdout);
    assert_eq!((exit, &error["code"], &error["exit"]), (8, &"storage".into(), &8.into()));
}

#[test]
fn k14_what_needs_no_place_works_without_a_home() {
    let (person, server) = (Person::new(), device_flow_testkit::rotating::Rotating::new(3_600));
    for line in ["completions bash", "man", "discover --provider github", "demo --yes --interval 1s"] {
        let (exit, _, stderr) = ended(&mut without_home(&person, line, &[]));
        assert_eq!(exit, 0, "{line}: {stderr}");
    }
    // Everything is named.
    let file = person.home.path().join("tokens.json");
    let at = format!("{} --token-file {}", site::at(&server), file.display());
    let (exit, _, stderr) = ended(&mut without_home(&person, &format!("login {at}"), &[]));
    assert_eq!(exit, 0, "{stderr}");
    let note: String = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(note.contains("options were not saved as a profile"), "{stderr}");
    let (exit, stdout, stderr) = ended(&mut without_home(&person, &format!("token {at}"), &[]));
    assert_eq!((exit, &*stdout, &*stderr), (0, "AT-canary-1\n", ""));
    // A profile that is named could not be saved, which matters only to stored tokens.
    let asked = server.requests();
    let named = format!("login --profile work --force {at}");
    let (exit, _, stderr) = ended(&mut without_home(&person, &named, &[]));
    assert!(exit == 8 && stderr.contains("no place for tokens and profiles"), "{stderr}");
    assert_eq!(server.requests(), asked);
    let named = format!("login --profile work {} --store memory", site::at(&server));
    assert_eq!(ended(&mut without_home(&person, &named, &[])).0, 0);
    let config = person.home.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    let (exit, _, stderr) = ended(&mut without_home(&person, &format!("list --config {}", config.display()), &[]));
    assert_eq!(exit, 0, "{stderr}");
    // Where there is a place, nobody is signed in.
    assert_eq!(person.types("token").0, 4);
    assert_eq!(person.types("logout").0, 0);
}

#[test]
fn k16_without_a_refresh_token_that_is_what_is_missing() {
    let (person, server) = (Person::new(), site::Server::start());
    server.set(|state| state.refresh_tokens = false);
    person.signs_in(&server, "");
    let missing = |line: &str, how: &str| {
        let mut command = person.command(line);
        let (exit, stdout, stderr) = match line.starts_with("credential git") {
            true => person.as_git(&mut command, &server),
            false => ended(&mut command),
        };
        assert_eq!(exit, 4, "{line}: {stderr}");
        assert!(!stdout.contains("canary") && stderr.contains("there is no refresh token"), "{line}: {stderr}");
        assert!(stderr.contains(&format!("to sign in again: {how}")), "{line}: {stderr}");
        assert!(!stderr.contains("nobody"), "{line}: {stderr}");
    };
    // While the access token is valid.
    for line in ["refresh", "token --min-ttl 2h", "credential kubernetes --min-ttl 2h"] {
        missing(line, "device-flow login --force");
    }
    assert_eq!(person.types("token").1, "AT-canary-1\n");
    assert_eq!(person.types("status").0, 0);
    let error = json(&person.types("refresh --json").1);
    assert_eq!((&error["code"], &error["exit"]), (&"no_refresh_token".into(), &4.into()));
    // And after its end.
    person.set_of_access_tokens("expires_on", "1");
    for line in [
        "token",
        "status",
        "refresh",
        "token --no-refresh",
        "token --min-ttl 1h",
        "credential kubernetes",
        "credential git get",
    ] {
        missing(line, "device-flow login --force");
    }
    // Another client has never had any token, although the account may be known.
    for line in ["token --client-id other", "status --client-id other", "refresh --client-id other"] {
        let (exit, _, stderr) = person.types(line);
        assert!(exit == 4 && stderr.contains("nobody is signed in"), "{line}: {stderr}");
    }
    // A sign-in needs no flag then.
    person.signs_in(&server, "");
    assert_eq!(person.types("token").1, "AT-canary-2\n");

    // With the profile, when it is not the current one.
    person.signs_in(&server, "--profile work");
    missing("refresh --profile work", "device-flow login --profile work --force");
}

// A person may have written the name of a profile into the file.
#[test]
fn k16_k17_a_suggested_command_quotes_the_profile() {
    let (person, server) = (Person::new(), site::Server::start());
    server.set(|state| state.refresh_tokens = false);
    person.signs_in(&server, "");
    let path = person.home.path().join(".config/device-flow/config.toml");
    let tokens = person.home.path().join(".local/state/device-flow/tokens.json.unshared");
    // The server names nobody, so the profile is whose tokens they are.
    for (path, more) in [(path, "[profile.other]\n"), (tokens, "")] {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("[profile.default]", "[profile.\"a;$(id)\"]").replace("\"default\"", "\"a;$(id)\"");
        std::fs::write(&path, text + more).unwrap();
    }
    let (exit, _, stderr) = person.types("refresh");
    assert!(exit == 4 && stderr.contains("to sign in again: device-flow login --force"), "{stderr}");
}
