//! The table of clauses, `docs/clauses.md`: what the standards ask of a client, and the tests that prove it. It is made
//! from `testkit/clauses.txt` and from the tests; `UPDATE_CLAUSES=1 cargo test -p device-flow-testkit --test repository
//! clauses_table` writes it.

use crate::table::{Ids, Table, carried, excused};

const TABLE: Table = Table {
    path: "docs/clauses.md",
    variable: "UPDATE_CLAUSES",
    module: "clauses_table",
    list: ("testkit/clauses.txt", include_str!("../clauses.txt")),
    noun: "clause",
    introduction: INTRODUCTION,
    ids: IDS,
};
/// A name of a test carries none: its words cannot be told from a section and the words behind it.
const IDS: Ids = Ids { of_comment: ids, of_name: |_| vec![] };
const INTRODUCTION: &str = "# Clauses

What the standards ask of a client of the device grant, in our own words, and the tests that prove it. A *reason in italics* stands where
there is no test. What binds only servers, or only the program that uses this library, is left out.

An id is the document, the section and a running number: `R8628-3.5-6` is the sixth clause of RFC 8628 §3.5; `OIDC` is OpenID Connect Core
1.0, `OIDD` is OpenID Connect Discovery 1.0, `D7523bis` the draft draft-ietf-oauth-rfc7523bis. Numbers are missing where a clause does not
bind the client. \"Must\", \"should\" and \"may\" are the document's; a sentence with none of them says what the document describes.

A test belongs to a clause when a comment on it or in it has the id. `UPDATE_CLAUSES=1 cargo test -p device-flow-testkit --test repository
clauses_table` makes this file from `testkit/clauses.txt` and the tests; without the variable it fails when the file is out of date, or a
clause has neither a test nor a reason. The tests in adapter-tokio/tests/adapter run with both adapters, except those in `stopping.rs`.
";

fn is_id(word: &str) -> bool {
    let Some((document, clause)) = word.split_once('-') else { return false };
    let is_document = match document.strip_prefix('R') {
        Some(number) => (4..=5).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit()),
        None => ["OIDC", "OIDD", "D7523bis"].contains(&document),
    };
    is_document && !clause.is_empty()
}

/// The ids in a comment: whole words, with a mark of punctuation behind them or none.
fn ids(comment: &str) -> Vec<String> {
    let words = comment.split(|c: char| !(c.is_alphanumeric() || ['-', '.', '_'].contains(&c)));
    words.map(|word| word.trim_end_matches('.')).filter(|word| is_id(word)).map(str::to_owned).collect()
}

#[test]
fn every_clause_has_its_tests_or_a_reason_and_the_table_says_which() {
    let text = TABLE.check();
    let rows = text.lines().filter(|row| row.starts_with("| ") && row[2..].starts_with(['R', 'O', 'D'])).count();
    println!("{rows} clauses; {} have a reason in place of a test", excused(&text));
}

#[test]
fn the_search_finds_ids_in_comments_alone() {
    let source = r#"//! R6749-1.9-1.

// R8628-3.1-1: of a helper.
fn helper() {}

// R8628-3.5-10, R6749-A.12-1 (OIDC-3.1.3.7-11); RFC 8628 §3.1, R8628, R862-3.1-1, XR8628-3.1-2, OIDX-1-1, R8628-.
#[test]
fn r8628_3_5_6_name() {
    call("R8628-3.1-3"); // OIDD-4.3-3.
    // D7523bis-aud
}
"#;
    let found: Vec<_> = carried(source, IDS).into_iter().map(|(id, test)| format!("{id} {test}")).collect();
    let expected = ["R8628-3.5-10", "R6749-A.12-1", "OIDC-3.1.3.7-11", "OIDD-4.3-3", "D7523bis-aud"];
    let expected = expected.map(|id| format!("{id} r8628_3_5_6_name"));
    assert_eq!(found[0], "R6749-1.9-1 ");
    assert_eq!(found[1..], expected);
}
