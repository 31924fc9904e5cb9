//! A thousand sign-ins in a program that has a loop of its own, such as a game, an actor or a simulation: sixty times a
//! second it does what the fleet says now, and goes on. Nothing blocks, and nothing runs beside it. The authorization server is
//! a script in the same process, which notices a poll that comes early.
//!
//! ```sh
//! cargo run -p device-flow-core --example game_loop
//! ```

use device_flow_core::{Client, DeviceFlow, Fleet, FleetAction, FleetTicket, Provider, Request, Response, Timestamp};
use std::collections::{HashMap, VecDeque};

const PLAYERS: u32 = 1_000;
const TICK: u64 = 16;
/// How many ticks an answer takes.
const LATENCY: u64 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = Provider::endpoints("https://login.example.com/device", "https://login.example.com/token");
    let client = std::sync::Arc::new(Client::builder(provider, "my-game").build()?);
    let mut fleet = Fleet::new(64);
    for player in 0..PLAYERS {
        // A script can do with these; a real program takes them from the system: the crate `getrandom`.
        let entropy = u8::try_from(player % 256)?;
        fleet.start(player, DeviceFlow::new(client.clone(), [entropy; 32])).map_err(|_| "a player twice")?;
    }
    let (mut server, mut wire) = (Server::default(), VecDeque::<(u64, FleetTicket, _)>::new());
    let (mut now, mut shown, mut signed_in) = (0, 0, 0);
    while !fleet.is_empty() {
        now += TICK;
        let time = Timestamp::from_millis(now);
        for (_, ticket, (status, body)) in wire.drain(..wire.partition_point(|(arrives, ..)| *arrives <= now)) {
            fleet.response(ticket, Response::new(status, body), time)?;
        }
        loop {
            match fleet.next_action(time) {
                FleetAction::SendRequest { key, request, ticket, .. } => {
                    wire.push_back((now + LATENCY * TICK, ticket, server.answer(key, &request, now)));
                }
                FleetAction::ShowCode { .. } => shown += 1,
                FleetAction::Done { outcome, .. } => signed_in += u32::from(outcome.map(|_tokens| true)?),
                FleetAction::Waiting { .. } => {}
                FleetAction::Wait { .. } | FleetAction::AwaitResponse | FleetAction::Idle => break,
            }
        }
        // Here the game moves and draws.
    }
    println!("{signed_in} players signed in, in {} ticks", now / TICK);
    if (shown, signed_in, server.early) == (PLAYERS, PLAYERS, 0) { Ok(()) } else { Err("a rule was broken".into()) }
}

/// Approves at the fourth poll; counts those that come less than five seconds after the answer before.
#[derive(Default)]
struct Server {
    players: HashMap<u32, (u32, u64)>,
    early: u32,
}

impl Server {
    fn answer(&mut self, player: u32, request: &Request, now: u64) -> (u16, &'static [u8]) {
        let (polls, answered) = self.players.entry(player).or_default();
        let early = now < std::mem::replace(answered, now + LATENCY * TICK) + 5_000;
        if request.url().ends_with("/device") {
            return (
                200,
                br#"{"device_code": "d", "user_code": "WDJB-MJHT", "expires_in": 900, "interval": 5,
                "verification_uri": "https://login.example.com/enter"}"#,
            );
        }
        (*polls, self.early) = (*polls + 1, self.early + u32::from(early));
        match *polls {
            4 => (200, br#"{"access_token": "a", "token_type": "Bearer"}"#),
            _ => (400, br#"{"error": "authorization_pending"}"#),
        }
    }
}
