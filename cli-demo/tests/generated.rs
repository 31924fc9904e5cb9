//! Completion scripts in real shells, and manual pages in real formatters.
#![cfg(unix)]

use device_flow_tokio::Preset;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_device-flow");

fn ended(command: &mut Command) -> (i32, String, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let stdout = text(output.stdout);
    #[cfg(unix)]
    crate::program::schema::check(&stdout);
    (output.status.code().unwrap(), stdout, text(output.stderr))
}

fn device_flow(words: &[&str]) -> (i32, String, String) {
    ended(Command::new(BINARY).args(words).env("LANG", "C.UTF-8"))
}

/// Whether a program is installed; a test that needs it says that it was skipped.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_err() {
        println!("SKIPPED: there is no {program} here.");
    }
    found.is_ok()
}

/// With the program in the path of a shell, and this home.
fn shell(name: &str, home: &Path) -> Command {
    let ours = Path::new(BINARY).parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(ours).chain(std::env::split_paths(&others))).unwrap();
    let mut shell = Command::new(name);
    shell.env_clear().env("PATH", path).env("HOME", home).env("LANG", "C.UTF-8");
    shell
}

/// What bash completes the last of these words to.
fn completed(words: &[&str]) -> Vec<String> {
    completed_at(tempfile::tempdir().unwrap().path(), words)
}

fn completed_at(home: &Path, words: &[&str]) -> Vec<String> {
    // As bash does it: the registered function gets the command, the word and the one before it.
    let script = r#"
        source <(device-flow completions bash) || exit 1
        completes=$(complete -p device-flow) || exit 1
        [[ $completes =~ -F\ ([^ ]+) ]] || exit 1
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
        "${BASH_REMATCH[1]}" device-flow "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let (exit, stdout, stderr) = ended(shell("bash", home).args(["--norc", "-c", script, BINARY]).args(words));
    assert_eq!((exit, &*stderr), (0, ""));
    stdout.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// What zsh completes the last of these words to, as its own completion system is told.
fn completed_by_zsh(home: &Path, words: &[&str]) -> Vec<String> {
    let script = r#"
        function compdef() { registered=$1 }
        function _describe() { local -a values=("${(@P)@[-1]}"); print -rl -- "${values[@]%%:*}" }
        source <(device-flow completions zsh) || exit 1
        words=("$@") CURRENT=$#
        $registered
    "#;
    let (exit, stdout, stderr) = ended(shell("zsh", home).args(["-f", "-c", script, "zsh"]).args(words));
    assert_eq!((exit, &*stderr), (0, ""));
    stdout.lines().map(str::to_owned).collect()
}

/// What fish completes a line to.
fn completed_by_fish(home: &Path, words: &[&str]) -> Vec<String> {
    let script = "device-flow completions fish | source; complete --do-complete \"$argv\"";
    let (exit, stdout, stderr) = ended(shell("fish", home).args(["--no-config", "-c", script]).args(words));
    assert_eq!((exit, &*stderr), (0, ""));
    stdout.lines().filter_map(|line| line.split('\t').next().map(str::to_owned)).collect()
}

// What only this computer knows, in the shells themselves.
#[test]
fn profiles_providers_and_accounts_are_completed_in_real_shells() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join(".config/device-flow/config.toml");
    let tokens = home.path().join("tokens.json");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    let profile = |name: &str| {
        format!("[profile.{name}]\nissuer = \"https://a.example\"\nclient-id = \"a\"\ntoken-file = {tokens:?}\n")
    };
    fs::write(&config, format!("current = \"work\"\n{}{}", profile("work"), profile("weekend"))).unwrap();
    let account = |id: &str, name: &str| {
        serde_json::json!({
            "home_account_id": id, "environment": "a.example", "realm": "", "local_account_id": id, "username": name,
            "authority_type": "Generic", "client_id": "a"
        })
    };
    let accounts = serde_json::json!({
        "1": account("1", "ada@example.test"), "2": account("2", "eve; rm -rf canary"), "3": account("3", "-x")
    });
    let file = home.path().join("tokens.json.unshared");
    fs::write(&file, serde_json::json!({"Account": accounts}).to_string()).unwrap();
    type Complete = fn(&Path, &[&str]) -> Vec<String>;
    let shells: [(&str, Complete); 3] =
        [("bash", completed_at), ("zsh", completed_by_zsh), ("fish", completed_by_fish)];
    for (shell, complete) in shells.into_iter().filter(|(shell, _)| is_installed(shell)) {
        let complete = |words: &[&str]| complete(home.path(), &[&["device-flow"], words].concat());
        let sorted = |mut found: Vec<String>| {
            found.sort();
            found
        };
        assert_eq!(sorted(complete(&["token", "--profile", "w"])), ["weekend", "work"], "{shell}");
        assert_eq!(complete(&["use", "wo"]), ["work"], "{shell}");
        assert_eq!(complete(&["profile", "remove", "wee"]), ["weekend"], "{shell}");
        assert_eq!(sorted(complete(&["login", "git"])), ["github", "gitlab"], "{shell}");
        assert_eq!(
            complete(&["token", "--account", ""]),
            ["ada@example.test"],
            "{shell}: no text of a server that a shell would read"
        );
        assert_eq!(complete(&["cred"]), ["credential"], "{shell}");
    }
}

