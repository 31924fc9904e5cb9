//! The rules of the house that a search can check: which words may be in which files, and how long a file may be.

use crate::files::{members, root, rust_files, texts};
use std::collections::BTreeSet;
use std::fs;

/// Every Rust file in a folder, with its path from the root and its code without comments and unit tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    let found: Vec<_> =
        rust_files(folder).into_iter().map(|(name, text)| (without_tests(&name, &text), name)).collect();
    assert!(!found.is_empty(), "{folder}");
    found.into_iter().map(|(code, name)| (name, code)).collect()
}

fn without_tests(name: &str, text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().filter(|_| !name.ends_with("/tests.rs")).unwrap_or_default();
    let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    code.join("\n")
}

/// No file in these folders but the allowed ones (by the beginning of their path) contains any of the words.
fn only_in(folders: &[&str], words: &[&str], allowed: &[&str]) {
    for (name, code) in folders.iter().flat_map(|folder| sources(folder)) {
        if !allowed.iter().any(|allowed| name.starts_with(allowed)) {
            for word in words {
                assert!(!code.contains(word), "{word} does not belong in {name}");
            }
        }
    }
}

#[test]
fn json_and_exposed_secrets_stay_in_few_files() {
    only_in(&["core/src"], &["serde_json"], &["core/src/message/", "core/src/cache/"]);
    only_in(
        &["core/src", "adapter-common/src", "adapter-tokio/src", "adapter-blocking/src", "adapter-nats/src"],
        &["expose("],
        // The last ones hand bytes to a store.
        &[
            "core/src/cache/",
            "core/src/message/",
            "core/src/device_flow/",
            "core/src/secret.rs",
            "core/src/stored.rs",
            "core/src/machine.rs",
            "adapter-common/src/account_store.rs",
        ],
    );
}

#[test]
fn time_is_added_in_three_files() {
    let files = ["core/src/time.rs", "core/src/retry.rs", "core/src/device_flow/schedule.rs"];
    only_in(&["core/src"], &["plus_millis(", "minus_millis("], &files);
    // The lifetimes of tokens are calendar time.
    let files = [&files[..], &["core/src/cache/", "core/src/sign_in/"]].concat();
    only_in(&["core/src"], &["now.saturating_add("], &files);
}

#[test]
fn error_codes_are_read_in_one_file() {
    let codes = ["\"authorization_pending\"", "\"slow_down\"", "\"access_denied\"", "\"expired_token\"", "\"invalid_"];
    // What they mean is in one file, what to do about them in a folder.
    only_in(&["core/src"], &codes, &["core/src/message/oauth_error.rs", "core/src/message/advice/"]);
}

#[test]
fn the_core_does_no_io() {
    let words = [
        "Instant",
        "SystemTime",
        "std::",
        "rand::",
        "getrandom",
        ".unwrap()",
        ".expect(",
        "println!",
        "todo!",
        "unimplemented!",
    ];
    only_in(&["core/src"], &words, &["core/src/time.rs"]);
    // It converts the system's time, and never asks for it.
    only_in(&["core/src"], &["SystemTime::now", "Instant", ".unwrap()", ".expect("], &[]);
}

#[test]
fn adapters_know_no_protocol() {
    let words =
        ["slow_down", "authorization_pending", "interval", "serde_json", "println!", "device_code", "grant_type"];
    only_in(&["adapter-common/src", "adapter-tokio/src", "adapter-blocking/src"], &words, &[]);
    // It stores JSON, and has a tick.
    let all_but: Vec<_> = words.into_iter().filter(|word| !["interval", "serde_json"].contains(word)).collect();
    only_in(&["adapter-nats/src"], &all_but, &[]);
    // The store keeps bytes; its fault points print when a test asks them to.
    let words = [&words[..], &["device_flow_core", "access_token", "refresh_token", "expires", "Secret::"]].concat();
    only_in(&["adapter-store/src"], &words, &["adapter-store/src/fault.rs"]);
}

