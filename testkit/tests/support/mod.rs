//! Owns what the proofs on real servers share: the servers, a tap on the wire, and somebody else.

pub(crate) mod plain_http;
pub(crate) mod tap;

use std::sync::{Arc, Mutex, PoisonError, Weak};

use device_flow_testkit::servers::{Kind, Options, PUBLIC, Server};
use plain_http::{json, post};
use serde_json::Value;

/// A server with an interval of one second, shared by the tests that happen to run now: codes know nothing of each other.
pub(crate) fn shared(kind: Kind) -> Arc<Server> {
    static RUNNING: [Mutex<Weak<Server>>; 3] = [const { Mutex::new(Weak::new()) }; 3];
    let mut running = RUNNING[kind as usize].lock().unwrap_or_else(PoisonError::into_inner);
    running.upgrade().unwrap_or_else(|| {
        let server = Arc::new(Server::start(kind, Options { interval: Some(1), ..Options::default() }));
        *running = Arc::downgrade(&server);
        server
    })
}

/// What the server says to somebody else who asks with this device code.
pub(crate) fn foreign_poll(server: &Server, device_code: &str) -> Value {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let form = [("client_id", PUBLIC), ("grant_type", grant), ("device_code", device_code)];
    json(post(&server.token_endpoint(), None, &form))
}
