//! The servers that are known by name: what each takes, and that nothing which one does not take is ignored (W07).
#![cfg(unix)]

use crate::program::{ended, program};
use device_flow_testkit::black_hole::ClosedPort;
use device_flow_tokio::Preset;
use serde_json::Value;
use std::path::Path;

/// `device-flow` with this home, where no proxy answers: a command that gets as far as the network ends with 6.
fn run(home: &Path, environment: &[(&str, &str)], words: &[&str]) -> (i32, String, String) {
    let closed = ClosedPort::new();
    let mut command = program("device-flow", home);
    command.args(words).envs(environment.iter().copied());
    command.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", closed.number())).env("DEVICE_FLOW_STORE", "file");
    ended(&mut command)
}

#[test]
fn providers_lists_every_preset_with_the_options_it_takes() {
    let home = tempfile::tempdir().unwrap();
    let (exit, text, _) = run(home.path(), &[], &["providers"]);
    assert_eq!(exit, 0);
    for preset in Preset::all() {
        assert!(text.contains(&format!("{}: {}\n", preset.name(), preset.about())), "{text}");
        for need in preset.needs() {
            assert!(text.contains(&format!("--{}", need.name())) && text.contains(need.about()), "{text}");
        }
    }
    assert!(text.ends_with("\nAny other server that publishes metadata: --issuer URL\n"), "{text}");
    let (exit, json, _) = run(home.path(), &[], &["providers", "--json"]);
    let event: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((exit, &event["event"]), (0, &"providers".into()));
    let names: Vec<_> =
        event["providers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, Preset::all().iter().map(Preset::name).collect::<Vec<_>>());
    let keycloak = &event["providers"][names.iter().position(|name| *name == "keycloak").unwrap()];
    let realm =
        serde_json::json!({"option": "--realm", "about": "the name of the realm", "default": null, "choices": []});
    assert_eq!(keycloak["takes"][1], realm);
    // The same by the option, wherever it stands.
    assert_eq!(run(home.path(), &[], &["login", "--provider", "list"]), (0, text.clone(), String::new()));
    assert_eq!(run(home.path(), &[], &["--json", "login", "--provider=list"]).1, json);
    // One alone.
    let (exit, one, _) = run(home.path(), &[], &["providers", "okta"]);
    assert!(
        exit == 0 && one.starts_with("okta: ") && one.contains("  [--server]  ") && one.contains("(default: default)")
    );
    // And what is none: a script that has lost its variable must not go on.
    for (words, named) in [
        (&["providers", "slack"][..], "keycloak"),
        (&["login", "--provider"], "keycloak"),
        (&["login", "--provider", ""], "keycloak"),
        (&["login", "--provider", "Keycloak"], "keycloak"),
    ] {
        let (exit, stdout, stderr) = run(home.path(), &[], words);
        assert!(exit == 2 && stdout.is_empty() && stderr.contains(named), "{words:?}: {stderr}");
    }
}

#[test]
fn a_provider_with_all_that_it_needs_is_asked_without_a_request_for_metadata() {
    let home = tempfile::tempdir().unwrap();
    for preset in Preset::all() {
        let needed = preset.needs().iter().filter(|need| need.default().is_none());
        let value = |name| if name == "start-url" { "https://host.example/start" } else { "host.example" };
        let options: Vec<_> = needed.map(|need| format!("--{}={}", need.name(), value(need.name()))).collect();
        let mut words = vec!["discover", "--json", "--provider", preset.name()];
        words.extend(options.iter().map(String::as_str));
        if preset.name() == "entra-v1" {
            words.push("--resource=https://api.example");
        }
        let (exit, stdout, stderr) = run(home.path(), &[], &words);
        assert_eq!(exit, 0, "{words:?}: {stdout}{stderr}");
        let found: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((&found["source"], &found["usable"]), (&"built_in".into(), &true.into()), "{stdout}");
        // Without any one of them it says which.
        for left_out in &options {
            let rest: Vec<_> = words.iter().copied().filter(|word| *word != left_out.as_str()).collect();
            let (exit, stdout, _) = run(home.path(), &[], &rest);
            let option = left_out.split('=').next().unwrap();
            let expected = format!("--provider {} needs {option}: ", preset.name());
            assert!(exit == 2 && stdout.contains(&expected), "{stdout}");
        }
    }
}

// W07
#[test]
fn w07_an_option_that_the_server_does_not_take_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let places = ["host", "tenant", "cloud", "realm", "path", "server", "slug", "subdomain", "environment"];
    for preset in Preset::all() {
        let needed = preset.needs().iter().filter(|need| need.default().is_none());
        let value = |name| if name == "start-url" { "https://host.example/start" } else { "host.example" };
        let options: Vec<_> = needed.map(|need| format!("--{}={}", need.name(), value(need.name()))).collect();
        for place in places.iter().filter(|place| !preset.needs().iter().any(|need| need.name() == **place)) {
            let option = format!("--{place}=x");
            let mut words = vec!["discover", "--provider", preset.name(), &option];
            words.extend(options.iter().map(String::as_str));
            let (exit, stdout, stderr) = run(home.path(), &[], &words);
            assert!(exit == 2 && stdout.is_empty(), "{words:?}: {stdout}{stderr}");
            assert!(stderr.contains(&format!("--{place} is not for --provider {}", preset.name())), "{stderr}");
        }
    }
    for place in places {
        let option = format!("--{place}=x");
        for words in [
            &["discover", "--issuer", "https://as.example", &option][..],
            &[
                "discover",
                "--device-endpoint",
                "https://as.example/d",
                "--token-endpoint",
                "https://as.example/t",
                &option,
            ],
            &["discover", &option],
            &["status", &option],
            &["logout", &option],
            &["logout", "--all", &option],
        ] {
            let (exit, stdout, stderr) = run(home.path(), &[], words);
            assert!(exit == 2 && stdout.is_empty() && stderr.contains(&format!("--{place}")), "{words:?}: {stderr}");
        }
    }
    // Before anything that is wrong with this computer: here it has no keyring.
    let mut login = program("device-flow", home.path());
    login.args(["login", "--provider", "keycloak", "--host", "a.example", "--client-id", "a", "--store", "keyring"]);
    let (exit, _, stderr) = ended(&mut login);
    assert!(exit == 2 && stderr.contains("--provider keycloak needs --realm: the name of the realm"), "{stderr}");
    // The way out of the most likely mistake, and that it leads there.
    let (_, _, stderr) =
        run(home.path(), &[], &["discover", "--provider", "entra", "--host", "login.microsoftonline.us"]);
    assert!(stderr.contains("for login.microsoftonline.us write --cloud us-gov"), "{stderr}");
    let (exit, stdout, _) = run(home.path(), &[], &["discover", "--provider", "entra", "--cloud", "us-gov", "--json"]);
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(exit, 0);
    assert_eq!(found["token_endpoint"], "https://login.microsoftonline.us/common/oauth2/v2.0/token");
    for (words, why) in [
        (
            &["discover", "--provider", "entra", "--cloud", "germany"][..],
            "--cloud \"germany\": write one of public, us-gov, china",
        ),
        (
            &["discover", "--provider", "keycloak", "--host", "a.example", "--realm", "a/b"],
            "--realm \"a/b\": give its name alone",
        ),
    ] {
        let (exit, _, stderr) = run(home.path(), &[], words);
        assert!(exit == 2 && stderr.contains(why), "{stderr}");
    }
}

