//! Owns the world of one sign-in: a real `DeviceFlow`, the scripted server, a clock, and a person who stops or restarts
//! it, all driven by choices, under the watch. It reports the first breach of the law.

use crate::choices::Choose;
use crate::in_steps::{Driven, InSteps, prompt};
use crate::secrets::CANARY;
use crate::server::{self, Endpoint, Number, Reply, Turn};
use crate::signer::{Holder, Key};
use crate::watch::{Observation, Outcome, Rule, Watch};
use device_flow_core::{
    Action, Away, Cause, Client, DeviceFlow, Failure, Machine, Misuse, Outgoing, Prompt, Request, Response, Ticket,
    Timestamp, TokenResponse, TransportError, TransportErrorKind, WaitReason,
};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// What can happen in a world.
pub struct Menu {
    /// When its clock starts, in milliseconds.
    pub starts: &'static [u64],
    /// What its client has a key for.
    pub keys: &'static [Key],
    /// What happens to a device authorization request.
    pub device: fn(&mut dyn Choose) -> Turn,
    /// What happens to a poll.
    pub poll: fn(&mut dyn Choose) -> Turn,
    /// When the driver comes back from a wait.
    pub wakes: &'static [Wake],
    /// What the person, or the owner of the machine, does between two steps.
    pub interventions: &'static [Intervention],
    /// How many interventions other than none there are at most.
    pub max_interventions: usize,
}

/// When the driver comes back from a wait. All in milliseconds.
#[derive(Clone, Copy, Debug)]
pub enum Wake {
    /// When it was told to.
    OnTime,
    /// That much late.
    Late(u64),
    /// That much before, and then on time.
    Early(u64),
    /// With a clock that shows that much less than before, and then on time.
    Backwards(u64),
    /// At random: up to 65 s late.
    Random,
}

/// What else can happen between two steps.
#[derive(Clone, Copy, Debug)]
pub enum Intervention {
    /// Nothing.
    None,
    /// The sign-in is cancelled.
    Cancel,
    /// It is stored, and resumed this many milliseconds later, with all of them claimed.
    Restart(u64),
    /// The same with a time between none and twice as long claimed.
    RestartUnsure(u64),
    /// The same at random.
    RestartRandom,
    /// A driver hands in what the machine must refuse.
    Misuse,
}

/// What happened, and when.
pub type Trace = Vec<(u64, Observation)>;

/// Drives one sign-in to its end, however it goes.
///
/// # Panics
/// With the trace, when something happened that the law, or the machine's contract, does not allow.
pub fn play(choose: &mut dyn Choose, menu: &Menu) -> Trace {
    play_with::<DeviceFlow>(choose, menu)
}

/// The same, driven step by step through a store.
///
/// # Panics
/// As [`play`].
pub fn play_in_steps(choose: &mut dyn Choose, menu: &Menu) -> Trace {
    play_with::<InSteps>(choose, menu)
}

fn play_with<F: Driven>(choose: &mut dyn Choose, menu: &Menu) -> Trace {
    let start = menu.starts[choose.pick(menu.starts.len())];
    let mut world = World::<F>::new(choose, menu, start);
    // Far more than any world needs: a sign-in that goes on after these is a busy loop.
    for _ in 0..200_000 {
        if world.step() {
            return world.end();
        }
    }
    world.watch.breach(Rule::Saturate, world.now, "the sign-in does not end");
    world.end()
}

struct World<'a, F> {
    choose: &'a mut dyn Choose,
    menu: &'a Menu,
    interventions_left: usize,
    now: u64,
    holder: Holder,
    flow: F,
    flight: Option<(Endpoint, Ticket)>,
    watch: Watch,
    trace: Trace,
    expected_reason: Option<WaitReason>,
}

/// Where its server is.
pub(crate) const BASE: &str = "https://as.example";

thread_local! {
    pub(crate) static CLIENT: Arc<Client> = Arc::new(server::client(BASE).build().unwrap());
}

impl<'a, F: Driven> World<'a, F> {
    fn new(choose: &'a mut dyn Choose, menu: &'a Menu, now: u64) -> Self {
        let holder = Holder::new(menu.keys[choose.pick(menu.keys.len())]);
        let flow = F::start(DeviceFlow::new(holder.client.clone(), [7; 32]));
        let watch = Watch::new(now);
        let watch = if holder.proves_possession() { watch.proves_possession() } else { watch };
        Self {
            choose,
            menu,
            interventions_left: menu.max_interventions,
            now,
            holder,
            flow,
            flight: None,
            watch,
            trace: Trace::new(),
            expected_reason: None,
        }
    }