// D05: a clock that is not read cannot do harm when it is set.
#[test]
fn no_wait_depends_on_the_wall_clock() {
    only_in(
        &["core/src", "adapter-common/src", "adapter-tokio/src", "adapter-blocking/src", "adapter-nats/src"],
        &["SystemTime", "UNIX_EPOCH", "chrono", "jiff"],
        // The lifetimes of stored tokens do; the core only converts.
        &["adapter-common/src/account_store.rs", "core/src/time.rs"],
    );
}

/// The environment is read in one file, and the file system is called in two.
#[test]
fn the_store_calls_the_system_in_few_files() {
    only_in(
        &["adapter-store/src"],
        &["env::var", "var_os("],
        &["adapter-store/src/default_path.rs", "adapter-store/src/fault.rs"],
    );
    let files = ["std::fs", "rustix::fs", "openat("];
    only_in(&["adapter-store/src"], &files, &["adapter-store/src/os", "adapter-store/src/lock/"]);
}

#[test]
fn only_the_terminal_prints() {
    only_in(&["cli-demo/src"], &["println!", "print!(", "stdout()", "stderr()"], &["cli-demo/src/terminal/"]);
}

#[test]
fn files_are_short_and_say_what_they_own() {
    // What the core knows of single servers is counted apart.
    let of_servers = ["core/src/dialect/", "core/src/client/preset/", "core/src/message/advice/"];
    let (mut core, mut servers) = (0, 0);
    let folders = [
        "core/src",
        "adapter-common/src",
        "adapter-tokio/src",
        "adapter-blocking/src",
        "adapter-store/src",
        "adapter-nats/src",
        "keys/src",
        "bindings-c/src",
        "cli-demo/src",
        "chips/src",
        "engines/restate/src",
        "testkit/src",
    ];
    for folder in folders {
        for (name, text) in rust_files(folder) {
            assert!(text.starts_with("//! "), "{name} does not say what it owns");
            let lines = text.lines().count();
            assert!(lines <= 600, "{name} has {lines} lines");
            let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
            if name.ends_with("tests.rs") {
                continue;
            }
            if of_servers.iter().any(|part| name.starts_with(part)) {
                servers += code.count();
            } else if folder == "core/src" {
                core += code.count();
            }
        }
    }
    println!("core: {core} lines of code, and {servers} about single servers");
    assert!(core < 9_600, "the core has {core} lines of code");
    assert!(servers < 2_000, "the core has {servers} lines of code about single servers");
}

#[test]
fn every_clock_of_an_adapter_counts_from_the_same_zero() {
    let folders = ["adapter-common/src", "adapter-tokio/src", "adapter-blocking/src", "adapter-nats/src"];
    only_in(
        &folders,
        &["Timestamp::from_millis", "Timestamp::ZERO.saturating_add"],
        &["adapter-common/src/timeline.rs"],
    );
}

#[test]
fn what_adapters_share_has_neither_a_runtime_nor_an_http_client() {
    let manifest = fs::read_to_string(root().join("adapter-common/Cargo.toml")).unwrap();
    for word in ["tokio", "reqwest", "ureq", "hyper", "async"] {
        assert!(!manifest.contains(word), "{word}");
    }
}

#[test]
fn every_workspace_crate_forbids_unsafe_code() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
    // What C calls takes pointers. All other lints are those of the workspace, and its blocks say why they are sound.
    for member in members().into_iter().filter(|member| member != "bindings-c") {
        let manifest = fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member}");
    }
    let lints = |manifest: &str, from| -> BTreeSet<String> {
        let lints = manifest.split_once(from).unwrap().1.split("\n# ").next().unwrap();
        lints.lines().filter(|line| line.contains(" = ")).map(str::to_owned).collect()
    };
    let own = fs::read_to_string(root().join("bindings-c/Cargo.toml")).unwrap();
    let (own, all) = (lints(&own, "[lints.rust]"), lints(&manifest, "[workspace.lints.rust]"));
    let missing: Vec<_> = all.difference(&own).collect();
    assert_eq!(missing, ["unsafe_code = \"forbid\""]);
    for held in ["unsafe_op_in_unsafe_fn = \"deny\"", "undocumented_unsafe_blocks = \"deny\""] {
        assert!(own.contains(held), "{held}");
    }
}

