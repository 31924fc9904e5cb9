//! Owns the check of every line of `--json` that the tests see against `events.schema.json`. It knows the few words of JSON
//! Schema that stand there and no others, and is stricter: a member that is not in the schema is a mistake of ours.

use serde_json::Value;
use std::sync::LazyLock;

pub(crate) static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../src/events.schema.json")).unwrap());

/// Checks those lines of an output that are JSON of this program.
#[track_caller]
pub(crate) fn check(stdout: &str) {
    for line in stdout.lines().filter(|line| line.starts_with(r#"{"v":"#)) {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let name = value["event"].as_str().unwrap_or("token");
        let Some(schema) = SCHEMA["$defs"].get(name) else { panic!("the schema has no event {name}: {line}") };
        if let Err(fault) = fits(&value, schema, name) {
            panic!("{fault}: {line}");
        }
    }
}

/// Whether a value is as a schema says; else where it is not.
pub(crate) fn fits(value: &Value, schema: &Value, at: &str) -> Result<(), String> {
    let no = |what: &str| Err(format!("{at} {what}, which the schema does not allow"));
    for (word, rule) in schema.as_object().unwrap() {
        match &**word {
            "description" => {}
            "const" if value != rule => return no(&format!("is {value}")),
            "enum" if !rule.as_array().unwrap().contains(value) => return no(&format!("is {value}")),
            "const" | "enum" => {}
            "type" => {
                let types = rule.as_array().map_or_else(|| vec![rule], |types| types.iter().collect());
                let is = |name: &Value| match name.as_str().unwrap() {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("the type {other} is not known here"),
                };
                if !types.into_iter().any(is) {
                    return no(&format!("is {value}"));
                }
            }
            "minimum" | "maximum" => {
                // Of a number alone.
                let (value, bound) = (value.as_i64(), rule.as_i64().unwrap());
                let is_beyond = |value: i64| if word == "minimum" { value < bound } else { value > bound };
                if let Some(value) = value.filter(|value| is_beyond(*value)) {
                    return no(&format!("is {value}"));
                }
            }
            "format" => {
                assert_eq!(rule, "date-time");
                // As RFC 3339 has it, in UTC, to the second.
                let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0") == "0000-00-00T00:00:00Z";
                if value.as_str().is_some_and(|text| !shape(text)) {
                    return no(&format!("is {value}"));
                }
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value.get(name.as_str().unwrap()).is_none() {
                        return no(&format!("has no {name}"));
                    }
                }
            }
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(schema) => fits(member, schema, &format!("{at}.{name}"))?,
                        None => return no(&format!("has a member {name}")),
                    }
                }
            }
            "additionalProperties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    fits(member, rule, &format!("{at}.{name}"))?;
                }
            }
            "items" => {
                for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(item, rule, &format!("{at}[{number}]"))?;
                }
            }
            "oneOf" => {
                let fitting = rule.as_array().unwrap().iter().filter(|schema| fits(value, schema, at).is_ok()).count();
                if fitting != 1 {
                    return no(&format!("fits {fitting} of {rule}"));
                }
            }
            other => panic!("the word {other} is not known here"),
        }
    }
    Ok(())
}
