//! Every secret that a test invents contains the word that `testkit/secrets.sh` searches for: otherwise a leak of it
//! would go unnoticed.

use device_flow_testkit::secrets::CANARY;
use std::fs;
use std::path::{Path, PathBuf};

const NAMES: [&str; 5] = ["\"device_code", "\"access_token", "\"refresh_token", "\"id_token", "\"client_secret"];

/// Shorter values are placeholders that cannot be told from other text (`"d"`, `"AT"`).
const SHORTEST: usize = 8;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The values of the members with this name, in JSON inside Rust code, escaped or not.
fn values<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let after = text.split(name).skip(1);
    after.filter_map(|rest| {
        let rest = rest.trim_start_matches('\\').strip_prefix('"')?.trim_start().strip_prefix(':')?;
        rest.trim_start().trim_start_matches('\\').strip_prefix('"')?.split(['"', '\\']).next()
    })
}

// G11.
#[test]
fn g11_every_secret_of_the_tests_contains_the_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = vec![];
    for folder in [
        "core/tests",
        "adapter-tokio/tests",
        "adapter-blocking/tests",
        "adapter-store/tests",
        "adapter-nats/tests",
        "keys/tests",
        "cli-demo/tests",
        "testkit/src",
        "testkit/tests",
    ] {
        rust_files(&root.join(folder), &mut files);
    }
    let mut seen = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let values = NAMES.iter().flat_map(|name| values(&text, name));
        // A placeholder of `format!` is filled in from a secret elsewhere.
        for value in values.filter(|value| value.chars().count() >= SHORTEST && !value.starts_with('{')) {
            seen += 1;
            assert!(value.contains(CANARY), "{}: the secret {value:?} lacks the word {CANARY:?}", file.display());
        }
    }
    assert!(seen > 60, "only {seen} secrets were found");
}