#[test]
fn a_variable_that_names_no_shell_completes_nothing() {
    let words = ["--", "device-flow", "lo"];
    for (shell, words, completed) in [("nonsense", &words[..], ""), ("bash", &[], ""), ("fish", &words, "login")] {
        let (exit, stdout, stderr) = ended(Command::new(BINARY).args(words).env("DEVICE_FLOW_COMPLETE", shell));
        assert_eq!((exit, &*stderr), (0, ""), "{shell}");
        assert_eq!(stdout.split('\t').next(), Some(completed), "{shell}: {stdout}");
    }
}

#[test]
fn bash_completes_sub_commands_options_and_values() {
    assert_eq!(completed(&["device-flow", "cred"]), ["credential"]);
    assert_eq!(completed(&["device-flow", "credential", "g"]), ["git"]);
    assert_eq!(completed(&["device-flow", "login", "--prov"]), ["--provider"]);
    assert_eq!(
        completed(&["device-flow", "login", "--provider", ""]),
        Preset::all().iter().map(Preset::name).collect::<Vec<_>>()
    );
    assert_eq!(completed(&["device-flow", "token", "--provider", "git"]), ["github", "gitlab"]);
    assert_eq!(completed(&["device-flow", "token", "--format", "h"]), ["header"]);
    assert_eq!(completed(&["device-flow", "completions", "el"]), ["elvish"]);
}

#[test]
fn every_shell_has_its_script() {
    for (shell, mark, check) in [
        ("bash", "-F _clap_complete_device_flow", &["bash", "-n"][..]),
        ("zsh", "#compdef device-flow", &["zsh", "-n"]),
        ("fish", "--command device-flow", &["fish", "-n"]),
        ("elvish", "edit:completion:arg-completer[device-flow]", &[]),
        ("powershell", "Register-ArgumentCompleter", &[]),
    ] {
        let (exit, script, stderr) = device_flow(&["completions", shell]);
        assert_eq!((exit, &*stderr), (0, ""), "{shell}");
        assert!(script.contains(mark) && script.contains("DEVICE_FLOW_COMPLETE"), "{shell}: {script}");
        // DEVICE_FLOW_JSON does not apply here: a shell reads no JSON.
        let json = ended(Command::new(BINARY).args(["completions", shell]).env("DEVICE_FLOW_JSON", "1"));
        assert_eq!(json.1, script);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        fs::write(&file, script).unwrap();
        if let [program, words @ ..] = check
            && is_installed(program)
        {
            assert_eq!(
                ended(Command::new(program).args(words).arg(&file)),
                (0, String::new(), String::new()),
                "{shell}"
            );
        }
    }
    let (exit, stdout, stderr) = device_flow(&["completions", "cmd"]);
    assert_eq!((exit, &*stdout), (2, ""));
    assert!(stderr.contains("powershell"), "{stderr}");
}

/// The names of all sub-commands that `--help` lists, with their parents.
fn sub_commands(before: &[&str], found: &mut Vec<String>) {
    let (exit, help, _) = device_flow(&[before, &["--help"]].concat());
    assert_eq!(exit, 0);
    found.push([&["device-flow"], before].concat().join("-"));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    for name in listed.filter_map(|line| line.strip_prefix("  ")?.split_once("  ").map(|(name, _)| name.trim())) {
        if name != "help" && !name.is_empty() {
            sub_commands(&[before, &[name]].concat(), found);
        }
    }
}

