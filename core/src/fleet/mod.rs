//! Owns `Fleet`: many machines in one process, with one next thing to do, and a bound on requests in flight.

mod agenda;

use crate::{
    Action, Machine, Misuse, Outgoing, Prompt, Request, Response, Stopped, Ticket, Timestamp, TransportError,
    WaitReason,
};
use agenda::Agenda;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{BuildHasher as _, Hash};
use core::time::Duration;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Many machines under keys of the caller's, driven as one: thousands of sign-ins that wait in one process.
///
/// Each machine keeps to its own rules; the fleet decides whose turn it is. A poll that is due goes before a sign-in that
/// begins. While polls come late, or when as many requests are in flight as may be, new sign-ins wait; so a crowd that
/// starts at once becomes a queue and not a crowd of connections.
///
/// ```
/// use device_flow_core::{Client, DeviceFlow, Fleet, FleetAction, Provider, Response, Timestamp};
///
/// let client = std::sync::Arc::new(Client::builder(Provider::github(), "my-client-id").build()?);
/// let mut fleet = Fleet::new(64);
/// for device in 0..1_000 {
///     # let entropy = [7; 32];
///     fleet.start(device, DeviceFlow::new(client.clone(), entropy)).expect("no device begins twice");
/// }
/// # let now = Timestamp::ZERO;
/// // A driver does what `next_action` says until it says `Wait`, `AwaitResponse` or `Idle`.
/// let FleetAction::SendRequest { key, ticket, request, .. } = fleet.next_action(now) else { panic!() };
/// assert_eq!((key, request.url()), (0, "https://github.com/login/device/code"));
/// let answer = br#"{"device_code": "d", "user_code": "WDJB-MJHT", "verification_uri": "https://github.com/login",
///     "expires_in": 900, "interval": 5}"#;
/// fleet.response(ticket, Response::new(200, answer), now)?;
/// let FleetAction::ShowCode { key, prompt } = fleet.next_action(now) else { panic!() };
/// assert_eq!((key, prompt.user_code()), (0, "WDJB-MJHT"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A waiting machine costs itself, its key and thirty bytes. A step allocates nothing but the request, if a key can be
/// cloned without: let it be a number or an `Arc<str>`. Everything runs on one timeline, as for
/// [one machine](Machine#one-timeline).
pub struct Fleet<K, M> {
    members: Vec<Option<Member<K, M>>>,
    /// What is known of each slot of `members`.
    notes: Vec<Note>,
    free: Vec<u32>,
    /// Where each key is, except those whose outcome was handed out.
    slots: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Members to ask at once, because something has happened to them. No more than fit in beside the requests in flight.
    ready: VecDeque<u32>,
    /// Members to ask later.
    agenda: Agenda,
    /// Members that were never asked; among them may be slots of those that were cancelled.
    starts: VecDeque<u32>,
    /// How many of them were not cancelled.
    starting: usize,
    max_in_flight: usize,
    in_flight: usize,
    /// Nobody gets a turn.
    paused: bool,
    /// Polls sent since the last start.
    polls_in_row: u8,
}

struct Member<K, M> {
    key: K,
    machine: M,
}

/// A slot is free again when nothing refers to it.
#[derive(Clone, Copy, Default)]
struct Note {
    /// It is in a queue.
    queued: bool,
    in_flight: bool,
    /// Its member was asked.
    begun: bool,
    /// An answer came, or none, which nothing has followed from.
    answered: bool,
    /// The outcome was handed out.
    gone: bool,
}

