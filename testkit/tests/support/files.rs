//! Owns the files of the workspace, for tests that search them.
#![allow(dead_code, reason = "not every test needs all of them")]

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folders of the members of the workspace.
pub(crate) fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let list = manifest.split_once("\nmembers = [").expect("a list of members").1;
    let list = list.split_once(']').expect("the end of that list").0;
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Every Rust file in a folder of the workspace, its path from the root and its text, in order. What was built or installed
/// there is left out.
pub(crate) fn rust_files(folder: &str) -> Vec<(String, String)> {
    files(folder, &["rs"])
}

/// Every file of the workspace that people wrote for people: code, scripts and documents.
pub(crate) fn texts() -> Vec<(String, String)> {
    let found = files("", &["rs", "md", "sh", "py", "mjs", "js", "toml", "yml", "txt", "run"]);
    // Not ours: answers of servers. And the search for the phrases itself.
    let ours = |name: &str| !name.starts_with("core/tests/captures/") && !name.ends_with("tests/house_rules.rs");
    found.into_iter().filter(|(name, _)| ours(name)).collect()
}

fn files(folder: &str, extensions: &[&str]) -> Vec<(String, String)> {
    let root = root();
    let (mut folders, mut found) = (vec![root.join(folder)], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if ![".git", "target", "node_modules", "venv", "corpus", "artifacts"].contains(&&*name) {
                    folders.push(path);
                }
            } else if extensions.contains(&name.rsplit('.').next().unwrap_or_default()) {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
