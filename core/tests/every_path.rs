//! Every path of small worlds, under the watch of the testkit. `cargo test` takes the smallest worlds; there are more
//! with `DEVICE_FLOW_PATHS=million` (in an optimised build) or `=all`.
//!
//! B01, B03, B04, B06, B07, B10, B11, B12, B25, D02, D04, D06, D07, D09, D13, G02, G03, G04, G05, rules 1 to 10 and 12
//! to 15.

#![allow(clippy::indexing_slicing, reason = "a panic is how a test reports")]

use device_flow_core::TransportErrorKind::{Timeout, UntrustedCertificate};
use device_flow_testkit::choices::{Choose, every_path};
use device_flow_testkit::fleet_world;
use device_flow_testkit::server::Number::{self, Absent, Whole};
use device_flow_testkit::server::{Reply, Turn};
use device_flow_testkit::signer::Key;
use device_flow_testkit::world::{Intervention, Menu, Wake, play, play_in_steps};

const fn code(interval: Number, lifetime: u64) -> Turn {
    Turn::new(Reply::Code { interval, lifetime: Whole(lifetime) })
}

fn from(choose: &mut dyn Choose, turns: &[Turn]) -> Turn {
    turns[choose.pick(turns.len())]
}

/// Everything that lets a sign-in go on, and everything that ends it.
const POLLS: [Turn; 22] = [
    Turn::new(Reply::Pending),
    Turn::new(Reply::Token),
    Turn::new(Reply::SlowDown(Absent)),
    Turn::new(Reply::SlowDown(Whole(1))),
    Turn::new(Reply::SlowDown(Whole(12))),
    Turn::new(Reply::SlowDown(Whole(u64::MAX))),
    Turn::new(Reply::Fault(Timeout)).latency(3_000),
    Turn::new(Reply::Unavailable(503)).retry_after(7),
    Turn::new(Reply::Pending).status(429).retry_after(8).latency(1_500),
    Turn::new(Reply::Pending).retry_after(u64::MAX),
    Turn::new(Reply::Page),
    Turn::new(Reply::Nothing),
    Turn::new(Reply::Pending).latency(20_000),
    Turn::new(Reply::Token).latency(20_000),
    Turn::new(Reply::Error("access_denied")),
    Turn::new(Reply::Error("expired_token")),
    Turn::new(Reply::Error("invalid_grant")).latency(20_000),
    Turn::new(Reply::Error("weird")),
    Turn::new(Reply::Fault(UntrustedCertificate)),
    Turn::new(Reply::Array),
    Turn::new(Reply::Trailing),
    Turn::new(Reply::Redirect),
];

/// Only what lets it go on.
const GO_ON: [Turn; 6] = [
    Turn::new(Reply::Pending),
    Turn::new(Reply::SlowDown(Absent)),
    Turn::new(Reply::SlowDown(Whole(9))),
    Turn::new(Reply::Fault(Timeout)),
    Turn::new(Reply::Page),
    Turn::new(Reply::Unavailable(500)).retry_after(11),
];

/// What a server that wants nonces answers. Each nonce is a new one.
const NONCES: [Turn; 8] = [
    Turn::new(Reply::Pending).nonce(0),
    Turn::new(Reply::Challenge).nonce(0),
    Turn::new(Reply::Challenge),
    Turn::new(Reply::Challenge).nonce(0).latency(20_000),
    Turn::new(Reply::Challenge).nonce(0).status(429).retry_after(8),
    Turn::new(Reply::SlowDown(Absent)).nonce(0),
    Turn::new(Reply::Fault(Timeout)),
    Turn::new(Reply::Token),
];

/// Those with which a poll is challenged, and goes on.
const CHALLENGES: [Turn; 3] =
    [Turn::new(Reply::Challenge).nonce(0), Turn::new(Reply::Pending), Turn::new(Reply::Page).nonce(0)];

/// What can come instead of a code.
const NO_CODE: [Turn; 9] = [
    Turn::new(Reply::Fault(Timeout)),
    Turn::new(Reply::Unavailable(503)).retry_after(2),
    Turn::new(Reply::Unavailable(503)).retry_after(61),
    Turn::new(Reply::SlowDown(Absent)),
    Turn::new(Reply::Error("invalid_client")),
    Turn::new(Reply::Page),
    Turn::new(Reply::Array),
    code(Whole(5), 0),
    Turn::new(Reply::Fault(UntrustedCertificate)),
];

const WAKES: [Wake; 5] =
    [Wake::OnTime, Wake::Early(1), Wake::Late(2_500), Wake::Backwards(10_000), Wake::Late(3_600_000)];

const INTERVENTIONS: [Intervention; 6] = [
    Intervention::None,
    Intervention::Cancel,
    Intervention::Restart(0),
    Intervention::Restart(4_000),
    Intervention::RestartUnsure(2_000),
    Intervention::Misuse,
];

