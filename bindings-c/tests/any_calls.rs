//! Owns sequences of calls without a fuzzer: the seeds of its corpus, and as many made up here. Under a sanitizer or Miri
//! they show what no assertion sees.

use std::fs;
use std::path::Path;

#[test]
fn any_sequence_of_calls_is_harmless() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/bindings_c");
    let mut seeds: Vec<_> =
        fs::read_dir(corpus).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    assert!(seeds.len() >= 10, "{}", seeds.len());
    // A linear congruential generator: the same sequences in every run.
    let mut state = 1_u64;
    let made_up = if cfg!(miri) { 2 } else { 2_000 };
    seeds.extend((0..made_up).map(|_| {
        let byte = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Small numbers choose what exists; sometimes one is large.
            let byte = (state >> 40) as u8;
            if byte < 200 { byte % 16 } else { byte }
        };
        (0..120).map(byte).collect()
    }));
    seeds.iter().for_each(|seed| device_flow_c::calls::check(seed));
}