/// A page as groff shows it on a terminal of 100 columns, without warnings.
fn formatted(page: &Path) -> String {
    let mut groff = Command::new("groff");
    let (exit, shown, warnings) = ended(groff.args(["-man", "-ww", "-Tutf8", "-rLL=100n", "-P-cbou"]).arg(page));
    assert_eq!((exit, &*warnings), (0, ""), "{}", page.display());
    shown
}

#[test]
fn every_page_is_written_and_formatted_without_warnings() {
    let folder = tempfile::tempdir().unwrap();
    // A missing folder is created.
    let place = folder.path().join("share/man/man1");
    let (exit, stdout, stderr) = device_flow(&["man", "--to", place.to_str().unwrap()]);
    assert_eq!((exit, &*stderr), (0, ""));
    let mut expected = vec![];
    sub_commands(&[], &mut expected);
    let mut expected: Vec<_> = expected.iter().map(|name| format!("{name}.1")).collect();
    expected.sort();
    let mut written: Vec<_> =
        fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    written.sort();
    assert_eq!(written, expected);
    assert!(expected.len() > 10 && expected.contains(&"device-flow-credential-git.1".to_owned()), "{expected:?}");
    let mut told: Vec<_> = stdout.lines().map(|line| Path::new(line).file_name().unwrap().to_str().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, written);
    assert_eq!(device_flow(&["man"]).1, fs::read_to_string(place.join("device-flow.1")).unwrap());

    let (exit, stdout, _) = device_flow(&["man", "--json", "--to", place.to_str().unwrap()]);
    let event: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(
        (exit, event["event"].as_str(), event["pages"].as_array().unwrap().len()),
        (0, Some("man_pages"), written.len())
    );

    if is_installed("groff") {
        for page in &written {
            let shown = formatted(&place.join(page));
            let name = page.strip_suffix(".1").unwrap();
            let (first, last) =
                (shown.lines().find(|line| !line.is_empty()).unwrap(), shown.trim_end().lines().last().unwrap());
            assert!(first.contains("User Commands") && last.starts_with("device-flow 0."), "{first}\n{last}");
            for heading in ["NAME\n", "SYNOPSIS\n", "DESCRIPTION\n", "OPTIONS\n"] {
                assert!(shown.lines().any(|line| line == heading.trim_end()), "{page}: no {heading}");
            }
            let of_root =
                ["EXIT STATUS", "FILES", "ENVIRONMENT"].map(|heading| shown.lines().any(|line| line == heading));
            assert_eq!(of_root, [name == "device-flow"; 3], "{page}");
            // Examples can be copied: each on one line, with plain quotes.
            let words: Vec<_> = name.split('-').skip(2).chain(["--help"]).collect();
            for example in device_flow(&words)
                .1
                .lines()
                .skip_while(|line| *line != "Examples:")
                .filter(|line| line.starts_with("  "))
            {
                assert!(shown.contains(example.trim()), "{page}: {example}\n{shown}");
            }
        }
    }
    if is_installed("mandoc") {
        for page in &written {
            let mut mandoc = Command::new("mandoc");
            let (exit, findings, _) = ended(mandoc.args(["-T", "lint", "-W", "error"]).arg(place.join(page)));
            assert_eq!((exit, &*findings), (0, ""), "{page}");
        }
    }
    if is_installed("man") {
        let mut man = Command::new("man");
        let (exit, shown, _) = ended(man.arg("-l").arg(place.join("device-flow-token.1")).env("MANPAGER", "cat"));
        assert!(exit == 0 && shown.contains("--min-ttl"), "{shown}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_ends_with_2_and_a_full_stdout_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for place in [file.clone(), file.join("inside")] {
        let (exit, stdout, stderr) = device_flow(&["man", "--to", place.to_str().unwrap()]);
        assert_eq!((exit, &*stdout), (2, ""), "{stderr}");
        assert!(stderr.contains("cannot be written"), "{stderr}");
    }
    fs::create_dir(folder.path().join("device-flow-login.1")).unwrap();
    assert_eq!(device_flow(&["man", "--to", folder.path().to_str().unwrap()]).0, 2);
    #[cfg(target_os = "linux")]
    for words in [&["man"][..], &["completions", "bash"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let status = Command::new(BINARY).args(words).stdout(full).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{words:?}");
    }
}