/// The one thing to do now for a [`Fleet`].
#[derive(Debug)]
#[must_use = "an action that is dropped is a request not sent, a code not shown or an outcome lost"]
pub enum FleetAction<K, T> {
    /// Send this, never following redirects, and hand in the answer with the ticket.
    SendRequest {
        /// Whose request it is.
        key: K,
        /// What to send.
        request: Request,
        /// What to hand in with the answer or the failure.
        ticket: FleetTicket,
        /// How much later it is sent than it was due; `None` when its machine had not waited.
        late: Option<Duration>,
    },
    /// Show this to the person.
    ShowCode {
        /// Whose code it is.
        key: K,
        /// What to show.
        prompt: Prompt,
    },
    /// This one now waits; there is nothing to do for it.
    Waiting {
        /// Who waits.
        key: K,
        /// Until when.
        until: Timestamp,
        /// Why.
        reason: WaitReason,
        /// Whether an answer, or the lack of one, has led to this wait.
        answered: bool,
    },
    /// The outcome of this machine, which has left the fleet.
    Done {
        /// Whose outcome it is.
        key: K,
        /// [`Stopped::Failed`] when the machine failed; the others, when it was not as a machine must be that is started.
        outcome: Result<T, Stopped>,
    },
    /// Nothing to do before this time, unless an answer comes.
    Wait {
        /// When to call [`Fleet::next_action`] again.
        until: Timestamp,
    },
    /// Nothing to do before an answer comes; or at all, when the fleet is [paused](Fleet::pause) and none is on its way.
    AwaitResponse,
    /// The fleet is empty.
    Idle,
}

/// The right to answer one request of one machine of a [`Fleet`].
#[derive(Debug, PartialEq, Eq)]
pub struct FleetTicket {
    slot: u32,
    ticket: Ticket,
}

/// A bug in the driver of a [`Fleet`]. Nothing has changed, and the ticket comes back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{misuse}")]
pub struct FleetMisuse {
    slot: u32,
    misuse: Misuse,
}

impl FleetMisuse {
    /// The ticket, for the fleet that issued it.
    #[must_use]
    pub fn into_ticket(self) -> FleetTicket {
        FleetTicket { slot: self.slot, ticket: self.misuse.into_ticket() }
    }
}

/// While polls are due, every fourth request may be a start.
const POLLS_PER_START: u8 = 3;
/// No start goes before a poll that is later than this.
const LATE: Duration = Duration::from_millis(5);

impl<K: Clone + Eq + Hash, M: Machine> Fleet<K, M> {
    /// An empty fleet with at most this many requests in flight; 0 counts as 1. There are as many connections: 64 are
    /// enough for thousands of polls a second.
    #[must_use]
    pub fn new(max_in_flight: usize) -> Self {
        Self {
            members: Vec::new(),
            notes: Vec::new(),
            free: Vec::new(),
            slots: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            ready: VecDeque::new(),
            agenda: Agenda::default(),
            starts: VecDeque::new(),
            starting: 0,
            max_in_flight: max_in_flight.max(1),
            in_flight: 0,
            paused: false,
            polls_in_row: 0,
        }
    }

    /// Adds a machine that begins. It waits for its turn behind those that were started before.
    ///
    /// # Errors
    /// Both back, when there is a machine of this key.
    pub fn start(&mut self, key: K, machine: M) -> Result<(), (K, M)> {
        let slot = self.enter(key, machine)?;
        self.starts.push_back(slot);
        self.starting = self.starting.saturating_add(1);
        Ok(())
    }

    /// Adds a machine that goes on, such as a resumed sign-in. It is asked like one that is due now.
    ///
    /// # Errors
    /// Both back, when there is a machine of this key.
    pub fn restore(&mut self, key: K, machine: M, now: Timestamp) -> Result<(), (K, M)> {
        let slot = self.enter(key, machine)?;
        if let Some((_, note)) = self.at(slot) {
            note.begun = true;
        }
        self.agenda.add(slot, now, now);
        Ok(())
    }

    /// Cancels the machine of this key, which leaves the fleet with the outcome that is returned: that it was cancelled,
    /// unless it had another one already. `None` when there is none of this key.
    ///
    /// If a request of it is in flight, its answer must still be handed in.
    pub fn cancel(&mut self, key: &K, now: Timestamp) -> Option<Result<M::Output, Stopped>> {
        let slot = self.slot(key)?;
        let (member, _) = self.at(slot)?;
        member.machine.cancel();
        let outcome = match member.machine.next_action(now) {
            Action::Done(outcome) => outcome.map_err(Stopped::from),
            Action::Ended => Err(Stopped::AlreadyEnded),
            Action::SendRequest(_) | Action::ShowCode(_) | Action::Wait { .. } | Action::AwaitResponse => {
                Err(Stopped::NotOurs)
            }
        };
        self.leave(slot, key);
        Some(outcome)
    }

