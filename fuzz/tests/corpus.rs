//! Every committed seed of every fuzz target, without a fuzzer: a crash that was found once stays found.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests panic to report")]

use device_flow_fuzz::TARGETS;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

#[test]
fn every_seed_keeps_its_invariant() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let (mut all, mut broken) = (0, vec![]);
    for (name, check) in TARGETS {
        let mut seeds: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        seeds.sort();
        for seed in &seeds {
            let bytes = fs::read(seed).unwrap();
            if catch_unwind(|| check(&bytes)).is_err() {
                broken.push(seed.display().to_string());
            }
        }
        println!("corpus: {name}: {} seeds", seeds.len());
        assert!(!seeds.is_empty(), "{name} has no seeds");
        all += seeds.len();
    }
    println!("corpus: {all} seeds in all");
    assert!(broken.is_empty(), "{} seeds break the invariant of their target: {broken:#?}", broken.len());
    assert!(all >= 300, "only {all} seeds");
}

/// No luck of a fuzzer is needed for what the core has a table of.
#[test]
fn every_error_that_the_core_knows_keeps_the_invariants() {
    let dictionary = include_str!("../dictionary.txt");
    let section = dictionary.split("\n\n").find(|section| section.starts_with("# Error codes")).unwrap();
    let codes: Vec<_> = section.lines().skip(1).map(|line| line.trim_matches('"')).collect();
    assert!(codes.len() >= 35 && codes.contains(&"slow_down"), "{codes:?}");
    let mut inputs = vec![];
    for code in codes {
        inputs.push(("prompt", code.to_owned()));
        for status in [200, 400, 401, 403, 404, 408, 429, 500, 503] {
            for member in ["error", "error_code", "message"] {
                let answer =
                    format!("{status} application/json\n{{\"{member}\":\"{code}\",\"error_description\":\"{code}\"}}");
                inputs.push(("device_authorization", answer.clone()));
                inputs.push(("token", answer));
            }
        }
    }
    let check = |name: &str| TARGETS.iter().find(|(target, _)| *target == name).unwrap().1;
    let broken = |(name, input): &(&str, String)| catch_unwind(|| check(name)(input.as_bytes())).is_err();
    inputs.retain(broken);
    assert!(inputs.is_empty(), "{inputs:#?}");
}

#[test]
fn every_folder_belongs_to_a_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for folder in fs::read_dir(corpus).unwrap() {
        let folder = folder.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(name, _)| *name == folder), "no target replays {folder}");
    }
}