// W07, for the other places where a setting can stand.
#[test]
fn w07_the_environment_and_profiles_keep_to_the_same_rule() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config.toml");
    let text = "current = \"work\"\n[profile.work]\nprovider = \"entra\"\ntenant = \"contoso.com\"\nclient-id = \"a\"\n\
                [profile.wrong]\nprovider = \"github\"\ntenant = \"x\"\nclient-id = \"a\"\n";
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let discover = |environment: &[(&str, &str)], words: &[&str]| {
        let (exit, stdout, stderr) =
            run(home.path(), environment, &[&["discover", "--json", "--config", config], words].concat());
        let event: Value = serde_json::from_str(&stdout).unwrap();
        (exit, event["token_endpoint"].as_str().unwrap_or_default().to_owned(), event["message"].to_string(), stderr)
    };
    // A tenant alone in the environment is for the providers that have tenants.
    let tenant = [("DEVICE_FLOW_TENANT", "fabrikam.com")];
    let github = discover(&tenant, &["--provider", "github"]);
    assert_eq!((github.0, &*github.1), (0, "https://github.com/login/oauth/access_token"));
    let entra = discover(&tenant, &["--provider", "entra"]);
    assert!(entra.0 == 0 && entra.1.contains("/fabrikam.com/"), "{entra:?}");
    // Beside a provider that has none it is a mistake.
    let both = [("DEVICE_FLOW_TENANT", "x"), ("DEVICE_FLOW_PROVIDER", "github")];
    let refused = discover(&both, &[]);
    assert!(refused.0 == 2 && refused.2.contains("the environment (DEVICE_FLOW_TENANT): "), "{refused:?}");
    assert_eq!(discover(&both, &["--provider", "gitlab"]).1, "https://gitlab.com/oauth/token");
    // The tenant of a profile goes to no other provider, and a wrong profile breaks no other.
    assert!(discover(&[], &[]).1.contains("/contoso.com/"));
    assert_eq!(discover(&[], &["--provider", "github"]).1, "https://github.com/login/oauth/access_token");
    assert_eq!(discover(&[], &["--profile", "work", "--provider", "gitlab"]).1, "https://gitlab.com/oauth/token");
    let wrong = discover(&[], &["--profile", "wrong"]);
    assert!(
        wrong.0 == 2 && wrong.2.contains("profile wrong in ") && wrong.2.contains("Remove tenant there"),
        "{wrong:?}"
    );
    // A flag is for the server of the profile.
    let refused = discover(&[], &["--realm", "x"]);
    assert!(refused.0 == 2 && refused.2.contains("--realm is not for --provider entra"), "{refused:?}");
    assert!(discover(&[], &["--cloud", "china"]).1.contains("partner.microsoftonline.cn/contoso.com/"));
    // Nor is one ignored that could seem to choose something.
    for words in [
        &["list", "--profile", "work"][..],
        &["--profile", "work", "use", "wrong"],
        &["providers", "--profile", "work"],
        &["demo", "--serve", "--profile", "work"],
        &["completions", "bash", "--profile", "work"],
        &["man", "--profile", "work"],
    ] {
        let (exit, stdout, stderr) = run(home.path(), &[], &[&["--config", config], words].concat());
        assert!(exit == 2 && stdout.is_empty() && stderr.contains("leave out --profile"), "{stderr}");
    }
    let named = [("DEVICE_FLOW_PROFILE", "work")];
    assert_eq!(run(home.path(), &named, &["--config", config, "list"]).0, 0);
    let with_file = ["--config", config, "status", "--token-file", "t.json"];
    let (exit, _, stderr) = run(home.path(), &[], &[&with_file[..], &["--store", "memory"]].concat());
    assert!(
        exit == 2 && stderr.contains("--token-file is for --store file and --store age, not for --store memory"),
        "{stderr}"
    );
    for words in [&["demo", "--serve", "--qr"][..], &["demo", "--serve", "--open"], &["login", "--no-wait", "--open"]] {
        let (exit, _, stderr) = run(home.path(), &[], words);
        assert!(exit == 2 && stderr.contains("cannot be used with"), "{words:?}: {stderr}");
    }
    let (exit, _, stderr) = run(home.path(), &[], &["--config", config, "logout", "--all", "--store", "memory"]);
    assert!(exit == 2 && stderr.contains("leave out --store, or --all"), "{stderr}");
}