/// Where `autotests` is off, a file that nothing names is not compiled, and none of its tests runs.
#[test]
fn every_test_file_is_part_of_a_program() {
    let mut left_out = vec![];
    for member in members().into_iter().filter(|member| root().join(member).join("tests").is_dir()) {
        let manifest = fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap();
        let files = rust_files(&format!("{member}/tests"));
        let texts = files.iter().map(|(_, text)| &**text).chain([&*manifest]).collect::<Vec<_>>().concat();
        for (name, _) in &files {
            let (folder, file) = name.trim_end_matches("/mod.rs").trim_end_matches(".rs").rsplit_once('/').unwrap();
            let found_by_cargo = file == "main" || folder == format!("{member}/tests");
            let named = [format!("mod {file};"), format!("/{file}.rs\""), format!("name = \"{file}\"")];
            let is_part = named.iter().any(|named| texts.contains(named));
            if !is_part && (manifest.contains("autotests = false") || !found_by_cargo) {
                left_out.push(name.clone());
            }
        }
    }
    assert_eq!(left_out, Vec::<String>::new());
}

/// Turns of phrase that make a sentence a riddle. What they mean can be said plainly.
#[test]
fn texts_are_in_plain_english() {
    let phrases =
        ["Whoever", "how manieth", " is to be ", " are to be ", "of whom", "the metadata name the", "is not to be"];
    let mut wrong = vec![];
    for (name, text) in texts() {
        // A phrase may go over the end of a line, with the mark of a comment behind it.
        let text = text.replace("//!", "").replace("///", "").replace("//", "").replace('#', "");
        let text = format!(" {} ", text.split_whitespace().collect::<Vec<_>>().join(" "));
        wrong.extend(phrases.iter().filter(|phrase| text.contains(**phrase)).map(|phrase| format!("{name}: {phrase}")));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What testkit/mutation.sh has printed, by the verdicts that it keeps.
#[test]
fn documents_say_how_many_mutants_are_noticed() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let verdicts = read("testkit/mutants-judged.txt");
    let (mut caught, mut missed) = (0, 0);
    // File, hash, caught, missed, out of time, not compiled. Lines with a colon are those missed.
    for line in verdicts.lines().filter(|line| !line.contains([':', '#'])) {
        let numbers: Vec<u32> = line.split(' ').skip(2).map(|number| number.parse().unwrap()).collect();
        caught += numbers[0] + numbers[2];
        missed += numbers[1];
    }
    let thousands = |number: u32| format!("{},{:03}", number / 1_000, number % 1_000);
    let sentence = format!("{} of {} mutants are noticed", thousands(caught), thousands(caught + missed));
    for name in ["README.md", "CONTRIBUTING.md"] {
        let words = read(name).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(&sentence), "{name} does not say: {sentence}");
    }
    assert!(read("CONTRIBUTING.md").contains(&format!("the other {missed} survive")));
}

#[test]
fn contributing_names_every_rule() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let (rules, contributing) = (read("testkit/tests/house_rules.rs"), read("CONTRIBUTING.md"));
    let tests: BTreeSet<_> =
        rules.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split_once("()")).map(|(name, _)| name).collect();
    let table = contributing.split("## House rules").nth(1).unwrap().split("What no search can check").next().unwrap();
    let named = table.split('`').skip(1).step_by(2);
    let named: BTreeSet<_> = named.filter(|name| name.contains('_') && !name.contains(['.', '/'])).collect();
    assert_eq!(named, tests);
}
