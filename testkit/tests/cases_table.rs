//! The table of cases, `docs/cases.md`: every bad input and fault that this project knows, and the tests that prove it.
//! It is made from `testkit/cases.txt` and from the tests; `UPDATE_CASES=1 cargo test -p device-flow-testkit --test
//! repository cases_table` writes it.

use crate::files::{members, root, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const TABLE: &str = "docs/cases.md";
const INTRODUCTION: &str = "# Cases

Bad inputs and faults, their consequences, and the tests that prove them. A test belongs to a case when its name, or a comment on it or
in it, has the number of the case. `UPDATE_CASES=1 cargo test -p device-flow-testkit --test repository cases_table` makes this file from
`testkit/cases.txt` and the tests; without the variable it fails when the file is out of date or a case has no test. The tests in
adapter-tokio/tests/adapter run with both adapters, except those in `stopping.rs`.
";

/// The tests of a case: file, then names; an empty name is the file as a whole.
type Places = BTreeMap<String, BTreeSet<String>>;

struct Case {
    id: &'static str,
    statement: &'static str,
    /// The reason why it has no test.
    excuse: Option<&'static str>,
}

struct Section {
    title: &'static str,
    /// The reason why its cases may have no tests.
    excuse: Option<&'static str>,
    cases: Vec<Case>,
}

fn sections() -> Vec<Section> {
    let text = include_str!("../cases.txt");
    let excused = |line: &'static str| match line.strip_suffix(']').and_then(|line| line.rsplit_once(" [")) {
        Some((rest, excuse)) => (rest, Some(excuse)),
        None => (line, None),
    };
    let mut sections: Vec<Section> = vec![];
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (line, excuse) = excused(line);
        if let Some(title) = line.strip_prefix("# ") {
            sections.push(Section { title, excuse, cases: vec![] });
        } else {
            let (id, statement) = line.split_once(' ').unwrap();
            sections.last_mut().unwrap().cases.push(Case { id, statement, excuse });
        }
    }
    sections
}

fn is_id(word: &str) -> bool {
    word.len() == 3
        && word.starts_with(|letter: char| matches!(letter, 'A'..='G' | 'P'))
        && word[1..].bytes().all(|digit| digit.is_ascii_digit())
}

/// The numbers in a comment: whole words, so that neither `E0382` nor `A.12` of an appendix is one.
fn ids(comment: &str) -> impl Iterator<Item = String> {
    comment.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| is_id(word)).map(str::to_owned)
}

/// The numbers in a name such as `c10_c11_redirects_are_never_followed`.
fn ids_of_name(name: &str) -> Vec<String> {
    name.split('_').map(str::to_uppercase).filter(|word| is_id(word)).collect()
}

/// Every number in a file, with the test that it belongs to: the one whose comment, name or body contains it. A number in
/// the head of the file (`//!`) belongs to the whole file. Relies only on the indentation of rustfmt.
fn carried(source: &str) -> Vec<(String, String)> {
    let mut found = vec![];
    let (mut above, mut is_test) = (vec![], false);
    let mut inside: Option<(String, usize)> = None;
    for line in source.lines() {
        let code = line.trim_start();
        let indentation = line.len() - code.len();
        if let Some((name, indented)) = &inside {
            found
                .extend(line.split_once("//").into_iter().flat_map(|(_, note)| ids(note)).map(|id| (id, name.clone())));
            if code == "}" && indentation == *indented {
                inside = None;
            }
        } else if let Some(head) = code.strip_prefix("//!") {
            found.extend(ids(head).map(|id| (id, String::new())));
        } else if let Some(comment) = code.strip_prefix("//") {
            above.extend(ids(comment));
        } else if code.starts_with("#[") {
            is_test |= code.starts_with("#[test") || code.contains("::test");
        } else if let Some((_, rest)) = code.split_once("fn ").filter(|_| is_test) {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.extend(above.drain(..).chain(ids_of_name(&name)).map(|id| (id, name.clone())));
            (inside, is_test) = (Some((name, indentation)), false);
        } else {
            // Something else than a test: its comment is its own.
            (above, is_test) = (vec![], false);
        }
    }
    found
}

/// Every Rust file of the workspace that may have tests, with its path from the root.
fn sources() -> impl Iterator<Item = (String, String)> {
    let all = members().into_iter().flat_map(|member| rust_files(&member));
    all.filter(|(name, _)| !name.ends_with("tests/cases_table.rs"))
}

