//! The table of cases, `docs/cases.md`: every bad input and fault that this project knows, and the tests that prove it.
//! It is made from `testkit/cases.txt` and from the tests; `UPDATE_CASES=1 cargo test -p device-flow-testkit --test
//! repository cases_table` writes it.

use crate::table::{Ids, Table, carried, excused};

const TABLE: Table = Table {
    path: "docs/cases.md",
    variable: "UPDATE_CASES",
    module: "cases_table",
    list: ("testkit/cases.txt", include_str!("../cases.txt")),
    noun: "case",
    introduction: INTRODUCTION,
    ids: IDS,
};
const IDS: Ids = Ids { of_comment: |comment| ids(comment).collect(), of_name: ids_of_name };
const INTRODUCTION: &str = "# Cases

Bad inputs and faults, their consequences, and the tests that prove them. A test belongs to a case when its name, or a comment on it or
in it, has the number of the case. `UPDATE_CASES=1 cargo test -p device-flow-testkit --test repository cases_table` makes this file from
`testkit/cases.txt` and the tests; without the variable it fails when the file is out of date or a case has no test. The tests in
adapter-tokio/tests/adapter run with both adapters, except those in `stopping.rs`.
";

fn is_id(word: &str) -> bool {
    word.len() == 3
        && word.starts_with(|letter: char| matches!(letter, 'A'..='G' | 'P' | 'S' | 'W'))
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

#[test]
fn every_case_has_its_tests_and_the_table_says_which() {
    let text = TABLE.check();
    let rows = |letters: &str| {
        text.lines().filter(|row| row.starts_with("| ") && row[2..].starts_with(|c| letters.contains(c))).count()
    };
    println!(
        "{} cases, {} of them in A to D, G and P; {} have a reason in place of a test",
        rows("ABCDEFGP"),
        rows("ABCDGP"),
        excused(&text)
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
    let found: Vec<_> = carried(source, IDS).into_iter().map(|(id, test)| format!("{id} {test}")).collect();
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
