//! Owns the tables of docs/ that are made from a list and from the tests: the search for ids, and the text of a table.

use crate::files::{members, root, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The tests that carry an id: file, then names; an empty name is the file as a whole.
type Places = BTreeMap<String, BTreeSet<String>>;

/// Where ids stand.
#[derive(Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) of_comment: fn(&str) -> Vec<String>,
    pub(crate) of_name: fn(&str) -> Vec<String>,
}

/// A table and its list. Lines of a list: `# a section`, `ID what it is`; either may end with ` [why there is no
/// test]`.
pub(crate) struct Table {
    /// The file, from the root.
    pub(crate) path: &'static str,
    /// The environment variable that writes it.
    pub(crate) variable: &'static str,
    /// The module with its test.
    pub(crate) module: &'static str,
    /// The list, from the root, and what is in it.
    pub(crate) list: (&'static str, &'static str),
    /// What an entry of the list is.
    pub(crate) noun: &'static str,
    pub(crate) introduction: &'static str,
    pub(crate) ids: Ids,
}

struct Entry {
    id: &'static str,
    statement: &'static str,
    /// The reason why it has no test.
    excuse: Option<&'static str>,
}

struct Section {
    title: &'static str,
    /// The reason why its entries may have no tests.
    excuse: Option<&'static str>,
    entries: Vec<Entry>,
}

fn sections(text: &'static str) -> Vec<Section> {
    let excused = |line: &'static str| match line.strip_suffix(']').and_then(|line| line.rsplit_once(" [")) {
        Some((rest, excuse)) => (rest, Some(excuse)),
        None => (line, None),
    };
    let mut sections: Vec<Section> = vec![];
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (line, excuse) = excused(line);
        if let Some(title) = line.strip_prefix("# ") {
            sections.push(Section { title, excuse, entries: vec![] });
        } else {
            let (id, statement) = line.split_once(' ').unwrap();
            sections.last_mut().unwrap().entries.push(Entry { id, statement, excuse });
        }
    }
    sections
}

/// Every id in a file, with the test that it belongs to: the one whose comment, name or body contains it. An id in the
/// head of the file (`//!`) belongs to the whole file. Relies only on the indentation of rustfmt.
pub(crate) fn carried(source: &str, ids: Ids) -> Vec<(String, String)> {
    let mut found = vec![];
    let (mut above, mut is_test) = (vec![], false);
    let mut inside: Option<(String, usize)> = None;
    for line in source.lines() {
        let code = line.trim_start();
        let indentation = line.len() - code.len();
        if let Some((name, indented)) = &inside {
            let noted = line.split_once("//").map(|(_, note)| (ids.of_comment)(note)).unwrap_or_default();
            found.extend(noted.into_iter().map(|id| (id, name.clone())));
            if code == "}" && indentation == *indented {
                inside = None;
            }
        } else if let Some(head) = code.strip_prefix("//!") {
            found.extend((ids.of_comment)(head).into_iter().map(|id| (id, String::new())));
        } else if let Some(comment) = code.strip_prefix("//") {
            above.extend((ids.of_comment)(comment));
        } else if code.starts_with("#[") {
            is_test |= code.starts_with("#[test") || code.contains("::test");
        } else if let Some((_, rest)) = code.split_once("fn ").filter(|_| is_test) {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.extend(above.drain(..).chain((ids.of_name)(&name)).map(|id| (id, name.clone())));
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
    // These have made-up ids.
    all.filter(|(name, _)| !name.ends_with("tests/cases_table.rs") && !name.ends_with("tests/clauses_table.rs"))
}

fn cell(places: &Places) -> String {
    let places = places.iter().map(|(file, tests)| {
        let tests: Vec<_> = tests.iter().filter(|test| !test.is_empty()).map(|test| format!("`{test}`")).collect();
        if tests.is_empty() { format!("{file} as a whole") } else { format!("{file}: {}", tests.join(", ")) }
    });
    places.collect::<Vec<_>>().join("<br>")
}

impl Table {
    /// The tests of each id; one that is not in the list is wrong.
    fn tests(&self, sections: &[Section], wrong: &mut Vec<String>) -> BTreeMap<String, Places> {
        let known: BTreeSet<_> = sections.iter().flat_map(|section| &section.entries).map(|entry| entry.id).collect();
        let mut tests: BTreeMap<String, Places> = BTreeMap::new();
        for (file, source) in sources() {
            let holds_only_tests = file.contains("/tests/") || file.contains("/fuzz_targets/");
            for (id, test) in carried(&source, self.ids) {
                if !known.contains(&*id) {
                    // Names may have other words of this form.
                    if !(self.ids.of_name)(&test).contains(&id) {
                        wrong.push(format!("{id} is no {} of {}: {file} {test}", self.noun, self.list.0));
                    }
                } else if holds_only_tests || !test.is_empty() {
                    tests.entry(id).or_default().entry(file.clone()).or_default().insert(test);
                }
            }
        }
        tests
    }

    /// The text of the table, and what is wrong with it.
    fn text(&self) -> (String, Vec<String>) {
        let sections = sections(self.list.1);
        let (mut text, mut wrong) = (self.introduction.to_owned(), vec![]);
        let tests = self.tests(&sections, &mut wrong);
        for section in &sections {
            text += &format!("\n## {}\n\n| {} | what it is | tests |\n| --- | --- | --- |\n", section.title, self.noun);
            for Entry { id, statement, excuse } in &section.entries {
                let carried = match (tests.get(*id), excuse.or(section.excuse)) {
                    (Some(_), _) if excuse.is_some() => {
                        wrong.push(format!("{id} has a test: take its excuse out of {}", self.list.0));
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

    /// Returns the text, which is the one in the repository; otherwise panics. Writes it first when the variable is
    /// set.
    pub(crate) fn check(&self) -> String {
        let (text, wrong) = self.text();
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
        let path = root().join(self.path);
        if std::env::var_os(self.variable).is_some() {
            fs::write(&path, &text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        let stale = text.lines().find(|line| !committed.lines().any(|known| known == *line));
        assert!(
            committed == text,
            "{} is out of date: run {}=1 cargo test -p device-flow-testkit --test repository {}\nfirst new line: {stale:?}",
            self.path,
            self.variable,
            self.module
        );
        text
    }
}

/// How many rows have a reason in place of a test.
pub(crate) fn excused(text: &str) -> usize {
    text.lines().filter(|row| row.ends_with("* |")).count()
}