/// The tests of each case; a number that no case has is wrong.
fn tests(sections: &[Section], wrong: &mut Vec<String>) -> BTreeMap<String, Places> {
    let known: BTreeSet<_> = sections.iter().flat_map(|section| &section.cases).map(|case| case.id).collect();
    let mut tests: BTreeMap<String, Places> = BTreeMap::new();
    for (file, source) in sources() {
        let holds_only_tests = file.contains("/tests/") || file.contains("/fuzz_targets/");
        for (id, test) in carried(&source) {
            if !known.contains(&*id) {
                // Names may have other words of this form.
                if !ids_of_name(&test).contains(&id) {
                    wrong.push(format!("{id} is no case of testkit/cases.txt: {file} {test}"));
                }
            } else if holds_only_tests || !test.is_empty() {
                tests.entry(id).or_default().entry(file.clone()).or_default().insert(test);
            }
        }
    }
    tests
}

fn cell(places: &Places) -> String {
    let places = places.iter().map(|(file, tests)| {
        let tests: Vec<_> = tests.iter().filter(|test| !test.is_empty()).map(|test| format!("`{test}`")).collect();
        if tests.is_empty() { format!("{file} as a whole") } else { format!("{file}: {}", tests.join(", ")) }
    });
    places.collect::<Vec<_>>().join("<br>")
}

/// The text of the table, and what is wrong with it.
fn table() -> (String, Vec<String>) {
    let sections = sections();
    let (mut text, mut wrong) = (INTRODUCTION.to_owned(), vec![]);
    let tests = tests(&sections, &mut wrong);
    for section in &sections {
        text += &format!("\n## {}\n\n| case | what it is | tests |\n| --- | --- | --- |\n", section.title);
        for Case { id, statement, excuse } in &section.cases {
            let carried = match (tests.get(*id), excuse.or(section.excuse)) {
                (Some(_), _) if excuse.is_some() => {
                    wrong.push(format!("{id} has a test: take its excuse out of testkit/cases.txt"));
                    continue;
                }
                (Some(places), _) => cell(places),
                (None, Some(excuse)) => format!("*{excuse}*"),
                (None, None) => {
                    wrong.push(format!("{id} has no test: {statement}"));
                    continue;
                }
            };
            text += &format!("| {id} | {} | {carried} |\n", statement.replace('|', "\\|"));
        }
    }
    (text, wrong)
}

#[test]
fn every_case_has_its_tests_and_the_table_says_which() {
    let (text, wrong) = table();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let path = root().join(TABLE);
    if std::env::var_os("UPDATE_CASES").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let stale = text.lines().find(|line| !committed.lines().any(|known| known == *line));
    assert!(
        committed == text,
        "{TABLE} is out of date: run UPDATE_CASES=1 cargo test -p device-flow-testkit --test repository cases_table\nfirst new line: {stale:?}"
    );
    let rows = |letters: &str| {
        text.lines().filter(|row| row.starts_with("| ") && row[2..].starts_with(|c| letters.contains(c))).count()
    };
    let excused = text.lines().filter(|row| row.ends_with("* |")).count();
    println!(
        "{} cases, {} of them in A to D, G and P; {excused} have a reason in place of a test",
        rows("ABCDEFGP"),
        rows("ABCDGP")
    );
}

#[test]
fn the_search_finds_numbers_in_comments_names_and_bodies_and_nowhere_else() {
    let source = r#"//! Head with A01.

// A02: of a helper, not of a test.
fn helper() {}

/// A03, B04 and not E0382, RFC 6749 Appendix A.12, X99 or A100.
#[test]
#[should_panic(expected = "C05")]
fn c06_c07_name() {
    // D08.
    fn nested() {
        call("C99"); // D09
    }
}

// G10, on the test below.

proptest! {
    // G11.
    #[test]
    fn in_a_macro(n in 0..9) {
        call();
    }
}

const AFTER: &str = "A12"; // A13

#[tokio::test(start_paused = true)]
async fn last() {}
"#;
    let found: Vec<_> = carried(source).into_iter().map(|(id, test)| format!("{id} {test}")).collect();
    let name = |id: &str| format!("{id} c06_c07_name");
    assert_eq!(
        found,
        [
            "A01 ".to_owned(),
            name("A03"),
            name("B04"),
            name("C06"),
            name("C07"),
            name("D08"),
            name("D09"),
            "G11 in_a_macro".to_owned()
        ]
    );
}
