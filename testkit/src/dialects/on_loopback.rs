//! Owns the scripted servers on real sockets: one for HTTPS on 127.0.0.1, with a certificate authority of its own.

use super::{Asked, Say, Server, Speech};
use crate::loopback::{Authority, Loopback, answer};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A scripted server that is reached over HTTPS.
pub struct OnLoopback {
    /// The sockets, and every request as it came.
    pub sockets: Loopback,
    /// What the server has seen.
    pub server: Arc<Mutex<Server>>,
    /// The certificate that a client must trust, in PEM.
    pub ca: String,
}

impl OnLoopback {
    /// A server that follows this plan: see [`Server::new`]. Polls are judged by when they arrive.
    pub fn start(speech: Speech, plan: &[Say]) -> Self {
        let server = Arc::new(Mutex::new(Server::new(speech, plan.iter().copied())));
        let (authority, shared, start) = (Authority::new(), Arc::clone(&server), Instant::now());
        let sockets = Loopback::https(authority.server(&["127.0.0.1"]), move |asked, wire| {
            let now = u64::try_from(asked.at.duration_since(start).as_millis()).unwrap();
            let header = |name: &str| asked.head.lines().find_map(|line| line.strip_prefix(name));
            let asked = Asked {
                method: asked.head.split(' ').next().unwrap_or_default().to_ascii_uppercase(),
                target: asked.target.clone(),
                content_type: header("content-type: ").unwrap_or_default().trim().to_owned(),
                body: asked.body.clone(),
            };
            let reply = shared.lock().unwrap().serve(&asked, now);
            let mut headers = String::new();
            for (name, value) in &reply.headers {
                write!(headers, "{name}: {value}\r\n").unwrap();
            }
            answer(wire, reply.status, &headers, &reply.body)
        });
        Self { sockets, server, ca: authority.pem().to_owned() }
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.sockets.port())
    }
}
