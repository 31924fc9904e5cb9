//! What only a client with names of its own can show: a host whose first address leads nowhere.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test reports")]

use super::{Http, from_settings};
use crate::{Transport as _, now};
use device_flow_core::{Action, Client, DeviceFlow, Machine, Provider};
use device_flow_testkit::black_hole::BlackHole;
use device_flow_testkit::loopback::{Loopback, sign_in};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error, http::Uri};

/// Every name has these two addresses.
#[derive(Clone, Debug)]
struct Both([SocketAddr; 2]);

impl Resolver for Both {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let mut found = self.empty();
        self.0.into_iter().for_each(|address| found.push(address));
        Ok(found)
    }
}

// C17: later than elsewhere, but with time enough left. Two thirds of 3 s are 2 s.
#[test]
fn c17_where_ipv6_leads_nowhere_ipv4_has_its_turn() {
    let server = Loopback::http(sign_in(&[]));
    // Without IPv6 nothing can be shown; `.ci/run` tells of it.
    let Some(hole) = BlackHole::at(SocketAddr::from((Ipv6Addr::LOCALHOST, server.port()))) else { return };
    let both = Both([hole.address(), SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))]);
    let http = Http::builder().connect_timeout(Duration::from_secs(3));
    let http = from_settings(http.check().unwrap(), |config| {
        Agent::with_parts(config, DefaultConnector::default(), both.clone())
    })
    .unwrap();
    let base = format!("http://localhost:{}", server.port());
    let provider = Provider::endpoints(format!("{base}/device"), format!("{base}/token"));
    let client = Client::builder(provider, "client").allow_http_loopback().build().unwrap();
    let Action::SendRequest(outgoing) = DeviceFlow::new(client, [7; 32]).next_action(now()) else { panic!() };

    let start = Instant::now();
    let answer = http.send(outgoing.request);
    let took = start.elapsed();
    assert_eq!(answer.map(|answer| answer.as_response().status()), Ok(200));
    assert!((Duration::from_millis(1_900)..Duration::from_secs(3)).contains(&took), "{took:?}");
    assert_eq!(server.requests().len(), 1);
}