    fn observe(&mut self, observation: Observation) {
        self.watch.observe(self.now, &observation);
        self.trace.push((self.now, observation));
        if let Some(breach) = self.watch.breaches().first() {
            panic!("{breach}\n{}", lines(&self.trace));
        }
    }

    fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.choose.pick(of.len())]
    }

    /// One action of the machine and what the world makes of it. Whether that was the end.
    fn step(&mut self) -> bool {
        self.intervene();
        match self.flow.next_action(self.at()) {
            Action::SendRequest(Outgoing { request, ticket }) => self.send(&request, ticket),
            Action::AwaitResponse => self.answer(),
            Action::ShowCode(prompt) => self.show(&prompt),
            Action::Wait { until, reason } => self.wait(until.as_millis(), reason),
            Action::Done(outcome) => {
                let shown = format!("{outcome:?} {:?}", self.flow);
                self.is_safe(&shown, "the outcome");
                if let Err(failure) = &outcome {
                    self.is_safe(&failure.to_string(), "the failure");
                }
                comes_back_equal(&outcome);
                self.observe(Observation::Ended(outcome_of(&outcome)));
                return true;
            }
            Action::Ended => unreachable!("the outcome comes first"),
        }
        false
    }

    fn send(&mut self, request: &Request, ticket: Ticket) {
        let endpoint = self.holder.endpoint(request);
        let endpoint = endpoint.unwrap_or_else(|complaint| panic!("{complaint}\n{}", lines(&self.trace)));
        assert!(self.flight.replace((endpoint, ticket)).is_none(), "two requests in flight\n{}", lines(&self.trace));
        self.is_safe(&format!("{request:?}"), "a request");
        self.observe(Observation::Request(endpoint));
    }

    fn answer(&mut self) {
        let Some((endpoint, ticket)) = self.flight.take() else {
            panic!("the machine waits for the response to a request that was never sent\n{}", lines(&self.trace));
        };
        let turn = match endpoint {
            // In the end the person approves.
            Endpoint::Token if self.choose.is_used_up() => Turn::new(Reply::Token),
            Endpoint::Device => (self.menu.device)(self.choose),
            Endpoint::Token | Endpoint::Metadata => (self.menu.poll)(self.choose),
        };
        let turn = self.holder.with_new_nonce(turn);
        self.now = self.now.saturating_add(turn.latency);
        let interval = prompt(&self.flow).map_or(0, |prompt| prompt.interval().as_secs());
        let now = self.at();
        turn.hand_to(&mut self.flow, ticket, BASE, now);
        self.holder.answered(endpoint, &turn);
        self.observe(Observation::Response(turn));
        self.expect_reason(&turn, interval);
    }

    fn show(&mut self, prompt: &Prompt) {
        assert_eq!(prompt.user_code(), server::USER_CODE);
        assert_eq!(prompt.verification_uri(), server::VERIFICATION_URI);
        self.is_safe(&format!("{prompt:?}"), "the prompt");
        let (interval, deadline) = (prompt.interval().as_secs(), prompt.expires_at().as_millis());
        self.observe(Observation::CodeShown { interval, deadline });
    }

    fn wait(&mut self, until: u64, reason: WaitReason) {
        self.observe(Observation::WaitUntil(until));
        if let Some(expected) = self.expected_reason {
            assert_eq!(reason, expected, "the reason of the wait\n{}", lines(&self.trace));
        }
        let wake = self.pick(self.menu.wakes);
        match wake {
            Wake::OnTime => {}
            Wake::Late(by) => return self.now = until.saturating_add(by),
            Wake::Random => {
                let by = self.choose.pick(65_536) as u64;
                return self.now = until.saturating_add(by);
            }
            Wake::Early(by) => {
                self.now = self.now.max(until.saturating_sub(by));
                self.repeats(self.now, until, reason);
            }
            Wake::Backwards(by) => self.repeats(self.now.saturating_sub(by), until, reason),
        }
        self.now = until;
    }

    /// Asked again at another time, it announces the same wait.
    fn repeats(&mut self, at: u64, until: u64, reason: WaitReason) {
        if self.now >= until {
            return;
        }
        let action = self.flow.next_action(Timestamp::from_millis(at));
        let same = matches!(&action, Action::Wait { until: again, reason: still } if again.as_millis() == until && *still == reason);
        assert!(same, "woken early, at {at}, the machine answers {action:?}\n{}", lines(&self.trace));
    }

    /// Which reason the next wait must have, where that is certain.
    fn expect_reason(&mut self, turn: &Turn, interval_before: u64) {
        let interval = prompt(&self.flow).map(|prompt| prompt.interval().as_secs());
        self.expected_reason = match (turn.reply, interval) {
            // A `Retry-After` may be what lengthens the wait.
            _ if turn.retry_after.is_some() => None,
            (_, None) => None,
            (Reply::Pending, _) => Some(WaitReason::Interval),
            (Reply::SlowDown(_), Some(interval)) => {
                assert!(interval > interval_before, "the slow_down changed nothing\n{}", lines(&self.trace));
                u32::try_from(interval).ok().map(|interval| WaitReason::SlowDown { interval })
            }
            (Reply::Fault(kind), _) => {
                let cause = Cause::Transport(kind);
                Some(WaitReason::Backoff { cause, attempt: self.watch.failures() })
            }
            // One that is answered is followed by no wait.
            (Reply::Challenge, _) => {
                let cause = Cause::Status(turn.status.unwrap_or(400));
                Some(WaitReason::Backoff { cause, attempt: self.watch.failures() })
            }
            (Reply::Code { .. }, _) => Some(WaitReason::Interval),
            _ => None,
        };
    }

    /// Between two steps.
    fn intervene(&mut self) {
        if self.interventions_left == 0 {
            return;
        }
        let intervention = self.pick(self.menu.interventions);
        if !matches!(intervention, Intervention::None) {
            self.interventions_left -= 1;
        }
        match intervention {
            Intervention::None => {}
            Intervention::Cancel => self.cancel(),
            Intervention::Restart(passed) => self.restart(passed, passed, passed),
            Intervention::RestartUnsure(passed) => self.restart(passed, 0, passed.saturating_mul(2)),
            Intervention::RestartRandom => {
                let passed = self.choose.pick(65_536) as u64;
                let claimed = passed * self.choose.pick(101) as u64 / 100;
                self.restart(passed, claimed, passed * 2 - claimed);
            }
            Intervention::Misuse => self.misuse(),
        }
    }

    fn cancel(&mut self) {
        self.flow.cancel();
        self.observe(Observation::Cancelled);
        // The response to the request in flight may still be handed in, and changes nothing.
        if let Some((_, ticket)) = self.flight.take() {
            let turn = Turn::new(Reply::Token);
            let now = self.at();
            turn.hand_to(&mut self.flow, ticket, BASE, now);
            self.observe(Observation::Response(turn));
        }
    }

    /// Away for `passed` ms, as far as it knows between these bounds.
    fn restart(&mut self, passed: u64, at_least: u64, at_most: u64) {
        let stored = self.flow.stored(self.at());
        assert_eq!(stored.is_some(), self.watch.can_be_stored(), "whether there is a snapshot\n{}", lines(&self.trace));
        let Some(stored) = stored else { return };
        self.is_safe(&format!("{stored:?}"), "the snapshot");
        self.now = self.now.saturating_add(passed);
        let away = Away::between(Duration::from_millis(at_least), Duration::from_millis(at_most));
        let from_now = stored.poll_lost;
        self.flow = F::resumed(self.holder.client.clone(), stored, away, self.at());
        self.flight = None;
        self.expected_reason = None;
        self.observe(Observation::Resumed { passed, at_least, at_most, from_now, shows: F::SHOWS_AGAIN });
    }

    /// A ticket of another machine, and a status that HTTP does not have: both are refused, and nothing changes.
    fn misuse(&mut self) {
        let mut other = DeviceFlow::new(CLIENT.with(Arc::clone), [8; 32]);
        let Action::SendRequest(Outgoing { ticket, .. }) = other.next_action(self.at()) else { unreachable!() };
        let before = self.visible_state();
        let far = Timestamp::from_millis(self.now.saturating_add(1_000_000));
        let refused = self.flow.response(ticket, Response::new(200, b"{}"), far).unwrap_err();
        assert!(matches!(refused, Misuse::NotOutstanding(_)), "{refused:?}");
        let error = TransportError::new(TransportErrorKind::Timeout);
        let refused = self.flow.transport_failed(refused.into_ticket(), error, far).unwrap_err();
        assert_eq!(self.visible_state(), before, "a foreign ticket changed something\n{}", lines(&self.trace));
        // The ticket is still valid where it belongs.
        other.response(refused.into_ticket(), Response::new(200, b"{}"), far).unwrap();
        if let Some((endpoint, ticket)) = self.flight.take() {
            let refused = self.flow.response(ticket, Response::new(0, b"{}"), far).unwrap_err();
            assert!(matches!(refused, Misuse::InvalidStatus(..)), "{refused:?}");
            assert_eq!(self.visible_state(), before, "a status of 0 changed something\n{}", lines(&self.trace));
            self.flight = Some((endpoint, refused.into_ticket()));
        }
    }

    /// Everything that can be seen of the machine without advancing it.
    fn visible_state(&self) -> String {
        let stored = self.flow.stored(self.at()).map(|stored| serde_json::to_string(&stored.snapshot).unwrap());
        format!("{:?} {stored:?} {:?}", self.flow, prompt(&self.flow))
    }

    fn is_safe(&self, text: &str, what: &str) {
        assert!(!text.contains(CANARY), "{what} shows a secret\n{}", lines(&self.trace));
        assert!(!text.chars().any(char::is_control), "{what} could change the terminal: {text:?}");
    }

    /// What holds after the end.
    fn end(mut self) -> Trace {
        assert!(matches!(self.flow.next_action(self.at()), Action::Ended), "the outcome is handed out once");
        self.flow.cancel();
        assert!(matches!(self.flow.next_action(Timestamp::MAX), Action::Ended), "an ended machine stays ended");
        assert!(self.flow.stored(Timestamp::MAX).is_none(), "an ended machine has no snapshot");
        self.trace
    }
}

