//! Holds docs/polling-law.md and the tests together: every rule has tests, every test that it names is there, and no
//! test of a rule is left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const RULES: usize = 15;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A section of the document: its heading, the files that it names as the implementation, its tests as file and name.
#[derive(Debug, Default, PartialEq)]
struct Section {
    heading: String,
    files: Vec<String>,
    tests: Vec<(String, String)>,
}

fn sections(document: &str) -> Vec<Section> {
    let mut found: Vec<Section> = vec![];
    for line in document.lines() {
        let quoted: Vec<String> = line.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        if let Some(heading) = line.strip_prefix("## ") {
            found.push(Section { heading: heading.to_owned(), ..Section::default() });
        } else if let Some(section) = found.last_mut() {
            if line.starts_with("- In the core: ") {
                section.files = quoted;
            } else if line.starts_with("  - `") {
                section.tests.push((quoted[0].clone(), quoted[1].clone()));
            }
        }
    }
    found
}

/// What does not fit together; empty when all is well. `read`: the text of a file of the repository, if it is there.
fn faults(document: &str, read: impl Fn(&str) -> Option<String>, all: &BTreeSet<(String, String)>) -> Vec<String> {
    let (sections, mut faults) = (sections(document), vec![]);
    for rule in 1..=RULES {
        let Some(section) = sections.get(rule - 1).filter(|it| it.heading.starts_with(&format!("Rule {rule}: ")))
        else {
            faults.push(format!("rule {rule} is not at its place"));
            continue;
        };
        let mine = format!("rule_{rule:02}_");
        let of_this_rule = all.iter().filter(|(_, name)| name.starts_with(&mine));
        faults.extend(
            of_this_rule.filter(|test| !section.tests.contains(test)).map(|test| format!("not listed: {test:?}")),
        );
    }
    for section in &sections {
        if section.tests.is_empty() || section.files.is_empty() {
            faults.push(format!("{}: no test, or no file of the core", section.heading));
        }
        for (file, name) in &section.tests {
            let is_test = |text: String| text.contains(&format!("fn {name}(")) && text.contains("#[test]");
            if !read(file).is_some_and(is_test) {
                faults.push(format!("no such test: {file}: {name}"));
            }
        }
        faults.extend(
            section.files.iter().filter(|file| read(file).is_none()).map(|file| format!("no such file: {file}")),
        );
    }
    faults
}

/// Every `rule_NN_…` test of the core, with its file.
fn tests_of_rules() -> BTreeSet<(String, String)> {
    let folder = root().join("core/tests");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = BTreeSet::new();
    for path in files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let file = format!("core/tests/{}", path.file_name().unwrap().to_string_lossy());
        let text = fs::read_to_string(&path).unwrap();
        let names = text.lines().filter_map(|line| line.trim().strip_prefix("fn rule_")?.split_once('('));
        found.extend(names.map(|(name, _)| (file.clone(), format!("rule_{name}"))));
    }
    found
}

#[test]
fn the_document_names_the_tests_of_every_rule() {
    let document = fs::read_to_string(root().join("docs/polling-law.md")).unwrap();
    let read = |file: &str| fs::read_to_string(root().join(file)).ok();
    let all = tests_of_rules();
    assert!(all.len() > 2 * RULES, "{all:?}");
    assert_eq!(faults(&document, read, &all), Vec::<String>::new());
}

#[test]
fn a_document_that_does_not_fit_is_noticed() {
    let rules = |last: &str| {
        let rule = |n| format!("## Rule {n}: x\n- In the core: `a.rs`\n- Tests:\n  - `t.rs`: `rule_{n:02}_x`\n");
        (1..RULES).map(rule).chain([last.to_owned()]).collect::<String>()
    };
    let read = |file: &str| match file {
        "a.rs" => Some(String::new()),
        "t.rs" => Some((1..=RULES).map(|n| format!("#[test]\nfn rule_{n:02}_x() {{}}\n")).collect()),
        _ => None,
    };
    let all: BTreeSet<_> = (1..=RULES).map(|n| ("t.rs".to_owned(), format!("rule_{n:02}_x"))).collect();
    let good = rules("## Rule 15: x\n- In the core: `a.rs`\n- Tests:\n  - `t.rs`: `rule_15_x`\n");
    assert_eq!(faults(&good, read, &all), Vec::<String>::new());
    for bad in [
        rules(""),
        rules("## Rule 16: x\n- In the core: `a.rs`\n- Tests:\n  - `t.rs`: `rule_15_x`\n"),
        rules("## Rule 15: x\n- In the core: `a.rs`\n- Tests:\n"),
        rules("## Rule 15: x\n- In the core: `b.rs`\n- Tests:\n  - `t.rs`: `rule_15_x`\n"),
        rules("## Rule 15: x\n- In the core: `a.rs`\n- Tests:\n  - `t.rs`: `rule_15_y`\n"),
        rules("## Rule 15: x\n- In the core: `a.rs`\n- Tests:\n  - `u.rs`: `rule_15_x`\n"),
    ] {
        assert!(!faults(&bad, read, &all).is_empty(), "{bad}");
    }
    let more: BTreeSet<_> = all.iter().cloned().chain([("t.rs".to_owned(), "rule_03_y".to_owned())]).collect();
    assert!(!faults(&good, read, &more).is_empty());
}
