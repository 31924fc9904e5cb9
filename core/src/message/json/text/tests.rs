//! JSON, taken apart as the library reads it.
#![allow(clippy::unwrap_used, reason = "a test")]

use super::*;
use alloc::format;
use alloc::string::ToString as _;
use proptest::prelude::*;
use serde_core::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members as the library reads them, in order; or whether it met the end of the text.
fn by_the_library(text: &str) -> Result<Vec<(String, String)>, bool> {
    struct All;

    impl<'de> Visitor<'de> for All {
        type Value = Vec<(String, String)>;

        fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                all.push((name, value.get().to_string()));
            }
            Ok(all)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(text);
    let all = deserializer.deserialize_map(All).and_then(|all| deserializer.end().map(|()| all));
    all.map_err(|error| error.is_eof())
}

fn by_us(text: &str) -> Result<Vec<(String, String)>, bool> {
    let mut all = Vec::new();
    let read = take_apart(text, b"{}", |name, value| {
        all.push((name.into_owned(), value.to_string()));
    });
    read.map(|()| all).map_err(|why| matches!(why, NoObject::NotJson))
}

#[test]
fn an_object_is_read_as_the_library_reads_it() {
    for text in [
        "{}",
        " { } ",
        "{",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{,}",
        "{1:2}",
        "{t",
        "{\"a\" \"",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1}x",
        "{\"a\":1}}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":1.}",
        "{\"a\":1x}",
        "{\"a\":tru}",
        "{\"a\":true}",
        "{\"a\":[1,{\"b\":\"]\"}]}",
        "{\"a\":[1}",
        "{\"a\":{}",
        "{\"a\":\"\u{7f}\"}",
        "{\"a\":\"\u{1f}\"}",
        "{\"a\":\"\u{1f}\u{1f}\"}",
        "{\"a\":\"\\n\\\"b\"}",
        "{\"a\n\":1}",
        "{\"\":\"\"}",
        "{\"a\"\u{c}:1}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"\\ud800\":1}",
        "{\"\\u0061\":1}",
        "{\"\\ud83d\\ude00é\":\"\\\"\"}",
        "{\"a\\\"b\":\"\\\\\"}",
        "{é:1}",
        "{\"a\":é}",
        "{\"a\"é1}",
        "{\"a\":1é}",
        "{\"a\":1}é",
        "{'a':1}",
    ] {
        assert_eq!(by_us(text), by_the_library(text), "{text}");
    }
}

#[test]
fn a_list_is_all_of_it_or_nothing() {
    assert_eq!(elements("[]"), Some(Vec::new()));
    assert_eq!(elements(" [ 1 , \"a,]\" , [2] ] "), Some(["1", "\"a,]\"", "[2]"].to_vec()));
    for text in ["", "[", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[1]]", "[1]x", "{}", "1", "\"[]\"", "[1}"] {
        assert_eq!(elements(text), None, "{text}");
    }
}

#[test]
fn every_escape_is_the_character_that_it_stands_for() {
    for text in [
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0041\u00e9\u20AC""#,
        r#""a\ud83d\ude00b""#,
        r#""\uD83D\uDE00\u0000""#,
        r#""\ud7ff\ue000""#,
    ] {
        let library: String = serde_json::from_str(text).unwrap();
        assert_eq!(unescaped(text).as_deref(), Some(&*library), "{text}");
    }
    for text in [
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\ud800""#,
        r#""\ud800a""#,
        r#""\ud800\n""#,
        r#""\ud800\u0041""#,
        r#""\udc00\ud800""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#""\é""#,
        r#""\u00é1""#,
        r#""a\""#,
    ] {
        assert!(serde_json::from_str::<String>(text).is_err(), "{text}");
        assert_eq!(unescaped(text), None, "{text}");
    }
}

/// Most of an object, and then perhaps something else.
fn nearly_an_object() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-z]{0,3}",
        Just("\\\"".into()),
        Just("\\u0061".into()),
        Just("é".into()),
        Just("\\ud83d\\ude00".into())
    ];
    let value = prop_oneof![
        "-?[0-9]{1,3}(\\.[0-9])?([eE][+-]?[0-9])?",
        "\"[a-zé ,:{}]{0,6}\"",
        "\"(\\\\[\"\\\\/bfnrtux]|[a-f0-9]){0,6}\"",
        Just("null".into()),
        Just("[1,[\"]\",{}]]".into()),
        Just("{\"a\":{\"}\":[]}}".into()),
    ];
    let space = || "[ \t\n\r]{0,1}";
    let member = (space(), name, space(), space(), value, space())
        .prop_map(|(a, name, b, c, value, d)| format!("{a}\"{name}\"{b}:{c}{value}{d}"));
    let odd = prop_oneof![Just(None), "[\\[\\]{},:\"\\\\0-9a-u\u{0}-\u{1f}é]{0,2}".prop_map(Some)];
    (prop::collection::vec(member, 0..4), odd, any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(members, odd, place, cut)| {
            let text = format!("{{{}}}", members.join(","));
            let Some(odd) = odd else { return text };
            let ends: Vec<usize> = text.char_indices().map(|(start, _)| start).filter(|start| *start > 0).collect();
            let (before, after) = text.split_at(*place.get(&ends));
            if cut { format!("{before}{odd}") } else { format!("{before}{odd}{after}") }
        },
    )
}

proptest! {
    #[test]
    fn any_object_is_read_as_the_library_reads_it(text in nearly_an_object()) {
        let (ours, library) = (by_us(&text), by_the_library(&text));
        // A name that makes no text is noticed when all of it is there, so where it is cut short that counts.
        if text.contains("\\ud") && ours != library {
            prop_assert!(ours.is_err() && library.is_err(), "{}", text);
        } else {
            prop_assert_eq!(ours, library, "{}", text);
        }
    }
}