/// An outcome that was stored and loaded is the same.
fn comes_back_equal(outcome: &Result<TokenResponse, Failure>) {
    match outcome {
        Ok(token) => {
            let stored = serde_json::to_string(token).unwrap();
            let loaded: TokenResponse = serde_json::from_str(&stored).unwrap();
            assert_eq!(serde_json::to_string(&loaded).unwrap(), stored);
        }
        Err(failure) => {
            let loaded: Failure = serde_json::from_str(&serde_json::to_string(failure).unwrap()).unwrap();
            assert_eq!((&loaded, loaded.to_string()), (failure, failure.to_string()));
        }
    }
}

/// How a sign-in ended, in the terms of the watch.
pub(crate) fn outcome_of(outcome: &Result<TokenResponse, Failure>) -> Outcome {
    match outcome {
        Ok(token) if token.access_token().expose() == server::ACCESS_TOKEN => Outcome::Token,
        Ok(_) => panic!("a token that the server never gave"),
        Err(Failure::Cancelled) => Outcome::Cancelled,
        Err(Failure::Denied(_)) => Outcome::Denied,
        Err(Failure::Expired(_)) => Outcome::Expired,
        Err(Failure::Rejected(error)) => Outcome::Rejected(error.code().to_owned()),
        Err(Failure::Protocol(_)) => Outcome::Protocol,
        Err(Failure::Transport(error)) => Outcome::Transport(error.kind()),
        Err(other) => panic!("an outcome that this world does not know: {other:?}"),
    }
}

