//! Owns the authorization server for a crowd: one process that issues any number of codes, answers the polls of all of them,
//! and judges by the arrival of each whether it came early.

use serde_json::json;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;

/// How the server answers.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// The polling interval, in seconds.
    pub interval: u64,
    /// How many polls of a code are answered with `authorization_pending` before there is a token.
    pub pending: u32,
    /// How long a code lives, in seconds.
    pub lifetime: u64,
}

/// What the server has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Report {
    /// Codes issued.
    pub codes: u64,
    /// Polls.
    pub polls: u64,
    /// Tokens issued.
    pub tokens: u64,
    /// Polls that came before the interval after the last one was over.
    pub early: u64,
    /// First polls that came before the interval after the code was over, which other clients do.
    pub early_first: u64,
    /// Polls for a code that had its token.
    pub after_success: u64,
    /// Polls that came while another one of the same code was not answered yet.
    #[serde(default)]
    pub overlapping: u64,
    /// Connections accepted.
    pub connections: u64,
    /// How late a poll came after the interval, in milliseconds: for half of them at most, for 99 % at most.
    pub late: [u64; 2],
}

/// A device code is this long.
pub const CODE: usize = 100;

#[derive(Default)]
struct Seen {
    codes: AtomicU64,
    polls: AtomicU64,
    tokens: AtomicU64,
    early: AtomicU64,
    early_first: AtomicU64,
    after_success: AtomicU64,
    overlapping: AtomicU64,
    connections: AtomicU64,
    /// How many polls were so many milliseconds late; the last one counts all above, too.
    late: Mutex<Vec<u64>>,
}

struct Grant {
    answered: Instant,
    polls: u32,
    /// Polls that are not answered yet.
    asking: u32,
    done: bool,
}

/// What a server does that is not as patient as the usual one here.
#[derive(Clone, Copy, Default)]
struct Strictness {
    thinks: Duration,
    redeems_once: bool,
}

struct Server {
    manners: Manners,
    strictness: Strictness,
    seen: Seen,
    grants: Mutex<Vec<Grant>>,
}

/// The server. Its clock is tokio's, so a test may pause it.
#[derive(Clone)]
pub struct Crowd(Arc<Server>);

impl Crowd {
    /// A server that is asked by [`answer`](Self::answer) alone, until it [listens](Self::listen).
    #[must_use]
    pub fn new(manners: Manners) -> Self {
        Self::with(manners, Strictness::default())
    }

    /// A server that redeems a code once, as real ones do, and thinks so long about each answer on a socket. Polls of one code that
    /// come meanwhile overlap. Each token is another: its code's number is in it.
    #[must_use]
    pub fn strict(manners: Manners, thinks: Duration) -> Self {
        Self::with(manners, Strictness { thinks, redeems_once: true })
    }

    fn with(manners: Manners, strictness: Strictness) -> Self {
        let seen = Seen { late: Mutex::new(vec![0; 60_001]), ..Seen::default() };
        Self(Arc::new(Server { manners, strictness, seen, grants: Mutex::default() }))
    }

