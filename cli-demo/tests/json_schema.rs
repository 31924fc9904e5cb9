//! `events.schema.json`: it is printed, it has every event of the program and no other, and what breaks it is found. That
//! real lines are as it says is checked wherever a test runs the program ([`crate::program::ended`]).
#![cfg(unix)]

use crate::program::{ended, program, schema};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// `DeviceCode` as serde writes it.
fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[test]
fn the_schema_has_every_event_of_the_program_and_no_other() {
    let mut files = vec![];
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut events = BTreeSet::from(["token".to_owned()]);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let text: String = text.split_whitespace().collect();
        for call in text.split("terminal.result(").skip(1) {
            let name = call.strip_prefix('"').and_then(|name| name.split('"').next());
            events.insert(name.unwrap_or_else(|| panic!("{}: an event without a name", file.display())).to_owned());
        }
        if file.ends_with("terminal/json.rs") {
            let all = text.split_once("enumJsonEvent<'a>{").unwrap().1;
            // A variant begins after the end of the one before.
            let variants = all.split("},").map_while(|variant| variant.split_once('{'));
            events.extend(
                variants
                    .map(|(name, _)| snake_case(name))
                    .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')),
            );
        }
    }
    let defined = schema::SCHEMA["$defs"].as_object().unwrap();
    assert_eq!(events, defined.keys().cloned().collect());
    let references: Vec<_> =
        schema::SCHEMA["oneOf"].as_array().unwrap().iter().map(|one| one["$ref"].as_str().unwrap()).collect();
    let references: BTreeSet<_> = references.into_iter().collect();
    assert_eq!(
        references,
        defined.keys().map(|name| format!("#/$defs/{name}")).collect::<Vec<_>>().iter().map(String::as_str).collect()
    );
    for (name, event) in defined {
        assert!(event["description"].as_str().is_some_and(|text| text.ends_with('.')), "{name} is not described");
    }
}

#[test]
fn the_schema_is_printed_as_it_stands() {
    let home = tempfile::tempdir().unwrap();
    for words in [&["schema"][..], &["schema", "--json"]] {
        let (exit, stdout, stderr) = ended(program("device-flow", home.path()).args(words));
        assert_eq!((exit, &*stderr), (0, ""));
        assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap(), *schema::SCHEMA);
    }
}

#[test]
fn a_line_that_breaks_the_schema_is_found() {
    let good = json!({"v": 1, "event": "slow_down", "interval": 10});
    let fault = |change: Value| {
        let mut line = good.clone();
        for (name, value) in change.as_object().unwrap() {
            line[name] = value.clone();
        }
        schema::fits(&line, &schema::SCHEMA["$defs"]["slow_down"], "slow_down").err()
    };
    assert_eq!(fault(json!({})), None);
    for change in [
        json!({"v": 2}),
        json!({"interval": -1}),
        json!({"interval": "10"}),
        json!({"more": 1}),
        json!({"interval": null}),
    ] {
        assert!(fault(change.clone()).is_some(), "{change}");
    }
    let token = |token: Value| schema::fits(&token, &schema::SCHEMA["$defs"]["token"], "token").is_ok();
    let rest = json!({"v": 1, "token_type": "Bearer", "expires_at": null, "expires_in": null, "scope": "", "account": null, "profile": null});
    let with = |more: Value| {
        let mut all = rest.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        token(all)
    };
    assert!(with(json!({"access_token": "AT-canary"})) && with(json!({"id_token": "IT-canary"})));
    assert!(!with(json!({})) && !with(json!({"access_token": "AT-canary", "id_token": "IT-canary"})));
    assert!(!with(json!({"access_token": "AT-canary", "expires_at": "yesterday"})));
}