/// A trace, one line for each observation.
pub(crate) fn lines(trace: &[(u64, Observation)]) -> String {
    let mut text = String::new();
    for (at, observation) in trace {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{at:>20} {observation:?}");
    }
    text
}

/// A number as a server may write it, of any size.
fn any_number(choose: &mut dyn Choose) -> Number {
    const EDGES: [u64; 12] = [
        0,
        1,
        59,
        86_399,
        86_400,
        86_401,
        0xffff_ffff,
        0x1_0000_0000,
        9_223_372_037,
        i64::MAX as u64,
        u64::MAX - 1,
        u64::MAX,
    ];
    let number = match choose.pick(4) {
        0 | 1 => choose.pick(100) as u64,
        2 => choose.pick(65_536) as u64,
        _ => EDGES[choose.pick(EDGES.len())],
    };
    match choose.pick(12) {
        0..=5 => Number::Whole(number),
        6 => Number::Quoted(number),
        7 => Number::AndAHalf(number),
        8 => Number::Absent,
        9 => Number::Null,
        10 => Number::Huge,
        _ if number % 2 == 0 => Number::Negative(number),
        _ => Number::Nonsense,
    }
}

/// The worlds of the property tests and of the fuzzer: everything, with numbers of any size.
pub const ANY: Menu = Menu {
    starts: &[7_000_000, 0, 1 << 40, u64::MAX - 2_000_000, u64::MAX - 10_000, u64::MAX],
    keys: &[Key::None],
    device: any_device,
    poll: any_poll,
    wakes: &[
        Wake::OnTime,
        Wake::Random,
        Wake::Early(1),
        Wake::Late(1),
        Wake::Backwards(10_000),
        Wake::Early(4_000),
        Wake::Late(90_000),
        Wake::Backwards(u64::MAX),
        Wake::Late(u64::MAX),
    ],
    interventions: &[
        Intervention::None,
        Intervention::None,
        Intervention::None,
        Intervention::None,
        Intervention::None,
        Intervention::None,
        Intervention::RestartRandom,
        Intervention::Misuse,
        Intervention::Restart(0),
        Intervention::RestartUnsure(100_000),
        Intervention::None,
        Intervention::None,
        Intervention::None,
        Intervention::None,
        Intervention::None,
        Intervention::Cancel,
    ],
    max_interventions: 6,
};