/// A small world and its name.
struct World(&'static str, Menu);

const fn world(device: fn(&mut dyn Choose) -> Turn, poll: fn(&mut dyn Choose) -> Turn) -> Menu {
    Menu {
        starts: &[7_000_000],
        keys: &[Key::None],
        device,
        poll,
        wakes: &WAKES,
        interventions: &INTERVENTIONS,
        max_interventions: 1,
    }
}

fn no_poll(_: &mut dyn Choose) -> Turn {
    unreachable!("there is no code")
}

fn a_number(choose: &mut dyn Choose) -> Number {
    const NUMBERS: [Number; 17] = [
        Absent,
        Number::Null,
        Whole(0),
        Whole(1),
        Number::Quoted(5),
        Number::AndAHalf(5),
        Whole(6),
        Whole(7),
        Number::Negative(1),
        Number::Negative(0),
        Number::Nonsense,
        Whole(86_399),
        Whole(86_400),
        Whole(86_401),
        Whole(9_223_372_037),
        Whole(u64::MAX),
        Number::Huge,
    ];
    NUMBERS[choose.pick(NUMBERS.len())]
}

/// The worlds that every `cargo test` walks through.
const SMALLEST: [World; 6] = [
    World(
        "the numbers of a code",
        Menu {
            wakes: &[Wake::OnTime],
            interventions: &[Intervention::None],
            ..world(
                |choose| Turn::new(Reply::Code { interval: a_number(choose), lifetime: a_number(choose) }),
                |_| Turn::new(Reply::Token),
            )
        },
    ),
    World(
        "before there is a code",
        Menu {
            wakes: &[Wake::OnTime],
            interventions: &[Intervention::None],
            ..world(|choose| from(choose, &NO_CODE), no_poll)
        },
    ),
    World(
        "three polls, no interventions",
        Menu {
            wakes: &[Wake::OnTime, Wake::Late(2_500)],
            interventions: &[Intervention::None],
            ..world(|_| code(Whole(5), 17), |choose| from(choose, &POLLS))
        },
    ),
    World(
        "six polls, nothing but their order",
        Menu {
            wakes: &[Wake::OnTime],
            interventions: &[Intervention::None],
            ..world(|_| code(Absent, 33), |choose| from(choose, &GO_ON))
        },
    ),
    World(
        "an interval of half a minute",
        Menu {
            wakes: &[Wake::OnTime],
            interventions: &[Intervention::None],
            ..world(|_| code(Whole(30), 190), |choose| from(choose, &GO_ON))
        },
    ),
    World(
        "a second of interval, stored at any step",
        Menu {
            wakes: &[Wake::OnTime],
            interventions: &[Intervention::None, Intervention::Restart(300), Intervention::RestartUnsure(2_000)],
            ..world(|_| code(Whole(1), 8), |choose| from(choose, &GO_ON))
        },
    ),
];

/// The same for clients with keys.
const KEYS: [World; 3] = [
    World(
        "keys of any kind, nothing but answers",
        Menu {
            keys: &[Key::Both, Key::Proof, Key::Assertion, Key::None],
            wakes: &[Wake::OnTime],
            interventions: &[Intervention::None],
            ..world(|_| code(Whole(5), 12), |choose| from(choose, &NONCES))
        },
    ),
    World(
        "three polls with a key, nothing but their order",
        Menu {
            keys: &[Key::Proof],
            wakes: &[Wake::OnTime],
            interventions: &[Intervention::None],
            ..world(|_| code(Whole(5), 24), |choose| from(choose, &CHALLENGES))
        },
    ),
    World(
        "two polls with a key, everything",
        Menu {
            keys: &[Key::Both],
            wakes: &[Wake::OnTime],
            ..world(|_| code(Whole(5), 12), |choose| from(choose, &CHALLENGES))
        },
    ),
];

/// What takes longer than all of these together.
const SMALL: [World; 1] =
    [World("two polls, everything", world(|_| code(Whole(5), 12), |choose| from(choose, &POLLS)))];

/// Some more, a million paths in all.
const MILLION: [World; 4] = [
    World(
        "before there is a code, everything",
        Menu {
            starts: &[0, u64::MAX - 3_000],
            wakes: &[Wake::OnTime, Wake::Backwards(1_000)],
            ..world(|choose| from(choose, &NO_CODE), no_poll)
        },
    ),
    World(
        "a second of interval, nothing but time",
        Menu {
            wakes: &[Wake::OnTime, Wake::Late(1), Wake::Late(2_500)],
            interventions: &[Intervention::None],
            ..world(|_| code(Whole(1), 8), |choose| from(choose, &GO_ON))
        },
    ),
    World(
        "three polls, everything",
        Menu {
            wakes: &[Wake::OnTime, Wake::Early(1), Wake::Late(2_500), Wake::Late(3_600_000)],
            ..world(|_| code(Whole(5), 24), |choose| from(choose, &POLLS))
        },
    ),
    World(
        "two polls, two interventions, at the end of time",
        Menu {
            starts: &[u64::MAX - 13_000, u64::MAX - 12_000],
            wakes: &[Wake::OnTime, Wake::Late(u64::MAX)],
            max_interventions: 2,
            ..world(|_| code(Whole(5), 12), |choose| from(choose, &GO_ON))
        },
    ),
];

/// Those that take an hour.
const ALL: [World; 3] = [
    World("four polls, everything", world(|_| code(Whole(5), 29), |choose| from(choose, &POLLS))),
    World(
        "four polls, two interventions",
        Menu {
            wakes: &[Wake::OnTime, Wake::Late(2_500)],
            max_interventions: 2,
            ..world(|_| code(Absent, 24), |choose| from(choose, &GO_ON))
        },
    ),
    World(
        "a dozen polls, nothing but time",
        Menu {
            wakes: &[Wake::OnTime, Wake::Late(1)],
            interventions: &[Intervention::None],
            ..world(|_| code(Whole(1), 15), |choose| from(choose, &GO_ON))
        },
    ),
];

fn walk(worlds: &[World]) -> u64 {
    let mut all = 0;
    for World(name, menu) in worlds {
        let mut seen = 0;
        let paths = every_path(|path| seen += play(path, menu).len());
        println!("{paths:>10} paths, {seen} things seen: {name}");
        all += paths;
    }
    all
}

#[test]
fn the_law_holds_on_every_path_of_small_worlds() {
    let level = std::env::var("DEVICE_FLOW_PATHS").unwrap_or_default();
    let mut paths = walk(&SMALLEST) + walk(&KEYS);
    let least = match &*level {
        "" => 10_000,
        "small" => {
            paths += walk(&SMALL);
            50_000
        }
        "million" | "all" => {
            paths += walk(&SMALL) + walk(&MILLION);
            1_000_000
        }
        other => panic!("DEVICE_FLOW_PATHS is {other:?}: small, million and all are known"),
    };
    if level == "all" {
        paths += walk(&ALL);
    }
    println!("{paths:>10} paths in all");
    assert!(paths >= least, "{paths} paths, where {least} were to be walked");
}

/// Stored and resumed at every wait; and at any other moment, as when a worker dies.
#[test]
fn the_law_holds_on_every_path_of_small_worlds_step_by_step() {
    let (mut paths, mut seen) = (0, 0);
    for World(_, menu) in SMALLEST.iter().chain(&KEYS) {
        paths += every_path(|path| seen += play_in_steps(path, menu).len());
    }
    println!("{paths} paths step by step, {seen} things seen");
    assert!(paths >= 10_000, "{paths}");
}

/// Few kinds of answers, whose latencies let them overtake each other.
const FLEET: Menu = Menu {
    starts: &[1_000],
    keys: &[Key::None],
    device: |choose| {
        let usual = code(Whole(5), 12);
        from(choose, &[usual, usual.latency(7_000), Turn::new(Reply::Fault(Timeout)).latency(4_996)])
    },
    poll: |choose| {
        let slow_down = Turn::new(Reply::SlowDown(Absent)).latency(3);
        from(choose, &[Turn::new(Reply::Token), Turn::new(Reply::Pending).latency(5_500), slow_down])
    },
    wakes: &[],
    interventions: &[],
    max_interventions: 0,
};

/// Chooses freely so often, then always the first.
struct AtFirst<'a, C> {
    choices: &'a mut C,
    left: usize,
}

impl<C: Choose> Choose for AtFirst<'_, C> {
    fn pick(&mut self, of: usize) -> usize {
        if of == 1 || self.left == 0 {
            return 0;
        }
        self.left -= 1;
        self.choices.pick(of)
    }
}

#[test]
fn the_law_holds_on_every_path_of_fleets_of_two() {
    let level = std::env::var("DEVICE_FLOW_PATHS").unwrap_or_default();
    let (mut paths, mut most) = (0, 0);
    for in_flight in [1, 2] {
        let size = fleet_world::Size {
            sign_ins: 2,
            in_flight,
            interventions: &[
                fleet_world::Intervention::None,
                fleet_world::Intervention::Start,
                fleet_world::Intervention::Cancel,
                fleet_world::Intervention::Restart(3_000),
            ],
            max_interventions: 2,
        };
        paths += every_path(|choices| {
            let mut choices = AtFirst { choices, left: if level == "million" || level == "all" { 8 } else { 6 } };
            most = most.max(fleet_world::play(&mut choices, &FLEET, &size));
        });
    }
    println!("{paths} paths of fleets of two");
    assert!(paths > 3_000 && most == 2, "{paths}");
}
