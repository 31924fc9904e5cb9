//! The feature table of the MSALs, `docs/msal.md`: no row is missing, each has a test or a reason, and every test that
//! it names exists.

use crate::files::{members, root, rust_files};
use std::collections::BTreeSet;
use std::fs;

/// How many rows each section has.
const ROWS: [(u32, u32); 8] = [(1, 15), (2, 11), (3, 18), (4, 21), (5, 7), (6, 23), (7, 44), (8, 20)];

/// The names of the functions with a test attribute. Relies only on the lines that rustfmt makes.
fn tests(source: &str) -> Vec<String> {
    let (mut found, mut is_test) = (vec![], false);
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.contains("::test");
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test && !line.starts_with("//")) {
            found.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            is_test = false;
        } else if !line.starts_with("//") {
            is_test = false;
        }
    }
    found
}

fn all_tests() -> BTreeSet<String> {
    members().iter().flat_map(|member| rust_files(member)).flat_map(|(_, source)| tests(&source)).collect()
}

struct Row<'a> {
    number: &'a str,
    ours: &'a str,
    shown_by: &'a str,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let cells = |line: &'_ str| line.trim_matches('|').split('|').map(str::trim).count();
    let mut rows = vec![];
    for line in text.lines().filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit()) {
        assert_eq!(cells(line), 5, "five columns, and no bar within a cell: {line}");
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let number = cells.next().unwrap();
        rows.push(Row { number, ours: cells.nth(2).unwrap(), shown_by: cells.next().unwrap() });
    }
    rows
}

/// What is wrong with a row.
fn complaint(row: &Row<'_>, known: &BTreeSet<String>) -> Option<String> {
    let named: Vec<&str> = row.shown_by.split('`').skip(1).step_by(2).collect();
    let reason = row.shown_by.starts_with('*') && row.shown_by.ends_with('*') && row.shown_by.len() > 2;
    if let Some(missing) = named.iter().find(|name| !known.contains(**name)) {
        return Some(format!("there is no test {missing}"));
    }
    if named.is_empty() && !reason {
        return Some("it has neither a test nor a reason".to_owned());
    }
    (!reason && !row.ours.starts_with(['✓', '≠'])).then(|| "it says neither ✓ nor ≠".to_owned())
}

#[test]
fn every_feature_of_the_msals_has_its_tests_or_a_reason() {
    let (text, known) = (fs::read_to_string(root().join("docs/msal.md")).unwrap(), all_tests());
    assert!(known.len() > 300, "only {} tests were found", known.len());
    let rows = rows(&text);
    let numbers: Vec<&str> = rows.iter().map(|row| row.number).collect();
    let expected: Vec<String> =
        ROWS.iter().flat_map(|(section, rows)| (1..=*rows).map(move |row| format!("{section}.{row}"))).collect();
    assert_eq!(numbers, expected, "a row is missing or out of its order");
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| complaint(row, &known).map(|complaint| format!("{}: {complaint}", row.number)))
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let differs = rows.iter().filter(|row| row.ours.contains('≠')).count();
    let reasons = rows.iter().filter(|row| row.shown_by.starts_with('*')).count();
    println!("{} rows; {differs} of them differ by choice, {reasons} have a reason in place of a test", rows.len());
}

#[test]
fn a_row_without_a_test_or_with_one_that_is_gone_is_found() {
    let known = BTreeSet::from(["there".to_owned()]);
    let complaint = |ours, shown_by| complaint(&Row { number: "1.1", ours, shown_by }, &known);
    for (ours, shown_by) in [("✓", "`there`"), ("≠ why", "`there`"), ("later", "*not built*")] {
        assert_eq!(complaint(ours, shown_by), None);
    }
    for (ours, shown_by) in
        [("✓", ""), ("✓", "there"), ("✓", "`gone`"), ("✓", "`there`, `gone`"), ("", "`there`"), ("✓", "**")]
    {
        assert!(complaint(ours, shown_by).is_some(), "{ours} {shown_by}");
    }
    let source = "#[test]\n// Why.\n#[should_panic]\nfn one() {}\nfn helper() {}\n    #[tokio::test]\n    async fn two() {}\n#[test]\nconst X: u8 = 1;\nfn none() {}\n";
    assert_eq!(tests(source), ["one", "two"]);
}