/// The same for clients with keys and servers that want nonces.
pub const ANY_WITH_KEYS: Menu =
    Menu { keys: &[Key::Both, Key::Proof, Key::Assertion, Key::None], poll: any_poll_with_nonces, ..ANY };

fn any_device(choose: &mut dyn Choose) -> Turn {
    let code = |choose: &mut dyn Choose| Reply::Code { interval: any_number(choose), lifetime: any_number(choose) };
    let usual = Reply::Code { interval: Number::Whole(5), lifetime: Number::Whole(900) };
    let reply = match choose.pick(8) {
        0..=2 => usual,
        3..=5 => code(choose),
        _ => any_reply(choose),
    };
    oddities(choose, reply)
}

fn any_poll(choose: &mut dyn Choose) -> Turn {
    let reply = match choose.pick(8) {
        0..=3 => Reply::Pending,
        4 | 5 => Reply::SlowDown(any_number(choose)),
        _ => any_reply(choose),
    };
    oddities(choose, reply)
}

fn any_poll_with_nonces(choose: &mut dyn Choose) -> Turn {
    let mut turn = match choose.pick(8) {
        0..=4 => any_poll(choose),
        _ => oddities(choose, Reply::Challenge),
    };
    if !matches!(turn.reply, Reply::Fault(_)) && choose.pick(4) < 3 {
        turn.nonce = Some(0);
    }
    turn
}

fn any_reply(choose: &mut dyn Choose) -> Reply {
    const KINDS: [TransportErrorKind; 8] = [
        TransportErrorKind::Timeout,
        TransportErrorKind::Dns,
        TransportErrorKind::Connect,
        TransportErrorKind::Tls,
        TransportErrorKind::Proxy,
        TransportErrorKind::Closed,
        TransportErrorKind::InvalidHttp,
        TransportErrorKind::UntrustedCertificate,
    ];
    const CODES: [&str; 8] = [
        "access_denied",
        "authorization_declined",
        "expired_token",
        "code_expired",
        "invalid_grant",
        "invalid_client",
        "weird",
        "AUTHORIZATION_PENDING",
    ];
    match choose.pick(16) {
        0..=5 => Reply::Fault(KINDS[choose.pick(KINDS.len())]),
        6 | 7 => Reply::Unavailable([503, 500, 429, 408][choose.pick(4)]),
        8 | 9 => Reply::Page,
        10 => Reply::Nothing,
        11 => Reply::Token,
        12 => Reply::Error(CODES[choose.pick(CODES.len())]),
        13 => Reply::Array,
        14 => Reply::Trailing,
        _ => Reply::Redirect,
    }
}

fn oddities(choose: &mut dyn Choose, reply: Reply) -> Turn {
    let mut turn = Turn::new(reply);
    let is_fault = matches!(reply, Reply::Fault(_));
    match choose.pick(8) {
        0..=3 => {}
        4 => turn.latency = choose.pick(65_536) as u64,
        5 => turn.latency = [1, 30_000, 900_000, u64::MAX][choose.pick(4)],
        // Where there is no answer there are neither headers nor a status.
        _ if is_fault => {}
        6 => turn.retry_after = Some([2, 7, 61, 400, 0, u64::MAX][choose.pick(6)]),
        // Errors come with any of these; the body decides (rule 10).
        _ if matches!(reply, Reply::Pending | Reply::SlowDown(_) | Reply::Challenge | Reply::Error(_)) => {
            turn.status = Some([200, 401, 403, 428, 429, 503, 500, 999][choose.pick(8)]);
        }
        _ => turn.status = Some([201, 400, 403, 429, 503][choose.pick(5)]),
    }
    turn
}
