//! Long worlds at random, under the watch: numbers of any size, clocks of any kind, interventions between any two steps.
//!
//! A failure is shrunk to the fewest and simplest choices and printed; write them into `fuzz/corpus/operations` to keep
//! them.

use device_flow_testkit::choices::{Bytes, Choose as _};
use device_flow_testkit::fleet_world;
use device_flow_testkit::watch::Observation;
use device_flow_testkit::world::{ANY, ANY_WITH_KEYS, Intervention, Menu, Trace, Wake, play, play_in_steps};
use proptest::prelude::*;

fn choices(most: usize) -> impl Strategy<Value = Vec<u8>> {
    // Small numbers more often, since 0 is the simplest choice.
    prop::collection::vec(prop_oneof![2 => Just(0_u8), 3 => 0..12_u8, 3 => any::<u8>()], 0..most)
}

/// With keys and servers that want nonces, or without.
fn menu(keys: bool) -> &'static Menu {
    if keys { &ANY_WITH_KEYS } else { &ANY }
}

/// `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() { default } else { ProptestConfig { cases: 400, ..default } }
}

/// The same trace, later by this much.
fn shifted(trace: Trace, by: u64) -> Trace {
    let later = |observation| match observation {
        Observation::WaitUntil(until) => Observation::WaitUntil(until + by),
        Observation::CodeShown { interval, deadline } => Observation::CodeShown { interval, deadline: deadline + by },
        other @ (Observation::Request(_)
        | Observation::Response(_)
        | Observation::Cancelled
        | Observation::Resumed { .. }
        | Observation::Ended(_)) => other,
    };
    trace.into_iter().map(|(at, observation)| (at + by, later(observation))).collect()
}

proptest! {
    #![proptest_config(config())]

    // D01, D02, D04, D06, D07, D09, D13, G01, G02, G03, G04, G05, rules 1 to 10 and 12 to 15.
    #[test]
    fn the_law_holds_in_every_world(choices in choices(400), keys: bool) {
        play(&mut Bytes(&choices), menu(keys));
    }

    // The same, stored as JSON and resumed at every wait, as a workflow engine does it. What a poll brings is lost when its
    // worker dies.
    #[test]
    fn the_law_holds_in_every_world_step_by_step(choices in choices(400), keys: bool) {
        play_in_steps(&mut Bytes(&choices), menu(keys));
    }

    // Stored at every wait or not at all: the same requests at the same times, and the same outcome.
    #[test]
    fn a_sign_in_in_steps_is_the_sign_in_as_a_whole(choices in choices(400), keys: bool) {
        let undisturbed = Menu { interventions: &[Intervention::None, Intervention::Cancel], ..*menu(keys) };
        prop_assert_eq!(play_in_steps(&mut Bytes(&choices), &undisturbed), play(&mut Bytes(&choices), &undisturbed));
    }

    // Time has no origin: the same world a constant later gives the same trace that much later.
    #[test]
    fn a_shift_of_time_shifts_the_trace(choices in choices(200), keys: bool) {
        let early = Menu { starts: &[10_000_000], wakes: &[Wake::OnTime, Wake::Random, Wake::Early(1), Wake::Backwards(10_000)], ..*menu(keys) };
        let late = Menu { starts: &[1 << 40], ..early };
        let world = |menu| play(&mut Bytes(&choices), menu);
        let trace = world(&early);
        // When an answer took so long that the end of the timeline is near, nothing can be later.
        if trace.iter().all(|(at, _)| *at < 1 << 40) {
            prop_assert_eq!(world(&late), shifted(trace, (1 << 40) - 10_000_000));
        }
    }
}

/// A fleet is many sign-ins.
fn fewer() -> ProptestConfig {
    let config = config();
    ProptestConfig { cases: config.cases.div_ceil(10), ..config }
}

proptest! {
    #![proptest_config(fewer())]

    // G02, G05, D04, D09, rules 1 to 10 and 15: many at once, whose answers overtake each other.
    #[test]
    fn the_law_holds_in_every_fleet(choices in choices(1_500), keys: bool) {
        let mut choices = Bytes(&choices);
        let size = choices.from(&fleet_world::ANY);
        fleet_world::play(&mut choices, menu(keys), size);
    }
}