    /// Gives nobody a turn any more: nothing is sent, but what was answered goes on to its next wait, code or outcome.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// The machine of this key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&M> {
        let member = self.members.get(index(self.slot(key)?))?.as_ref()?;
        Some(&member.machine)
    }

    /// How many machines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many requests have no answer yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How many machines were started and wait for their turn.
    #[must_use]
    pub fn starting(&self) -> usize {
        self.starting
    }

    /// How many machines wait for a time; cancelled ones may be among them until then.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.agenda.len()
    }

    /// The machines, for example to be stored. A request that is in flight counts as given up.
    pub fn into_machines(self) -> impl Iterator<Item = (K, M)> {
        let members = self.members.into_iter().zip(self.notes).filter(|(_, note)| !note.gone);
        members.filter_map(|(member, _)| member).map(|member| (member.key, member.machine))
    }

    /// The one thing to do now. Ask again until it is [`Wait`](FleetAction::Wait),
    /// [`AwaitResponse`](FleetAction::AwaitResponse) or [`Idle`](FleetAction::Idle).
    pub fn next_action(&mut self, now: Timestamp) -> FleetAction<K, M::Output> {
        while let Some((slot, late)) = self.next_slot(now) {
            if let Some(action) = self.ask(slot, late, now) {
                return action;
            }
        }
        match self.agenda.next() {
            _ if self.slots.is_empty() => FleetAction::Idle,
            Some(until) if !self.paused && self.in_flight < self.max_in_flight => FleetAction::Wait { until },
            Some(_) | None => FleetAction::AwaitResponse,
        }
    }

    /// Hands in the answer to a request, like [`Machine::response`].
    ///
    /// # Errors
    /// [`FleetMisuse`] when no machine here waits for it.
    pub fn response(&mut self, ticket: FleetTicket, response: Response<'_>, now: Timestamp) -> Result<(), FleetMisuse> {
        self.landed(ticket, |machine, ticket| machine.response(ticket, response, now))
    }

    /// Says that no answer came, like [`Machine::transport_failed`].
    ///
    /// # Errors
    /// [`FleetMisuse`] when no machine here waits for it.
    pub fn transport_failed(
        &mut self,
        ticket: FleetTicket,
        error: TransportError,
        now: Timestamp,
    ) -> Result<(), FleetMisuse> {
        self.landed(ticket, |machine, ticket| machine.transport_failed(ticket, error, now))
    }

    fn landed(
        &mut self,
        FleetTicket { slot, ticket }: FleetTicket,
        hand_in: impl FnOnce(&mut M, Ticket) -> Result<(), Misuse>,
    ) -> Result<(), FleetMisuse> {
        let outcome = match self.at(slot) {
            Some((member, _)) => hand_in(&mut member.machine, ticket),
            None => Err(Misuse::NotOutstanding(ticket)),
        };
        outcome.map_err(|misuse| FleetMisuse { slot, misuse })?;
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some((_, note)) = self.at(slot) {
            let gone = note.gone;
            (note.in_flight, note.answered, note.queued) = (false, true, !gone);
            if gone {
                self.release(slot);
            } else {
                self.ready.push_back(slot);
            }
        }
        Ok(())
    }

    /// Whose turn it is, and how late that is for one that was due.
    fn next_slot(&mut self, now: Timestamp) -> Option<(u32, Option<Duration>)> {
        // What was answered has its place beside the requests in flight.
        if let Some(slot) = self.ready.pop_front() {
            return Some((slot, None));
        }
        if self.paused || self.in_flight >= self.max_in_flight {
            return None;
        }
        let due = self.agenda.next().filter(|due| *due <= now);
        let late = due.map(|due| now.saturating_since(due));
        if late.is_none_or(|late| late <= LATE && self.polls_in_row >= POLLS_PER_START)
            && let Some(slot) = self.starts.pop_front()
        {
            self.polls_in_row = 0;
            return Some((slot, None));
        }
        let slot = self.agenda.take(now)?;
        self.polls_in_row = self.polls_in_row.saturating_add(1);
        Some((slot, late))
    }

    /// Asks a member what it wants; `None` when it is no longer there.
    fn ask(&mut self, slot: u32, late: Option<Duration>, now: Timestamp) -> Option<FleetAction<K, M::Output>> {
        let note = self.notes.get_mut(index(slot))?;
        note.queued = false;
        if note.gone {
            self.release(slot);
            return None;
        }
        let (answered, begins) = (core::mem::take(&mut note.answered), !core::mem::replace(&mut note.begun, true));
        self.starting = self.starting.saturating_sub(begins.into());
        let (member, note) = self.at(slot)?;
        let (action, key) = (member.machine.next_action(now), member.key.clone());
        Some(match action {
            Action::SendRequest(Outgoing { request, ticket }) => {
                note.in_flight = true;
                self.in_flight = self.in_flight.saturating_add(1);
                FleetAction::SendRequest { key, request, ticket: FleetTicket { slot, ticket }, late }
            }
            Action::ShowCode(prompt) => {
                note.queued = true;
                self.ready.push_back(slot);
                FleetAction::ShowCode { key, prompt }
            }
            Action::Wait { until, reason } => {
                note.queued = true;
                self.agenda.add(slot, until, now);
                FleetAction::Waiting { key, until, reason, answered }
            }
            Action::Done(outcome) => self.ends(slot, key, outcome.map_err(Stopped::from)),
            Action::AwaitResponse => self.ends(slot, key, Err(Stopped::NotOurs)),
            Action::Ended => self.ends(slot, key, Err(Stopped::AlreadyEnded)),
        })
    }

    fn ends(&mut self, slot: u32, key: K, outcome: Result<M::Output, Stopped>) -> FleetAction<K, M::Output> {
        self.leave(slot, &key);
        FleetAction::Done { key, outcome }
    }

    fn leave(&mut self, slot: u32, key: &K) {
        if let Ok(entry) = self.slots.find_entry(self.hasher.hash_one(key), |known| *known == slot) {
            entry.remove();
        }
        if let Some(note) = self.notes.get_mut(index(slot)) {
            note.gone = true;
            self.starting = self.starting.saturating_sub((!note.begun).into());
        }
        self.release(slot);
    }

    /// Frees the memory of a member that is gone, unless its answer is on its way; and its slot, unless it is in a queue.
    fn release(&mut self, slot: u32) {
        let Some(Note { queued, in_flight: false, .. }) = self.notes.get(index(slot)) else { return };
        if let Some(member) = self.members.get_mut(index(slot)) {
            *member = None;
        }
        if !queued {
            self.free.push(slot);
        }
    }

    fn enter(&mut self, key: K, machine: M) -> Result<u32, (K, M)> {
        // There is no memory for more machines than slots can be numbered.
        let Ok(new) = u32::try_from(self.members.len()) else { return Err((key, machine)) };
        if self.slot(&key).is_some() {
            return Err((key, machine));
        }
        let hash = self.hasher.hash_one(&key);
        let slot = self.free.pop().unwrap_or(new);
        let (member, note) = (Some(Member { key, machine }), Note { queued: true, ..Note::default() });
        if let (Some(place), Some(known)) = (self.members.get_mut(index(slot)), self.notes.get_mut(index(slot))) {
            (*place, *known) = (member, note);
        } else {
            self.members.push(member);
            self.notes.push(note);
        }
        let Self { members, hasher, .. } = self;
        self.slots.insert_unique(hash, slot, |slot| {
            let member = members.get(index(*slot)).and_then(Option::as_ref);
            member.map_or(0, |member| hasher.hash_one(&member.key))
        });
        Ok(slot)
    }

    fn slot(&self, key: &K) -> Option<u32> {
        let is_it =
            |slot: &u32| self.members.get(index(*slot)).and_then(Option::as_ref).is_some_and(|it| it.key == *key);
        self.slots.find(self.hasher.hash_one(key), is_it).copied()
    }

    fn at(&mut self, slot: u32) -> Option<(&mut Member<K, M>, &mut Note)> {
        let slot = index(slot);
        Some((self.members.get_mut(slot)?.as_mut()?, self.notes.get_mut(slot)?))
    }
}

impl<K, M> fmt::Debug for Fleet<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("len", &self.slots.len())
            .field("starting", &self.starting)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

/// On a machine with addresses of 16 bits there are fewer slots than this could name.
fn index(slot: u32) -> usize {
    usize::try_from(slot).unwrap_or(usize::MAX)
}