    /// Listens on loopback for as long as this runtime lives, and says where.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub fn listen(&self) -> io::Result<SocketAddr> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        // With a queue for a whole crowd.
        let listener = socket.listen(65_535)?;
        let address = listener.local_addr()?;
        let server = self.0.clone();
        tokio::spawn(async move {
            loop {
                // Without a descriptor left, the next one may come free.
                let Ok((stream, _)) = listener.accept().await else { continue };
                server.seen.connections.fetch_add(1, Ordering::Relaxed);
                let server = server.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        Ok(address)
    }

    /// Status and body of the answer to a POST of this body to `/device` or `/token`.
    #[must_use]
    pub fn answer(&self, target: &str, body: &[u8]) -> (u16, String) {
        let (status, text, grant) = self.0.judge(target, body);
        self.0.answered(grant);
        (status, text)
    }

    /// How it answers.
    #[must_use]
    pub fn manners(&self) -> Manners {
        self.0.manners
    }

    /// What it has seen so far.
    #[must_use]
    pub fn report(&self) -> Report {
        self.0.report()
    }
}

impl Server {
    /// Answers the requests on one connection, one after the other.
    async fn talk(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut read = Vec::with_capacity(1_024);
        loop {
            let (head, length) = loop {
                if let Some(parts) = parts(&read) {
                    break parts;
                }
                if stream.read_buf(&mut read).await? == 0 {
                    return Ok(());
                }
            };
            let target =
                read[..head].split(|byte| *byte == b' ').nth(1).and_then(|target| std::str::from_utf8(target).ok());
            let (status, body, grant) = self.judge(target.unwrap_or_default(), &read[head..head + length]);
            read.drain(..head + length);
            if !self.strictness.thinks.is_zero() {
                tokio::time::sleep(self.strictness.thinks).await;
            }
            self.answered(grant);
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
            stream.write_all((head + &body).as_bytes()).await?;
        }
    }

    /// Status and body of the answer, and whose poll it answers.
    fn judge(&self, target: &str, body: &[u8]) -> (u16, String, Option<usize>) {
        match target {
            "/device" => (200, self.device(), None),
            "/token" => self.token(body),
            _ => (404, String::new(), None),
        }
    }

    /// The answer to the poll of this grant leaves.
    fn answered(&self, grant: Option<usize>) {
        let mut grants = self.grants.lock().unwrap();
        if let Some(grant) = grant.and_then(|number| grants.get_mut(number)) {
            grant.asking -= 1;
            grant.answered = Instant::now();
        }
    }

    fn device(&self) -> String {
        self.seen.codes.fetch_add(1, Ordering::Relaxed);
        let mut grants = self.grants.lock().unwrap();
        let number = grants.len();
        grants.push(Grant { answered: Instant::now(), polls: 0, asking: 0, done: false });
        let code = format!("{:-<CODE$}", format!("{number}-canary"));
        json!({
            "device_code": code, "user_code": format!("{number:08}"), "verification_uri": "https://as.example/device",
            "verification_uri_complete": format!("https://as.example/device?user_code={number:08}"),
            "expires_in": self.manners.lifetime, "interval": self.manners.interval
        })
        .to_string()
    }

    fn token(&self, body: &[u8]) -> (u16, String, Option<usize>) {
        let seen = &self.seen;
        let number = device_code(body).and_then(|code| code.split('-').next()?.parse::<usize>().ok());
        let mut grants = self.grants.lock().unwrap();
        let Some(grant) = number.and_then(|number| grants.get_mut(number)) else {
            return (400, json!({ "error": "invalid_grant" }).to_string(), None);
        };
        let now = Instant::now();
        seen.polls.fetch_add(1, Ordering::Relaxed);
        let due = grant.answered + Duration::from_secs(self.manners.interval);
        match now.checked_duration_since(due) {
            // A millisecond is lost where clients round.
            None if due - now > Duration::from_millis(1) => {
                // RFC 8628 §3.5 speaks of the time between two polls.
                let counter = if grant.polls == 0 { &seen.early_first } else { &seen.early };
                counter.fetch_add(1, Ordering::Relaxed);
            }
            late => {
                let mut histogram = seen.late.lock().unwrap();
                let last = histogram.len() - 1;
                let late = usize::try_from(late.unwrap_or_default().as_millis()).unwrap_or(last);
                histogram[late.min(last)] += 1;
            }
        }
        if grant.asking > 0 {
            seen.overlapping.fetch_add(1, Ordering::Relaxed);
        }
        grant.polls += 1;
        grant.asking += 1;
        if std::mem::replace(&mut grant.done, grant.polls > self.manners.pending) {
            seen.after_success.fetch_add(1, Ordering::Relaxed);
            if self.strictness.redeems_once {
                return (400, json!({ "error": "invalid_grant" }).to_string(), number);
            }
        }
        if grant.done {
            seen.tokens.fetch_add(1, Ordering::Relaxed);
            let which = number.filter(|_| self.strictness.redeems_once);
            let token = which.map_or_else(|| "AT-canary".to_owned(), |number| format!("AT-canary-{number}"));
            let token = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3_600 });
            return (200, token.to_string(), number);
        }
        (400, json!({ "error": "authorization_pending" }).to_string(), number)
    }

    fn report(&self) -> Report {
        let seen = &self.seen;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let histogram = seen.late.lock().unwrap();
        let all: u64 = histogram.iter().sum();
        let at_most = |part: u64| {
            let mut sum = 0;
            let reached = |count: &u64| {
                sum += count;
                sum * 100 >= all * part
            };
            histogram.iter().position(reached).unwrap_or_default() as u64
        };
        Report {
            codes: count(&seen.codes),
            polls: count(&seen.polls),
            tokens: count(&seen.tokens),
            early: count(&seen.early),
            early_first: count(&seen.early_first),
            after_success: count(&seen.after_success),
            overlapping: count(&seen.overlapping),
            connections: count(&seen.connections),
            late: [at_most(50), at_most(99)],
        }
    }
}

/// The device code in the body of a poll.
#[must_use]
pub fn device_code(body: &[u8]) -> Option<String> {
    form_urlencoded::parse(body).find(|(name, _)| name == "device_code").map(|(_, code)| code.into_owned())
}

/// Where the head of a request ends and how long its body is, when all of it is there.
fn parts(read: &[u8]) -> Option<(usize, usize)> {
    let head = read.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&read[..head]).ok()?.to_ascii_lowercase();
    let length = text.split("content-length:").nth(1).and_then(|rest| rest.lines().next()?.trim().parse().ok());
    let length = length.unwrap_or(0);
    (read.len() >= head + length).then_some((head, length))
}
