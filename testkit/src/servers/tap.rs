//! Owns `Tap`: an address through which a client talks to a real server, and what passed through it, and when.

use super::{Elsewhere, Server};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Another address for a server. Bytes pass unchanged; each connection of the client is one to the server.
pub struct Tap {
    device_authorization_endpoint: String,
    token_endpoint: String,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

/// A request and its answer. Only for clients with one request in flight.
#[derive(Clone)]
pub struct Exchange {
    /// When the first byte of the request came.
    asked: Instant,
    request: Vec<u8>,
    /// When the last byte of the answer went to the client.
    answered: Instant,
    answer: Vec<u8>,
}

impl Tap {
    /// Listens on a port of its own before this server.
    pub fn on(server: &Server) -> Self {
        Self::with(server, None, |_| false)
    }

    /// The same, where the first answer to such a request is lost, with the connection: the server has done what it was asked.
    pub fn that_loses(server: &Server, answer_to: fn(&Exchange) -> bool) -> Self {
        Self::with(server, None, answer_to)
    }

    /// The same with another client of this name that polls right before the first poll of this one, so that the server
    /// finds it too early, however the client waits. Of one code.
    pub fn with_a_poll_before_the_first(server: &Server) -> Self {
        let first = First { elsewhere: server.elsewhere(), then: None };
        Self::with(server, Some(first), |_| false)
    }

    /// The same, and alice allows the device between those two polls: the second one is too early, and the code is
    /// approved.
    pub fn with_a_poll_and_the_approval_before_the_first(server: &Server) -> Self {
        let first = First { elsewhere: server.elsewhere(), then: Some(Box::new(server.decider("approve"))) };
        Self::with(server, Some(first), |_| false)
    }

    fn with(server: &Server, first: Option<First>, lose: fn(&Exchange) -> bool) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = format!("http://{}", listener.local_addr().unwrap());
        let there = server.base_url().trim_start_matches("http://").to_owned();
        let exchanges = Arc::<Mutex<Vec<Exchange>>>::default();
        let (log, first) = (exchanges.clone(), Arc::new(Mutex::new(first)));
        let lose = Arc::new(Mutex::new(Some(lose)));
        // The thread lives as long as the test process; ending it earlier would gain nothing.
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&there).unwrap());
                let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (asked, answered, first, lose) = (log.clone(), log.clone(), first.clone(), lose.clone());
                let see = move |bytes: &[u8]| {
                    Exchange::asked(&asked, bytes);
                    poll_before_the_first(&mut first.lock().unwrap(), &asked);
                    true
                };
                thread::spawn(move || pass(from_client, to_server, see));
                let see = move |bytes: &[u8]| {
                    let exchange = Exchange::answered(&answered, bytes);
                    lose.lock().unwrap().take_if(|lose| lose(&exchange)).is_none()
                };
                thread::spawn(move || pass(server, client, see));
            }
        });
        let at_the_tap = |url: String| url.replace(server.base_url(), &here);
        Self {
            device_authorization_endpoint: at_the_tap(server.device_authorization_endpoint()),
            token_endpoint: at_the_tap(server.token_endpoint()),
            exchanges,
        }
    }

    /// The device authorization endpoint, through the tap.
    pub fn device_authorization_endpoint(&self) -> &str {
        &self.device_authorization_endpoint
    }

    /// The token endpoint, through the tap.
    pub fn token_endpoint(&self) -> &str {
        &self.token_endpoint
    }

    /// The exchanges so far.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().unwrap().clone()
    }

    /// Returns once this many polls have been answered.
    #[track_caller]
    pub fn after_polls(&self, polls: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.exchanges().iter().filter(|exchange| exchange.is_poll() && exchange.is_answered()).count() < polls {
            assert!(Instant::now() < deadline, "there were no {polls} polls within a minute");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How long the client was quiet before each poll: slightly longer than it waited, because the way to the tap takes
    /// time.
    pub fn quiet_before_polls(&self) -> Vec<Duration> {
        let exchanges = self.exchanges();
        let after = |pair: &[Exchange]| pair[1].is_poll().then(|| pair[1].asked.duration_since(pair[0].answered));
        exchanges.windows(2).filter_map(after).collect()
    }

    /// The answer to the device authorization request.
    pub fn device_answer(&self) -> Value {
        self.exchanges()[0].json()
    }
}

impl Exchange {
    fn asked(log: &Mutex<Vec<Self>>, bytes: &[u8]) {
        let mut log = log.lock().unwrap();
        if log.last().is_none_or(Self::is_answered) {
            let now = Instant::now();
            log.push(Self { asked: now, request: Vec::new(), answered: now, answer: Vec::new() });
        }
        log.last_mut().unwrap().request.extend_from_slice(bytes);
    }

    fn answered(log: &Mutex<Vec<Self>>, bytes: &[u8]) -> Self {
        let mut log = log.lock().unwrap();
        let last = log.last_mut().expect("an answer follows a request");
        last.answered = Instant::now();
        last.answer.extend_from_slice(bytes);
        last.clone()
    }

    /// Whether an answer came.
    pub fn is_answered(&self) -> bool {
        !self.answer.is_empty()
    }

    /// Whether it is a poll (RFC 8628 §3.4).
    pub fn is_poll(&self) -> bool {
        self.request().contains("device_code=")
    }

    /// Request line, headers and form, as they came.
    pub fn request(&self) -> String {
        String::from_utf8_lossy(&self.request).into_owned()
    }

    /// The body of the answer.
    pub fn json(&self) -> Value {
        let answer = String::from_utf8_lossy(&self.answer);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no body in {answer}"));
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {answer}"))
    }
}

/// What happens before the first poll is passed on.
struct First {
    elsewhere: Elsewhere,
    /// What a person then does with the user code.
    then: Option<Decision>,
}

type Decision = Box<dyn Fn(&str) -> Result<(), String> + Send>;

fn poll_before_the_first(first: &mut Option<First>, log: &Mutex<Vec<Exchange>>) {
    let exchanges = log.lock().unwrap().clone();
    if let Some(first) = first.take_if(|_| exchanges.last().is_some_and(Exchange::is_poll)) {
        let device = exchanges[0].json();
        let answer = first.elsewhere.poll(device["device_code"].as_str().unwrap());
        assert_eq!(answer["error"], "authorization_pending");
        if let Some(decide) = first.then {
            decide(device["user_code"].as_str().unwrap()).unwrap();
        }
    }
}

/// Carries bytes one way until that way is closed or some must not pass, and closes the other end then.
fn pass(mut from: TcpStream, mut to: TcpStream, see: impl Fn(&[u8]) -> bool) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer)
        && length > 0
    {
        // Recorded first: the recipient of the bytes may look at the record at once.
        if !see(&buffer[..length]) {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    // It may be gone already.
    let _ = to.shutdown(Shutdown::Write);
}
